"""The way of a ticket, over HTTP to the simulator: buy, cart, checkout, pay, settle."""

import re

import pytest
from django.core import mail
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob

from events.models import Ticket
from orders.models import Order
from payments.models import Checkout
from tests.factories import EventFactory, UserFactory
from tests.jobs import run_jobs
from tests.simulator import SimulatorProcess


def field(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found, f"no field {name}"
    return found[1]


@pytest.mark.django_db(transaction=True)
def test_ticket_is_bought_paid_and_confirmed(client: Client, sumup: SimulatorProcess) -> None:
    entry, user = EventFactory.create(capacity=10), UserFactory.create()
    client.force_login(user)
    answer = client.post(f"/e/{entry.pk}/buy/", {"quantity-0": "2"}, follow=True)
    assert answer.status_code == 200
    assert Ticket.objects.pending_for(user).count() == 2
    page = client.get("/cart/").content.decode()
    answer = client.post("/checkout/", {"token": field(page, "token"), "digest": field(page, "digest")})
    assert answer.status_code == 303, answer.content.decode()
    assert answer["Location"].startswith(sumup.url)
    entry.refresh_from_db()
    assert entry.held == 2
    checkout = Checkout.objects.get()
    assert checkout.sumup_id
    sumup.pay(checkout.sumup_id)
    answer = client.post(
        "/payments/sumup/webhook/",
        {"event_type": "CHECKOUT_STATUS_CHANGED", "id": checkout.sumup_id},
        content_type="application/json",
    )
    assert answer.status_code == 204
    order = Order.objects.get()
    assert order.state == "paid"
    assert [ticket.state for ticket in Ticket.objects.all()] == ["confirmed", "confirmed"]
    jobs = ProcrastinateJob.objects.filter(task_name="orders.jobs.send_confirmation")
    assert jobs.count() == 1
    for page_address in (
        f"/orders/{order.code}/",
        "/orders/",
        "/tickets/",
        f"/tickets/{Ticket.objects.all()[0].code}/",
    ):
        assert client.get(page_address).status_code == 200
    run_jobs()
    assert len(mail.outbox) == 1
    assert Ticket.objects.all()[0].code in mail.outbox[0].body
