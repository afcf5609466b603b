"""Changing a line of the cart in place."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.visitors import Visitor
from cart.adding import PurchaseRefusal, put_booking_in_cart, put_in_cart, put_items_in_cart
from cart.removing import remove_booking, remove_from_cart, remove_items
from events.models import CalendarEntry, Ticket
from market.models import Product, ProductItem


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


def set_pieces(visitor: Visitor, product: Product, quantity: int, *, at: datetime) -> None:
    """Make `quantity` the number of `visitor`'s pending pieces of `product`; 0 removes the line.

    Raises PurchaseRefusal and changes nothing.
    """
    if visitor.is_nobody:  # the session ended while the cart was open
        raise PurchaseRefusal(_("This cart is no longer there. Please choose once more what you want."))
    with transaction.atomic():
        visitor.lock()
        count = ProductItem.objects.in_cart_of(visitor).filter(product=product).count()
        if quantity > count:
            put_items_in_cart(visitor, product, quantity - count, at=at)
        elif quantity < count:
            remove_items(visitor, product, count - quantity)


def move_booking(visitor: Visitor, booking: CalendarEntry, start: datetime, *, at: datetime) -> None:
    """Take another time of the same length in the same room instead. Raises PurchaseRefusal and changes nothing."""
    with transaction.atomic():
        visitor.lock()
        remove_booking(visitor, booking.pk)
        put_booking_in_cart(visitor, booking.calendar, start, start + (booking.ends_at - booking.starts_at), at=at)
