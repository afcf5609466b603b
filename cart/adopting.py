"""The cart of a browser joins the account of whoever signs in with it."""

from datetime import datetime

from django.db import transaction

from accounts.models import User
from accounts.visitors import Visitor
from cart.counting import CART_ROWS, rows_in_cart
from events.models import CalendarEntry
from market.models import ProductItem


def adopt(user: User, cart_key: str, *, at: datetime) -> int:
    """Give `user` what lies under `cart_key`; answers how many rows joined. Twice at once does it once.

    The same time in the same room is there once. Pieces of a product add up to its maximum, and all rows to what a cart
    holds; what goes beyond is dropped, and so is a booking whose time has begun.
    """
    if not cart_key:
        return 0
    browser = Visitor(cart_key=cart_key)
    with transaction.atomic():
        user.lock()
        bookings = list(CalendarEntry.objects.in_cart_of(browser).locked())
        items = list(ProductItem.objects.in_cart_of(browser).select_related("product").locked())
        if not bookings and not items:
            return 0
        room = max(CART_ROWS - rows_in_cart(Visitor(user=user)), 0)
        joining = _bookings_to_join(user, bookings, at)[:room]
        pieces = _items_to_join(user, items)[: room - len(joining)]
        CalendarEntry.objects.in_cart_of(browser).filter(pk__in=joining).update(user=user, cart_key=None)
        ProductItem.objects.in_cart_of(browser).filter(pk__in=pieces).update(user=user, cart_key=None)
        CalendarEntry.objects.in_cart_of(browser).filter(pk__in=[row.pk for row in bookings]).delete()
        ProductItem.objects.in_cart_of(browser).filter(pk__in=[row.pk for row in items]).delete()
        return len(joining) + len(pieces)


def _bookings_to_join(user: User, bookings: list[CalendarEntry], at: datetime) -> list[int]:
    own = CalendarEntry.objects.in_cart_of(Visitor(user=user)).values_list("room_id", "starts_at", "ends_at")
    known: set[tuple[int | None, datetime, datetime]] = set(own)
    joining = []
    for booking in bookings:
        time = (booking.room_id, booking.starts_at, booking.ends_at)
        if time not in known and booking.starts_at > at:
            known.add(time)
            joining.append(booking.pk)
    return joining


def _items_to_join(user: User, items: list[ProductItem]) -> list[int]:
    counts: dict[int, int] = {}
    for product in ProductItem.objects.pending_for(user).values_list("product_id", flat=True):
        counts[product] = counts.get(product, 0) + 1
    joining = []
    for item in items:
        count = counts.get(item.product_id, 0)
        if count < item.product.max_per_order:
            counts[item.product_id] = count + 1
            joining.append(item.pk)
    return joining
