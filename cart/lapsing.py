"""What lies in carts too long goes: a pending row holds nothing, but it is somebody's and it is kept for a while."""

from datetime import datetime, timedelta
from typing import TypeVar

from django.db import models, transaction
from django.db.models import Q

from events.models import CalendarEntry, Ticket
from events.states import TicketState
from market.models import ProductItem

Row = TypeVar("Row", bound=models.Model)

KEPT = timedelta(days=7)
KEPT_SIGNED_OUT = timedelta(days=2)
BATCH = 1000


def _too_old(at: datetime) -> Q:
    """Rows that have lain in a cart of a user, or of a cart key, for longer than they are kept."""
    return Q(created_at__lt=at - KEPT) | Q(created_at__lt=at - KEPT_SIGNED_OUT, user=None)


def lapse(*, at: datetime) -> int:
    """Delete pending tickets and bookings that are too old at `at`, or whose time is over; answers how many."""
    pending = Q(state=TicketState.PENDING)
    tickets = Ticket.objects.filter(pending, Q(created_at__lt=at - KEPT) | Q(entry__ends_at__lte=at))
    bookings = CalendarEntry.objects.bookings().filter(pending, _too_old(at) | Q(starts_at__lte=at))
    return _delete_free(tickets) + _delete_free(bookings)


def lapse_products(*, at: datetime) -> int:
    """Delete pending pieces of products that are too old at `at`; answers how many."""
    return _delete_free(ProductItem.objects.filter(_too_old(at), state=TicketState.PENDING))


def _delete_free(rows: models.QuerySet[Row]) -> int:
    """In batches; a row that a checkout holds at this moment is left to the next time."""
    number = 0
    while True:
        with transaction.atomic():
            free = rows.order_by("pk").select_for_update(of=("self",), skip_locked=True)
            pks = list(free.values_list("pk", flat=True)[:BATCH])
            rows.filter(pk__in=pks).delete()
        number += len(pks)
        if len(pks) < BATCH:
            return number
