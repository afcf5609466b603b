"""Refunds of bookings and of pieces of products, beside tickets in one payment: as those of tickets are."""

from decimal import Decimal

import pytest
from django.core import mail
from django.utils import timezone

from events.models import CalendarEntry
from events.organising.calling_off import call_off
from events.rooms.events import make_event
from market.models import Product, ProductItem
from orders.models import Order
from payments.balance import left_of
from payments.books.checking import read_books
from payments.models import Case, Checkout, Refund, SumUpReport
from payments.refunds.asking import RefundRefused, Wish, again, request_refund, spread
from payments.refunds.explaining import explain
from payments.refunds.remedies import give_after_all, keep
from payments.refunds.reports_of_sumup import Adopted, adopt_reports
from payments.refunds.rows import rows_of
from payments.refunds.sending import Sent, follow
from payments.states import RefundKind
from tests.factories import UserFactory
from tests.jobs import run_jobs
from tests.ledger.watching import watched
from tests.payments.mixed import Shop, failed, keys, shop, sold, states, wished
from tests.payments.money import at_sumup, ledgers_agree, refunded, requested, sent
from tests.races.threads import at_once
from tests.simulator import SimulatorProcess
from tests.steps import book, later, order_cart, take

__all__ = ["shop"]  # a fixture

pytestmark = pytest.mark.django_db(transaction=True)


ALL = (["confirmed"], ["confirmed"], ["confirmed"] * 2)
GONE = (["refunded"], ["refunded"], ["refunded"] * 2)


def adopt(sumup: SimulatorProcess, checkout: Checkout) -> Adopted:
    answer = sumup.client().read_transaction(checkout.transaction_id)
    return adopt_reports(checkout, answer, at=timezone.now(), who="reconcile")


def open_cases(checkout: Checkout) -> list[str]:
    return list(Case.objects.open().filter(checkout=checkout).order_by("pk").values_list("kind", flat=True))


def event_made(order: Order) -> CalendarEntry:
    (booking,) = order.bookings.all()
    return make_event(booking.pk, title="Flamenco", ticket_price=Decimal(9), capacity=5, published=True, who="user:1")


