"""A database with one of everything, for the tests that walk every address; SumUp does not answer in it."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.visitors import SESSION_KEY, Visitor
from events.models import Calendar, CalendarEntry, PageMember, Role
from market.models import Product
from orders.fulfilling import fulfil
from payments.models import Case, Checkout, RefundBatch, SumUpReport
from payments.states import CaseKind
from tests.desk import House, house, ordered
from tests.factories import EventFactory, ProductFactory, RoomFactory, UserFactory
from tests.ledger.lives import SOLD_WAYS, a_booking, a_checkout, a_refund, an_item, lead
from tests.ledger.psql import run
from tests.steps import book, fill, order_cart, take

PASSWORD = "a long enough password"
#: Everybody who may come, by name.
VISITORS = ("signed out", "buyer", *Role.values, "superuser")
CART_KEY = "the-cart-key-of-a-browser"


@dataclass
class Town:
    """Two houses; in each somebody has each role. `buyer` has ordered, has a cart and an order to pay."""

    houses: list[House]
    rooms: list[Calendar]
    products: list[Product]
    buyer: User
    staff: dict[str, User]

    def client(self, name: str, *, csrf: bool = False) -> Client:
        """A browser of one of VISITORS; the one signed out has something in its cart."""
        client = Client(enforce_csrf_checks=csrf, raise_request_exception=False)
        user = self.user(name)
        if isinstance(user, User):
            client.force_login(user)
        else:
            session = client.session
            session[SESSION_KEY] = CART_KEY
            session.save()
        return client

    def user(self, name: str) -> User | AnonymousUser:
        others: dict[str, User | AnonymousUser] = {"signed out": AnonymousUser(), "buyer": self.buyer}
        return others.get(name) or self.staff[name]


def town() -> Town:
    cache.clear()  # the counters of the rate limits
    homes = [house("Alpha"), house("Beta")]
    rooms = [RoomFactory.create(page=home.page) for home in homes]
    products = [ProductFactory.create(page=home.page, stock=40) for home in homes]
    staff = {role: UserFactory.create(is_staff=True) for role in Role.values}
    for role, user in staff.items():
        for home in homes:
            PageMember.objects.create(page=home.page, user=user, role=role)
    staff["superuser"] = UserFactory.create(is_staff=True, is_superuser=True, password=PASSWORD)
    built = Town(homes, rooms, products, homes[0].order.user, staff)
    for home, room, product in zip(homes, rooms, products, strict=True):
        _sell(home, room, product)
    _fill_carts(built)
    return built


def _sell(home: House, room: Calendar, product: Product) -> None:
    """What one finds in a house after some weeks: a piece and a time sold, money owed, refunds, cases, a draft."""
    buyer, at = home.order.user, timezone.now()
    an_item("confirmed", product=product, order=home.order)
    for state, hours in (("confirmed", 30), ("refund_due", 50)):
        booking = a_booking(room=room, user=buyer, starts_in=hours)
        lead("events_calendarentry", booking.pk, SOLD_WAYS[state], home.order, buyer)
    EventFactory.create(calendar=home.entry.calendar, title=f"{home.page.name} draft", draft=True)
    for state in ("requested", "unknown", "failed"):
        a_refund(state, checkout=_paid(home, buyer), amount=Decimal(1))
    owed = _paid(home, buyer)
    lead("events_ticket", owed.order.tickets.get().pk, ["refund_due"], owed.order, buyer)
    run("UPDATE events_calendarentry SET state = 'cancelled' WHERE id = %s", _another(home).pk)
    RefundBatch.objects.create(entry=_another(home), reason="Ill", requested_by="user:1", requested_at=at)
    SumUpReport.objects.create(
        merchant=owed.merchant, transaction_id=f"t-{owed.pk}", event_id="1", kind="REFUND", status="REFUNDED",
        amount=1, currency="EUR", happened_at=at, checkout=owed, first_seen_at=at,
    )  # fmt: skip
    for kind in CaseKind.values:
        Case.objects.create(
            kind=kind, order=owed.order, checkout=owed, merchant=home.page.merchant, amount=1, currency="EUR",
            words=kind, opened_at=at - timedelta(days=2), transaction_code=f"{kind}-{home.page.pk}",
        )  # fmt: skip


def _another(home: House) -> CalendarEntry:
    return EventFactory.create(calendar=home.entry.calendar, title=f"{home.page.name} off", ticket_price=9)


def _paid(home: House, buyer: User) -> Checkout:
    """The payment of a ticket."""
    assert home.page.merchant
    order = ordered({home.ticket_type: 1}, buyer, home.page.merchant)
    checkout = a_checkout("paid", order=order)
    with transaction.atomic():
        fulfil(order, at=timezone.now())
    return checkout


def _fill_carts(built: Town) -> None:
    """An order that waits for its payment and one that was not paid; then each kind in the buyer's and a browser's."""
    first, second = built.houses
    fill(built.buyer, second.entry, {second.ticket_type.pk: 1})
    order_cart(built.buyer)
    assert first.page.merchant
    unpaid = ordered({first.ticket_type: 1}, built.buyer, first.page.merchant)
    run("UPDATE events_ticket SET state = 'cancelled' WHERE order_id = %s", unpaid.pk)
    run("UPDATE orders_order SET state = 'cancelled' WHERE id = %s", unpaid.pk)
    fill(built.buyer, first.entry, {first.ticket_type.pk: 2})
    for visitor in (built.buyer, Visitor(cart_key=CART_KEY)):
        book(visitor, built.rooms[0], days=3)
        take(visitor, built.products[0], 2)
