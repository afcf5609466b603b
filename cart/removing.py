"""Taking things out of the cart again; somebody else's are left alone."""

from django.db import transaction

from accounts.models import User
from accounts.visitors import Visitor
from events.models import CalendarEntry, Ticket, TicketQuerySet
from market.models import ItemQuerySet, Product, ProductItem


def remove_from_cart(user: User, entry: CalendarEntry, key: int, number: int | None) -> int:
    """Delete `number` (None: all) of `user`'s pending tickets of one offer, newest first; answers how many."""
    return _remove_newest(Ticket.objects.pending_for(user).filter(entry=entry, ticket_type=key or None), number)


def remove_items(visitor: Visitor, product: Product, number: int | None) -> int:
    """Delete `number` (None: all) of the visitor's pending pieces of `product`, newest first; answers how many."""
    return _remove_newest(ProductItem.objects.in_cart_of(visitor).filter(product=product), number)


def _remove_newest(rows: TicketQuerySet | ItemQuerySet, number: int | None) -> int:
    with transaction.atomic():
        pks = list(rows.locked().values_list("pk", flat=True))
        removed = pks if number is None else pks[len(pks) - min(number, len(pks)) :]
        if removed:
            rows.filter(pk__in=removed).delete()
        return len(removed)


def remove_booking(visitor: Visitor, pk: int) -> bool:
    """Take a pending booking of `visitor` out of the cart; whether this call did. Somebody else's is left alone."""
    with transaction.atomic():
        rows = CalendarEntry.objects.in_cart_of(visitor).filter(pk=pk)
        locked = list(rows.locked().values_list("pk", flat=True))
        rows.filter(pk__in=locked).delete()
        return bool(locked)
