"""Putting time in a room in the cart: a pending row that holds nothing; several visitors may want the same time."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.visitors import Visitor, counts_in_cart, rows_in_cart
from events.buying import CART_ROWS, PurchaseRefusal
from events.models import Calendar, CalendarEntry
from events.rooms import RoomHours, Span, busy_near, is_taken, nearest_free
from events.states import EntryKind, EntryState


class TimeRefusal(PurchaseRefusal):
    """That time was not put in the cart; `nearest` are free times near it, none when the room cannot be booked."""

    def __init__(self, text: str, nearest: Sequence[Span] = ()) -> None:
        super().__init__(text)
        self.nearest = nearest


counts_in_cart(CalendarEntry, only="kind = 'booking'")


def put_booking_in_cart(
    visitor: Visitor, room: Calendar, start: datetime, end: datetime, *, at: datetime
) -> CalendarEntry:
    """Make a pending booking of `room` from `start` to `end`, at the price of now; the one that is there, if there is.

    Raises TimeRefusal for a time that is not on offer at `at` or is taken, PurchaseRefusal beyond the cart's limit.
    """
    hours = RoomHours.of(room)
    _check_time(hours, start, end, at)
    with transaction.atomic():
        # Two clicks at once must neither make two of one time nor pass the limit together.
        visitor.lock()
        there = CalendarEntry.objects.in_cart_of(visitor).filter(room=room, starts_at=start, ends_at=end).first()
        if there is not None:
            return there
        if rows_in_cart(visitor) + 1 > CART_ROWS:
            raise PurchaseRefusal(_("A cart holds at most %(count)s things.") % {"count": CART_ROWS})
        price = hours.price(start, end)
        return CalendarEntry.objects.create(
            kind=EntryKind.BOOKING,
            state=EntryState.PENDING,
            calendar=room,
            room=room,
            title=hours.calendar.name,
            starts_at=start,
            ends_at=end,
            blocks=hours.blocked(start, end),
            price=price.amount,
            currency=price.currency,
            **visitor.columns(),
        )


def _check_time(hours: RoomHours, start: datetime, end: datetime, at: datetime) -> None:
    obstacle = hours.why_not(start, end, at)
    if obstacle is None and not is_taken(hours.blocked_span(start, end), busy_near(hours, start)):
        return
    text = _("This time is taken.") if obstacle is None else str(obstacle.value)
    raise TimeRefusal(text, free_near(hours, start, end, at))


def free_near(hours: RoomHours, start: datetime, end: datetime, at: datetime) -> list[Span]:
    """Free times near the wanted one; of a time that has passed, the next ones from now on."""
    if hours.rules is None:
        return []
    around = max(start, at)
    return nearest_free(hours, busy_near(hours, around), around, end - start, at)


def remove_booking(visitor: Visitor, pk: int) -> bool:
    """Take a pending booking of `visitor` out of the cart; whether this call did. Somebody else's is left alone."""
    with transaction.atomic():
        rows = CalendarEntry.objects.in_cart_of(visitor).filter(pk=pk)
        found = list(rows.locked().values_list("pk", flat=True))
        rows.filter(pk__in=found).delete()
        return bool(found)
