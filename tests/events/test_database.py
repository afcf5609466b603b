"""PostgreSQL itself refuses what must never be true of entries, ticket types and tickets, whoever asks."""

import pytest
from django.db.utils import IntegrityError

from events.models import CalendarEntry
from tests.factories import EventFactory, TicketTypeFactory, UserFactory
from tests.ledger.lives import SOLD_WAYS, a_booking, a_ticket, an_order, lead
from tests.ledger.psql import rows, run, twin, verdict, verdict_of_truncate

pytestmark = pytest.mark.django_db

STATES = sorted(SOLD_WAYS)
#: Said once more, not read from the code: where a sold thing may go.
SOLD: dict[str, set[str]] = {
    "pending": {"reserved"},
    "reserved": {"confirmed", "cancelled", "refund_due"},
    "cancelled": {"refund_due", "confirmed"},
    "confirmed": {"checked_in", "refund_due", "cancelled"},
    "checked_in": {"confirmed", "refund_due", "cancelled"},
    "refund_due": {"refunded", "confirmed", "cancelled"},
    "refunded": {"refund_due"},
}
EVENT: dict[str, set[str]] = {"draft": {"confirmed"}, "confirmed": {"draft", "cancelled"}, "cancelled": set()}
UNKNOWN = "thrown away"


# --- Arrows


@pytest.mark.parametrize("state", STATES)
@pytest.mark.promise("ticket-booking-product")
def test_ticket_moves_where_an_arrow_is_and_nowhere_else(state: str) -> None:
    ticket = a_ticket(state)
    order_id = an_order(user=ticket.user).pk
    claim = f"order_id = {order_id}, " if state == "pending" else ""
    found = {
        target: verdict(f"UPDATE events_ticket SET {claim}state = %s WHERE id = %s", values=[target, ticket.pk])
        for target in [*STATES, UNKNOWN]
        if target != state
    }
    assert found == {target: None if target in SOLD[state] else "ticket_moves" for target in found}


@pytest.mark.parametrize("state", [*STATES, UNKNOWN])
def test_ticket_is_born_pending_only(state: str) -> None:
    ticket = a_ticket()
    order = None if state == "pending" else an_order().pk
    expected = None if state == "pending" else "ticket_born"
    assert twin("events_ticket", ticket.pk, state=state, order_id=order, code="OTHER") == expected


@pytest.mark.parametrize("state", STATES)
def test_ticket_is_deleted_pending_only(state: str) -> None:
    ticket = a_ticket(state)
    expected = None if state == "pending" else "ticket_deleted"
    assert verdict("DELETE FROM events_ticket WHERE id = %s", values=[ticket.pk]) == expected


@pytest.mark.parametrize("state", STATES)
@pytest.mark.promise("ticket-booking-product")
def test_booking_moves_where_an_arrow_is_and_nowhere_else(state: str) -> None:
    booking = a_booking(state)
    claim = f"order_id = {an_order().pk}, " if state == "pending" else ""
    found = {
        target: verdict(f"UPDATE events_calendarentry SET {claim}state = %s WHERE id = %s", values=[target, booking.pk])
        for target in [*STATES, "draft", UNKNOWN]
        if target != state
    }
    assert found == {target: None if target in SOLD[state] else "entry_moves" for target in found}


@pytest.mark.parametrize("state", sorted(EVENT))
@pytest.mark.promise("event-new-draft")
def test_event_moves_where_an_arrow_is_and_nowhere_else(state: str) -> None:
    event = EventFactory.create(draft=True)
    for step in {"draft": [], "confirmed": ["confirmed"], "cancelled": ["confirmed", "cancelled"]}[state]:
        run("UPDATE events_calendarentry SET state = %s WHERE id = %s", step, event.pk)
    found = {
        target: verdict("UPDATE events_calendarentry SET state = %s WHERE id = %s", values=[target, event.pk])
        for target in [*STATES, "draft", UNKNOWN]
        if target != state
    }
    assert found == {target: None if target in EVENT[state] else "entry_moves" for target in found}


@pytest.mark.parametrize("state", ["reserved", "confirmed", "checked_in"])
@pytest.mark.promise("event-new-draft")
def test_event_with_held_tickets_is_no_draft(state: str) -> None:
    event = EventFactory.create()
    a_ticket(state, entry=event)
    back = "UPDATE events_calendarentry SET state = 'draft' WHERE id = %s"
    assert verdict(back, values=[event.pk]) == "entry_draft_holds_nothing"


