"""The demo's trade: orders placed and paid the way a visitor does it, one refund, and one thing left to decide.

Everything goes through the shop's own functions and the simulator's pages, so that the books of a demo are in order.
"""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import requests
from django.conf import settings
from django.db import transaction

from accounts.models import User
from accounts.visitors import Visitor
from cart.adding import put_booking_in_cart, put_in_cart, put_items_in_cart
from cart.contents import cart_of
from dev.demo.scenery import EVENTS, ORDERS, OUTSIDE, REFUND, DemoEvent, DemoOrder
from events.models import Calendar, CalendarEntry
from events.rooms import RoomHours, Span
from market.models import Product
from orders.models import Order
from orders.placing import place
from payments.checkouts.opening import hosted_page
from payments.checkouts.settling import settle
from payments.models import Checkout
from payments.reconcile.round import Round
from payments.reconcile.running import AlreadyRunning, reconcile
from payments.refunds.asking import Wish, request_refund
from payments.refunds.sending import send
from payments.states import RefundKind

WHO = "seed_demo"
#: Orders of the demo have tokens of this name space: seeding twice places them once.
TOKENS = uuid.UUID("5b1c5c5e-3a55-4a6f-9d0e-0f0e7e5a2d11")
MOST_A_GUEST = 4


def end_is_marked() -> bool:
    """Whether a demo was made to its end."""
    return Order.objects.filter(cart_token=_token("done")).exists()


def mark_end(buyer: User, *, at: datetime) -> None:
    """The last order is the sign: the demo buyer's own, so that My tickets has something to show."""
    _order(buyer, DemoOrder("done", "", tickets=((EVENTS[0].title, (2,)),)), at)


def guest(number: int) -> str:
    return f"guest{number + 1}@example.org"


def trade(guests: int, *, at: datetime) -> None:
    """Sell what the demo has sold before anybody comes; again after it was stopped: what is there is not sold twice."""
    for event in EVENTS:
        _sell(event, guests, at)
    for order in ORDERS:
        _order(User.objects.get(email=order.buyer), order, at)
    _pay_back(at)
    _lose_sight(at)


def _sell(event: DemoEvent, guests: int, at: datetime) -> None:
    """Sell `event.sold` to the guests, a few tickets an order; what is past was sold before it began."""
    starts_at = CalendarEntry.objects.values_list("starts_at", flat=True).get(title=event.title)
    when = min(at, starts_at - timedelta(days=2))
    least = [kind.minimum for kind in event.types] or [1]
    number = 0
    for position, sold in enumerate(event.sold):
        for quantity in _portions(sold, least[position]):
            numbers = (0,) * position + (quantity,)
            order = DemoOrder(f"{event.title} {position} {number}", guest(number % guests), ((event.title, numbers),))
            _order(User.objects.get(email=order.buyer), order, when)
            number += 1


def _portions(total: int, least: int) -> Iterator[int]:
    """`total` in portions of `least` to MOST_A_GUEST, a little uneven, as people come."""
    turn = 0
    while total:
        portion = min(total, max(least, 1 + turn % MOST_A_GUEST))
        if 0 < total - portion < least:
            portion = total
        yield portion
        total, turn = total - portion, turn + 1


def _order(user: User, wanted: DemoOrder, at: datetime) -> None:
    """The order, placed and paid unless it is."""
    order = _placed(wanted)
    if order is None:
        with transaction.atomic():  # a cart that was filled and not ordered would be filled twice
            _fill(user, wanted, at)
            order = place(user, pages=None, token=_token(wanted.name), seen=cart_of(user, at=at).digest(), at=at)
    if order.total:
        _pay(order, at)


def _placed(wanted: DemoOrder) -> Order | None:
    return Order.objects.filter(cart_token=_token(wanted.name)).first()


def _fill(user: User, wanted: DemoOrder, at: datetime) -> None:
    for title, numbers in wanted.tickets:
        entry = CalendarEntry.objects.with_page().prefetch_related("ticket_types").get(title=title)
        keys = [kind.pk for kind in entry.ticket_types.all()] or [0]
        put_in_cart(user, entry, dict(zip(keys, numbers, strict=False)), at=at)
    for slug, number in wanted.products:
        product = Product.objects.select_related("page").get(slug=slug)
        put_items_in_cart(Visitor(user=user), product, number, at=at)
    for page, calendar, days in wanted.rooms:
        room = Calendar.objects.select_related("page").get(page__slug=page, slug=calendar)
        time = _a_time(room, days, at)
        put_booking_in_cart(Visitor(user=user), room, time.start, time.end, at=at)


def _a_time(room: Calendar, days: int, at: datetime) -> Span:
    """The third time of the first day from then on that the room is open."""
    hours, day = RoomHours.of(room), at.astimezone(room.page.zone()).date() + timedelta(days=days)
    while len(times := hours.times(day, at)) < 3:
        day += timedelta(days=1)
    return times[2]


def _pay(order: Order, at: datetime) -> None:
    """Pay as the buyer would, on the simulator's page, and settle what SumUp then says."""
    if Checkout.objects.filter(order=order, is_applied=True).exists():
        return
    hosted_page(order, at=at)
    checkout = Checkout.objects.get(order=order)
    _simulator("POST", f"pay/{checkout.sumup_id}")
    settle(checkout.pk, who=WHO, at=at)


def _pay_back(at: datetime) -> None:
    """One product comes back, and its price goes back through SumUp."""
    checkout = _paid(REFUND)
    refund = checkout.refunds.first()
    if refund is None:
        item = checkout.order.items.order_by("pk")[0]
        wish = Wish(RefundKind.ROW, f"item:{item.pk}")
        refund = request_refund(checkout.pk, [wish], reason="It was bent in the tube.", who=WHO, at=at)
    if refund is not None:
        send(refund.pk, who=WHO, at=at)


def _lose_sight(at: datetime) -> None:
    """Somebody pays a part back in SumUp's dashboard; the comparison finds it and asks what it was for."""
    transaction_id = _paid(OUTSIDE).transaction_id
    gone = _simulator("GET", "ledger").json()["refunds"]
    if not any(row["transaction_id"] == transaction_id for row in gone):
        _simulator("POST", f"refund/{transaction_id}", amount=str(Decimal(4)))
    try:
        reconcile(Round(clock=lambda: at), who=WHO)
    except AlreadyRunning:
        return


def _paid(name: str) -> Checkout:
    return Checkout.objects.select_related("order", "merchant").get(order__cart_token=_token(name), is_applied=True)


def _simulator(method: str, path: str, **body: str) -> requests.Response:
    answer = requests.request(method, f"{settings.SUMUP_API_URL}/simulator/{path}", json=body, timeout=10)
    answer.raise_for_status()
    return answer


def _token(name: str) -> uuid.UUID:
    return uuid.uuid5(TOKENS, name)
