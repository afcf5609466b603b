"""Steps that buying tests share: filling a cart, ordering it, going to the payment page, paying."""

import re
import uuid
from collections.abc import Mapping
from datetime import datetime, time, timedelta

from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import User
from accounts.visitors import Visitor
from cart.adding import put_booking_in_cart, put_in_cart, put_items_in_cart
from cart.contents import Cart, cart_of
from events.models import Calendar, CalendarEntry, Page
from ledger.models import History
from market.models import Product
from orders.models import Order
from orders.placing import place
from payments.checkouts.opening import hosted_page
from payments.models import Checkout
from tests.factories import EventFactory, UserFactory
from tests.simulator import SimulatorProcess

HTMX = {"HX-Request": "true"}
MAIL_JOB = "orders.jobs.send_confirmation"
WEBHOOK = "/payments/sumup/webhook/"


def at_its_address(entry: CalendarEntry) -> CalendarEntry:
    """The entry as the views read it: with its page and ticket types."""
    return CalendarEntry.objects.with_page().prefetch_related("ticket_types").get(pk=entry.pk)


def fill(user: User, entry: CalendarEntry, wanted: Mapping[int, int] | int = 1) -> None:
    """Put tickets in the cart: a number at the entry's own price, or numbers by ticket type."""
    numbers = {0: wanted} if isinstance(wanted, int) else wanted
    put_in_cart(user, at_its_address(entry), numbers, at=timezone.now())


def shown(user: User) -> Cart:
    return cart_of(user, at=timezone.now())


def order_cart(
    user: User, *, page: Page | None = None, token: uuid.UUID | None = None, seen: str | None = None
) -> Order:
    """Order what the cart shows now, as the form of the cart would."""
    contents = shown(user) if page is None else shown(user).of_page(page)
    digest = contents.digest() if seen is None else seen
    return place(user, pages=[page] if page else None, token=token or uuid.uuid4(), seen=digest, at=timezone.now())


def ordered(entry: CalendarEntry | None = None, number: int = 1, user: User | None = None) -> Order:
    """An order that awaits payment, of `number` tickets at the entry's own price."""
    user = user or UserFactory.create()
    fill(user, entry or EventFactory.create(capacity=100), number)
    return order_cart(user)


def opened(order: Order, *, at: datetime | None = None) -> Checkout:
    """Its checkout, open at SumUp."""
    hosted_page(order, at=at or timezone.now())
    return Checkout.objects.filter(order=order).latest("pk")


def paid_at_sumup(sumup: SimulatorProcess, order: Order) -> Checkout:
    """Its checkout, paid at SumUp; we have not been told yet."""
    checkout = opened(order)
    sumup.pay(sumup_id(checkout))
    return checkout


def sumup_id(checkout: Checkout) -> str:
    assert checkout.sumup_id
    return checkout.sumup_id


def later(seconds: float = 0, *, minutes: float = 0) -> datetime:
    return timezone.now() + timedelta(minutes=minutes, seconds=seconds)


def from_now(change: dict[str, object]) -> dict[str, object]:
    """`change` with each span of time in it made a moment: so long from now, and not from when tests were collected."""
    return {name: timezone.now() + each if isinstance(each, timedelta) else each for name, each in change.items()}


def states_of(order: Order) -> list[str]:
    return list(order.tickets.order_by("pk").values_list("state", flat=True))


def held(entry: CalendarEntry) -> int:
    return CalendarEntry.objects.get(pk=entry.pk).held


def mail_jobs() -> int:
    return ProcrastinateJob.objects.filter(task_name=MAIL_JOB).count()


def moves_to(state: str, order: Order) -> list[int]:
    """How often each ticket of `order` went to `state`, by the history."""
    return [
        History.objects.filter(subject="ticket", subject_id=pk, field="state", new=state).count()
        for pk in order.tickets.order_by("pk").values_list("pk", flat=True)
    ]


def tell(client: Client, checkout_id: str) -> int:
    """SumUp's webhook; the status code of our answer."""
    body = {"event_type": "CHECKOUT_STATUS_CHANGED", "id": checkout_id}
    return client.post(WEBHOOK, body, content_type="application/json").status_code


def field(html: str, name: str) -> str:
    """The value of the last field of that name."""
    found = re.findall(rf'name="{name}" value="([^"]*)"', html)
    assert found, f"no field {name}"
    return str(found[-1])


def checkout_form(client: Client, address: str = "/cart/") -> dict[str, str]:
    """What the last pay button of a cart page sends: the one for everything."""
    page = client.get(address).content.decode()
    return {"token": field(page, "token"), "digest": field(page, "digest")}


def a_time(room: Calendar, *, days: int = 3, hour: int = 10, minutes: int = 60) -> tuple[datetime, datetime]:
    """From when to when: at `hour` o'clock by the room's clock, so many days from now."""
    zone = room.page.zone()
    day = timezone.now().astimezone(zone).date() + timedelta(days=days)
    start = datetime.combine(day, time(hour), zone)
    return start, start + timedelta(minutes=minutes)


def book(visitor: Visitor | User, room: Calendar, *, days: int = 3, hour: int = 10, minutes: int = 60) -> CalendarEntry:
    """Put time in a room in the cart."""
    start, end = a_time(room, days=days, hour=hour, minutes=minutes)
    return put_booking_in_cart(_visitor(visitor), room, start, end, at=timezone.now())


def take(visitor: Visitor | User, product: Product, number: int = 1) -> None:
    """Put pieces of a product in the cart."""
    put_items_in_cart(_visitor(visitor), product, number, at=timezone.now())


def _visitor(visitor: Visitor | User) -> Visitor:
    return visitor if isinstance(visitor, Visitor) else Visitor(user=visitor)


def all_states_of(order: Order) -> dict[str, list[str]]:
    """The states of all that an order took, by kind."""
    return {
        "tickets": states_of(order),
        "bookings": list(order.bookings.order_by("pk").values_list("state", flat=True)),
        "items": list(order.items.order_by("pk").values_list("state", flat=True)),
    }
