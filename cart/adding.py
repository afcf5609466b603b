"""Putting tickets, time in a room and products in the cart: pending rows, which hold nothing; a cart has a limit.

Whether there is enough of it is not asked: that is for whoever places the order.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from accounts.visitors import Visitor
from cart.counting import CART_ROWS, rows_in_cart
from events.models import Calendar, CalendarEntry, Ticket
from events.rooms import RoomHours, Span, busy_near, is_taken, nearest_free
from events.selling import Offer, offers_of
from events.states import EntryKind, EntryState
from market.models import Product, ProductItem
from market.selling import obstacle


class PurchaseRefusal(Exception):
    """Nothing was put in the cart; the text tells the buyer why."""


class TimeRefusal(PurchaseRefusal):
    """That time was not put in the cart; `nearest` are free times near it, none when the room cannot be booked."""

    def __init__(self, text: str, nearest: Sequence[Span] = ()) -> None:
        super().__init__(text)
        self.nearest = nearest


def _check_limit(visitor: Visitor, number: int) -> None:
    """Whether the cart of `visitor`, who is locked, holds `number` things more."""
    if rows_in_cart(visitor) + number > CART_ROWS:
        raise PurchaseRefusal(_("A cart holds at most %(count)s things.") % {"count": CART_ROWS})


# --- Tickets


def put_in_cart(user: User, entry: CalendarEntry, wanted: Mapping[int, int], *, at: datetime) -> int:
    """Make pending tickets of `entry` for `user`: `wanted` maps an offer's key to a number; answers how many.

    All or nothing. Raises PurchaseRefusal for what is not on sale, is no offer of this entry, or goes beyond a limit.
    """
    wanted = {key: number for key, number in wanted.items() if number}
    if not wanted:
        raise PurchaseRefusal(_("Choose at least one ticket."))
    offers = {offer.key: offer for offer in offers_of(entry, at=at)}
    with transaction.atomic():
        # The buyer's own row: two clicks at once must not pass the limits together.
        user.lock()
        in_cart = _pending_per_offer(user)
        for key, number in wanted.items():
            if key not in offers:
                raise PurchaseRefusal(_("This event does not sell that ticket."))
            _check(offers[key], number, in_cart.get((entry.pk, key), 0))
        _check_limit(Visitor(user=user), sum(wanted.values()))
        tickets = [
            Ticket(
                entry=entry,
                ticket_type_id=key or None,
                user=user,
                price=offers[key].price.amount,
                currency=offers[key].price.currency,
            )
            for key, number in wanted.items()
            for _each in range(number)
        ]
        return len(Ticket.objects.bulk_create(tickets))


def _pending_per_offer(user: User) -> dict[tuple[int, int], int]:
    counts: dict[tuple[int, int], int] = {}
    for entry_id, type_id in Ticket.objects.pending_for(user).values_list("entry_id", "ticket_type_id"):
        key = (entry_id, type_id or 0)
        counts[key] = counts.get(key, 0) + 1
    return counts


def _check(offer: Offer, number: int, in_cart: int) -> None:
    if offer.obstacle is not None:
        raise PurchaseRefusal(str(offer.obstacle.value))
    if number + in_cart > offer.maximum:
        raise PurchaseRefusal(
            _("%(name)s: at most %(maximum)s an order; your cart has %(count)s already.")
            % {"name": offer.name, "maximum": offer.maximum, "count": in_cart}
            if in_cart
            else _("%(name)s: at most %(maximum)s an order.") % {"name": offer.name, "maximum": offer.maximum}
        )
    if number + in_cart < offer.minimum:
        raise PurchaseRefusal(
            ngettext("%(name)s: at least %(minimum)s ticket.", "%(name)s: at least %(minimum)s tickets.", offer.minimum)
            % {"name": offer.name, "minimum": offer.minimum}
        )


# --- Time in a room


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
        _check_limit(visitor, 1)
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
    raise TimeRefusal(text, _free_near(hours, start, end, at))


def _free_near(hours: RoomHours, start: datetime, end: datetime, at: datetime) -> list[Span]:
    """Free times near the wanted one; of a time that has passed, the next ones from now on."""
    if hours.rules is None:
        return []
    around = max(start, at)
    return nearest_free(hours, busy_near(hours, around), around, end - start, at)


# --- Products


def put_items_in_cart(
    visitor: Visitor,
    product: Product,
    number: int,
    *,
    at: datetime,  # noqa: ARG001  (the clock of its siblings: a product has no hours of sale yet)
) -> int:
    """Put `number` pieces of `product` in the cart of `visitor`, all or nothing; answers how many.

    Reads product.page. Raises PurchaseRefusal for what is not for sale or goes beyond a limit.
    """
    if number < 1:
        raise PurchaseRefusal(_("Choose at least one."))
    reason = obstacle(product)
    if reason is not None:
        raise PurchaseRefusal(str(reason.value))
    with transaction.atomic():
        # Two clicks at once must not pass the limits together.
        visitor.lock()
        in_cart = ProductItem.objects.in_cart_of(visitor).filter(product=product).count()
        _check_number(product, number, in_cart)
        _check_limit(visitor, number)
        items = [
            ProductItem(product=product, price=product.price, currency=product.currency, **visitor.columns())
            for _each in range(number)
        ]
        return len(ProductItem.objects.bulk_create(items))


def _check_number(product: Product, number: int, in_cart: int) -> None:
    if number + in_cart <= product.max_per_order:
        return
    words = {"name": product.name, "maximum": product.max_per_order, "count": in_cart}
    if in_cart:
        raise PurchaseRefusal(_("%(name)s: at most %(maximum)s an order; your cart has %(count)s already.") % words)
    raise PurchaseRefusal(_("%(name)s: at most %(maximum)s an order.") % words)