def test_mixed_order_goes_back_whole_in_one_refund(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    run_jobs()
    mail.outbox.clear()

    requested(checkout, wished(keys(order)))
    assert states(order) == (["refund_due"], ["refund_due"], ["refund_due"] * 2)
    run_jobs()

    assert (states(order), at_sumup(sumup)) == (GONE, [Decimal(42)])
    (told,) = mail.outbox
    for words in ("Rehearsal room", "Tote bag", shop.entry.title, "€ 42.00"):
        assert words in str(told.body)
    assert ledgers_agree(sumup)


@pytest.mark.promise("booking-pieces-product")
def test_each_kind_goes_back_by_itself_and_its_place_is_free_again(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)

    refunded(sumup, checkout, wished(keys(order, "booking")))
    assert states(order) == (["confirmed"], ["refunded"], ["confirmed"] * 2)
    refunded(sumup, checkout, wished(keys(order, "item")[:1]))
    assert states(order) == (["confirmed"], ["refunded"], ["refunded", "confirmed"])

    assert (at_sumup(sumup), left_of(checkout)) == ([Decimal(20), Decimal(5)], Decimal(17))
    assert Product.objects.get(pk=shop.product.pk).held == 1
    again_, _payment = sold(sumup, shop)  # the same hour, the two bags that are left
    assert states(again_) == ALL
    assert ledgers_agree(sumup)


def test_piece_that_was_handed_out_can_be_paid_back(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    item = order.items.order_by("pk")[0]
    ProductItem.objects.filter(pk=item.pk).update(state="checked_in", checked_in_at=timezone.now())

    refunded(sumup, checkout, wished([f"item:{item.pk}"]))

    assert states(order)[2] == ["refunded", "confirmed"]
    assert ledgers_agree(sumup)


def test_goodwill_for_a_booking_and_a_piece_leaves_them_valid(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    (booking,), piece = keys(order, "booking"), keys(order, "item")[0]
    parts = [Wish(RefundKind.GOODWILL, booking, Decimal("2.50")), Wish(RefundKind.GOODWILL, piece, Decimal("1.25"))]

    refunded(sumup, checkout, parts)
    assert states(order) == ALL
    with pytest.raises(RefundRefused, match=r"only € 3\.75 of its price is left"):
        requested(checkout, [Wish(RefundKind.GOODWILL, piece, Decimal(4))])
    refunded(sumup, checkout, wished([booking, piece]))

    assert at_sumup(sumup) == [Decimal("3.75"), Decimal("21.25")]
    assert states(order) == (["confirmed"], ["refunded"], ["refunded", "confirmed"])
    assert ledgers_agree(sumup)


def test_goodwill_for_a_mixed_order_is_spread_over_all_kinds(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    refund = refunded(sumup, checkout, spread(rows_of(order), Decimal(40)))
    assert [line.amount for line in refund.lines.order_by("pk")] == [Decimal(12), Decimal(20), Decimal(5), Decimal(3)]
    assert states(order) == ALL
    assert ledgers_agree(sumup)


def test_what_is_owed_and_has_nothing_left_is_cancelled(sumup: SimulatorProcess, shop: Shop) -> None:
    """Refused, then all of its price paid back out of goodwill: nothing is owed any more, and a person may say so."""
    order, checkout = sold(sumup, shop)
    (booking,) = keys(order, "booking")
    failed(sumup, checkout, [booking])
    refunded(sumup, checkout, [Wish(RefundKind.GOODWILL, booking, Decimal(20))])
    assert states(order)[1] == ["refund_due"]

    made = request_refund(checkout.pk, wished([booking]), reason="Even", who="user:1", at=timezone.now())

    assert (made, states(order)[1]) == (None, ["cancelled"])
    assert ledgers_agree(sumup)


@pytest.mark.promise("booking-pieces-product")
def test_chargeback_of_a_mixed_order_takes_all_of_it(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    sumup.control(f"chargeback/{checkout.transaction_id}", {})

    assert adopt(sumup, checkout) == Adopted(stored=1, booked=1, undecided=1)

    assert (states(order), open_cases(checkout)) == (GONE, ["outside"])
    assert Product.objects.get(pk=shop.product.pk).held == 0
    assert ledgers_agree(sumup)


@pytest.mark.promise("booking-pieces-product")
def test_dashboard_refund_of_a_mixed_order_is_booked(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    refunded(sumup, checkout, wished(keys(order, "item")[:1]))
    sumup.control(f"refund/{checkout.transaction_id}", {})

    assert adopt(sumup, checkout).booked == 1
    assert adopt(sumup, checkout) == Adopted()

    assert (states(order), open_cases(checkout), left_of(checkout)) == (GONE, [], Decimal(0))
    assert ledgers_agree(sumup)


def test_dashboard_refund_of_a_part_is_said_to_be_for_a_booking_and_a_piece(
    sumup: SimulatorProcess, shop: Shop
) -> None:
    order, checkout = sold(sumup, shop)
    sumup.control(f"refund/{checkout.transaction_id}", {"amount": 26})
    assert adopt(sumup, checkout).undecided == 1
    assert (states(order), open_cases(checkout)) == (ALL, ["outside"])
    (booking,), pieces = keys(order, "booking"), keys(order, "item")

    wishes = [*wished([booking, pieces[0]]), Wish(RefundKind.GOODWILL, pieces[1], Decimal(1))]
    explain(SumUpReport.objects.get().pk, wishes, reason="By phone", who="user:1", at=timezone.now())

    assert states(order) == (["confirmed"], ["refunded"], ["refunded", "confirmed"])
    assert open_cases(checkout) == []
    assert ledgers_agree(sumup)


def test_refused_then_paid_back_in_the_dashboard_is_booked_for_what_is_owed(
    sumup: SimulatorProcess, shop: Shop
) -> None:
    order, checkout = sold(sumup, shop)
    refund = failed(sumup, checkout, keys(order, "booking"))
    Refund.objects.filter(pk=refund.pk).update(sent_at=later(minutes=60))  # it was not this one
    sumup.control(f"refund/{checkout.transaction_id}", {"amount": 20})

    assert adopt(sumup, checkout).booked == 1

    assert states(order) == (["confirmed"], ["refunded"], ["confirmed"] * 2)
    assert ledgers_agree(sumup)


@pytest.mark.promise("booking-pieces-product")
def test_refused_is_owed_and_sent_again_by_a_click(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    refund = failed(sumup, checkout, keys(order, "booking", "item"))
    assert (states(order), open_cases(checkout)) == ((["confirmed"], ["refund_due"], ["refund_due"] * 2), ["refund"])

    second = again(refund.pk, reason="Now", who="user:2", at=timezone.now())

    assert second is not None
    assert sent(second) is Sent.SUCCEEDED
    assert (states(order), open_cases(checkout)) == ((["confirmed"], ["refunded"], ["refunded"] * 2), [])
    assert at_sumup(sumup) == [Decimal(30)]
    assert ledgers_agree(sumup)


def test_refund_of_a_mixed_order_that_sumup_took_back_is_owed_again(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    refund = refunded(sumup, checkout, wished(keys(order)))
    follow(refund.pk, who="sweep", at=timezone.now())
    sumup.control(f"fail_refund/{sumup.ledger()['refunds'][0]['id']}")

    follow(refund.pk, who="reconcile", at=timezone.now())

    assert states(order) == (["refund_due"], ["refund_due"], ["refund_due"] * 2)
    assert open_cases(checkout) == ["refund"]
    assert ledgers_agree(sumup)


def test_owed_booking_and_pieces_are_given_after_all_where_they_are_free(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    failed(sumup, checkout, keys(order))

    given = give_after_all(order.pk, keys(order), reason="There is room", who="user:1", at=timezone.now())

    assert (given, states(order), at_sumup(sumup)) == (4, ALL, [])
    assert Product.objects.get(pk=shop.product.pk).held == 2
    assert ledgers_agree(sumup)


@pytest.mark.parametrize("kind", ["booking", "item"])
@pytest.mark.promise("booking-pieces-product")
def test_nothing_is_given_after_all_that_somebody_else_has(sumup: SimulatorProcess, shop: Shop, kind: str) -> None:
    order, checkout = sold(sumup, shop)
    failed(sumup, checkout, keys(order, "booking", "item"))
    rival = UserFactory.create()
    if kind == "booking":
        book(rival, shop.room, minutes=90)
    else:
        take(rival, shop.product, 2)
    order_cart(rival)
    before = states(order)

    with pytest.raises(RefundRefused, match="no room for it, or none of it is left"):
        give_after_all(order.pk, keys(order, kind), reason="?", who="user:1", at=timezone.now())

    assert states(order) == before
    assert give_after_all(order.pk, keys(order, "item")[:1], reason="One", who="user:1", at=timezone.now()) == 1
    assert ledgers_agree(sumup)


def test_booking_is_not_given_after_its_time(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    failed(sumup, checkout, keys(order, "booking"))
    (booking,) = order.bookings.all()
    with pytest.raises(RefundRefused, match="called off or over"):
        give_after_all(order.pk, keys(order, "booking"), reason="?", who="user:1", at=booking.ends_at)
    assert states(order)[1] == ["refund_due"]


def test_money_of_owed_bookings_and_pieces_is_kept(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    failed(sumup, checkout, keys(order, "booking", "item"))

    assert keep(order.pk, keys(order, "booking", "item"), reason="Donated", who="user:1") == 3

    assert states(order) == (["confirmed"], ["cancelled"], ["cancelled"] * 2)
    assert ledgers_agree(sumup)


def test_rows_of_all_kinds_are_locked_in_the_agreed_order(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    chosen = keys(order)
    with watched() as watch:
        failed(sumup, checkout, chosen)
        give_after_all(order.pk, chosen, reason="Free", who="user:1", at=timezone.now())
        refunded(sumup, checkout, wished(chosen))
    assert watch.breaches == []
    assert ("LOCK", "events_calendar") in watch.seen


# --- A booking that became an event


@pytest.mark.promise("booking-became-event")
def test_booking_that_became_an_event_is_not_paid_back_while_the_event_is_on(
    sumup: SimulatorProcess, shop: Shop
) -> None:
    order, checkout = sold(sumup, shop)
    event = event_made(order)

    for elsewhere in (False, True):
        with pytest.raises(RefundRefused, match=r"Rehearsal room.* “Flamenco” came of it and is not called off"):
            request_refund(
                checkout.pk, wished(keys(order)), reason="Ill", who="user:1", at=timezone.now(), elsewhere=elsewhere
            )
    assert (states(order), Refund.objects.count(), at_sumup(sumup)) == (ALL, 0, [])

    call_off(event.pk, money_back=True, who="user:1", why="Rain")
    refunded(sumup, checkout, wished(keys(order)))
    assert states(order) == GONE
    assert ledgers_agree(sumup)


def test_goodwill_for_a_booking_whose_event_is_on_is_paid(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    event_made(order)
    refunded(sumup, checkout, [Wish(RefundKind.GOODWILL, keys(order, "booking")[0], Decimal(20))])
    with pytest.raises(RefundRefused, match="not called off"):  # it would be cancelled, for nothing of it is left
        request_refund(checkout.pk, wished(keys(order, "booking")), reason="Ill", who="user:1", at=timezone.now())
    assert states(order) == ALL
    assert ledgers_agree(sumup)


@pytest.mark.parametrize("act", ["refund", "chargeback"])
@pytest.mark.promise("booking-became-event")
def test_money_of_a_booking_whose_event_is_on_that_went_back_outside_waits_for_a_person(
    sumup: SimulatorProcess, shop: Shop, act: str
) -> None:
    order, checkout = sold(sumup, shop)
    event = event_made(order)
    sumup.control(f"{act}/{checkout.transaction_id}", {})

    assert adopt(sumup, checkout) == Adopted(stored=1, undecided=1)
    assert adopt(sumup, checkout) == Adopted(undecided=1)

    assert (states(order), open_cases(checkout)) == (ALL, ["outside"])
    assert ledgers_agree_beside(checkout)
    told = SumUpReport.objects.get()
    with pytest.raises(RefundRefused, match="not called off"):
        explain(told.pk, wished(keys(order)), reason="All", who="user:1", at=timezone.now())
    with pytest.raises(RefundRefused, match="not owed"):
        keep(order.pk, keys(order), reason="Keep", who="user:1")
    call_off(event.pk, money_back=True, who="user:1", why="Rain")
    explain(told.pk, wished(keys(order)), reason="All", who="user:1", at=timezone.now())

    assert (states(order), open_cases(checkout)) == (GONE, [])
    assert ledgers_agree(sumup)


def ledgers_agree_beside(checkout: Checkout) -> bool:
    """The books are clean while a person is asked: what went back is undecided."""
    return read_books() == [] and left_of(checkout) == 0


def test_two_people_make_an_event_and_pay_back_at_once_and_one_of_both_happens(
    sumup: SimulatorProcess, shop: Shop
) -> None:
    order, checkout = sold(sumup, shop)
    answers = at_once([lambda: event_made(order), lambda: requested(checkout, wished(keys(order, "booking")))])
    run_jobs()

    refused = [answer for answer in answers if isinstance(answer, Exception)]
    assert len(refused) == 1, answers
    made = CalendarEntry.objects.events().filter(booking__order=order).exists()
    assert states(order)[1] == (["confirmed"] if made else ["refunded"])
    assert ledgers_agree(sumup)
