"""My orders and an order's page: the buyer sees all of it, the code alone only whether it is paid, others nothing."""

from decimal import Decimal

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from orders.models import Order
from orders.releasing import request_cancel
from tests.factories import EventFactory, TicketTypeFactory, UserFactory
from tests.steps import fill, later, order_cart, ordered

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]


@pytest.fixture
def buyer(client: Client) -> User:
    user = UserFactory.create()
    client.force_login(user)
    return user


def page_of(client: Client, order: Order) -> str:
    response = client.get(f"/orders/{order.code}/")
    assert response.status_code == 200
    return response.content.decode()


def free_order(user: User, title: str = "Jazz") -> Order:
    fill(user, EventFactory.create(ticket_price=Decimal(0), title=title), 2)
    return order_cart(user)


@pytest.mark.parametrize("is_signed_in", [True, False])
def test_order_pages_are_private_and_kept_by_nobody(client: Client, is_signed_in: bool) -> None:
    order = ordered()
    if is_signed_in:
        client.force_login(order.user)

    for address in ("/orders/", f"/orders/{order.code}/", f"/orders/{order.code}/status/"):
        assert set(client.get(address)["Cache-Control"].split(", ")) == {"private", "no-store"}


def test_an_order_that_awaits_payment_offers_to_pay_and_to_cancel(client: Client, buyer: User) -> None:
    order = ordered(EventFactory.create(title="Jazz"), 2, buyer)

    body = page_of(client, order)

    assert "Pay € 24.00" in body
    assert f'action="/orders/{order.code}/pay/"' in body
    assert f'action="/orders/{order.code}/cancel/"' in body
    assert f'hx-get="/orders/{order.code}/status/?seen=awaiting_payment"' in body
    assert "Jazz – Ticket" in body
    assert "Show the code" not in body


def test_an_order_being_cancelled_offers_neither(client: Client, buyer: User) -> None:
    order = ordered(user=buyer)
    request_cancel(order, at=later())

    body = page_of(client, order)

    assert "being cancelled" in body
    assert "/pay/" not in body


def test_a_confirmed_order_lists_its_tickets(client: Client, buyer: User) -> None:
    order = free_order(buyer)

    body = page_of(client, order)

    assert body.count("Show the code") == 2
    for ticket in order.tickets.all():
        assert f'href="/tickets/{ticket.code}/"' in body
    assert "hx-trigger" not in body


def test_signed_out_the_code_alone_shows_the_state_and_no_more(client: Client) -> None:
    order = free_order(UserFactory.create(email="secret@example.org"), title="Private evening")

    body = page_of(client, order)

    assert "Confirmed" in body
    assert f"/accounts/login/?next=/orders/{order.code}/" in body
    for secret in ("Private evening", "secret@example.org", order.tickets.all()[0].code):
        assert secret not in body


def test_signed_out_an_unpaid_order_offers_no_payment(client: Client) -> None:
    body = page_of(client, ordered())

    assert "Waiting for your payment" in body
    assert "/pay/" not in body


def test_somebody_else_s_order_is_not_found(client: Client, buyer: User) -> None:
    order = free_order(UserFactory.create(), title="Private evening")

    for address in (f"/orders/{order.code}/", f"/orders/{order.code}/status/"):
        assert client.get(address).status_code == 404
    for act in ("pay", "cancel"):
        assert client.post(f"/orders/{order.code}/{act}/").status_code == 404
    assert "Private evening" not in client.get("/orders/").content.decode()


@pytest.mark.parametrize("is_signed_in", [True, False])
@pytest.mark.parametrize("code", ["nothing", "A" * 500, "%27%20OR%201=1", "..%2F", "%EF%BC%A1"])
def test_a_code_that_is_none_is_not_found(client: Client, buyer: User, code: str, is_signed_in: bool) -> None:
    if not is_signed_in:
        client.logout()
    for end in ("", "status/"):
        assert client.get(f"/orders/{code}/{end}").status_code == 404


def test_the_short_code_opens_nothing(client: Client) -> None:
    order = ordered()

    assert client.get(f"/orders/{order.short_code}/").status_code == 404
    assert client.get(f"/orders/{order.pk}/").status_code == 404


def test_my_orders_ask_for_sign_in(client: Client) -> None:
    assert client.get("/orders/")["Location"] == "/accounts/login/?next=/orders/"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_order_pages_are_read_only(client: Client, buyer: User, method: str) -> None:
    order = ordered(user=buyer)

    for address in ("/orders/", f"/orders/{order.code}/", f"/orders/{order.code}/status/"):
        assert getattr(client, method)(address).status_code == 405


def test_my_orders_ask_as_often_for_six_as_for_one(
    client: Client, buyer: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    free_order(buyer)
    with django_assert_num_queries(6):
        client.get("/orders/")
    for _ in range(5):
        free_order(buyer)
    with django_assert_num_queries(6):
        assert client.get("/orders/").content.decode().count("Confirmed") == 6


def test_an_order_asks_as_often_for_thirty_tickets_as_for_one(
    client: Client, buyer: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    fill(buyer, EventFactory.create())
    small = order_cart(buyer)
    for _ in range(5):
        kind = TicketTypeFactory.create()
        fill(buyer, kind.entry, {kind.pk: 6})
    big = order_cart(buyer)
    for order in (small, big):
        with django_assert_num_queries(5):
            page_of(client, order)
    assert big.tickets.count() == 30
