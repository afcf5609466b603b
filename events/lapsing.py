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


def too_old(at: datetime) -> Q:
    """Rows that have lain in a cart of a user, or of a cart key, for longer than they are kept."""
    return Q(created_at__lt=at - KEPT) | Q(created_at__lt=at - KEPT_SIGNED_OUT, user=None)


def lapse(*, at: datetime) -> int:
    """Delete pending tickets and bookings that are too old at `at`, or whose time is over; answers how many."""
    pending = Q(state="pending")
    tickets = Ticket.objects.filter(pending, Q(created_at__lt=at - KEPT) | Q(entry__ends_at__lte=at))
    bookings = CalendarEntry.objects.bookings().filter(pending, too_old(at) | Q(starts_at__lte=at))
    return delete_free(tickets) + delete_free(bookings)


def delete_free(rows: models.QuerySet[Row]) -> int:
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
