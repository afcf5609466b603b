"""What a visitor may ask for by number or name: what anybody may see, and what is in the visitor's own cart.

The rest is answered as if it were not there. What was unpublished while it lay in a cart can still be taken out.
"""

from django.db.models import Q, QuerySet

from accounts.models import User
from accounts.visitors import Visitor
from events.models import CalendarEntry, EntryQuerySet, Page, Ticket
from market.models import Product, ProductItem, ProductQuerySet


def entries_within(user: User, key: int) -> EntryQuerySet:
    """Events whose tickets of the type `key` (0: at the event's own price) `user` may ask for."""
    mine = Ticket.objects.pending_for(user).filter(ticket_type=key or None)
    return CalendarEntry.objects.public() | CalendarEntry.objects.events().filter(pk__in=mine.values("entry"))


def products_within(visitor: Visitor) -> ProductQuerySet:
    mine = ProductItem.objects.in_cart_of(visitor)
    return Product.objects.public() | Product.objects.filter(pk__in=mine.values("product"))


def pages_within(visitor: Visitor) -> QuerySet[Page]:
    """Pages whose part of the cart `visitor` may look at."""
    bookings = CalendarEntry.objects.in_cart_of(visitor).values("calendar__page")
    items = ProductItem.objects.in_cart_of(visitor).values("product__page")
    mine = Q(pk__in=bookings) | Q(pk__in=items)
    if visitor.user is not None:
        mine |= Q(pk__in=Ticket.objects.pending_for(visitor.user).values("entry__calendar__page"))
    return Page.objects.filter(Q(is_published=True) | mine)
