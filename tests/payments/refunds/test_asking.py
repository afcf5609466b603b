"""Refunds, from a person's wish to the money that went back: over HTTP, SumUp's ledger equal to ours at the end."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

import payments.refunds.sending
from events.models import CalendarEntry, Merchant, Ticket
from events.rooms.events import make_event
from events.transitions import mark_owed
from ledger.models import History
from ledger.tracing import order_id
from market.models import ProductItem
from orders.models import Order
from payments.balance import left_of
from payments.locks import locked_with_refunds
from payments.models import Case, Checkout, Refund, RefundLine
from payments.refunds.asking import (
    RefundRefused,
    Wish,
    again,
    line_of,
    owed_wishes,
    request_refund,
    spread,
    wishes_of,
    withdraw,
    write_lines,
)
from payments.refunds.jobs import refunds_once
from payments.refunds.rows import SoldRow, rows_of
from payments.refunds.sending import Sent, follow, send
from payments.states import RefundKind
from tests.jobs import run_jobs
from tests.ledger.lives import a_checkout
from tests.payments import given
from tests.payments.given import a_refund_of, an_event, flat, jobs, locks
from tests.payments.mixed import Shop, shop
from tests.payments.money import (
    at_sumup,
    goodwill,
    ledgers_agree,
    refunded,
    requested,
    sent,
    sold,
    whole,
)
from tests.races.threads import at_once, in_a_thread
from tests.simulator import PATIENCE, SimulatorProcess
from tests.steps import held, states_of

__all__ = ["shop"]

pytestmark = pytest.mark.django_db(transaction=True)


def cases(checkout: Checkout) -> list[str]:
    return list(Case.objects.open().filter(checkout=checkout).values_list("kind", flat=True))


# --- Asking


def test_whole_order_goes_back_without_an_amount_by_its_job(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 2)

    refund = requested(checkout, whole(order))
    assert (states_of(order), held(entry), refund.state) == (["refund_due"] * 2, 0, "requested")
    run_jobs()

    refund.refresh_from_db()
    assert (refund.state, refund.is_rest, refund.events_before) == ("succeeded", True, Decimal(0))
    assert (states_of(order), at_sumup(sumup)) == (["refunded"] * 2, [Decimal(24)])
    order.refresh_from_db()
    assert order.state == "paid"
    assert ledgers_agree(sumup)


def test_one_line_goes_back_with_its_amount_and_the_other_stays_valid(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order, checkout = sold(sumup, entry, 2)

    refund = refunded(sumup, checkout, whole(order, 1))

    assert (refund.is_rest, states_of(order), held(entry)) == (False, ["refunded", "confirmed"], 1)
    assert at_sumup(sumup) == [Decimal(12)]
    assert refunded(sumup, checkout, whole(order)[1:]).is_rest
    assert left_of(checkout) == 0
    assert ledgers_agree(sumup)


def test_goodwill_leaves_the_ticket_valid_and_lowers_what_its_whole_brings(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order, checkout = sold(sumup, entry, 1)
    (ticket,) = order.tickets.all()

    refunded(sumup, checkout, [goodwill(ticket, "2.50")])
    assert states_of(order) == ["confirmed"]
    rest = refunded(sumup, checkout, whole(order))

    assert (rest.amount, rest.is_rest, states_of(order)) == (Decimal("9.50"), True, ["refunded"])
    assert at_sumup(sumup) == [Decimal("2.50"), Decimal("9.50")]


def test_goodwill_for_an_order_is_spread_over_its_rows(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 3)

    wishes = spread(rows_of(order), Decimal(20))
    refund = refunded(sumup, checkout, wishes)

    assert [line.amount for line in refund.lines.order_by("pk")] == [Decimal(12), Decimal(8)]
    assert states_of(order) == ["confirmed"] * 3
    with pytest.raises(RefundRefused, match="more than what is left"):
        spread(rows_of(order), Decimal("16.01"))


def test_what_was_paid_back_elsewhere_is_recorded_and_nothing_is_sent(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order, checkout = sold(sumup, entry, 2)

    refund = request_refund(
        checkout.pk, whole(order), reason="In cash", who="user:1", at=timezone.now(), elsewhere=True
    )
    run_jobs()

    assert refund is not None
    refund.refresh_from_db()
    assert (refund.state, refund.origin, states_of(order)) == ("succeeded", "elsewhere", ["refunded"] * 2)
    assert (at_sumup(sumup), sumup.calls("refund")) == ([], 0)
    assert "in another way than by card" in mail.outbox[-1].body


def test_row_with_nothing_left_is_cancelled_without_a_refund(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    (ticket,) = order.tickets.all()
    refunded(sumup, checkout, [goodwill(ticket, "12")])

    made = request_refund(checkout.pk, whole(order), reason="Ill", who="user:1", at=timezone.now())

    assert (made, states_of(order), Refund.objects.count()) == (None, ["cancelled"], 1)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (lambda ticket: goodwill(ticket, "12.01"), "only € 12.00 of its price is left"),
        (lambda ticket: goodwill(ticket, "0"), "above 0"),
        (lambda ticket: goodwill(ticket, "-1"), "above 0"),
        (lambda ticket: goodwill(ticket, "NaN"), "above 0"),
        (lambda ticket: goodwill(ticket, "1.005"), "decimal places"),
        (lambda _ticket: Wish(RefundKind.ROW, "ticket:999999"), "not a part"),
        (lambda _ticket: Wish(RefundKind.ROW, "order:1"), "not a part"),
        (lambda _ticket: Wish(RefundKind.SURPLUS), "paid for the order"),
    ],
)
def test_bad_wish_is_refused_and_changes_nothing(
    sumup: SimulatorProcess, entry: CalendarEntry, wish: Callable[[Ticket], Wish], words: str
) -> None:
    order, checkout = sold(sumup, entry, 1)
    with pytest.raises(RefundRefused, match=words):
        requested(checkout, [wish(Ticket.objects.get(order=order))])
    assert (states_of(order), Refund.objects.count(), sumup.calls("refund")) == (["confirmed"], 0, 0)


def test_ticket_of_another_order_is_not_paid_back(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    _order, checkout = sold(sumup, entry, 1)
    other, _payment = sold(sumup, entry, 1)
    with pytest.raises(RefundRefused, match="not a part"):
        requested(checkout, whole(other))
    assert states_of(other) == ["confirmed"]


def test_what_is_gone_is_not_paid_back_again(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 2)
    refunded(sumup, checkout, whole(order, 1))
    with pytest.raises(RefundRefused, match="cannot be paid back"):
        requested(checkout, whole(order, 1))
    assert at_sumup(sumup) == [Decimal(12)]


def test_second_refund_waits_for_the_end_of_the_first(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 2)
    requested(checkout, whole(order, 1))
    with pytest.raises(RefundRefused, match="under way already"):
        requested(checkout, whole(order)[1:])
    assert states_of(order) == ["refund_due", "confirmed"]


def test_refund_that_was_not_sent_can_be_withdrawn(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    refund = requested(checkout, whole(order))

    assert withdraw(refund.pk, reason="A mistake", who="user:1", at=timezone.now())
    run_jobs()

    assert (states_of(order), at_sumup(sumup)) == (["refund_due"], [])
    assert not withdraw(refund.pk, reason="Again", who="user:1", at=timezone.now())
    assert refunded(sumup, checkout, whole(order)).state == "succeeded"


def test_history_says_who_asked_and_why(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    refunded(sumup, checkout, whole(order))
    (ticket,) = order.tickets.all()
    owed = History.objects.of(ticket).get(new="refund_due")
    assert (owed.actor, owed.reason) == ("user:1", "Ill")


def test_buyer_is_told_once_by_one_mail(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 2)
    run_jobs()
    mail.outbox.clear()

    refund = requested(checkout, whole(order, 1))
    run_jobs()
    for _turn in range(3):
        follow(refund.pk, who="sweep", at=timezone.now())
    run_jobs()

    (told,) = mail.outbox
    assert told.to == [order.user.email]
    assert told.extra_headers["Message-ID"].startswith(f"<refund.{refund.pk}@")
    assert "€ 12.00" in told.subject
    assert order.code in told.body


# --- What SumUp answers (faults 29 and 31)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("not_refundable", "not refundable in its current state"),
        ("not_enough_balance", "Not enough available balance"),
        ("too_high", "Amount exceeds the refundable amount"),
        ("min_amount", "min_refundable_amount 20"),
        ("403", "users is not allowed to make a refund"),
        ("401", "Unauthorized"),
    ],
)
@pytest.mark.promise("sumup-refuses-refund")
def test_refusal_leaves_the_row_owed_with_sumups_own_words_and_can_be_tried_again(
    sumup: SimulatorProcess, entry: CalendarEntry, fault: str, words: str
) -> None:
    order, checkout = sold(sumup, entry, 2)
    sumup.faults(refund=fault, times=1)
    refund = requested(checkout, whole(order, 1))

    assert sent(refund) is Sent.FAILED
    assert words in refund.words
    assert (states_of(order), at_sumup(sumup)) == (["refund_due", "confirmed"], [])
    assert "refund" in cases(checkout)
    assert words in Case.objects.get(checkout=checkout, kind="refund").words

    second = again(refund.pk, reason="Now", who="user:2", at=timezone.now())
    assert second is not None
    assert sent(second) is Sent.SUCCEEDED
    assert (states_of(order), at_sumup(sumup)) == (["refunded", "confirmed"], [Decimal(12)])
    assert cases(checkout) == []
    assert ledgers_agree(sumup)


@pytest.mark.promise("sumup-refuses-refund")
def test_one_of_three_refunds_fails_and_each_has_its_own_result(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    sales = [sold(sumup, entry, 1) for _turn in range(3)]
    refunds = [requested(checkout, whole(order)) for order, checkout in sales]
    outcomes = []
    for number, refund in enumerate(refunds):
        sumup.faults(refund="not_enough_balance" if number == 1 else "ok")
        outcomes.append(sent(refund))

    assert outcomes == [Sent.SUCCEEDED, Sent.FAILED, Sent.SUCCEEDED]
    assert [states_of(order) for order, _checkout in sales] == [["refunded"], ["refund_due"], ["refunded"]]
    assert ledgers_agree(sumup)


@pytest.mark.parametrize("fault", ["500_after", "lost_answer", "hang_after"])
@pytest.mark.promise("refund-answer-lost")
def test_answer_that_was_lost_after_the_work_was_done_is_read_back(
    sumup: SimulatorProcess, entry: CalendarEntry, fault: str
) -> None:
    """Fault 29: and a click on refund again finds it done."""
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund=fault, times=1)
    refund = requested(checkout, whole(order))

    assert sent(refund, deadline=2 if fault == "hang_after" else PATIENCE) is Sent.SUCCEEDED
    with pytest.raises(RefundRefused):
        requested(checkout, whole(order))
    with pytest.raises(RefundRefused, match="nothing to send again"):
        again(refund.pk, reason="Again", who="user:1", at=timezone.now())

    assert (states_of(order), at_sumup(sumup)) == (["refunded"], [Decimal(12)])
    assert sumup.calls("refund") == 1


@pytest.mark.parametrize("fault", ["500", "drop", "502html", "blocked"])
@pytest.mark.promise("answer-refund-unknown")
def test_no_answer_is_unknown_and_only_a_click_sends_again(
    sumup: SimulatorProcess, entry: CalendarEntry, fault: str
) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund=fault, times=1)
    refund = requested(checkout, whole(order))

    assert sent(refund) is Sent.UNKNOWN
    now = timezone.now()
    for hours in (0, 1, 2, 30):
        refunds_once(at=now + timedelta(hours=hours))
    run_jobs()
    refund.refresh_from_db()
    assert (refund.state, sumup.calls("refund"), cases(checkout)) == ("unknown", 1, ["refund"])
    with pytest.raises(RefundRefused, match="under way already"):
        requested(checkout, whole(order))

    second = again(refund.pk, reason="SumUp shows nothing", who="user:1", at=now)
    assert second is not None
    assert sent(second) is Sent.SUCCEEDED
    refund.refresh_from_db()
    assert (refund.state, states_of(order), at_sumup(sumup)) == ("failed", ["refunded"], [Decimal(12)])
    assert ledgers_agree(sumup)


def test_unknown_one_succeeds_when_its_event_shows_late(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund="500_after", refund_event_delay=600)
    refund = requested(checkout, whole(order))
    assert sent(refund) is Sent.UNKNOWN

    refunds_once(at=timezone.now() + timedelta(minutes=5))
    refund.refresh_from_db()
    assert refund.state == "unknown"
    sumup.shift_clock(601)
    refunds_once(at=timezone.now() + timedelta(minutes=11))

    refund.refresh_from_db()
    assert (refund.state, states_of(order), sumup.calls("refund")) == ("succeeded", ["refunded"], 1)
    assert ledgers_agree(sumup)


def test_send_again_finds_the_event_and_sends_nothing(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund="500_after", refund_event_delay=600)
    refund = requested(checkout, whole(order))
    assert sent(refund) is Sent.UNKNOWN
    sumup.shift_clock(601)

    with pytest.raises(RefundRefused, match="nothing to send again"):
        again(refund.pk, reason="Again", who="user:1", at=timezone.now())

    assert (sumup.calls("refund"), at_sumup(sumup)) == (1, [Decimal(12)])


@pytest.mark.promise("answer-refund-unknown")
def test_nothing_is_sent_again_while_sumup_does_not_say(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund="500", times=1)
    refund = requested(checkout, whole(order))
    assert sent(refund) is Sent.UNKNOWN
    sumup.faults(transaction="404")

    with pytest.raises(RefundRefused, match="does not say at the moment"):
        again(refund.pk, reason="Again", who="user:1", at=timezone.now())

    refund.refresh_from_db()
    assert (refund.state, sumup.calls("refund")) == ("unknown", 1)


def test_nothing_is_sent_while_the_transaction_cannot_be_read(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(transaction="404")
    refund = requested(checkout, whole(order))

    assert sent(refund) is Sent.WAITING
    refunds_once(at=timezone.now() + timedelta(days=1, minutes=1))
    refund.refresh_from_db()
    assert (refund.state, sumup.calls("refund"), cases(checkout)) == ("requested", 0, ["refund"])

    sumup.faults(transaction="ok")
    refunds_once(at=timezone.now() + timedelta(days=1, minutes=2))
    assert states_of(order) == ["refunded"]
    assert ledgers_agree(sumup)


def test_failed_one_whose_event_turns_up_succeeded(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    """A proxy said no after SumUp had done it, and its event came late."""
    order, checkout = sold(sumup, entry, 1)
    refund = requested(checkout, whole(order))
    sumup.faults(refund="not_refundable", times=1)
    assert sent(refund) is Sent.FAILED
    sumup.control(f"refund/{checkout.transaction_id}")

    follow(refund.pk, who="reconcile", at=timezone.now())

    refund.refresh_from_db()
    assert (refund.state, states_of(order), cases(checkout)) == ("succeeded", ["refunded"], [])
    assert ledgers_agree(sumup)


@pytest.mark.parametrize("was_read", [True, False], ids=["its event was read", "before its event was read"])
@pytest.mark.promise("sumup-takes-refund", "sumup-takes-refund-back")
def test_refund_that_sumup_took_back_is_owed_again(
    sumup: SimulatorProcess, entry: CalendarEntry, was_read: bool
) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund_event_delay=0 if was_read else 600)
    refund = refunded(sumup, checkout, whole(order))
    follow(refund.pk, who="sweep", at=timezone.now())
    assert refund.sumup_reports.exists() is was_read
    sumup.faults(refund_event_delay=0)
    sumup.shift_clock(601)
    sumup.control(f"fail_refund/{sumup.ledger()['refunds'][0]['id']}")

    for _turn in range(2):
        follow(refund.pk, who="reconcile", at=timezone.now())

    refund.refresh_from_db()
    assert (refund.state, states_of(order), cases(checkout)) == ("failed", ["refund_due"], ["refund"])
    second = again(refund.pk, reason="Once more", who="user:1", at=timezone.now())
    assert second is not None
    assert sent(second) is Sent.SUCCEEDED
    assert (states_of(order), cases(checkout)) == (["refunded"], [])
    assert ledgers_agree(sumup)


def test_success_whose_event_does_not_follow_within_a_day_is_told(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund_event_delay=200_000)
    refund = requested(checkout, whole(order))
    assert sent(refund) is Sent.SUCCEEDED

    refunds_once(at=timezone.now() + timedelta(hours=23))
    assert cases(checkout) == []
    for hours in (25, 27):
        refunds_once(at=timezone.now() + timedelta(hours=hours))

    (case,) = Case.objects.filter(checkout=checkout)
    assert "its books do not show it" in case.words


# --- Two at once (fault 30)


@pytest.mark.promise("two-admins-pay")
def test_two_admins_at_once_one_wins_and_the_other_is_told(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 2)

    found = at_once([lambda: requested(checkout, whole(order)), lambda: requested(checkout, whole(order))])
    run_jobs()

    refused = [answer for answer in found if isinstance(answer, RefundRefused)]
    assert (len(refused), Refund.objects.count()) == (1, 1)
    assert (at_sumup(sumup), states_of(order)) == ([Decimal(24)], ["refunded"] * 2)


def test_rival_at_the_seam_between_reading_and_sending_sends_it_once(
    sumup: SimulatorProcess, entry: CalendarEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second worker begins while the first has read the transaction and not yet written that it sends."""
    order, checkout = sold(sumup, entry, 1)
    refund = requested(checkout, whole(order))
    begin = payments.refunds.sending._begin
    rivals: list[Sent] = []

    def rival_first(*arguments: object) -> bool:
        monkeypatch.setattr(payments.refunds.sending, "_begin", begin)
        rivals.append(in_a_thread(lambda: send(refund.pk, who="rival", at=timezone.now())))
        return begin(*arguments)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(payments.refunds.sending, "_begin", rival_first)

    assert (sent(refund), rivals) == (Sent.NOT_DUE, [Sent.SUCCEEDED])
    assert (sumup.calls("refund"), at_sumup(sumup)) == (1, [Decimal(12)])


