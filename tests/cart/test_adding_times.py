"""Putting time in a room in the cart: what is taken in, what is refused and why, once for the same time."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.visitors import Visitor
from cart.adding import PurchaseRefusal, TimeRefusal, put_booking_in_cart, put_in_cart
from cart.counting import CART_ROWS, rows_in_cart
from cart.removing import remove_booking
from events.models import Calendar, CalendarEntry
from tests.factories import EventFactory, RoomFactory, UserFactory
from tests.ledger.lives import SOLD_WAYS, a_booking, lead

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
START = datetime(2027, 3, 2, 9, tzinfo=UTC)  # 10:00 in Berlin
HOUR = timedelta(hours=1)


def visitors() -> list[Visitor]:
    return [Visitor(user=UserFactory.create()), Visitor(cart_key="k" * 43)]


@pytest.mark.parametrize("n", [0, 1])
def test_booking_in_the_cart_says_all_about_its_time(n: int) -> None:
    visitor = visitors()[n]
    room = RoomFactory.create(name="Studio", rules__setup_minutes=15, rules__cleanup_minutes=30)

    booking = put_booking_in_cart(visitor, room, START, START + HOUR * 2, at=NOW)

    booking.refresh_from_db()
    assert (booking.kind, booking.state, booking.title, booking.room) == ("booking", "pending", "Studio", room)
    assert (booking.price, booking.currency) == (Decimal("40.00"), "EUR")
    assert booking.blocks is not None
    assert booking.blocks.lower == START - timedelta(minutes=15)
    assert booking.blocks.upper == START + HOUR * 2 + timedelta(minutes=30)
    assert {"user": booking.user, "cart_key": booking.cart_key} == visitor.columns()


@pytest.mark.promise("same-time-one")
def test_same_time_twice_is_one_booking() -> None:
    room, (visitor, other) = RoomFactory.create(), visitors()
    first = put_booking_in_cart(visitor, room, START, START + HOUR, at=NOW)
    assert put_booking_in_cart(visitor, room, START, START + HOUR, at=NOW).pk == first.pk
    assert put_booking_in_cart(other, room, START, START + HOUR, at=NOW).pk != first.pk
    assert CalendarEntry.objects.bookings().count() == 2


def test_pending_bookings_hold_nothing() -> None:
    room, (visitor, other) = RoomFactory.create(), visitors()
    for number in range(3):
        put_booking_in_cart(visitor, room, START + number * HOUR / 2, START + number * HOUR / 2 + HOUR, at=NOW)
    put_booking_in_cart(other, room, START, START + HOUR, at=NOW)
    assert rows_in_cart(visitor) == 3
    assert rows_in_cart(other) == 1


def refusal(room: Calendar, start: datetime, end: datetime, *, at: datetime = NOW) -> TimeRefusal:
    with pytest.raises(TimeRefusal) as refused:
        put_booking_in_cart(Visitor(cart_key="k"), room, start, end, at=at)
    assert not CalendarEntry.objects.bookings().filter(state="pending").exists()
    return refused.value


def test_time_that_is_not_on_offer_is_refused_with_free_ones_near_it() -> None:
    room = RoomFactory.create()
    refused = refusal(room, START + timedelta(minutes=10), START + timedelta(minutes=70))
    assert str(refused) == "The room is not booked at this start or for this long."
    assert [span.start for span in refused.nearest] == [START - HOUR / 2, START, START + HOUR / 2]


def test_time_in_the_past_is_refused_with_the_next_free_ones() -> None:
    refused = refusal(RoomFactory.create(), START - 30 * HOUR, START - 29 * HOUR)
    assert str(refused) == "This time has passed."
    assert [span.start for span in refused.nearest] == [NOW + HOUR, NOW + HOUR * 3 / 2, NOW + HOUR * 2]


def test_taken_time_is_refused_with_free_ones_near_it() -> None:
    room = RoomFactory.create(rules__setup_minutes=30)
    holder = UserFactory.create()
    held = put_booking_in_cart(Visitor(user=holder), room, START, START + HOUR, at=NOW)
    lead("events_calendarentry", held.pk, SOLD_WAYS["reserved"], None, holder)

    refused = refusal(room, START, START + HOUR)
    assert str(refused) == "This time is taken."
    # Half an hour of set-up keeps the neighbours away on both sides.
    assert [span.start for span in refused.nearest] == [START - HOUR * 2, START - HOUR * 3 / 2, START + HOUR * 3 / 2]
    assert str(refusal(room, START + HOUR, START + HOUR * 2)) == "This time is taken."


def test_room_that_cannot_be_booked_is_refused() -> None:
    room = RoomFactory.create(is_bookable=False)
    assert str(refusal(room, START, START + HOUR)) == "This room cannot be booked here."
    room.rules.delete()
    assert refusal(room, START, START + HOUR).nearest == []


def test_cart_holds_no_more_than_its_limit_over_all_kinds() -> None:
    user = UserFactory.create()
    visitor, event, room = Visitor(user=user), EventFactory.create(max_per_order=200), RoomFactory.create()
    put_in_cart(user, event, {0: CART_ROWS - 1}, at=timezone.now())
    put_booking_in_cart(visitor, room, START, START + HOUR, at=NOW)
    with pytest.raises(PurchaseRefusal, match="at most 100"):
        put_booking_in_cart(visitor, room, START + HOUR, START + HOUR * 2, at=NOW)
    with pytest.raises(PurchaseRefusal, match="at most 100"):
        put_in_cart(user, event, {0: 1}, at=timezone.now())
    assert rows_in_cart(visitor) == CART_ROWS


def test_only_ones_own_pending_booking_is_removed() -> None:
    room, (visitor, other) = RoomFactory.create(), visitors()
    booking = put_booking_in_cart(visitor, room, START, START + HOUR, at=NOW)
    held = a_booking("reserved", user=visitor.user)
    assert not remove_booking(other, booking.pk)
    assert not remove_booking(visitor, held.pk)
    assert remove_booking(visitor, booking.pk)
    assert not remove_booking(visitor, booking.pk)
    assert list(CalendarEntry.objects.bookings()) == [held]
