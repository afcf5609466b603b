"""How often a request asks the database: as often for thirty tickets as for one, and within what a page may cost."""

import uuid
from collections.abc import Callable
from functools import partial

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from cart.contents import cart_of
from events.models import Ticket
from orders.models import Order
from payments.checkouts.settling import settle
from tests.factories import EventFactory, PageFactory, TicketTypeFactory, UserFactory
from tests.simulator import SimulatorProcess
from tests.steps import HTMX, checkout_form, fill, later, opened, paid_at_sumup

pytestmark = pytest.mark.django_db

NO_QUESTION = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT", "BEGIN", "COMMIT")


def queries_of(work: Callable[[], object]) -> int:
    """How many statements `work` sends, without those that only begin or end a transaction."""
    with CaptureQueriesContext(connection) as captured:
        work()
    return sum(not query["sql"].startswith(NO_QUESTION) for query in captured.captured_queries)


@pytest.fixture(params=[1, 30])
def buyer(request: pytest.FixtureRequest, client: Client) -> User:
    """With so many tickets in the cart: one, or five types of five events on two pages."""
    user = UserFactory.create()
    client.force_login(user)
    if request.param == 1:
        kind = TicketTypeFactory.create()
        fill(user, kind.entry, {kind.pk: 1})
        return user
    pages = [PageFactory.create(), PageFactory.create()]
    for number in range(5):
        kind = TicketTypeFactory.create(entry=EventFactory.create(calendar__page=pages[number % 2]))
        fill(user, kind.entry, {kind.pk: 6})
    assert Ticket.objects.pending_for(user).count() == 30
    return user


def test_an_event_page_asks_six_times(client: Client, buyer: User) -> None:
    entry = Ticket.objects.filter(user=buyer)[0].entry

    assert queries_of(lambda: client.get(entry.get_absolute_url())) == 6 <= 8


def test_buying_asks_a_fixed_number_of_times(client: Client, buyer: User) -> None:
    kind = TicketTypeFactory.create()

    for number in ("1", "9"):
        fields = {f"quantity-{kind.pk}": number}
        assert queries_of(partial(client.post, f"/e/{kind.entry_id}/buy/", fields, headers=HTMX)) == 10


def test_a_cart_asks_a_fixed_number_of_times(client: Client, buyer: User, sumup: SimulatorProcess) -> None:
    assert queries_of(lambda: client.get("/cart/")) == 7 <= 10
    assert queries_of(lambda: client.get("/cart/summary.json")) == 6


def test_a_line_asks_a_fixed_number_of_times(client: Client, buyer: User, sumup: SimulatorProcess) -> None:
    line = cart_of(buyer, at=later()).groups[0].tickets[0]
    address = f"/cart/line/{line.entry.pk}/{line.key}/"

    assert queries_of(lambda: client.post(address, {"quantity": "8"}, headers=HTMX)) == 14
    assert queries_of(lambda: client.post(address, {"quantity": "3"}, headers=HTMX)) == 14


def test_a_checkout_asks_a_fixed_number_of_times(client: Client, buyer: User, sumup: SimulatorProcess) -> None:
    form = checkout_form(client)

    assert queries_of(lambda: client.post("/checkout/", form)) == 20 <= 20
    assert Order.objects.get().state == "awaiting_payment"


def test_settling_asks_a_fixed_number_of_times(client: Client, buyer: User, sumup: SimulatorProcess) -> None:
    client.post("/checkout/", checkout_form(client))
    checkout = paid_at_sumup(sumup, Order.objects.get())

    assert queries_of(lambda: settle(checkout.pk, who="test", at=later())) == 15 <= 15
    assert Order.objects.get().state == "paid"


def test_an_order_s_pages_ask_a_fixed_number_of_times(client: Client, buyer: User, sumup: SimulatorProcess) -> None:
    client.post("/checkout/", checkout_form(client))
    order = Order.objects.get()
    opened(order)
    address = f"/orders/{order.code}/status/?seen=awaiting_payment"

    assert queries_of(lambda: client.get(f"/orders/{order.code}/")) == 5
    assert queries_of(lambda: client.get(address, headers=HTMX)) == 12
    assert queries_of(lambda: client.post(f"/orders/{order.code}/pay/")) == 5
    assert queries_of(lambda: client.post(f"/orders/{order.code}/cancel/")) == 22


def test_a_refused_checkout_asks_a_fixed_number_of_times(client: Client, buyer: User, sumup: SimulatorProcess) -> None:
    form = {"token": str(uuid.uuid4()), "digest": ""}

    assert queries_of(lambda: client.post("/checkout/", form)) == 14 <= 20
