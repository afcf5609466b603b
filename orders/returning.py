"""Put it back in my cart: what an unpaid order took, once more as pending rows that remember what they replace."""

from datetime import datetime

from django.db import transaction

from accounts.visitors import Visitor
from cart.counting import CART_ROWS, rows_in_cart
from events.models import CalendarEntry, EntryQuerySet, Ticket, TicketQuerySet
from events.rooms import RoomHours, hours_of
from events.selling import obstacle, with_facts
from events.states import EntryKind, TicketState
from market import selling
from market.models import ItemQuerySet, ProductItem
from orders.models import Order
from orders.states import OrderState


def put_back(order: Order, *, at: datetime) -> int:
    """Fill the cart of the buyer of `order`, expired or cancelled, with what is still on sale; answers how many rows.

    A second click finds nothing to do: what lies in the cart, or was ordered again, is not put back twice. At most
    CART_ROWS rows stand in a cart; the rest stays out.
    """
    with transaction.atomic():
        order.user.lock()
        state = Order.objects.filter(pk=order.pk).locked().values_list("state", flat=True).get()
        if state not in (OrderState.EXPIRED, OrderState.CANCELLED):
            return 0
        room = max(CART_ROWS - rows_in_cart(Visitor(user=order.user)), 0)
        fitting = [*_tickets(order, at), *_bookings(order, at), *_items(order)][:room]
        Ticket.objects.bulk_create(row for row in fitting if isinstance(row, Ticket))
        CalendarEntry.objects.bulk_create(row for row in fitting if isinstance(row, CalendarEntry))
        ProductItem.objects.bulk_create(row for row in fitting if isinstance(row, ProductItem))
        return len(fitting)


def _missing(rows: TicketQuerySet | EntryQuerySet | ItemQuerySet) -> list[int]:
    """Those of `rows`, all of an order that is over, of which no copy is in a cart or was ordered again."""
    originals = rows.originals_by_copy()
    alive = rows.model._default_manager.filter(pk__in=originals).exclude(state=TicketState.CANCELLED)
    taken = {originals[pk] for pk in alive.values_list("pk", flat=True)}
    return [pk for pk in rows.values_list("pk", flat=True) if pk not in taken]


def _tickets(order: Order, at: datetime) -> list[Ticket]:
    rows = Ticket.objects.filter(order=order)
    missing = with_facts(Ticket.objects.filter(pk__in=_missing(rows)))
    return [_ticket(row) for row in missing if not obstacle(row.entry, row.ticket_type, at=at)]


def _ticket(row: Ticket) -> Ticket:
    copy = Ticket(entry=row.entry, ticket_type=row.ticket_type, user_id=row.user_id, currency=row.entry.currency)
    copy.price = copy.cost.amount  # today's: that is what its buyer sees in the cart
    copy.replaces = row
    return copy


def _bookings(order: Order, at: datetime) -> list[CalendarEntry]:
    rows = CalendarEntry.objects.bookings().filter(order=order)
    missing = list(CalendarEntry.objects.filter(pk__in=_missing(rows)).order_by("pk"))
    hours = hours_of({row.calendar_id for row in missing}) if missing else {}
    return [
        _booking(row, hours[row.calendar_id])
        for row in missing
        if hours[row.calendar_id].why_not(row.starts_at, row.ends_at, at) is None
    ]


def _booking(row: CalendarEntry, hours: RoomHours) -> CalendarEntry:
    price = hours.price(row.starts_at, row.ends_at)
    return CalendarEntry(
        kind=EntryKind.BOOKING,
        state=TicketState.PENDING,
        calendar_id=row.calendar_id,
        room_id=row.room_id,
        title=row.title,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        blocks=hours.blocked(row.starts_at, row.ends_at),
        user_id=row.user_id,
        price=price.amount,
        currency=price.currency,
        replaces=row,
    )


def _items(order: Order) -> list[ProductItem]:
    rows = ProductItem.objects.filter(order=order)
    missing = ProductItem.objects.filter(pk__in=_missing(rows)).with_page().order_by("pk")
    return [_item(row) for row in missing if not selling.obstacle(row.product)]


def _item(row: ProductItem) -> ProductItem:
    product = row.product
    return ProductItem(
        product=product, user_id=row.user_id, price=product.price, currency=product.currency, replaces=row
    )
