"""What lies in carts too long goes: a pending row holds nothing, but it is somebody's and it is kept for a while."""

from datetime import datetime, timedelta
from typing import TypeVar

from django.db import models, transaction
from django.db.models import Q

from events.models import CalendarEntry, Ticket

Row = TypeVar("Row", bound=models.Model)

KEPT = timedelta(days=7)
KEPT_SIGNED_OUT = timedelta(days=2)
BATCH = 1000


def lapse(*, at: datetime) -> int:
    """Delete pending tickets and bookings that are too old at `at`, or whose time is over; answers how many."""
    pending = Q(state="pending")
    tickets = Ticket.objects.filter(pending, Q(created_at__lt=at - KEPT) | Q(entry__ends_at__lte=at))
    too_old = Q(created_at__lt=at - KEPT) | Q(created_at__lt=at - KEPT_SIGNED_OUT, user=None)
    bookings = CalendarEntry.objects.bookings().filter(pending, too_old | Q(starts_at__lte=at))
    return _delete(tickets) + _delete(bookings)


def _delete(rows: models.QuerySet[Row]) -> int:
    """In batches; a row that a checkout holds at this moment is left to the next time."""
    gone = 0
    while True:
        with transaction.atomic():
            free = rows.order_by("pk").select_for_update(of=("self",), skip_locked=True)
            pks = list(free.values_list("pk", flat=True)[:BATCH])
            rows.filter(pk__in=pks).delete()
        gone += len(pks)
        if len(pks) < BATCH:
            return gone
