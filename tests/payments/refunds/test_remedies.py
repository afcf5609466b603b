"""What is owed is kept or given after all: the rows that were named, all or none, and nothing else."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from events.models import CalendarEntry, Ticket
from events.transitions import call_off_event, mark_owed
from ledger.models import History
from orders.models import Order
from payments.refunds.asking import RefundRefused
from payments.refunds.remedies import give_after_all, keep
from payments.refunds.rows import TABLES, rows_of
from tests.factories import EventFactory
from tests.payments.given import a_refund_of, flat, locks, sold
from tests.payments.mixed import Shop, shop
from tests.steps import fill, order_cart

__all__ = ["shop"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]

OWED, VALID, VOID = "refund_due", "confirmed", "cancelled"


@pytest.fixture
def owed(shop: Shop) -> Order:
    """All of it is owed; so is all of another order before it."""
    shop.product.stock = 9
    shop.product.save()
    _other, order = (all_owed(sold(shop, days=days)[0]) for days in (9, 3))
    return order


def all_owed(order: Order) -> Order:
    for row in rows_of(order):
        mark_owed([row.thing.pk], source=row.state, of=TABLES[row.kind])
    return order


def keys(order: Order, *places: int) -> list[str]:
    """The ticket is 0, the booking 1, the bags 2 and 3."""
    rows = rows_of(order)
    return [rows[place].key for place in places]


def others_of(order: Order) -> list[str]:
    return [state for other in Order.objects.exclude(pk=order.pk) for state in flat(other)]


def given_after_all(order: Order, chosen: list[str], *, after: timedelta = timedelta(0)) -> int:
    return give_after_all(order.pk, chosen, reason="Agreed", who="user:1", at=timezone.now() + after)


def kept(order: Order, chosen: list[str]) -> int:
    return keep(order.pk, chosen, reason="Donated", who="user:1")


def test_money_is_kept_of_the_named_rows_alone(owed: Order) -> None:
    ticket = owed.tickets.get()

    with locks() as taken:
        assert kept(owed, keys(owed, 0, 2)) == 2

    assert flat(owed) == [VOID, OWED, VOID, OWED]
    assert others_of(owed) == [OWED] * 4
    move = History.objects.of(ticket).get(new=VOID)
    assert (move.actor, move.reason) == ("user:1", "Donated")
    assert taken[0] == ("orders_order", [owed.pk])
    assert ("events_ticket", [ticket.pk]) in taken
    assert kept(owed, [*keys(owed, 1), *keys(owed, 1)]) == 1  # named twice it is one


def test_named_rows_are_given_instead(owed: Order) -> None:
    ticket = owed.tickets.get()

    with locks() as taken:
        assert given_after_all(owed, keys(owed, 0, 1, 3)) == 3

    assert flat(owed) == [VALID, VALID, OWED, VALID]
    assert others_of(owed) == [OWED] * 4
    move = History.objects.of(ticket).filter(new=VALID).latest("id")
    assert (move.actor, move.reason) == ("user:1", "Agreed")
    assert ("events_ticket", [ticket.pk]) in taken


@pytest.mark.parametrize("work", [kept, given_after_all])
def test_what_is_not_the_order_s_is_refused_with_all_of_it(
    owed: Order, work: Callable[[Order, list[str]], int]
) -> None:
    other = Order.objects.exclude(pk=owed.pk).get()
    for chosen in ([], keys(other, 0), [*keys(owed, 0), *keys(other, 0)], ["ticket:999999"]):
        with pytest.raises(RefundRefused, match="not a part of the order"):
            work(owed, chosen)
    assert (flat(owed), others_of(owed)) == ([OWED] * 4, [OWED] * 4)


@pytest.mark.parametrize("work", [kept, given_after_all])
def test_what_is_on_its_way_or_not_owed_is_refused_with_all_of_it(
    shop: Shop, work: Callable[[Order, list[str]], int]
) -> None:
    order, checkout = sold(shop)
    ticket, bag = order.tickets.get(), order.items.order_by("pk")[0]
    names = [row.name for row in rows_of(order)]
    with pytest.raises(RefundRefused) as refused:
        work(order, keys(order, 0))
    assert str(refused.value) == f"{names[0]} is not owed (any more)."
    all_owed(order)
    a_refund_of(checkout, "requested", ("row", bag, "5.00"))

    with pytest.raises(RefundRefused) as refused:
        work(order, keys(order, 0, 2))

    assert str(refused.value) == f"{names[2]} is being paid back at this moment."
    assert flat(order) == [OWED] * 4
    assert work(order, keys(order, 0)) == 1
    ticket.refresh_from_db()
    assert ticket.state in (VALID, VOID)


def test_what_is_called_off_is_not_given(owed: Order) -> None:
    ticket = owed.tickets.get()
    call_off_event(ticket.entry)

    with pytest.raises(RefundRefused, match="is called off or over"):
        given_after_all(owed, keys(owed, 0, 1))
    assert flat(owed) == [OWED] * 4
    assert given_after_all(owed, keys(owed, 1)) == 1


@pytest.mark.parametrize("place", [0, 1])
def test_what_is_over_is_not_given_and_what_ends_a_moment_later_is(owed: Order, place: int) -> None:
    thing = rows_of(owed)[place].thing
    entry = thing.entry if isinstance(thing, Ticket) else thing
    assert isinstance(entry, CalendarEntry)
    chosen = keys(owed, place)

    with pytest.raises(RefundRefused, match="is called off or over"):
        give_after_all(owed.pk, chosen, reason="Agreed", who="user:1", at=entry.ends_at)
    before = entry.ends_at - timedelta(microseconds=1)
    assert give_after_all(owed.pk, chosen, reason="Agreed", who="user:1", at=before) == 1


def test_what_there_is_no_room_for_is_given_all_or_none(shop: Shop) -> None:
    full = EventFactory.create(calendar__page=shop.page, capacity=1)
    order, _checkout = sold(Shop(shop.page, full, shop.room, shop.product))
    all_owed(order)
    fill(order.user, full, 1)
    order_cart(order.user)

    with pytest.raises(RefundRefused, match="no room for it"):
        given_after_all(order, keys(order, 1, 0))
    assert flat(order) == [OWED] * 4