def test_ticket_of_a_draft_event_cannot_be_claimed() -> None:
    ticket = a_ticket(entry=EventFactory.create(draft=True))
    claim = "UPDATE events_ticket SET state = 'reserved', order_id = %s WHERE id = %s"
    assert verdict(claim, values=[an_order(user=ticket.user).pk, ticket.pk]) == "entry_draft_holds_nothing"


@pytest.mark.parametrize(("kind", "born"), [("event", "draft"), ("booking", "pending")])
def test_entry_is_born_in_its_kinds_first_state_only(kind: str, born: str) -> None:
    entry = EventFactory.create(draft=True) if kind == "event" else a_booking()
    found = {state: twin("events_calendarentry", entry.pk, state=state) for state in [*STATES, "draft", UNKNOWN]}
    assert found == {state: None if state == born else "entry_born" for state in found}


@pytest.mark.parametrize("state", STATES)
def test_booking_is_deleted_pending_only(state: str) -> None:
    expected = None if state == "pending" else "entry_deleted"
    assert verdict("DELETE FROM events_calendarentry WHERE id = %s", values=[a_booking(state).pk]) == expected


def test_event_is_deleted_as_a_draft_only() -> None:
    delete = "DELETE FROM events_calendarentry WHERE id = %s"
    assert verdict(delete, values=[EventFactory.create(draft=True).pk]) is None
    assert verdict(delete, values=[EventFactory.create().pk]) == "entry_deleted"


def test_entry_never_changes_its_kind() -> None:
    event, booking = EventFactory.create(), a_booking("confirmed")
    change = "UPDATE events_calendarentry SET kind = %s WHERE id = %s"
    assert verdict(change, values=["booking", event.pk]) == "entry_moves"
    assert verdict(change, values=["event", booking.pk]) == "entry_moves"


@pytest.mark.parametrize(
    ("table", "claim"),
    [
        ("events_ticket", "ticket_truncated"),
        ("events_calendarentry", "entry_truncated"),
        ("events_tickettype", "ticket_truncated"),  # its tickets would go with it
    ],
)
def test_entries_types_and_tickets_cannot_be_truncated(table: str, claim: str) -> None:
    assert verdict_of_truncate(table) == claim


# --- Capacity


@pytest.mark.promise("held-seats-never")
def test_entry_is_never_oversold() -> None:
    entry = EventFactory.create(capacity=2)
    for _ in range(2):
        a_ticket("confirmed", entry=entry)
    third = a_ticket(entry=entry)
    claim = "UPDATE events_ticket SET state = 'reserved', order_id = %s WHERE id = %s"
    assert verdict(claim, values=[an_order().pk, third.pk]) == "entry_not_oversold"
    run("UPDATE events_calendarentry SET capacity = 3 WHERE id = %s", entry.pk)
    assert verdict(claim, values=[an_order().pk, third.pk]) is None


@pytest.mark.promise("held-seats-never")
def test_ticket_type_is_never_oversold() -> None:
    kind = TicketTypeFactory.create(capacity=1)
    a_ticket("reserved", ticket_type=kind)
    second = a_ticket(ticket_type=kind)
    claim = "UPDATE events_ticket SET state = 'reserved', order_id = %s WHERE id = %s"
    assert verdict(claim, values=[an_order().pk, second.pk]) == "ticket_type_not_oversold"


def test_seat_that_came_back_late_is_not_oversold_either() -> None:
    entry = EventFactory.create(capacity=1)
    lost = a_ticket("cancelled", entry=entry)
    a_ticket("confirmed", entry=entry)
    late = "UPDATE events_ticket SET state = 'confirmed' WHERE id = %s"
    assert verdict(late, values=[lost.pk]) == "entry_not_oversold"


@pytest.mark.parametrize("table", ["events_calendarentry", "events_tickettype"])
@pytest.mark.promise("held-seats-never")
def test_capacity_cannot_go_below_what_is_held(table: str) -> None:
    kind = TicketTypeFactory.create(capacity=5, entry__capacity=5)
    for _ in range(2):
        a_ticket("confirmed", ticket_type=kind)
    pk = kind.pk if table == "events_tickettype" else kind.entry.pk
    name = "ticket_type_not_oversold" if table == "events_tickettype" else "entry_not_oversold"
    lower = f"UPDATE {table} SET capacity = %s WHERE id = %s"
    assert verdict(lower, values=[1, pk]) == name
    assert verdict(lower, values=[2, pk]) is None


