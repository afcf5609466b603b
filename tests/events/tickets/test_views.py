"""My tickets, and a ticket: its owner's alone, never kept by a cache, valid only when it is."""

import math
from decimal import Decimal

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from events.models import CalendarEntry, Ticket
from events.models.tickets import new_ticket_code
from events.tickets import views
from orders.models import Order, new_order_code
from tests.factories import EventFactory, TicketTypeFactory, UserFactory
from tests.steps import fill, later, order_cart, ordered

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]


def free_order(user: User, number: int = 1, **fields: object) -> Order:
    """A confirmed order of free tickets."""
    fill(user, EventFactory.create(ticket_price=Decimal(0), **fields), number)
    return order_cart(user)


def ticket_of(order: Order) -> Ticket:
    ticket = order.tickets.first()
    assert ticket is not None
    return ticket


def test_a_ticket_shows_its_code_and_a_qr_code(client: Client, buyer: User) -> None:
    ticket = ticket_of(free_order(buyer, title="Jazz"))

    response = client.get(f"/tickets/{ticket.code}/")

    body = response.content.decode()
    assert "Jazz" in body
    assert "<svg" in body
    assert ticket.code in body.replace(" ", "")


@pytest.mark.parametrize("address", ["/tickets/", "/tickets/{code}/"])
def test_ticket_pages_ask_for_sign_in_and_come_back(client: Client, address: str) -> None:
    address = address.format(code=ticket_of(free_order(UserFactory.create())).code)

    response = client.get(address)

    assert (response.status_code, response["Location"]) == (302, f"/accounts/login/?next={address}")


@pytest.mark.parametrize("address", ["/tickets/", "/tickets/{code}/"])
def test_ticket_pages_are_kept_by_nobody(client: Client, buyer: User, address: str) -> None:
    response = client.get(address.format(code=ticket_of(free_order(buyer)).code))

    assert {"private", "no-store"} <= set(response["Cache-Control"].split(", "))


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_ticket_pages_are_read_only(client: Client, buyer: User, method: str) -> None:
    code = ticket_of(free_order(buyer)).code

    assert getattr(client, method)("/tickets/").status_code == 405
    assert getattr(client, method)(f"/tickets/{code}/").status_code == 405


def test_somebody_else_s_ticket_is_not_found(client: Client, buyer: User) -> None:
    order = free_order(UserFactory.create(), title="Secret")

    assert client.get(f"/tickets/{ticket_of(order).code}/").status_code == 404
    assert "Secret" not in client.get("/tickets/").content.decode()


def test_a_ticket_still_in_the_cart_is_not_found(client: Client, buyer: User) -> None:
    fill(buyer, EventFactory.create())

    assert client.get(f"/tickets/{Ticket.objects.get().code}/").status_code == 404


@pytest.mark.parametrize("code", ["nothing", "A" * 500, "%27%20OR%201=1--", "..%2F", "1"])
def test_a_code_that_is_none_is_not_found(client: Client, buyer: User, code: str) -> None:
    assert client.get(f"/tickets/{code}/").status_code == 404


def test_a_reserved_ticket_shows_no_qr_code(client: Client, buyer: User) -> None:
    ticket = ticket_of(ordered(user=buyer))

    body = client.get(f"/tickets/{ticket.code}/").content.decode()

    assert 'class="qr"' not in body
    assert "not paid yet" in body
    assert ticket.code not in client.get("/tickets/").content.decode()


def test_my_tickets_tells_past_ones_apart(client: Client, buyer: User) -> None:
    free_order(buyer, title="Still to come")
    gone = ticket_of(free_order(buyer, title="Long gone"))
    CalendarEntry.objects.filter(pk=gone.entry_id).update(starts_at=later(minutes=-9000), ends_at=later(minutes=-8000))

    context = client.get("/tickets/").context

    assert [ticket.entry.title for ticket in context["coming"]] == ["Still to come"]
    assert [ticket.entry.title for ticket in context["past"]] == ["Long gone"]


def test_codes_hold_at_least_128_random_bits() -> None:
    for make in (new_ticket_code, new_order_code):
        codes = {make() for _ in range(500)}
        letters = {letter for code in codes for letter in code}
        assert len(codes) == 500
        assert len(letters) == 32
        assert all(len({code[place] for code in codes}) > 20 for place in range(26))
        assert 26 * math.log2(len(letters)) >= 128


def test_my_tickets_ask_as_often_for_thirty_as_for_one(
    client: Client, buyer: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    free_order(buyer)
    with django_assert_num_queries(4):
        client.get("/tickets/")
    for _ in range(5):
        kind = TicketTypeFactory.create(price=Decimal(0))
        fill(buyer, kind.entry, {kind.pk: 6})
        order_cart(buyer)
    with django_assert_num_queries(4):
        assert len(client.get("/tickets/").context["coming"]) == 31


def test_a_ticket_asks_a_fixed_number_of_times(
    client: Client, buyer: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in (1, 10):
        ticket = ticket_of(free_order(buyer, number))
        with django_assert_num_queries(5):
            client.get(f"/tickets/{ticket.code}/")


def test_a_ticket_s_page_begins_with_it_and_goes_on_with_the_others_of_its_order(client: Client, buyer: User) -> None:
    tickets = list(free_order(buyer, 3).tickets.order_by("pk"))
    free_order(buyer, title="Another order")

    places = client.get(tickets[1].get_absolute_url()).context["places"]

    first, second, third = (ticket.code for ticket in tickets)
    assert [(place.number, place.ticket.code, place.previous, place.next) for place in places] == [
        (2, second, first, third),
        (3, third, second, ""),
        (1, first, "", second),
    ]


def test_a_ticket_alone_is_no_strip_to_scroll(client: Client, buyer: User) -> None:
    body = client.get(ticket_of(free_order(buyer)).get_absolute_url()).content.decode()

    assert body.count('class="qr"') == 1
    for words in ("side by side", "Next ticket", "1 of 1", "Ticket 1"):
        assert words not in body


def test_no_more_than_so_many_tickets_lie_side_by_side(
    client: Client, buyer: User, django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "SIDE_BY_SIDE", 3)
    last = free_order(buyer, 5).tickets.order_by("pk").last()
    assert last is not None

    with django_assert_num_queries(5):
        response = client.get(last.get_absolute_url())

    assert [place.number for place in response.context["places"]] == [5, 1, 2]
    body = response.content.decode()
    assert body.count('class="qr"') == 3
    assert "5 of 5" in body


def test_a_ticket_that_was_sent_on_is_not_beside_the_others(client: Client, buyer: User) -> None:
    order = free_order(buyer, 2)
    stays, goes = order.tickets.order_by("pk")
    client.post(f"/tickets/{goes.code}/send/", {"email": "jo@example.org"})

    assert [place.ticket.pk for place in client.get(stays.get_absolute_url()).context["places"]] == [stays.pk]


def test_a_form_refused_keeps_the_tickets_side_by_side(client: Client, buyer: User) -> None:
    ticket = ticket_of(free_order(buyer, 2))

    response = client.post(f"/tickets/{ticket.code}/send/", {"email": "nobody"})

    assert response.status_code == 422
    assert len(response.context["places"]) == 2
    assert "1 of 2" in response.content.decode()
