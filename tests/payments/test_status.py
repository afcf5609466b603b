"""What an order page polls: it asks SumUp when that is due, and says where the payment stands."""

import pytest
import time_machine
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from orders.models import Order
from payments.checkouts.opening import hosted_page
from payments.checkouts.settling import settle
from payments.models import Checkout
from tests.simulator import SimulatorProcess
from tests.steps import HTMX, later, mail_jobs, opened, ordered, paid_at_sumup, states_of, sumup_id

pytestmark = pytest.mark.django_db


def poll(client: Client, order: Order, seen: str = "awaiting_payment") -> HttpResponse:
    response = client.get(f"/orders/{order.code}/status/?seen={seen}", headers=HTMX)
    assert isinstance(response, HttpResponse)
    assert response.status_code == 200
    assert set(response["Cache-Control"].split(", ")) == {"private", "no-store"}
    return response


def test_the_poll_confirms_a_payment_and_refreshes_the_page(client: Client, sumup: SimulatorProcess) -> None:
    order = ordered()
    client.force_login(order.user)
    paid_at_sumup(sumup, order)

    response = poll(client, order)

    assert response["HX-Refresh"] == "true"
    assert "Paid. Thank you!" in response.content.decode()
    assert (states_of(order), mail_jobs()) == (["confirmed"], 1)
    assert "HX-Refresh" not in poll(client, order, seen="paid")


def test_the_poll_waits_on_and_asks_sumup_once_in_two_seconds(client: Client, sumup: SimulatorProcess) -> None:
    order = ordered()
    client.force_login(order.user)
    opened(order)

    with time_machine.travel(timezone.now(), tick=False):
        for _ in range(5):
            body = poll(client, order).content.decode()

    assert "Waiting for your payment" in body
    assert 'hx-trigger="every 3s"' in body
    assert sumup.calls("read") == 1


def test_the_poll_tells_of_a_decline_and_offers_the_same_page(client: Client, sumup: SimulatorProcess) -> None:
    order = ordered()
    client.force_login(order.user)
    sumup.decline(sumup_id(opened(order)))

    body = poll(client, order).content.decode()

    assert "The card was declined" in body
    assert f'action="/orders/{order.code}/pay/"' in body


def test_the_poll_tells_of_a_mismatch_without_asking_to_pay_again(client: Client, sumup: SimulatorProcess) -> None:
    order = ordered()
    client.force_login(order.user)
    paid_at_sumup(sumup, order)
    sumup.faults(tamper={"amount": 12.01})

    body = poll(client, order).content.decode()

    assert "is being looked at" in body
    assert "/pay/" not in body


@pytest.mark.parametrize("fault", ["500", "garbage", "404", "429", "401", "drop", "unknown_state"])
def test_the_poll_waits_on_when_sumup_says_nothing(client: Client, sumup: SimulatorProcess, fault: str) -> None:
    order = ordered()
    client.force_login(order.user)
    paid_at_sumup(sumup, order)
    sumup.faults(read=fault if fault != "unknown_state" else "stale")

    assert "Waiting for your payment" in poll(client, order).content.decode()
    assert states_of(order) == ["reserved"]


def test_the_poll_settles_signed_out_too_and_shows_the_state_alone(client: Client, sumup: SimulatorProcess) -> None:
    order = ordered()
    paid_at_sumup(sumup, order)

    response = poll(client, order)

    assert "Paid. Thank you!" in response.content.decode()
    assert "HX-Refresh" not in response
    assert order.user.email not in response.content.decode()
    assert states_of(order) == ["confirmed"]


def test_the_poll_without_htmx_leads_back_to_the_order(client: Client, sumup: SimulatorProcess) -> None:
    order = ordered()
    client.force_login(order.user)
    paid_at_sumup(sumup, order)

    response = client.get(f"/orders/{order.code}/status/")

    assert response["Location"] == f"/orders/{order.code}/"
    assert states_of(order) == ["confirmed"]


def test_the_poll_of_an_order_without_a_checkout_makes_no_call(client: Client, sumup: SimulatorProcess) -> None:
    order = ordered()

    poll(client, order)

    assert sumup.ledger()["calls"] == {}


def test_the_poll_says_what_it_is_asked_for_and_no_markup(client: Client, sumup: SimulatorProcess) -> None:
    assert b"<script>" not in poll(client, ordered(), seen="<script>").content


def test_the_poll_after_a_second_attempt_asks_about_the_latest(client: Client, sumup: SimulatorProcess) -> None:
    order = ordered()
    first = opened(order)
    sumup.ask("DELETE", f"/v0.1/checkouts/{first.sumup_id}")
    settle(first.pk, who="test", at=later())
    hosted_page(order, at=later())
    second = Checkout.objects.latest("pk")
    sumup.pay(sumup_id(second))

    poll(client, order)

    assert states_of(order) == ["confirmed"]