@pytest.mark.parametrize(
    ("table", "guard"),
    [("events_calendarentry", "entry_held_guard"), ("events_tickettype", "tickettype_held_guard")],
)
@pytest.mark.promise("held-written-counter")
def test_held_is_written_by_its_counter_only(table: str, guard: str) -> None:
    kind = TicketTypeFactory.create(entry__draft=True)
    pk = kind.pk if table == "events_tickettype" else kind.entry.pk
    assert verdict(f"UPDATE {table} SET held = 1 WHERE id = %s", values=[pk]) == guard
    assert verdict(f"UPDATE {table} SET held = held + 1 WHERE id = %s", values=[pk]) == guard
    assert twin(table, pk, held=1) == guard
    assert twin(table, pk, held=0) is None


def test_held_cannot_be_slipped_in_by_an_upsert() -> None:
    kind = TicketTypeFactory.create()
    upsert = (
        "INSERT INTO events_tickettype SELECT * FROM events_tickettype WHERE id = %s"
        " ON CONFLICT (id) DO UPDATE SET held = 7"
    )
    assert verdict(upsert, values=[kind.pk]) == "tickettype_held_guard"


@pytest.mark.promise("held-written-counter")
def test_stale_save_cannot_reset_the_counter() -> None:
    entry = EventFactory.create(capacity=9)
    stale = CalendarEntry.objects.get(pk=entry.pk)
    a_ticket("confirmed", entry=entry)
    with pytest.raises(IntegrityError, match="written by its counter only"):
        stale.save()


# --- What a row must have


@pytest.mark.promise("reserved-has-order")
def test_reserved_ticket_has_an_order_and_a_pending_one_none() -> None:
    ticket = a_ticket()
    order = an_order(user=ticket.user)
    set_state = "UPDATE events_ticket SET state = 'reserved' WHERE id = %s"
    assert verdict(set_state, values=[ticket.pk]) == "ticket_reserved_has_order"
    set_order = "UPDATE events_ticket SET order_id = %s WHERE id = %s"
    assert verdict(set_order, values=[order.pk, ticket.pk]) == "ticket_reserved_has_order"
    assert twin("events_ticket", ticket.pk, order_id=order.pk, code="OTHER") == "ticket_reserved_has_order"


def test_ticket_has_a_user() -> None:
    assert verdict("UPDATE events_ticket SET user_id = NULL WHERE id = %s", values=[a_ticket().pk]) == "user_id"


def test_reserved_booking_has_an_order_and_a_pending_one_none() -> None:
    booking, name = a_booking(), "entry_booking_reserved_has_order"
    table = "UPDATE events_calendarentry SET"
    order = an_order(user=booking.user).pk
    assert verdict(f"{table} state = 'reserved' WHERE id = %s", values=[booking.pk]) == name
    assert verdict(f"{table} order_id = %s WHERE id = %s", values=[order, booking.pk]) == name


@pytest.mark.promise("reserved-has-order")
def test_pending_booking_has_exactly_one_of_user_and_cart_key() -> None:
    booking, name = a_booking(), "entry_booking_reserved_has_order"
    table, user = "UPDATE events_calendarentry SET", booking.user
    assert user is not None
    found = {
        (bool(user_id), bool(key)): verdict(
            f"{table} user_id = %s, cart_key = %s WHERE id = %s", values=[user_id, key, booking.pk]
        )
        for user_id in (None, user.pk)
        for key in (None, "k")
    }
    assert found == {(False, False): name, (True, True): name, (True, False): None, (False, True): None}


def test_reserved_booking_keeps_no_cart_key_and_its_user() -> None:
    booking = a_booking("confirmed")
    table = "UPDATE events_calendarentry SET"
    name = "entry_booking_reserved_has_order"
    assert verdict(f"{table} cart_key = 'k' WHERE id = %s", values=[booking.pk]) == name
    assert verdict(f"{table} user_id = NULL WHERE id = %s", values=[booking.pk]) == "entry_booking_frozen"


@pytest.mark.parametrize("column", ["user_id", "order_id", "cart_key", "price"])
def test_event_has_nothing_of_a_booking(column: str) -> None:
    event = EventFactory.create()
    value = {"user_id": UserFactory.create().pk, "order_id": an_order().pk, "cart_key": "k", "price": 1}[column]
    change = f"UPDATE events_calendarentry SET {column} = %s WHERE id = %s"
    assert verdict(change, values=[value, event.pk]) == "entry_event_has_no_order"


