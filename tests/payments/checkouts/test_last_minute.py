"""In the last minute of SumUp's page nobody is sent there, from no place; it is said why."""

from datetime import datetime, timedelta

import pytest
from django.test import Client

from accounts.models import User
from ledger import clock
from orders.links import link_token
from orders.models import LAST_CALL, LEAST_LEFT, Order
from payments.checkouts.opening import MARGIN, NotPayable, hosted_page
from payments.models import Checkout
from tests.factories import EventFactory, UserFactory
from tests.simulator import SimulatorProcess
from tests.steps import checkout_form, fill, opened, ordered

pytestmark = pytest.mark.django_db


@pytest.fixture
def buyer(client: Client) -> User:
    user = UserFactory.create()
    client.force_login(user)
    return user


def with_left(left: timedelta, order: Order, monkeypatch: pytest.MonkeyPatch) -> datetime:
    now = order.hold_until - left
    monkeypatch.setattr(clock, "now", lambda: now)
    return now


def places(client: Client, order: Order) -> dict[str, str]:
    """Every page that may offer to pay."""
    signed_out = Client()
    addresses = {
        "order": f"/orders/{order.code}/",
        "poll": f"/orders/{order.code}/status/?seen=awaiting_payment",
        "cart": "/cart/",
        "list": "/orders/",
    }
    pages = {
        name: client.get(address, headers={"HX-Request": "true"} if name == "poll" else {}).content.decode()
        for name, address in addresses.items()
    }
    pages["link"] = signed_out.get(f"/orders/link/{link_token(order)}/").content.decode()
    return pages


def offering(client: Client, order: Order) -> set[str]:
    return {name for name, page in places(client, order).items() if "/pay/" in page}


def test_the_last_minute_is_that_of_the_page() -> None:
    assert timedelta(minutes=1) == LAST_CALL - MARGIN


def test_paying_is_offered_until_the_page_s_last_minute_and_nowhere_in_it(
    client: Client, buyer: User, sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = opened(ordered(user=buyer)).order
    with_left(LAST_CALL + timedelta(seconds=1), order, monkeypatch)
    assert offering(client, order) == {"order", "poll", "cart", "link"}
    assert client.post(f"/orders/{order.code}/pay/").status_code == 303

    now = with_left(LAST_CALL, order, monkeypatch)
    assert offering(client, order) == set()
    with pytest.raises(NotPayable):
        hosted_page(order, at=now)
    answer = client.post(f"/orders/{order.code}/pay/", follow=True)
    assert (
        "Too little time is left to pay this order. What it holds is given back in 3 minutes" in answer.content.decode()
    )
    assert Checkout.objects.get().state == "open"


def test_another_checkout_says_why_it_cannot_go_on_paying(
    client: Client, buyer: User, sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = opened(ordered(user=buyer)).order
    fill(buyer, EventFactory.create(calendar__page=order.lines.get().page))
    with_left(LAST_CALL, order, monkeypatch)

    answer = client.post("/checkout/", checkout_form(client))

    assert answer.status_code == 422
    assert "Go on paying" not in answer.content.decode()
    assert "Cancel that order" in answer.content.decode()


def test_with_less_than_five_minutes_and_no_page_it_is_said_why(
    client: Client, buyer: User, sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = ordered(user=buyer)
    with_left(LEAST_LEFT - timedelta(seconds=1), order, monkeypatch)

    answer = client.post(f"/orders/{order.code}/pay/", follow=True)

    assert (
        "Too little time is left to pay this order. What it holds is given back in 5 minutes" in answer.content.decode()
    )
    assert not Checkout.objects.exists()
