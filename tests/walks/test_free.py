"""Where all is free nobody speaks of SumUp, of paying or of refunds: on no page, in no mail, on no paper."""

import re
from decimal import Decimal

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from events.models import Merchant, Page
from events.organising.calling_off import call_off
from events.organising.mails import tell_called_off
from events.tickets.handing_on import send_on
from orders.jobs import send_confirmation
from orders.links import link_token
from orders.models import Order
from tests.factories import EventFactory, PageFactory, ProductFactory, RoomFactory, TicketTypeFactory, UserFactory
from tests.papers import pages_of
from tests.steps import HTMX, a_time, book, fill, order_cart, take

pytestmark = pytest.mark.django_db

SPOKEN = re.compile(r"sumup|\bcard\b|\bpa(?:y|id)|refund|money", re.IGNORECASE)


def spoken(body: str) -> set[str]:
    """The words in what the page itself says; head, foot, menu and front page are the site's, which sells more."""
    main = re.search(r"<main.*?</main>", body, re.DOTALL)
    text = re.sub(r"<style.*?</style>|<[^>]*>", " ", main[0] if main else body, flags=re.DOTALL)
    return {text[max(found.start() - 30, 0) : found.end() + 20] for found in SPOKEN.finditer(text)}


@pytest.fixture
def house() -> Page:
    return PageFactory.create(slug="house", name="House", merchant=None)


@pytest.mark.promise("where-all-free")
def test_nobody_speaks_of_money_where_all_is_free(client: Client, house: Page) -> None:
    entry = EventFactory.create(calendar__page=house, ticket_price=Decimal(0), capacity=9)
    typed = TicketTypeFactory.create(
        entry=EventFactory.create(calendar__page=house), price=Decimal(0), capacity=1, min_per_order=2, max_per_order=4
    )
    full = EventFactory.create(calendar__page=house, ticket_price=Decimal(0), capacity=0)
    mug = ProductFactory.create(page=house, price=Decimal(0))
    room = RoomFactory.create(page=house, rules__price=Decimal(0), rules__slot_minutes=60)
    buyer = UserFactory.create()
    shown = {
        "/p/house/": "page", mug.get_absolute_url(): "product", room.get_absolute_url(): "room",
        f"{room.get_absolute_url()}?view=week": "week", entry.get_absolute_url(): "event",
        typed.entry.get_absolute_url(): "too few left", full.get_absolute_url(): "sold out",
    }  # fmt: skip
    told = {f"{name}, signed out": spoken(client.get(address).content.decode()) for address, name in shown.items()}
    client.force_login(buyer)
    told |= {name: spoken(client.get(address).content.decode()) for address, name in shown.items()}
    told["bought"] = spoken(client.post(f"/e/{entry.pk}/buy/", {"quantity-0": "2"}, headers=HTMX).content.decode())
    start, _end = a_time(room)
    picked = client.post(
        f"{room.get_absolute_url()}book/", {"time": f"{start:%Y-%m-%dT%H:%M}Z/60"}, headers=HTMX
    ).content.decode()
    told["picked"] = spoken(picked)
    fill(buyer, entry, 2)
    book(buyer, room, hour=12)
    take(buyer, mug)
    told["cart"] = spoken(client.get("/cart/").content.decode())
    order = order_cart(buyer)
    told["empty cart"] = spoken(client.get("/cart/").content.decode())
    mail.outbox.clear()
    send_confirmation(order_id=order.pk, copy=0)
    (sent,) = mail.outbox
    assert isinstance(sent, mail.EmailMultiAlternatives)
    told["mail"] = spoken(str(sent.body)) | spoken(str(sent.alternatives[0][0]))
    told["paper"] = spoken(" ".join(pages_of(client.get(f"/orders/{order.code}.pdf").content)))
    for name, address in {
        "order": f"/orders/{order.code}/", "orders": "/orders/", "tickets": "/tickets/",
        "ticket": f"/tickets/{order.tickets.earliest('pk').code}/", "link": f"/orders/link/{link_token(order)}/",
    }.items():  # fmt: skip
        told[name] = spoken(client.get(address).content.decode())

    assert Order.objects.get().total == 0
    assert {name: words for name, words in told.items() if words} == {}


def test_nobody_speaks_of_money_before_anything_is_ordered(client: Client, house: Page) -> None:
    room = RoomFactory.create(page=house, rules__price=Decimal(0), rules__slot_minutes=60)
    told = {"empty cart, signed out": spoken(client.get("/cart/").content.decode())}
    start, _end = a_time(room)
    client.post(f"{room.get_absolute_url()}book/", {"time": f"{start:%Y-%m-%dT%H:%M}Z/60"})
    cart = client.get("/cart/").content.decode()
    assert "Sign in to confirm" in cart
    told["cart, signed out"] = spoken(cart)
    client.force_login(UserFactory.create())
    told["no orders"] = spoken(client.get("/orders/").content.decode())

    assert {name: words for name, words in told.items() if words} == {}


@pytest.mark.parametrize("money_back", [True, False])
def test_a_free_event_that_is_called_off_speaks_of_no_money(client: Client, house: Page, *, money_back: bool) -> None:
    entry = EventFactory.create(calendar__page=house, ticket_price=Decimal(0))
    buyer = UserFactory.create()
    fill(buyer, entry, 2)
    order = order_cart(buyer)
    given = order.tickets.latest("pk")
    send_on(given, to="friend@example.org", holder="Friend", who=f"user:{buyer.pk}", at=timezone.now())
    call_off(entry.pk, money_back=money_back, who="user:1", why="Rain")
    mail.outbox.clear()
    tell_called_off(entry.pk, order.pk)
    told = {}
    for sent in mail.outbox:
        assert isinstance(sent, mail.EmailMultiAlternatives)
        assert "no longer valid" in str(sent.body)
        told[sent.to[0]] = spoken(str(sent.body)) | spoken(str(sent.alternatives[0][0]))
    assert set(told) == {buyer.email, "friend@example.org"}
    told["event, signed out"] = spoken(client.get(entry.get_absolute_url()).content.decode())
    client.force_login(buyer)
    for address in (entry.get_absolute_url(), f"/orders/{order.code}/", "/orders/", "/tickets/"):
        told[address] = spoken(client.get(address).content.decode())
    for ticket in order.tickets.all():
        told[ticket.code] = spoken(client.get(f"/tickets/{ticket.code}/").content.decode())

    assert {name: words for name, words in told.items() if words} == {}


def test_a_price_is_spoken_of(client: Client, merchant: Merchant) -> None:
    """The walk can fail."""
    client.force_login(UserFactory.create())
    assert spoken(client.get(EventFactory.create().get_absolute_url()).content.decode())