@pytest.mark.parametrize(
    ("table", "change", "claim"),
    [
        ("events_ticket", "price = -0.01", "ticket_price_not_negative"),
        ("events_tickettype", "price = -0.01", "ticket_type_price_not_negative"),
        ("events_tickettype", "min_per_order = 0", "ticket_type_limits"),
        ("events_tickettype", "min_per_order = 4, max_per_order = 3", "ticket_type_limits"),
        ("events_calendarentry", "ticket_price = -0.01", "entry_ticket_price_not_negative"),
        ("events_calendarentry", "max_per_order = 0", "entry_max_per_order_positive"),
        ("events_calendarentry", "ends_at = starts_at", "entry_ends_after_start"),
    ],
)
def test_number_that_makes_no_sense_is_refused(table: str, change: str, claim: str) -> None:
    a_ticket(ticket_type=TicketTypeFactory.create())
    assert verdict(f"UPDATE {table} SET {change}") == claim


# --- What never changes once sold


@pytest.mark.parametrize("state", [state for state in STATES if state != "pending"])
@pytest.mark.promise("once-ordered-row")
def test_ordered_ticket_keeps_entry_type_order_buyer_price_and_currency(state: str) -> None:
    kind = TicketTypeFactory.create()
    ticket = a_ticket(state, ticket_type=kind)
    other = TicketTypeFactory.create(entry=kind.entry)
    changes: dict[str, object] = {
        "entry_id": EventFactory.create().pk,
        "ticket_type_id": other.pk,
        "order_id": an_order(user=ticket.user).pk,
        "user_id": UserFactory.create().pk,
        "price": 1,
        "currency": "GBP",
    }
    found = {
        column: verdict(f"UPDATE events_ticket SET {column} = %s WHERE id = %s", values=[value, ticket.pk])
        for column, value in changes.items()
    }
    assert found == dict.fromkeys(changes, "ticket_frozen")


def test_ordered_booking_keeps_order_buyer_price_and_currency() -> None:
    booking = a_booking("confirmed")
    changes: dict[str, object] = {
        "order_id": an_order().pk,
        "user_id": UserFactory.create().pk,
        "price": 1,
        "currency": "GBP",
    }
    found = {
        column: verdict(f"UPDATE events_calendarentry SET {column} = %s WHERE id = %s", values=[value, booking.pk])
        for column, value in changes.items()
    }
    assert found == dict.fromkeys(changes, "entry_booking_frozen")


def test_price_is_taken_with_the_claim_and_frozen_by_it() -> None:
    ticket = a_ticket()
    claim = "UPDATE events_ticket SET state = 'reserved', order_id = %s, price = 9 WHERE id = %s"
    run(claim, an_order(user=ticket.user).pk, ticket.pk)
    assert verdict("UPDATE events_ticket SET price = 8 WHERE id = %s", values=[ticket.pk]) == "ticket_frozen"


def test_ticket_type_belongs_to_the_tickets_own_entry() -> None:
    ticket, foreign = a_ticket(), TicketTypeFactory.create()
    change = "UPDATE events_ticket SET ticket_type_id = %s WHERE id = %s"
    assert verdict(change, values=[foreign.pk, ticket.pk]) == "ticket_type_is_of_its_entry"
    assert twin("events_ticket", ticket.pk, ticket_type_id=foreign.pk, code="X") == "ticket_type_is_of_its_entry"


def test_ticket_type_never_moves_to_another_entry() -> None:
    change = "UPDATE events_tickettype SET entry_id = %s WHERE id = %s"
    assert (
        verdict(change, values=[EventFactory.create().pk, TicketTypeFactory.create().pk]) == "tickettype_entry_frozen"
    )


@pytest.mark.promise("one-token-makes")
def test_ticket_code_is_unique() -> None:
    assert (twin("events_ticket", a_ticket().pk) or "").startswith("events_ticket_code")


def test_sold_types_and_entries_cannot_be_deleted() -> None:
    kind = TicketTypeFactory.create(entry__draft=True)
    a_ticket(ticket_type=kind)
    assert "entry" in (verdict("DELETE FROM events_tickettype WHERE id = %s", values=[kind.pk]) or "")
    assert verdict("DELETE FROM events_calendarentry WHERE id = %s", values=[kind.entry.pk])


def test_the_ways_of_these_tests_reach_every_state() -> None:
    ticket = a_ticket()
    for state, way in SOLD_WAYS.items():
        row = a_ticket(entry=ticket.entry)
        lead("events_ticket", row.pk, way, None, row.user)
        assert rows("SELECT state FROM events_ticket WHERE id = %s", row.pk) == [(state,)]
