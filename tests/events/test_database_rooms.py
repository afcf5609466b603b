"""PostgreSQL itself refuses two that hold one room at one time, whoever asks."""

import pytest

from tests.factories import CalendarFactory, EventFactory
from tests.ledger.lives import SOLD_WAYS, a_booking, an_order
from tests.ledger.psql import verdict

pytestmark = pytest.mark.django_db

STATES = sorted(SOLD_WAYS)


@pytest.mark.promise("two-held-bookings")
def test_two_held_bookings_never_overlap_in_a_room() -> None:
    room = CalendarFactory.create(is_bookable=True)
    a_booking("reserved", room=room, starts_in=24)
    second = a_booking(room=room, starts_in=25)  # an hour later: only its quarter of set-up is in the way
    claim = "UPDATE events_calendarentry SET state = 'reserved', order_id = %s WHERE id = %s"
    order = an_order(user=second.user)
    assert verdict(claim, values=[order.pk, second.pk]) == "entry_room_held_once"
    elsewhere = a_booking(starts_in=25)
    assert verdict(claim, values=[order.pk, elsewhere.pk]) is None
    later = a_booking(room=room, starts_in=26)
    assert verdict(claim, values=[order.pk, later.pk]) is None


@pytest.mark.parametrize("state", STATES)
def test_room_is_taken_by_held_bookings_only(state: str) -> None:
    room = CalendarFactory.create(is_bookable=True)
    a_booking(state, room=room)
    rival = a_booking(room=room)
    claim = "UPDATE events_calendarentry SET state = 'reserved', order_id = %s WHERE id = %s"
    expected = "entry_room_held_once" if state in {"reserved", "confirmed", "checked_in"} else None
    assert verdict(claim, values=[an_order(user=rival.user).pk, rival.pk]) == expected


@pytest.mark.promise("two-held-bookings")
def test_event_in_a_room_and_a_booking_never_overlap() -> None:
    booking = a_booking("confirmed")
    event = EventFactory.create(
        draft=True,
        room=booking.room,
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
        blocks=(booking.starts_at, booking.ends_at),
    )
    confirm = "UPDATE events_calendarentry SET state = 'confirmed' WHERE id = %s"
    assert verdict(confirm, values=[event.pk]) == "entry_room_held_once"


def test_events_that_take_no_room_may_overlap() -> None:
    one, other = EventFactory.create(), EventFactory.create(draft=True)
    change = "UPDATE events_calendarentry SET state = 'confirmed', starts_at = %s, ends_at = %s WHERE id = %s"
    assert verdict(change, values=[one.starts_at, one.ends_at, other.pk]) is None


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        ("blocks = NULL", "entry_room_is_blocked"),
        ("blocks = 'empty'", "entry_blocks_its_time"),
        ("blocks = tstzrange(starts_at, ends_at - interval '1 minute')", "entry_blocks_its_time"),
        ("starts_at = starts_at - interval '1 day'", "entry_blocks_its_time"),
        ("blocks = tstzrange(starts_at, ends_at)", None),
    ],
)
def test_entry_in_a_room_blocks_at_least_its_own_time(change: str, claim: str | None) -> None:
    assert verdict(f"UPDATE events_calendarentry SET {change} WHERE id = %s", values=[a_booking().pk]) == claim


def test_booking_has_a_price_and_a_room() -> None:
    booking, name = a_booking(), "entry_booking_has_price_and_room"
    for change in ("price = -1", "room_id = NULL, blocks = NULL"):
        assert verdict(f"UPDATE events_calendarentry SET {change} WHERE id = %s", values=[booking.pk]) == name