@pytest.mark.promise("two-admins-pay")
def test_many_workers_at_once_send_it_once(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    refund = requested(checkout, whole(order))

    found = at_once([lambda: send(refund.pk, who="job", at=timezone.now())] * 8)

    assert found.count(Sent.SUCCEEDED) == 1, found
    assert (sumup.calls("refund"), states_of(order)) == (1, ["refunded"])


@pytest.mark.promise("parts-together-exceed")
def test_parts_never_exceed_the_capture(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    (ticket,) = order.tickets.all()
    for _turn in range(2):
        refunded(sumup, checkout, [goodwill(ticket, "5")])

    with pytest.raises(RefundRefused, match=r"only € 2\.00"):
        requested(checkout, [goodwill(ticket, "5")])
    refunded(sumup, checkout, [goodwill(ticket, "2")])

    assert at_sumup(sumup) == [Decimal(5), Decimal(5), Decimal(2)]
    assert ledgers_agree(sumup)


# --- Left behind


def test_requested_one_whose_job_was_lost_is_sent_by_the_sweep(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    refund = requested(checkout, whole(order))
    ProcrastinateJob.objects.filter(task_name="payments.refund_jobs.send_refund").delete()

    refunds_once(at=refund.requested_at + timedelta(minutes=1))
    assert sumup.calls("refund") == 0
    refunds_once(at=refund.requested_at + timedelta(minutes=3))

    assert (states_of(order), at_sumup(sumup)) == (["refunded"], [Decimal(12)])


# --- Each step by itself, without SumUp

direct = pytest.mark.django_db
JOB = "payments.refund_jobs.send_refund"
OWED, VALID, GONE, VOID = "refund_due", "confirmed", "refunded", "cancelled"


@pytest.fixture
def bought(shop: Shop, merchant: Merchant) -> Checkout:
    """All three kinds, 42.00, given; so is another order, of which a refund waits."""
    shop.product.stock = 9
    shop.product.save()
    other, payment = given.sold(shop, days=9)
    a_refund_of(payment, "requested", ("goodwill", other.tickets.get(), "1.00"))
    return given.sold(shop)[1]


def wish(row: SoldRow, amount: str | None = None) -> Wish:
    return Wish(
        RefundKind.ROW if amount is None else RefundKind.GOODWILL, row.key, None if amount is None else Decimal(amount)
    )


def all_others(checkout: Checkout) -> list[Any]:
    found: list[Any] = [*Refund.objects.exclude(checkout=checkout).order_by("pk").values()]
    return found + [flat(order) for order in Order.objects.exclude(pk=checkout.order_id).order_by("pk")]


def asked(checkout: Checkout, *wishes: Wish, **more: Any) -> Refund | None:
    others, at = all_others(checkout), timezone.now()
    told: dict[str, Any] = {"reason": "Ill", "who": "user:1", "at": at}
    refund = request_refund(checkout.pk, wishes, **(told | more))
    assert all_others(checkout) == others
    return refund


@direct
def test_a_refund_is_written_with_its_lines_and_its_job(bought: Checkout) -> None:
    ticket, booking, bag, second = rows_of(bought.order)
    at = timezone.now()
    order_id.set(None)

    with locks() as taken:
        refund = asked(bought, wish(ticket), wish(bag, "1.00"), wish(second, "0.01"), at=at, seen=Decimal(42))

    assert refund is not None
    assert order_id.get() == bought.order_id
    assert (refund.checkout, refund.batch, refund.origin, refund.state) == (bought, None, "ours", "requested")
    assert (refund.amount, refund.currency, refund.reason) == (Decimal("13.01"), "EUR", "Ill")
    assert (refund.requested_by, refund.requested_at) == ("user:1", at)
    assert [(row.kind, row.ticket_id, row.item_id, row.amount) for row in refund.lines.order_by("pk")] == [
        ("row", ticket.thing.pk, None, Decimal(12)),
        ("goodwill", None, bag.thing.pk, Decimal(1)),
        ("goodwill", None, second.thing.pk, Decimal("0.01")),
    ]
    assert flat(bought.order) == [OWED, VALID, VALID, VALID]
    change = History.objects.of(ticket.thing).get(new=OWED)
    assert (change.actor, change.reason) == ("user:1", "Ill")
    assert jobs(JOB) == [{"refund_pk": refund.pk}]
    assert ("events_ticket", [ticket.thing.pk]) in taken
    assert booking.thing.state == VALID


@direct
def test_a_payment_is_locked_with_its_order_and_all_of_its_refunds(bought: Checkout) -> None:
    first, second = (
        a_refund_of(bought, state, ("goodwill", bought.order.tickets.get(), "1.00"))
        for state in ("succeeded", "failed")
    )
    order_id.set(None)

    with locks() as taken:
        checkout, _refunds = locked_with_refunds(bought.pk)

    assert taken == [
        ("orders_order", [bought.order_id]),
        ("payments_checkout", [bought.pk]),
        ("payments_refund", [first.pk, second.pk]),
    ]
    assert (checkout, checkout.order, order_id.get()) == (bought, bought.order, bought.order_id)


@direct
def test_all_that_is_left_can_go_back_and_no_cent_more(bought: Checkout) -> None:
    """What SumUp reports as gone is not there any more, whatever the prices say."""
    rows = rows_of(bought.order)
    event = an_event(bought, "0.01")
    with pytest.raises(RefundRefused) as refused:
        asked(bought, *map(wish, rows))
    assert str(refused.value) == "Only € 41.99 of this payment can still be paid back."
    assert (flat(bought.order), jobs(JOB)) == ([VALID] * 4, [])
    event.delete()

    refund = asked(bought, *map(wish, rows))

    assert refund is not None
    assert (refund.amount, flat(bought.order)) == (Decimal(42), [OWED] * 4)


@direct
@pytest.mark.parametrize("seen", ["41.99", "42.01"])
def test_who_saw_something_else_left_decides_anew(bought: Checkout, seen: str) -> None:
    with pytest.raises(RefundRefused, match="paid back meanwhile"):
        asked(bought, wish(rows_of(bought.order)[0]), seen=Decimal(seen))
    assert flat(bought.order) == [VALID] * 4


@direct
def test_rows_with_nothing_left_are_cancelled_beside_those_that_go_back(bought: Checkout) -> None:
    ticket, _booking, bag, _second = rows_of(bought.order)
    a_refund_of(bought, "succeeded", ("goodwill", bag.thing, "5.00"), ("goodwill", ticket.thing, "11.00"))

    refund = asked(bought, wish(ticket), wish(bag))

    assert refund is not None
    assert [(row.ticket_id, row.amount) for row in refund.lines.all()] == [(ticket.thing.pk, Decimal(1))]
    assert flat(bought.order) == [OWED, VALID, VOID, VALID]


@direct
def test_what_was_paid_back_elsewhere_is_done_at_once_also_without_a_transaction(bought: Checkout) -> None:
    ticket, at = rows_of(bought.order)[0], timezone.now()
    Checkout.objects.filter(pk=bought.pk).update(transaction_id="")
    with pytest.raises(RefundRefused, match="transaction of this payment is not known"):
        asked(bought, wish(ticket))

    refund = asked(bought, wish(ticket), elsewhere=True, at=at)

    assert refund is not None
    refund.refresh_from_db()
    assert (refund.origin, refund.state, refund.finished_at) == ("elsewhere", "succeeded", at)
    assert (flat(bought.order)[0], jobs(JOB)) == (GONE, [])


@direct
@pytest.mark.parametrize("state", ["new", "open", "refused", "expired", "nothing came"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_where_nothing_was_paid_nothing_goes_back(state: str, elsewhere: bool) -> None:
    """Whatever else its row says."""
    checkout = a_checkout("mismatch" if state == "nothing came" else state)
    nothing = {"captured": None, "captured_currency": ""} if state == "nothing came" else {"transaction_id": "t"}
    Checkout.objects.filter(pk=checkout.pk).update(**nothing)

    with pytest.raises(RefundRefused, match="Nothing was paid by this payment"):
        asked(checkout, Wish(RefundKind.SURPLUS), elsewhere=elsewhere)


@direct
@pytest.mark.parametrize("state", ["requested", "sending", "unknown"])
def test_one_refund_of_a_payment_at_a_time(bought: Checkout, state: str) -> None:
    ticket, _booking, bag, _second = rows_of(bought.order)
    a_refund_of(bought, state, ("goodwill", ticket.thing, "1.00"))

    with pytest.raises(RefundRefused, match="under way already"):
        asked(bought, wish(bag), elsewhere=True)


@direct
def test_of_a_payment_beyond_its_order_no_row_goes_back_and_of_the_order_s_own_no_surplus(bought: Checkout) -> None:
    surplus = given.paid(bought.order)
    with pytest.raises(RefundRefused, match="not a part of what the payment paid for"):
        asked(surplus, wish(rows_of(bought.order)[0]))
    with pytest.raises(RefundRefused, match="This payment paid for the order"):
        asked(bought, Wish(RefundKind.SURPLUS))

    part = asked(surplus, Wish(RefundKind.SURPLUS, amount=Decimal("41.00")))
    assert part is not None
    assert [(row.kind, row.amount, row.currency) for row in part.lines.all()] == [("surplus", Decimal(41), "EUR")]
    assert withdraw(part.pk, reason="No", who="user:1", at=timezone.now())
    a_refund_of(surplus, "succeeded", ("surplus", None, "41.00"))
    rest = asked(surplus, Wish(RefundKind.SURPLUS))
    assert rest is not None
    assert rest.amount == Decimal(1)
    withdraw(rest.pk, reason="No", who="user:1", at=timezone.now())
    a_refund_of(surplus, "succeeded", ("surplus", None, "1.00"))
    with pytest.raises(RefundRefused, match="Nothing of this payment is left"):
        asked(surplus, Wish(RefundKind.SURPLUS))
    assert flat(bought.order) == [VALID] * 4


@direct
def test_a_line_is_of_a_row_that_is_valid_or_owed_and_not_on_its_way(bought: Checkout) -> None:
    rows = {row.key: row for row in rows_of(bought.order)}
    ticket = next(iter(rows.values()))
    whole, part = wish(ticket), wish(ticket, "2.00")

    def line(wanted: Wish, row: SoldRow) -> RefundLine:
        return line_of(wanted, {row.key: row}, bought)

    assert (line(whole, ticket).amount, line(part, ticket).amount) == (Decimal(12), Decimal(2))
    gone = replace(ticket, repayment=Decimal("10.00"))
    assert (line(whole, gone).amount, line(part, gone).amount) == (Decimal(2), Decimal(2))
    assert line(whole, replace(ticket, repayment=Decimal("12.00"))).amount == 0
    with pytest.raises(RefundRefused, match=r"only € 1\.99 of its price is left"):
        line(part, replace(ticket, repayment=Decimal("10.01")))
    for wanted in (whole, part):
        with pytest.raises(RefundRefused, match="It cannot be paid back now"):
            line(wanted, replace(ticket, pending=True))
    for state, is_refused in ((OWED, False), ("checked_in", False), (GONE, True), (VOID, True), ("reserved", True)):
        ticket.thing.state = state
        if is_refused:
            with pytest.raises(RefundRefused) as refused:
                line(whole, ticket)
            assert str(refused.value) == f"{ticket.name}: {ticket.word}. It cannot be paid back now."
        else:
            assert line(whole, ticket).amount == Decimal(12)


@direct
@pytest.mark.parametrize(
    ("amount", "is_good"),
    [
        (None, False), ("NaN", False), ("Infinity", False), ("-1.00", False), ("0.00", False), ("0.001", False),
        ("0.01", True), ("1.00", True), ("1.01", True), ("1.015", False), ("12.00", True),
    ],
)  # fmt: skip
def test_an_amount_is_above_nothing_and_has_the_places_of_its_currency(
    bought: Checkout, amount: str | None, is_good: bool
) -> None:
    rows = {row.key: row for row in rows_of(bought.order)}
    wanted = Wish(RefundKind.GOODWILL, next(iter(rows)), None if amount is None else Decimal(amount))
    if is_good:
        assert line_of(wanted, rows, bought).amount == wanted.amount
    else:
        with pytest.raises(RefundRefused, match="An amount is above 0 and has at most 2 decimal places"):
            line_of(wanted, rows, bought)


@direct
def test_a_booking_whose_event_stands_is_not_paid_back_whole_while_it_is_valid(bought: Checkout) -> None:
    rows = {row.key: row for row in rows_of(bought.order)}
    booking = list(rows.values())[1]
    make_event(booking.thing.pk, title="Concert", ticket_price=None, capacity=None, published=False, who="user:1")

    with pytest.raises(RefundRefused) as refused:
        line_of(wish(booking), rows, bought)
    assert str(refused.value).startswith(f"{booking.name}: “Concert” came of it and is not called off.")
    assert line_of(wish(booking, "1.00"), rows, bought).amount == Decimal(1)
    booking.thing.state = OWED
    assert line_of(wish(booking), rows, bought).amount == Decimal(20)


@direct
def test_lines_of_nothing_are_not_written(bought: Checkout) -> None:
    refund = a_refund_of(bought, "requested", ("goodwill", bought.order.tickets.get(), "1.00"))
    rows = rows_of(bought.order)
    amounts = ["0.00", "1.00", "0.01"]
    lines = [
        RefundLine(kind="goodwill", amount=Decimal(amount), currency="EUR", **{f"{row.kind}_id": row.thing.pk})
        for amount, row in zip(amounts, rows[1:], strict=True)
    ]

    write_lines(refund, lines)

    assert [str(line.amount) for line in refund.lines.order_by("pk")] == ["1.00", "1.00", "0.01"]


# --- Spreading, once more, what is owed


def a_row(rest: str, state: str = VALID, *, pending: bool = False) -> SoldRow:
    """A piece of 12.00 of which so much is left."""
    row = SoldRow("item", ProductItem(pk=next(PKS), price=Decimal(12), currency="EUR", state=state))
    return replace(row, repayment=Decimal(12) - Decimal(rest), pending=pending)


PKS = iter(range(1, 10**6))


@pytest.mark.parametrize(
    ("amount", "parts"),
    [
        ("0.01", ["0.01"]),
        ("5.00", ["5.00"]),
        ("5.01", ["5.00", "0.01"]),
        ("6.00", ["5.00", "1.00"]),
        ("6.50", ["5.00", "1.00", "0.50"]),
        ("18.00", ["5.00", "1.00", "12.00"]),
        ("18.01", None),
        ("19.00", None),
        ("0.00", None),
    ],
)
def test_goodwill_is_spread_over_what_is_left_of_valid_and_owed_rows_in_order(
    amount: str, parts: list[str] | None
) -> None:
    taking = [a_row("5.00"), a_row("1.00", OWED), a_row("12.00", "checked_in")]
    passed_over = [a_row("12.00", GONE), a_row("12.00", pending=True), a_row("0.00"), a_row("-1.00")]
    rows = [*passed_over, taking[0], a_row("0.00", OWED), taking[1], a_row("12.00", VOID), taking[2]]

    if parts is None:
        with pytest.raises(RefundRefused, match="more than what is left"):
            spread(rows, Decimal(amount))
    else:
        expected = [wish(row, part) for row, part in zip(taking, parts, strict=False)]
        assert spread(rows, Decimal(amount)) == expected


@direct
def test_a_refund_is_wished_for_once_more_as_it_was(bought: Checkout) -> None:
    ticket, _booking, bag, _second = rows_of(bought.order)
    refund = a_refund_of(bought, "failed", ("row", ticket.thing, "12.00"), ("goodwill", bag.thing, "1.50"))
    surplus = given.paid(bought.order)
    beyond = a_refund_of(surplus, "failed", ("surplus", None, "7.00"))

    assert wishes_of(refund) == [wish(ticket), wish(bag, "1.50")]
    assert wishes_of(beyond) == [Wish(RefundKind.SURPLUS, "", Decimal(7))]


@direct
def test_of_the_named_rows_those_that_are_owed_and_not_on_their_way_go_back(bought: Checkout) -> None:
    ticket, booking, bag, second = rows_of(bought.order)
    mark_owed([ticket.thing.pk], source=VALID)
    mark_owed([bag.thing.pk, second.thing.pk], source=VALID, of=ProductItem)
    a_refund_of(bought, "requested", ("row", bag.thing, "5.00"))

    assert owed_wishes(bought.pk, [ticket.key, booking.key, bag.key]) == [wish(ticket)]
    assert owed_wishes(bought.pk, [row.key for row in (ticket, booking, bag, second)]) == [wish(ticket), wish(second)]
    assert owed_wishes(bought.pk, []) == []


@direct
@pytest.mark.parametrize(("gone", "is_owed"), [(None, True), ("41.00", True), ("41.99", True), ("42.00", False)])
def test_of_a_payment_beyond_its_order_all_that_is_left_is_owed(
    bought: Checkout, gone: str | None, is_owed: bool
) -> None:
    surplus = given.paid(bought.order)
    if gone:
        a_refund_of(surplus, "succeeded", ("surplus", None, gone))

    assert owed_wishes(surplus.pk, []) == ([Wish(RefundKind.SURPLUS)] if is_owed else [])


@direct
@pytest.mark.parametrize("state", ["requested", "sending", "succeeded", "failed", "unknown", "withdrawn"])
def test_only_what_was_not_sent_is_withdrawn(bought: Checkout, state: str) -> None:
    ticket, at = bought.order.tickets.get(), timezone.now()
    mark_owed([ticket.pk], source=VALID)
    refund = a_refund_of(bought, state, ("row", ticket, "12.00"))
    others = all_others(bought)

    with locks() as taken:
        assert withdraw(refund.pk, reason="A mistake", who="user:2", at=at) is (state == "requested")

    assert taken[1:] == [("payments_checkout", [bought.pk]), ("payments_refund", [refund.pk])]
    refund.refresh_from_db()
    assert refund.state == ("withdrawn" if state == "requested" else state)
    assert (flat(bought.order)[0], all_others(bought)) == (OWED, others)
    if state == "requested":
        change = History.objects.of(refund).get(new="withdrawn")
        assert (change.actor, change.reason, refund.finished_at) == ("user:2", "A mistake", at)
