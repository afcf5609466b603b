"""Carts of strangers: so many new ones a minute from one address, and nothing is made by what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from events.models import CalendarEntry
from events.rooms import Span
from events.rooms.reading import written
from market.models import ProductItem
from tests.factories import ProductFactory, RoomFactory, UserFactory
from tests.steps import HTMX, a_time

pytestmark = pytest.mark.django_db

LIMIT = 30
#: Puts one thing in the cart of a client.
Put = Callable[[Client], Any]


def of_product() -> Put:
    address = f"{ProductFactory.create().get_absolute_url()}buy/"
    return lambda client: client.post(address, {"quantity": "1"})


def of_room() -> Put:
    room = RoomFactory.create()
    time = written(Span(*a_time(room)))
    return lambda client: client.post(f"{room.get_absolute_url()}book/", {"time": time})


def made() -> tuple[int, int]:
    """(sessions, rows of carts)"""
    rows = ProductItem.objects.count() + CalendarEntry.objects.bookings().count()
    return Session.objects.count(), rows


@pytest.mark.parametrize("kind", [of_product, of_room])
@pytest.mark.promise("thirty-new-carts")
def test_thirty_new_carts_a_minute_from_one_address(kind: Callable[[], Put]) -> None:
    put = kind()
    assert [put(Client()).status_code for _cart in range(LIMIT)] == [302] * LIMIT
    assert made() == (LIMIT, LIMIT)

    refused = put(Client())

    assert refused.status_code == 429
    assert "sign in" in refused.content.decode()
    assert refused.headers["Retry-After"] == "60"
    assert made() == (LIMIT, LIMIT)
    assert put(Client(REMOTE_ADDR="192.0.2.7")).status_code == 302


def test_htmx_is_told_by_the_status_and_the_page_has_the_words(client: Client) -> None:
    product = ProductFactory.create()
    for _cart in range(LIMIT):
        of_product()(Client())
    address = product.get_absolute_url()
    assert client.post(f"{address}buy/", {"quantity": "1"}, headers=HTMX).status_code == 429
    assert "data-429=" in client.get(address).content.decode()


@pytest.mark.promise("thirty-new-carts")
def test_somebody_signed_in_never_waits() -> None:
    """A venue's guests share one address."""
    put = of_product()
    for _cart in range(LIMIT + 1):
        put(Client())
    client = Client()
    client.force_login(UserFactory.create())

    assert put(client).status_code == 302


@pytest.mark.promise("thirty-new-carts")
def test_who_has_a_cart_is_not_counted() -> None:
    put = of_product()
    has_one = Client()
    put(has_one)
    for _cart in range(LIMIT):
        put(Client())

    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert put(has_one).status_code == 302

    assert not [query for query in queries if "foyer_cache" in query["sql"]]


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
    ],
)
def test_an_ipv6_network_counts_as_one_and_ipv4_within_ipv6_as_itself(one: str, other: str, together: bool) -> None:
    put = of_product()
    for _cart in range(LIMIT):
        put(Client(REMOTE_ADDR=one))
    assert put(Client(REMOTE_ADDR=other)).status_code == (429 if together else 302)


def test_the_address_is_the_one_that_our_proxy_tells(settings: Settings) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    put = of_product()
    for cart in range(LIMIT):
        put(Client(headers={"X-Forwarded-For": f"198.51.100.{cart}, 192.0.2.1"}))
    assert put(Client(headers={"X-Forwarded-For": "203.0.113.9, 192.0.2.1"})).status_code == 429
    assert put(Client(headers={"X-Forwarded-For": "192.0.2.1, 192.0.2.2"})).status_code == 302


@pytest.mark.promise("refused-purchase-makes")
def test_a_refused_purchase_makes_no_session() -> None:
    product, room = ProductFactory.create(max_per_order=2), RoomFactory.create()
    past = written(Span(*a_time(room, days=-3)))
    assert Client().post(f"{product.get_absolute_url()}buy/", {"quantity": "3"}).status_code == 422
    assert Client().post(f"{product.get_absolute_url()}buy/", {"quantity": "x"}).status_code == 422
    assert Client().post(f"{room.get_absolute_url()}book/", {"time": past}).status_code == 422
    assert made() == (0, 0)
