"""What is owed is told less what went back out of goodwill: to the buyer, by mail, to who calls off and who decides."""

from decimal import Decimal

import pytest
from django.core import mail
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

import events.organising.mails
from events.models import Role, Ticket
from events.organising.calling_off import call_off
from ledger.money import Money
from orders.jobs import send_confirmation
from orders.models import Order
from payments.refunds.asking import Wish
from payments.refunds.batches import run, start
from payments.refunds.debts import Debt, OwedSum, Scope, Worth, debt_of, goodwill_of, left_for, owed_sums, worth_of
from payments.states import RefundKind
from tests.desk import member, signed_in_as
from tests.factories import EventFactory
from tests.jobs import run_jobs
from tests.ledger.lives import a_refund, a_ticket, an_order
from tests.payments.admin.test_refunds import words
from tests.payments.captures import a_capture, a_line
from tests.payments.mixed import Shop, failed, keys, shop, sold, states, wished
from tests.payments.money import at_sumup, ledgers_agree, refunded, requested
from tests.payments.money import sold as tickets_sold
from tests.simulator import SimulatorProcess
from tests.steps import later

__all__ = ["shop"]  # a fixture

pytestmark = pytest.mark.django_db(transaction=True)


def goodwill(key: str, amount: str) -> Wish:
    return Wish(RefundKind.GOODWILL, key, Decimal(amount))


