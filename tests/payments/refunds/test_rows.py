"""The sold rows of one order and what has gone back for each: of that order alone, exact to the cent."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from events.models import Ticket
from market.models import ProductItem, SoldThing
from payments.balance import has_gone_back, left_of, unexplained
from payments.models import Case, Checkout, RefundLoss
from payments.refunds.rows import TABLES, SoldRow, line_for, lines_in_words, owe, owe_again, pay_back, rows_of
from payments.states import RefundKind
from tests.factories import EventFactory, ProductFactory, TicketTypeFactory, UserFactory
from tests.ledger.lives import PRICE, a_booking, a_checkout, a_ticket, an_item
from tests.payments.given import a_refund_of, an_event, locks, ordered, paid, sold
from tests.payments.mixed import Shop, shop
from tests.steps import fill, order_cart, take

__all__ = ["shop"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]


def things(shop: Shop) -> tuple[Checkout, Ticket, SoldThing, ProductItem, ProductItem]:
    """What one order took and what paid for it; another order lies before it and one behind."""
    shop.product.stock = 9
    shop.product.save()
    sold(shop, days=10)
    order, checkout = sold(shop, days=11)
    ordered(shop, days=12)
    bag, second = order.items.order_by("pk")
    return checkout, order.tickets.get(), order.bookings.get(), bag, second


def told(rows: list[SoldRow]) -> list[tuple[str, int, str, bool]]:
    return [(row.kind, row.thing.pk, str(row.repayment), row.pending) for row in rows]


# --- Which rows


def test_rows_are_the_order_s_own_by_kind_and_age(shop: Shop) -> None:
    checkout, ticket, booking, bag, second = things(shop)

    with locks() as taken:
        found = rows_of(checkout.order)

    assert told(found) == [
        ("ticket", ticket.pk, "0", False),
        ("booking", booking.pk, "0", False),
        ("item", bag.pk, "0", False),
        ("item", second.pk, "0", False),
    ]
    assert [row.thing for row in found] == [ticket, booking, bag, second]
    assert taken == []


def test_locked_rows_are_locked_with_what_they_count_against_and_nothing_else(shop: Shop) -> None:
    """In the agreed order: rooms, entries, types, products, then tickets and items; of this order alone."""
    user, seat = UserFactory.create(), TicketTypeFactory.create(entry=EventFactory.create(calendar__page=shop.page))
    fill(user, shop.entry, 1)
    fill(user, seat.entry, {seat.pk: 1})
    take(user, shop.product, 1)
    order = order_cart(user)
    paid(order)
    other = TicketTypeFactory.create(entry=EventFactory.create(calendar__page=shop.page))
    bag = ProductFactory.create(page=shop.page)
    stranger = UserFactory.create()
    fill(stranger, other.entry, {other.pk: 1})
    take(stranger, bag)
    order_cart(stranger)

    with locks() as taken:
        found = rows_of(order, locked=True)

    tickets = list(order.tickets.order_by("pk").values_list("pk", flat=True))
    (item,) = order.items.all()
    assert taken == [
        ("events_calendarentry", sorted([shop.entry.pk, seat.entry_id])),
        ("events_tickettype", [seat.pk]),
        ("market_product", [shop.product.pk]),
        ("events_ticket", tickets),
        ("market_productitem", [item.pk]),
    ]
    assert [row.thing.pk for row in found] == [*tickets, item.pk]


def test_room_of_a_booking_is_locked_before_the_booking(shop: Shop) -> None:
    order, _checkout = sold(shop)
    sold_seat = order.tickets.get()

    with locks() as taken:
        rows_of(order, locked=True)

    assert taken[:2] == [
        ("events_calendar", [shop.room.pk]),
        ("events_calendarentry", sorted([sold_seat.entry_id, order.bookings.get().pk])),
    ]


# --- What has gone back for each


def test_what_went_back_for_a_row_is_summed_less_its_losses(shop: Shop) -> None:
    checkout, ticket, booking, bag, second = things(shop)
    before = Checkout.objects.filter(is_applied=True).exclude(pk=checkout.pk).get()
    a_refund_of(before, "succeeded", ("goodwill", before.order.tickets.get(), "7"))
    a_refund_of(checkout, "succeeded", ("goodwill", ticket, "2.00"), ("row", bag, "5.00"))
    a_refund_of(checkout, "succeeded", ("goodwill", ticket, "0.50"), ("goodwill", second, "1.00"))
    a_refund_of(checkout, "failed", ("row", booking, "20.00"))
    a_refund_of(checkout, "withdrawn", ("row", booking, "20.00"))
    again = a_refund_of(checkout, "succeeded", ("row", bag, "5.00"), origin="dashboard")
    case = Case.objects.create(kind="refund", checkout=checkout, words="Twice", opened_at=timezone.now())
    RefundLoss.objects.create(line=again.lines.get(), case=case, amount=Decimal("4.75"))
    a_refund_of(checkout, "requested", ("row", booking, "20.00"), ("goodwill", second, "0.25"))

    assert told(rows_of(checkout.order)) == [
        ("ticket", ticket.pk, "2.50", False),
        ("booking", booking.pk, "20.00", True),
        ("item", bag.pk, "5.25", False),
        ("item", second.pk, "1.25", False),
    ]
    assert told(rows_of(before.order))[0][2:] == ("7.00", False)


@pytest.mark.parametrize(
    ("state", "gone", "pending"),
    [
        ("requested", "12.00", True),
        ("sending", "12.00", True),
        ("unknown", "12.00", True),
        ("succeeded", "12.00", False),
        ("failed", "0", False),
        ("withdrawn", "0", False),
    ],
)
def test_a_whole_row_is_pending_while_its_refund_is_unfinished(
    shop: Shop, state: str, gone: str, pending: bool
) -> None:
    order, checkout = sold(shop)
    a_refund_of(checkout, state, ("row", order.tickets.get(), "12.00"))

    assert [(str(row.repayment), row.pending) for row in rows_of(order)] == [(gone, pending)] + [("0", False)] * 3


def test_money_beyond_the_order_is_of_no_row(shop: Shop) -> None:
    order, _checkout = sold(shop)
    surplus = paid(order)
    assert not surplus.is_applied
    a_refund_of(surplus, "succeeded", ("surplus", None, "42.00"))

    assert {row.repayment for row in rows_of(order)} == {Decimal(0)}


def test_a_line_names_its_row(shop: Shop) -> None:
    order, _checkout = sold(shop)

    for row in rows_of(order):
        line = line_for(row, RefundKind.GOODWILL, Decimal("1.50"))
        named = {"ticket": line.ticket_id, "booking": line.booking_id, "item": line.item_id}
        assert named == {kind: row.thing.pk if kind == row.kind else None for kind in TABLES}
        assert (line.kind, line.amount, line.currency) == (RefundKind.GOODWILL, Decimal("1.50"), "EUR")


# --- What of a payment is left


def test_what_is_left_of_a_payment_to_the_cent(shop: Shop) -> None:
    _order, checkout = sold(shop)
    other, neighbour = sold(Shop(shop.page, shop.entry, shop.room, ProductFactory.create(page=shop.page)), days=9)
    a_refund_of(neighbour, "succeeded", ("row", other.tickets.get(), "12.00"))
    an_event(neighbour, "3.00")
    assert (left_of(checkout), has_gone_back(checkout)) == (Decimal("42.00"), False)

    ticket = checkout.order.tickets.get()
    done = a_refund_of(checkout, "succeeded", ("goodwill", ticket, "2.00"))
    a_refund_of(checkout, "failed", ("goodwill", ticket, "4.00"))
    assert left_of(checkout) == Decimal("40.00")

    outside = [an_event(checkout, "0.01"), an_event(checkout, "9.99", kind="CHARGE_BACK", status="PENDING")]
    an_event(checkout, "2.00", refund=done)
    an_event(checkout, "1.00", status="FAILED")
    an_event(checkout, "5.00", kind="PAYOUT")
    for nothing in ("0.00", "-2.00", None):
        an_event(checkout, nothing)
    assert list(unexplained(checkout)) == outside
    assert left_of(checkout) == Decimal("30.00")
    assert left_of(neighbour) == Decimal("27.00")
    assert not has_gone_back(checkout)

    a_refund_of(checkout, "requested", ("goodwill", ticket, "30.00"))
    assert left_of(checkout) == 0
    assert not has_gone_back(checkout)  # it has not gone yet
    a_refund_of(neighbour, "succeeded", ("goodwill", other.bookings.get(), "26.00"))
    assert (left_of(neighbour), has_gone_back(neighbour)) == (Decimal("1.00"), False)
    an_event(neighbour, "1.00")
    assert (left_of(neighbour), has_gone_back(neighbour)) == (Decimal(0), True)


def test_what_sumup_reports_comes_by_its_time_then_by_its_row(shop: Shop) -> None:
    _order, checkout = sold(shop)
    now = timezone.now()
    late, early, same = (an_event(checkout, "1.00", happened_at=now + timedelta(days=days)) for days in (2, 1, 1))

    assert list(unexplained(checkout)) == [early, same, late]


@pytest.mark.parametrize(
    ("state", "has_gone"),
    [("new", False), ("open", False), ("refused", True), ("expired", True), ("paid", False), ("mismatch", False)],
)
def test_a_page_that_took_nothing_and_can_take_nothing_has_gone_back(state: str, has_gone: bool) -> None:
    checkout = a_checkout(state)
    if state in ("new", "open", "refused", "expired"):
        Checkout.objects.filter(pk=checkout.pk).update(captured=None, captured_currency="")
    checkout.refresh_from_db()

    assert has_gone_back(checkout) is has_gone
    assert left_of(checkout) == (PRICE if state in ("paid", "mismatch") else 0)


# --- What becomes of them


def row(thing: SoldThing, gone: str = "0", *, pending: bool = False) -> SoldRow:
    thing.refresh_from_db()
    kind = {"Ticket": "ticket", "CalendarEntry": "booking", "ProductItem": "item"}[type(thing).__name__]
    return SoldRow(kind, thing, Decimal(gone), pending)


def states(rows: list[SoldRow]) -> list[str]:
    return [TABLES[each.kind]._default_manager.values_list("state", flat=True).get(pk=each.thing.pk) for each in rows]


def test_what_is_left_of_valid_rows_is_owed_and_what_has_nothing_left_is_cancelled() -> None:
    told = [
        (row(a_ticket("confirmed")), "refund_due"),
        (row(a_ticket("confirmed"), "11.00"), "refund_due"),
        (row(a_ticket("confirmed"), "11.99"), "refund_due"),
        (row(a_ticket("checked_in"), "11.00"), "refund_due"),
        (row(a_booking("confirmed")), "refund_due"),
        (row(an_item("confirmed"), "12.00"), "cancelled"),
        (row(an_item("checked_in"), "12.01"), "cancelled"),
        (row(a_ticket("refund_due"), "12.00"), "cancelled"),
        (row(a_ticket("refund_due"), "11.99"), "refund_due"),
        (row(a_ticket("refund_due"), "11.00"), "refund_due"),
        (row(a_ticket("confirmed"), "12.00", pending=True), "confirmed"),
        (row(a_ticket("confirmed"), pending=True), "confirmed"),
        (row(a_ticket("refunded"), "12.00"), "refunded"),
        (row(a_ticket("reserved")), "reserved"),
        (row(a_ticket("cancelled"), "12.00"), "cancelled"),
    ]
    rows, others = [each for each, _state in told], [row(a_ticket("confirmed")), row(an_item("confirmed"))]

    owe(rows)

    assert states(rows) == [state for _row, state in told]
    assert states(others) == ["confirmed", "confirmed"]


def test_what_was_paid_back_is_refunded_whatever_it_was() -> None:
    told = [
        (row(a_ticket("confirmed")), "refunded"),
        (row(a_ticket("checked_in")), "refunded"),
        (row(a_booking("confirmed")), "refunded"),
        (row(an_item("refund_due")), "refunded"),
        (row(a_ticket("refunded")), "refunded"),
        (row(a_ticket("cancelled")), "cancelled"),
    ]
    rows, others = [each for each, _state in told], [row(a_ticket("confirmed")), row(a_ticket("refund_due"))]

    pay_back(rows)

    assert states(rows) == [state for _row, state in told]
    assert states(others) == ["confirmed", "refund_due"]


def test_what_came_back_to_us_is_owed_again() -> None:
    told = [
        (row(a_ticket("refunded")), "refund_due"),
        (row(an_item("refunded")), "refund_due"),
        (row(a_ticket("confirmed")), "confirmed"),
        (row(a_ticket("cancelled")), "cancelled"),
        (row(a_ticket("refund_due")), "refund_due"),
    ]
    rows, others = [each for each, _state in told], [row(a_ticket("refunded"))]

    owe_again(rows)

    assert states(rows) == [state for _row, state in told]
    assert states(others) == ["refunded"]


# --- In words


def test_a_refund_is_told_by_its_lines(shop: Shop, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    order, checkout = sold(shop)
    ticket, bag = order.tickets.get(), order.items.order_by("pk")[0]
    refund = a_refund_of(checkout, "succeeded", ("row", ticket, "12.00"), ("goodwill", bag, "1.00"))
    surplus = paid(order)
    beyond = a_refund_of(surplus, "succeeded", ("surplus", None, "42.00"))
    rows = rows_of(order)
    names = {each.key: each.name for each in rows}

    lines = lines_in_words(refund)

    assert [(name, str(money)) for name, money in lines] == [
        (names[f"ticket:{ticket.pk}"], "€ 12.00"),
        (f"a part of {names[f'item:{bag.pk}']}, which stays as it is", "€ 1.00"),
    ]
    assert [(name, str(money)) for name, money in lines_in_words(beyond)] == [
        ("your payment beyond the order", "€ 42.00")
    ]
    refund.refresh_from_db()
    with django_assert_num_queries(1):
        assert lines_in_words(refund, rows) == lines
