"""History: one row for each change of a state, price or capacity, and nothing takes it back."""

from decimal import Decimal

import pytest

from ledger.models import History
from ledger.signing import sign
from tests.factories import EventFactory, TicketTypeFactory
from tests.ledger.lives import CHECKOUT_MOVE, a_booking, a_checkout, a_ticket, an_order
from tests.ledger.psql import rows, run, verdict, verdict_of_truncate

pytestmark = pytest.mark.django_db


def written(subject: str, pk: int) -> list[tuple[str, str | None, str | None]]:
    found = History.objects.filter(subject=subject, subject_id=pk).order_by("id")
    return [(row.field, row.old, row.new) for row in found]


@pytest.mark.promise("each-change-state")
def test_each_move_of_a_ticket_is_one_row() -> None:
    assert written("ticket", a_ticket("checked_in").pk) == [
        ("state", "pending", "reserved"),
        ("state", "reserved", "confirmed"),
        ("state", "confirmed", "checked_in"),
    ]


def test_each_move_of_booking_order_and_checkout_is_one_row() -> None:
    assert written("calendarentry", a_booking("cancelled").pk) == [
        ("state", "pending", "reserved"),
        ("state", "reserved", "cancelled"),
    ]
    assert written("order", an_order("expired").pk) == [("state", "awaiting_payment", "expired")]
    checkout = a_checkout("open")
    run(CHECKOUT_MOVE, "paid", checkout.pk)
    run("UPDATE payments_checkout SET is_applied = true WHERE id = %s", checkout.pk)
    assert written("checkout", checkout.pk) == [
        ("state", "new", "open"),
        ("state", "open", "paid"),
        ("is_applied", "false", "true"),
    ]


@pytest.mark.promise("each-change-state")
def test_each_change_of_price_and_capacity_is_one_row() -> None:
    kind = TicketTypeFactory.create(capacity=5, price=Decimal(10))
    run("UPDATE events_tickettype SET price = 11, capacity = NULL, name = 'new' WHERE id = %s", kind.pk)
    assert written("tickettype", kind.pk) == [("price", "10.00", "11.00"), ("capacity", "5", None)]
    entry = EventFactory.create(draft=True, capacity=None)
    run("UPDATE events_calendarentry SET ticket_price = 1, capacity = 40 WHERE id = %s", entry.pk)
    assert written("calendarentry", entry.pk) == [("ticket_price", "12.00", "1.00"), ("capacity", None, "40")]
    booking = a_booking()
    run("UPDATE events_calendarentry SET price = 13 WHERE id = %s", booking.pk)
    assert written("calendarentry", booking.pk) == [("price", "12.00", "13.00")]


def test_claim_that_changes_state_and_price_is_two_rows() -> None:
    ticket = a_ticket()
    order = an_order(user=ticket.user)
    run("UPDATE events_ticket SET state = 'reserved', price = 9, order_id = %s WHERE id = %s", order.pk, ticket.pk)
    assert written("ticket", ticket.pk) == [("state", "pending", "reserved"), ("price", "12.00", "9.00")]


def test_other_change_and_a_change_to_the_same_write_nothing() -> None:
    ticket = a_ticket("confirmed")
    before = written("ticket", ticket.pk)
    run("UPDATE events_ticket SET state = 'confirmed', price = price, holder = 'Ada' WHERE id = %s", ticket.pk)
    assert written("ticket", ticket.pk) == before


def test_statement_over_many_rows_writes_one_row_each() -> None:
    entry = EventFactory.create()
    tickets = [a_ticket("reserved", entry=entry) for _ in range(3)]
    run("UPDATE events_ticket SET state = 'confirmed' WHERE entry_id = %s", entry.pk)
    assert [written("ticket", ticket.pk)[-1] for ticket in tickets] == [("state", "reserved", "confirmed")] * 3


def test_refused_change_leaves_no_row() -> None:
    ticket = a_ticket("confirmed")
    before = History.objects.count()
    assert verdict("UPDATE events_ticket SET state = 'pending' WHERE id = %s", values=[ticket.pk]) == "ticket_moves"
    assert History.objects.count() == before


def test_change_by_the_application_names_who_and_why() -> None:
    ticket = a_ticket("confirmed")
    sign(who="user:7", why="at the door")
    run("UPDATE events_ticket SET state = 'checked_in' WHERE id = %s", ticket.pk)
    last = History.objects.of(ticket).last()
    assert last is not None
    assert (last.actor, last.reason) == ("user:7", "at the door")
    assert last.at.tzinfo is not None


def test_change_by_a_psql_prompt_names_its_role() -> None:
    ticket = a_ticket("confirmed")
    run("SELECT set_config('foyer.actor', '', true)")
    run("UPDATE events_ticket SET state = 'checked_in' WHERE id = %s", ticket.pk)
    last = History.objects.of(ticket).last()
    assert last is not None
    assert last.actor == f"database:{rows('SELECT session_user')[0][0]}"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_history SET new = 'confirmed' WHERE subject_id = %s",
        "UPDATE ledger_history SET at = at WHERE subject_id = %s",
        "DELETE FROM ledger_history WHERE subject_id = %s",
    ],
)
@pytest.mark.promise("each-change-state")
def test_history_is_never_updated_or_deleted(statement: str) -> None:
    assert verdict(statement, values=[a_ticket("reserved").pk]) == "history_append_only"


@pytest.mark.promise("each-change-state")
def test_history_is_never_truncated() -> None:
    assert verdict_of_truncate("ledger_history") == "history_truncated"


def test_history_of_a_row_is_told_oldest_first() -> None:
    ticket, _other = a_ticket("confirmed"), a_ticket("reserved")
    assert [row.new for row in History.objects.of(ticket)] == ["reserved", "confirmed"]
    assert str(History.objects.of(ticket)[0]) == f"ticket {ticket.pk} state: pending -> reserved"
