"""In the last minute of SumUp's page nobody is sent there, from no place; it is said why."""

from datetime import datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from accounts.models import User
from ledger import clock
from orders.links import link_token
from orders.models import LAST_CALL, LEAST_LEFT, Order
from payments.checkouts.opening import MARGIN, NotPayable, hosted_page
from payments.models import Checkout
from tests.factories import EventFactory
from tests.simulator import SimulatorProcess
from tests.steps import checkout_form, fill, opened, ordered

#: The places that offer to pay.
OFFERING = {"order", "poll", "cart", "link"}

pytestmark = pytest.mark.django_db


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
    pages["signed out"] = signed_out.get(addresses["order"]).content.decode()
    pages["link"] = signed_out.get(f"/orders/link/{link_token(order)}/").content.decode()
    return pages


def words(order: Order) -> str:
    until = order.hold_until.astimezone(ZoneInfo(order.time_zone))
    return f"Too little time is left to pay this order. What it holds is free again after {until:%H:%M %Z}."


def test_the_last_minute_is_that_of_the_page() -> None:
    assert timedelta(minutes=1) == LAST_CALL - MARGIN


#: How long before the end of the hold, whether SumUp's page is open, and whether it can still be paid.
MOMENTS = [
    (timedelta(minutes=30), False, True),
    (LEAST_LEFT, False, True),
    (LEAST_LEFT - timedelta(seconds=1), False, False),
    (LEAST_LEFT - timedelta(seconds=1), True, True),
    (LAST_CALL + timedelta(seconds=1), False, False),
    (LAST_CALL + timedelta(seconds=1), True, True),
    (LAST_CALL, False, False),
    (LAST_CALL, True, False),
    (timedelta(seconds=1), True, False),
]


@pytest.mark.parametrize(("left", "is_open", "payable"), MOMENTS)
@pytest.mark.promise("paying-offered-exactly")
def test_paying_is_offered_exactly_where_the_click_succeeds(
    left: timedelta, is_open: bool, payable: bool, client: Client, buyer: User, sumup: SimulatorProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    order = opened(ordered(user=buyer)).order if is_open else ordered(user=buyer)
    now = with_left(left, order, monkeypatch)
    shown = places(client, order)
    assert {name for name, page in shown.items() if "/pay/" in page} == (OFFERING if payable else set())
    told = {name for name, page in shown.items() if words(order) in page}
    assert told == (set() if payable else OFFERING | {"signed out"})
    assert {name for name, page in shown.items() if "/cancel/" in page} == {"order", "poll"}
    assert not [name for name, page in shown.items() if "The time to pay is over" in page]

    for who, at in ((client, f"/orders/{order.code}/pay/"), (Client(), f"/orders/link/{link_token(order)}/pay/")):
        answer = who.post(at)
        assert (urlsplit(answer["Location"]).path.startswith("/orders/")) is not payable, at
        if not payable:
            warned = [str(message) for message in get_messages(answer.wsgi_request)]
            assert warned == [words(order)], at
    assert Checkout.objects.count() == (is_open or payable)
    if not payable:
        with pytest.raises(NotPayable):
            hosted_page(order, at=now)


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (timedelta(minutes=27), "27:00"),
        (timedelta(minutes=9, seconds=4, milliseconds=1), "9:05"),
        (timedelta(hours=1, minutes=2, seconds=3), "1:02:03"),
    ],
)
def test_the_countdown_begins_in_the_form_in_which_it_goes_on(
    left: timedelta, told: str, client: Client, buyer: User, sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = ordered(user=buyer)
    with_left(left, order, monkeypatch)
    shown = places(client, order)
    assert {name for name, page in shown.items() if f'data-over="0:00">{told}</time>' in page} == {"order", "poll"}


def test_when_the_hold_is_over_so_is_the_time_to_pay(
    client: Client, buyer: User, sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = opened(ordered(user=buyer)).order
    with_left(timedelta(0), order, monkeypatch)
    shown = places(client, order)
    assert {name for name, page in shown.items() if "/pay/" in page or "/cancel/" in page} == set()
    over = {name for name, page in shown.items() if "The time to pay is over" in page}
    assert over == {"order", "poll", "link", "signed out"}


@pytest.mark.promise("paying-offered-exactly")
def test_another_checkout_says_why_it_cannot_go_on_paying(
    client: Client, buyer: User, sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = opened(ordered(user=buyer)).order
    fill(buyer, EventFactory.create(calendar__page=order.lines.get().page))
    with_left(LAST_CALL, order, monkeypatch)

    answer = client.post("/checkout/", checkout_form(client))

    assert answer.status_code == 422
    assert "go on paying" not in answer.content.decode().lower()
    assert "Cancel that order" in answer.content.decode()
