"""`held` of entries and ticket types equals a recount, whatever legal statements ran."""

import contextlib
import threading

import psycopg
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.models import CalendarEntry, TicketType
from events.states import TICKET_ARROWS
from tests.factories import EventFactory, TicketTypeFactory
from tests.ledger.lives import a_ticket, an_order
from tests.ledger.psql import bare, rows, run, verdict
from tests.races.threads import PATIENCE

pytestmark = pytest.mark.django_db

WRONG = """
    SELECT 'entry', parent.id FROM events_calendarentry parent WHERE held <> (SELECT count(*) FROM events_ticket
        WHERE entry_id = parent.id AND state IN ('reserved', 'confirmed', 'checked_in'))
    UNION ALL
    SELECT 'type', parent.id FROM events_tickettype parent WHERE held <> (SELECT count(*) FROM events_ticket
        WHERE ticket_type_id = parent.id AND state IN ('reserved', 'confirmed', 'checked_in'))
"""


def held(row: CalendarEntry | TicketType) -> int:
    row.refresh_from_db()
    return row.held


def test_one_statement_over_several_entries_counts_each() -> None:
    entries = [EventFactory.create() for _ in range(3)]
    for number, entry in enumerate(entries):
        for _ in range(number + 1):
            a_ticket("reserved", entry=entry)
    assert [held(entry) for entry in entries] == [1, 2, 3]
    run("UPDATE events_ticket SET state = 'cancelled' WHERE state = 'reserved' AND entry_id <> %s", entries[0].pk)
    assert [held(entry) for entry in entries] == [1, 0, 0]


def test_ticket_counts_against_its_type_and_its_entry() -> None:
    entry = EventFactory.create()
    one, other = TicketTypeFactory.create(entry=entry), TicketTypeFactory.create(entry=entry)
    for kind, number in ((one, 2), (other, 1), (None, 1)):
        for _ in range(number):
            a_ticket("confirmed", entry=entry, ticket_type=kind)
    assert (held(entry), held(one), held(other)) == (4, 2, 1)
    run("UPDATE events_ticket SET state = 'refund_due' WHERE ticket_type_id = %s", one.pk)
    assert (held(entry), held(one), held(other)) == (2, 0, 1)


def test_statement_that_gives_and_takes_at_once_counts_the_difference() -> None:
    entry = EventFactory.create(capacity=2)
    for state in ("cancelled", "confirmed", "confirmed"):
        a_ticket(state, entry=entry)
    run("UPDATE events_ticket SET state = CASE state WHEN 'cancelled' THEN 'confirmed' ELSE 'cancelled' END")
    assert held(entry) == 1


def test_moves_between_held_states_do_not_touch_the_entry() -> None:
    entry = EventFactory.create()
    a_ticket("reserved", entry=entry)
    where = "SELECT ctid, xmin FROM events_calendarentry WHERE id = %s"
    before = rows(where, entry.pk)
    for state in ("confirmed", "checked_in", "confirmed"):
        run("UPDATE events_ticket SET state = %s WHERE entry_id = %s", state, entry.pk)
    assert rows(where, entry.pk) == before


def test_what_a_savepoint_takes_back_is_not_counted() -> None:
    entry = EventFactory.create()
    ticket = a_ticket("reserved", entry=entry)
    with bare().transaction(force_rollback=True):
        run("UPDATE events_ticket SET state = 'cancelled' WHERE id = %s", ticket.pk)
        assert held(entry) == 0
    assert held(entry) == 1


def test_bulk_claim_that_does_not_fit_leaves_nothing() -> None:
    small, large = EventFactory.create(capacity=1), EventFactory.create(capacity=5)
    tickets = [a_ticket(entry=entry) for entry in (small, small, large)]
    order = an_order()
    claim = "UPDATE events_ticket SET state = 'reserved', order_id = %s WHERE id = ANY(%s)"
    assert verdict(claim, values=[order.pk, [ticket.pk for ticket in tickets]]) == "entry_not_oversold"
    run(claim, order.pk, [tickets[0].pk, tickets[2].pk])
    assert (held(small), held(large)) == (1, 1)


def test_pending_rows_come_and_go_uncounted() -> None:
    entry = EventFactory.create(capacity=0)
    tickets = [a_ticket(entry=entry) for _ in range(3)]
    assert held(entry) == 0
    run("DELETE FROM events_ticket WHERE entry_id = %s", tickets[0].entry_id)
    assert held(entry) == 0


@pytest.mark.django_db(transaction=True)
def test_last_seats_are_claimed_once_by_many_bare_connections() -> None:
    """No lock is taken first here: the counter and its constraint alone must hold."""
    entry = EventFactory.create(capacity=3)
    claims = [(an_order().pk, a_ticket(entry=entry).pk) for _ in range(8)]
    barrier, refused = threading.Barrier(len(claims), timeout=PATIENCE), list[str | None]()
    address = connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}
    address.pop("context", None)

    def claim(order: int, ticket: int) -> None:
        with psycopg.connect(**address) as own:
            barrier.wait()
            try:
                own.execute("UPDATE events_ticket SET state = 'reserved', order_id = %s WHERE id = %s", (order, ticket))
            except psycopg.errors.CheckViolation as error:
                refused.append(error.diag.constraint_name)
                own.rollback()

    threads = [threading.Thread(target=claim, args=pair) for pair in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["entry_not_oversold"] * 5
    assert held(entry) == 3
    assert rows(WRONG) == []


steps = st.tuples(
    st.sampled_from(sorted(TICKET_ARROWS.moves)),
    st.integers(1, 2**6 - 1),  # which of the six tickets the statement names
    st.booleans(),  # whether it is taken back
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(sequence=st.lists(steps, min_size=5, max_size=25))
@pytest.mark.promise("held-written-counter")
def test_held_equals_a_recount_after_any_legal_statements(
    db: None, sequence: list[tuple[tuple[str, str], int, bool]]
) -> None:
    with bare().transaction(force_rollback=True):
        # Capacities say no to some of it: then nothing of the statement may be counted.
        one, other = EventFactory.create(capacity=3), EventFactory.create(capacity=None)
        kind = TicketTypeFactory.create(entry=one, capacity=2)
        tickets = [
            a_ticket(entry=entry, ticket_type=type_).pk
            for entry, type_ in [(one, kind), (one, None), (other, None)] * 2
        ]
        order = an_order().pk
        for (source, target), mask, taken_back in sequence:
            claim = f"order_id = {order}, " if target == "reserved" else ""
            chosen = [pk for bit, pk in enumerate(tickets) if mask >> bit & 1]
            move = f"UPDATE events_ticket SET {claim}state = %s WHERE state = %s AND id = ANY(%s)"
            # Sold out: refused whole.
            with contextlib.suppress(psycopg.errors.CheckViolation), bare().transaction(force_rollback=taken_back):
                run(move, target, source, chosen)
            assert rows(WRONG) == []