def euros(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")


@pytest.mark.promise("owed-told-less")
def test_buyer_is_told_what_is_left_of_it_on_the_page_and_by_mail(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    (booking,), piece = keys(order, "booking"), keys(order, "item")[0]
    refunded(sumup, checkout, [goodwill(booking, "5"), goodwill(piece, "1.50")])
    failed(sumup, checkout, [booking, piece])

    page = words(signed_in_as(order.user), order.get_absolute_url())
    assert "We owe you € 18.50." in page
    assert ": € 15.00</li>" in page
    assert "Tote bag: € 3.50</li>" in page
    run_jobs()
    mail.outbox.clear()
    send_confirmation(order_id=order.pk)
    (told,) = mail.outbox
    assert "We owe you € 18.50" in str(told.body)
    assert "- Tote bag (€ 3.50)" in str(told.body)
    assert isinstance(told, mail.EmailMultiAlternatives)
    assert "We owe you € 18.50" in str(told.alternatives[0][0])


def test_what_is_on_its_way_is_not_told_as_owed_too(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    requested(checkout, wished(keys(order, "booking")))
    page = words(signed_in_as(order.user), order.get_absolute_url())
    assert "On its way back to you" in page
    assert "We owe you" not in page


@pytest.mark.promise("owed-told-less")
def test_calling_off_shows_and_tells_what_is_left_to_go_back(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=10)
    first, checkout = tickets_sold(sumup, entry, 2)
    second, _payment = tickets_sold(sumup, entry, 1)
    refunded(sumup, checkout, [goodwill(keys(first)[0], "5")])
    owner = signed_in_as(member((entry.calendar.page, Role.OWNER)))

    page = words(owner, f"/admin/events/calendarentry/{entry.pk}/move/call-off/")
    assert "3 valid tickets, worth € 36.00" in page
    assert "€ 5.00 of it went back already, out of goodwill: € 31.00 is left of it." in page
    assert f"{first.short_code}, {first.user}: € 19.00" in page
    assert f"{second.short_code}, {second.user}: € 12.00" in page

    call_off(entry.pk, money_back=True, who="user:1", why="Rain")
    for paid_back in (False, True):
        mail.outbox.clear()
        events.organising.mails.tell_called_off(entry_id=entry.pk, order_id=first.pk)
        assert "We owe you € 19.00" in str(mail.outbox[0].body)
        if not paid_back:
            run(start(entry, reason="Rain", who="user:1", at=later()).pk)
    assert ledgers_agree(sumup)


def test_called_off_ticket_of_which_all_went_back_is_owed_nothing(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=10)
    order, checkout = tickets_sold(sumup, entry, 1)
    refunded(sumup, checkout, [goodwill(keys(order)[0], "12")])
    call_off(entry.pk, money_back=True, who="user:1", why="Rain")
    mail.outbox.clear()
    events.organising.mails.tell_called_off(entry_id=entry.pk, order_id=order.pk)

    assert "We owe you" not in str(mail.outbox[0].body)
    assert owed_sums() == []
    run(start(entry, reason="Rain", who="user:1", at=later()).pk)

    assert (states(order)[0], at_sumup(sumup)) == (["cancelled"], [Decimal(12)])
    assert ledgers_agree(sumup)


@pytest.mark.promise("owed-told-less")
def test_money_to_decide_sums_all_three_kinds_less_goodwill(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    (booking,) = keys(order, "booking")
    refunded(sumup, checkout, [goodwill(booking, "5")])
    failed(sumup, checkout, keys(order))

    assert owed_sums() == [
        OwedSum("ticket", 1, euros("12")), OwedSum("booking", 1, euros("15")), OwedSum("item", 2, euros("10")),
    ]  # fmt: skip
    assert owed_sums(Scope([EventFactory.create().calendar.page_id])) == []
    page = words(signed_in_as(member((shop.page, Role.OWNER))), "/admin/payments/case/")
    assert "€ 12.00 is owed to a buyer for 1 ticket." in page
    assert "€ 15.00 is owed to a buyer for 1 booking." in page
    assert "€ 10.00 is owed to buyers for 2 pieces of products." in page
    for address in ("events/ticket/?state__exact", "events/booking/?state", "market/productitem/?state__exact"):
        assert f'"/admin/{address}=refund_due"' in page
    finance = words(signed_in_as(member((shop.page, Role.FINANCE))), "/admin/payments/case/")
    assert "€ 15.00 is owed" in finance
    assert "/admin/events/ticket/?" not in finance  # finance sees no list of tickets

    requested(checkout, wished([booking]))
    assert [row.kind for row in owed_sums()] == ["ticket", "item"]


def test_sums_are_one_query(sumup: SimulatorProcess, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with transaction.atomic(), django_assert_num_queries(1):
        owed_sums()


# --- Each sum alone, on rows made by hand


def went_back(order: Order, ticket: Ticket, amount: str, *, kind: str = "goodwill", state: str = "succeeded") -> None:
    """A refund of so much for `ticket`."""
    checkout = order.checkouts.filter(state="paid").first() or a_capture(order=order)
    a_line(a_refund(state, checkout=checkout, amount=Decimal(amount)), ticket, amount, kind)


@pytest.mark.django_db
def test_debt_is_what_is_left_of_each_price() -> None:
    order = an_order(total=Decimal(200))
    entry = EventFactory.create(title="Recital")
    some, cents, none, whole, cent = (a_ticket("refund_due", entry=entry, order=order) for _each in range(5))
    for ticket, amount in ((some, "5.00"), (cents, "11.00"), (none, "12.00"), (cent, "11.99")):
        went_back(order, ticket, amount)

    debt = debt_of(order, [some, cents, none, whole, cent])

    assert debt == Debt(
        [("Recital", euros(left)) for left in ("7.00", "1.00", "12.00", "0.01")], euros("20.01")
    )  # fmt: skip
    assert debt_of(order, [some]) == Debt([("Recital", euros("7"))], euros("7"))
    assert debt_of(order, [none]) is None
    assert debt_of(order, []) is None


@pytest.mark.django_db
def test_worth_is_that_of_the_valid_tickets_of_the_event_by_order() -> None:
    entry = EventFactory.create()
    first, second, third = (an_order(total=Decimal(200)) for _each in range(3))
    mine = [a_ticket("confirmed", entry=entry, order=first), a_ticket("checked_in", entry=entry, order=first)]
    other = a_ticket("confirmed", entry=entry, order=second)
    for state in ("reserved", "refund_due", "cancelled"):
        a_ticket(state, entry=entry, order=second)
    elsewhere = a_ticket("confirmed", order=third)
    went_back(first, mine[0], "5.00")
    went_back(third, elsewhere, "3.00")

    assert worth_of(entry) == Worth(
        euros("5"), euros("31"),
        [(first.short_code, first.user.email, euros("19")), (second.short_code, second.user.email, euros("12"))],
    )  # fmt: skip
    went_back(second, other, "12.00")
    assert worth_of(entry).shares[1][2] == euros("0")
    assert worth_of(EventFactory.create()) == Worth(euros("0"), euros("0"), [])


@pytest.mark.django_db
def test_goodwill_is_what_went_back_or_is_about_to_while_it_stayed() -> None:
    order = an_order(total=Decimal(200))
    twice, row, failed, about_to, other = (a_ticket("confirmed", order=order) for _each in range(5))
    went_back(order, twice, "2.00")
    went_back(order, twice, "3.00")
    went_back(order, row, "12.00", kind="row")
    went_back(order, failed, "4.00", state="failed")
    went_back(order, other, "6.00")
    went_back(order, about_to, "1.00", state="unknown")
    assert goodwill_of([twice, row, failed, about_to]) == {twice.pk: Decimal(5), about_to.pk: Decimal(1)}
    assert goodwill_of([]) == {}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("gone", "left", "of_second"),
    [
        ([], "24", "12"), (["12.00"], "12", "12"), (["12.00", "11.99"], "0.01", "0.01"),
        (["12.00", "11.00"], "1", "1"), (["12.00", "12.00"], None, None),
    ],
)  # fmt: skip
def test_what_is_left_for_tickets_is_less_goodwill(gone: list[str], left: str | None, of_second: str | None) -> None:
    order = an_order(total=Decimal(200))
    tickets = [a_ticket("confirmed", order=order) for _each in range(2)]
    for ticket, amount in zip(tickets, gone, strict=False):
        went_back(order, ticket, amount)
    assert left_for(tickets) == (None if left is None else euros(left))
    assert left_for(tickets[1:]) == (None if of_second is None else euros(of_second))
    assert left_for([]) is None
