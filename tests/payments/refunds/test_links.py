"""The ways from a ticket, a booking and a piece of a product to the page that pays it back, one by one and in bulk."""

import re

import pytest
from django.test import Client

from events.models import Role
from events.organising.calling_off import call_off
from events.rooms.events import make_event
from orders.models import Order
from tests.desk import member, signed_in_as
from tests.factories import ProductFactory, RoomFactory
from tests.jobs import run_jobs
from tests.payments.admin.test_refunds import confirmed, of, words
from tests.payments.mixed import Shop, keys, shop, sold, states, wished
from tests.payments.money import ledgers_agree, refunded
from tests.simulator import SimulatorProcess

__all__ = ["shop"]  # a fixture

pytestmark = pytest.mark.django_db(transaction=True)

LISTS = {"ticket": "/admin/events/ticket/", "booking": "/admin/events/booking/", "item": "/admin/market/productitem/"}


def desk(shop: Shop, role: Role = Role.OWNER) -> Client:
    return signed_in_as(member((shop.page, role)))


def page_of(kind: str, order: Order) -> tuple[str, str]:
    """The admin's page of the first of `kind`, and the way from it."""
    pk = keys(order, kind)[0].partition(":")[2]
    return f"{LISTS[kind]}{pk}/change/", f"/admin/payments/refund/row/{kind}/{pk}/"


@pytest.mark.parametrize("kind", list(LISTS))
@pytest.mark.promise("owner-chooses-tickets")
def test_its_page_leads_to_its_payment_with_it_chosen(sumup: SimulatorProcess, shop: Shop, kind: str) -> None:
    order, checkout = sold(sumup, shop)
    page, way = page_of(kind, order)
    client, key = desk(shop), keys(order, kind)[0]

    assert way in words(client, page)
    answer = client.get(way, follow=True)
    assert answer.redirect_chain[0][0] == f"{of(checkout)}?row={key}"
    assert re.findall(r'value="(\w+:\d+)"[^>]* checked', answer.content.decode()) == [key]
    confirmed(client, of(checkout), rows=[key])
    run_jobs()

    assert [state for each in states(order) for state in each].count("refunded") == 1
    assert way not in words(client, page)
    assert ledgers_agree(sumup)


@pytest.mark.parametrize("kind", list(LISTS))
@pytest.mark.promise("owner-chooses-tickets")
def test_who_may_not_pay_back_is_not_led_there(sumup: SimulatorProcess, shop: Shop, kind: str) -> None:
    order, _checkout = sold(sumup, shop)
    page, way = page_of(kind, order)
    for role, status in [(Role.ORGANISER, 403), (Role.BOX_OFFICE, 403)]:
        client = desk(shop, role)
        assert way not in words(client, page)
        assert client.get(way).status_code == status
    stranger = signed_in_as(member((RoomFactory.create().page, Role.OWNER)))
    assert stranger.get(way).status_code == 404
    assert Client().get(way).status_code == 302


def test_finance_is_led_there_from_a_booking(sumup: SimulatorProcess, shop: Shop) -> None:
    order, _checkout = sold(sumup, shop)
    page, way = page_of("booking", order)
    assert way in words(desk(shop, Role.FINANCE), page)


def test_booking_whose_event_is_on_leads_nowhere_and_its_form_says_why(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    page, way = page_of("booking", order)
    booking = order.bookings.get()
    event = make_event(booking.pk, title="Flamenco", ticket_price=None, capacity=None, published=True, who="user:1")
    client = desk(shop)

    assert way not in words(client, page)
    answer = client.post(
        of(checkout), {"how": "whole", "way": "sumup", "reason": "Ill", "rows": keys(order, "booking")}
    )
    assert answer.status_code == 422
    assert "“Flamenco” came of it and is not called off" in answer.content.decode()

    call_off(event.pk, money_back=True, who="user:1", why="Rain")
    assert way in words(client, page)


@pytest.mark.promise("owner-chooses-tickets")
def test_each_kind_is_chosen_in_its_list_and_paid_back(sumup: SimulatorProcess, shop: Shop) -> None:
    order, _checkout = sold(sumup, shop)
    client = desk(shop)
    for kind, address in LISTS.items():
        pks = [key.partition(":")[2] for key in keys(order, kind)]
        answer = client.post(address, {"action": "pay_back", "_selected_action": pks})
        shown = client.get(answer.headers["Location"]).content.decode()
        assert "left out" not in shown
        assert client.post(answer.headers["Location"], {"reason": "Flood"}).status_code == 302
        run_jobs()

    assert {state for each in states(order) for state in each} == {"refunded"}
    assert ledgers_agree(sumup)


def test_what_cannot_be_paid_back_is_counted_by_kind(sumup: SimulatorProcess, shop: Shop) -> None:
    """A ticket and a piece with the same number are two things."""
    order, checkout = sold(sumup, shop)
    refunded(sumup, checkout, wished(keys(order, "item")))
    chosen = [*keys(order), "item:x", "order:1", "booking:99999999999999999999", "item:"]
    query = "&".join(f"row={key}" for key in chosen)

    text = words(desk(shop), f"/admin/payments/refund/bulk/?{query}")

    assert "2 of what you chose cannot be paid back" in text
    assert "<strong>€ 32.00</strong>" in text


def test_another_page_s_things_are_not_paid_back_in_bulk(sumup: SimulatorProcess, shop: Shop) -> None:
    order, _checkout = sold(sumup, shop)
    stranger = signed_in_as(member((ProductFactory.create().page, Role.OWNER)))
    query = "&".join(f"row={key}" for key in keys(order))
    answer = stranger.post(f"/admin/payments/refund/bulk/?{query}", {"reason": "Mine"})
    assert "Nothing of this can be paid back" in answer.content.decode()
    assert states(order) == (["confirmed"], ["confirmed"], ["confirmed"] * 2)
