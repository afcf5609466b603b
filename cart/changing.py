"""Changing a line of the cart in place."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from events.buying import PurchaseRefusal, put_in_cart, remove_from_cart
from events.models import CalendarEntry, Ticket


def set_quantity(user: User, entry: CalendarEntry, key: int, quantity: int, *, at: datetime) -> None:
    """Make `quantity` the number of `user`'s pending tickets of one offer; 0 removes the line.

    More is bought (under the buy form's rules), fewer are removed. Raises PurchaseRefusal and changes nothing.
    """
    with transaction.atomic():
        # The buyer's own row: two clicks at once must not both add what is missing.
        user.lock()
        count = Ticket.objects.pending_for(user).filter(entry=entry, ticket_type=key or None).count()
        if quantity > count:
            put_in_cart(user, entry, {key: quantity - count}, at=at)
        elif quantity == 0 or quantity >= _minimum(entry, key):
            remove_from_cart(user, entry, key, count - quantity)
        else:
            words = _("At least %(n)s an order; remove the line to take none.")
            raise PurchaseRefusal(words % {"n": _minimum(entry, key)})


def _minimum(entry: CalendarEntry, key: int) -> int:
    return next((row.min_per_order for row in entry.ticket_types.all() if row.pk == key), 1)
