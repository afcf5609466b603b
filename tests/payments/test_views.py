"""Checkout, pay, cancel and the order page's poll, over HTTP: nobody pays for what was refused, nor twice."""

import re
import uuid
from decimal import Decimal

import pytest
from django.test import Client

from accounts.models import User
from events.models import CalendarEntry, Merchant, TicketType
from ledger.locking import Contention
from orders.models import Order
from orders.releasing import request_cancel
from payments.checkouts.settling import settle
from payments.models import Case, Checkout
from tests.factories import EventFactory, PageFactory, TicketTypeFactory
from tests.simulator import OTHER_KEY, OTHER_MERCHANT, SimulatorProcess
from tests.steps import (
    HTMX,
    checkout_form,
    fill,
    held,
    later,
    opened,
    ordered,
    paid_at_sumup,
    shown,
    states_of,
    sumup_id,
)

pytestmark = pytest.mark.django_db


def refused(client: Client, form: dict[str, str], address: str = "/checkout/", status: int = 422) -> str:
    """The cart that comes back, with nothing ordered."""
    response = client.post(address, form)
    assert response.status_code == status, response.content.decode()
    assert not Checkout.objects.exists()
    return response.content.decode()


def test_checkout_leads_to_sumup(client: Client, buyer: User, sumup: SimulatorProcess) -> None:
    fill(buyer, EventFactory.create(), 2)

    response = client.post("/checkout/", checkout_form(client))

    assert response.status_code == 303
    assert response["Location"] == Checkout.objects.get().hosted_url
    assert Checkout.objects.get().money == Order.objects.get().money


def test_checkout_twice_is_one_order_and_the_same_page(client: Client, buyer: User, sumup: SimulatorProcess) -> None:
    fill(buyer, EventFactory.create())
    form = checkout_form(client)

    first, second = client.post("/checkout/", form), client.post("/checkout/", form)

    assert first["Location"] == second["Location"]
    assert Order.objects.count() == 1
    assert len(sumup.ledger()["checkouts"]) == 1


def test_checkout_again_after_it_was_paid_leads_to_the_order(
    client: Client, buyer: User, sumup: SimulatorProcess
) -> None:
    """The back button, and the reload of a POST."""
    fill(buyer, EventFactory.create())
    form = checkout_form(client)
    client.post("/checkout/", form)
    checkout = Checkout.objects.get()
    sumup.pay(sumup_id(checkout))
    settle(checkout.pk, who="test", at=later())

    assert client.post("/checkout/", form)["Location"] == f"/orders/{checkout.order.code}/"


def test_checkout_of_a_page_orders_that_page_alone(client: Client, buyer: User, sumup: SimulatorProcess) -> None:
    house, barn = PageFactory.create(slug="house"), PageFactory.create(slug="barn")
    fill(buyer, EventFactory.create(calendar__page=house))
    fill(buyer, EventFactory.create(calendar__page=barn), 2)

    assert client.post("/checkout/barn/", checkout_form(client, "/cart/barn/")).status_code == 303
    assert Order.objects.get().tickets.count() == 2
    assert shown(buyer).count == 1
    assert client.post("/checkout/nobody/", {}).status_code == 404


def test_checkout_of_what_is_free_leads_to_its_order_without_sumup(
    client: Client, buyer: User, sumup: SimulatorProcess
) -> None:
    fill(buyer, EventFactory.create(ticket_price=0))

    response = client.post("/checkout/", checkout_form(client))

    assert response["Location"] == f"/orders/{Order.objects.get().code}/"
    assert sumup.ledger()["calls"] == {}


@pytest.mark.parametrize(("address", "back"), [("/checkout/", "/cart/"), ("/checkout/house/", "/cart/house/")])
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_checkout_signed_out_leads_to_sign_in_and_back_to_the_cart(
    client: Client, address: str, back: str, headers: dict[str, str]
) -> None:
    PageFactory.create(slug="house")

    response = client.post(address, {"token": str(uuid.uuid4())}, headers=headers)

    assert (response.status_code, response["Location"]) == (302, f"/accounts/login/?next={back}")


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_paying_is_done_by_post(client: Client, buyer: User, merchant: Merchant, method: str) -> None:
    order = ordered(user=buyer)

    for address in ("/checkout/", "/checkout/house/", f"/orders/{order.code}/pay/", f"/orders/{order.code}/cancel/"):
        assert getattr(client, method)(address).status_code == 405


@pytest.mark.parametrize("token", ["", "x", "1", "{}", "9" * 5000, " "])
def test_checkout_without_a_token_orders_nothing(client: Client, buyer: User, merchant: Merchant, token: str) -> None:
    fill(buyer, EventFactory.create())

    assert "has changed since you saw it" in refused(client, checkout_form(client) | {"token": token})
    assert shown(buyer).count == 1


@pytest.mark.parametrize("digest", ["", "x", "é" * 64, "0" * 64])
def test_checkout_with_another_digest_orders_nothing(
    client: Client, buyer: User, merchant: Merchant, digest: str
) -> None:
    fill(buyer, EventFactory.create())

    assert "has changed since you saw it" in refused(client, checkout_form(client) | {"digest": digest})
    assert not Order.objects.exists()


def test_checkout_after_a_price_changed_says_so_and_shows_both(client: Client, buyer: User, merchant: Merchant) -> None:
    kind = TicketTypeFactory.create()
    fill(buyer, kind.entry, {kind.pk: 1})
    form = checkout_form(client)
    TicketType.objects.update(price=13)

    body = refused(client, form)

    assert "has changed since you saw it" in body
    assert "The price was € 12.00 when you put it in; it is € 13.00 now." in body


def test_checkout_of_short_lines_names_them_and_one_click_goes_on(
    client: Client, buyer: User, sumup: SimulatorProcess
) -> None:
    page = PageFactory.create()
    gone, there = (EventFactory.create(calendar__page=page, title=title) for title in ("Gone", "There"))
    fill(buyer, gone)
    fill(buyer, there, 2)
    form = checkout_form(client)
    CalendarEntry.objects.filter(pk=gone.pk).update(capacity=0)

    body = refused(client, form)

    assert "Some of this is no longer available" in body
    assert "Sold out meanwhile." in body
    assert "Continue with the 2 items still available (€ 24.00)" in body
    tokens, digests = (re.findall(rf'name="{name}" value="([^"]+)"', body) for name in ("token", "digest"))
    assert client.post("/checkout/", {"token": tokens[-1], "digest": digests[-1]}).status_code == 303
    assert [row["amount"] for row in sumup.ledger()["checkouts"]] == ["24"]


def test_checkout_while_an_order_waits_offers_to_pay_or_to_cancel_it(
    client: Client, buyer: User, merchant: Merchant
) -> None:
    waiting = ordered(EventFactory.create(calendar__page=PageFactory.create(slug="house")), 2, buyer)
    fill(buyer, EventFactory.create(calendar__page=waiting.lines.get().page))

    body = refused(client, checkout_form(client))

    assert "not paid yet" in body
    assert "Go on paying" in body
    for act in ("pay", "cancel"):
        assert f'action="/orders/{waiting.code}/{act}/"' in body


def test_checkout_of_several_merchants_says_page_by_page(client: Client, buyer: User, merchant: Merchant) -> None:
    other = Merchant.objects.create(code=OTHER_MERCHANT, name="Other", api_key=OTHER_KEY, currency="EUR")
    fill(buyer, EventFactory.create())
    fill(buyer, EventFactory.create(calendar__page=PageFactory.create(merchant=other)))

    body = refused(client, {"token": str(uuid.uuid4()), "digest": shown(buyer).digest()})

    assert "please pay each part with its own button" in body


def test_checkout_without_a_merchant_and_of_an_empty_cart_say_so(client: Client, buyer: User) -> None:
    form = {"token": str(uuid.uuid4()), "digest": shown(buyer).digest()}
    assert "nothing in your cart" in refused(client, form)
    fill(buyer, EventFactory.create())
    assert "takes no payments" in refused(client, form | {"digest": shown(buyer).digest()})


def test_checkout_in_a_crowd_that_is_too_big_is_an_honest_page(
    client: Client, buyer: User, merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(buyer, EventFactory.create())

    def crowded(*_args: object, **_how: object) -> Order:
        raise Contention

    monkeypatch.setattr("payments.views.place", crowded)

    assert "your turn did not come" in refused(client, checkout_form(client), status=503)


def test_pay_in_a_crowd_that_is_too_big_is_an_honest_page(
    client: Client, buyer: User, merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = ordered(user=buyer)

    def crowded(*_args: object, **_how: object) -> str:
        raise Contention

    monkeypatch.setattr("payments.views.hosted_page", crowded)
    client.raise_request_exception = False

    response = client.post(f"/orders/{order.code}/pay/")

    assert (response.status_code, response["Retry-After"]) == (503, "5")


def test_total_price_state_and_merchant_in_the_form_are_not_read(
    client: Client, buyer: User, sumup: SimulatorProcess
) -> None:
    entry = EventFactory.create()
    fill(buyer, entry)
    lies = {
        "total": "0", "price": "0", "amount": "0.01", "currency": "HUF", "state": "paid", "merchant": "1",
        "hold_until": "2199-01-01", "user": "1", "paid_at": "2026-01-01", f"quantity-{entry.pk}": "5",
    }  # fmt: skip

    assert client.post("/checkout/", checkout_form(client) | lies).status_code == 303

    order = Order.objects.get()
    assert (order.total, order.currency, order.state, order.user) == (Decimal(12), "EUR", "awaiting_payment", buyer)
    assert states_of(order) == ["reserved"]
    assert [(row["amount"], row["currency"]) for row in sumup.ledger()["checkouts"]] == [("12", "EUR")]


@pytest.mark.parametrize("fault", ["500", "lost_answer", "502html", "429", "drop"])
def test_sumup_out_of_reach_holds_the_order_and_says_so(
    client: Client, buyer: User, sumup: SimulatorProcess, fault: str
) -> None:
    fill(buyer, EventFactory.create(capacity=1))
    sumup.faults(create=fault, times=1)

    response = client.post("/checkout/", checkout_form(client), follow=True)

    order = Order.objects.get()
    assert response.redirect_chain == [(f"/orders/{order.code}/", 302)]
    body = response.content.decode()
    assert "SumUp does not answer at the moment. Your order is held" in body
    assert "Pay € 12.00" in body
    assert client.post(f"/orders/{order.code}/pay/").status_code == 303
    assert len(sumup.ledger()["checkouts"]) == 1


@pytest.mark.parametrize("fault", ["401", "403", "400"])
def test_sumup_s_refusal_is_told_to_buyer_and_organiser(
    client: Client, buyer: User, sumup: SimulatorProcess, fault: str
) -> None:
    fill(buyer, EventFactory.create())
    sumup.faults(create=fault)

    body = client.post("/checkout/", checkout_form(client), follow=True).content.decode()

    assert "You were not charged; the organiser has been told" in body
    assert Case.objects.open().count() == 1


@pytest.mark.parametrize("act", ["pay", "cancel"])
def test_pay_and_cancel_signed_out_lead_to_sign_in_and_back_to_the_order(
    client: Client, sumup: SimulatorProcess, act: str
) -> None:
    order = ordered()

    response = client.post(f"/orders/{order.code}/{act}/")

    assert response["Location"] == f"/accounts/login/?next=/orders/{order.code}/"
    order.refresh_from_db()
    assert order.cancel_requested_at is None
    assert sumup.ledger()["calls"] == {}


@pytest.mark.parametrize("act", ["pay", "cancel"])
@pytest.mark.parametrize("code", ["nothing", "A" * 300])
def test_pay_and_cancel_of_a_code_that_is_none_are_not_found(client: Client, buyer: User, act: str, code: str) -> None:
    assert client.post(f"/orders/{code}/{act}/").status_code == 404


def test_cancel_frees_the_seats(client: Client, buyer: User, sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=1)
    order = ordered(entry, user=buyer)
    opened(order)

    body = client.post(f"/orders/{order.code}/cancel/", follow=True).content.decode()

    assert "Your order is cancelled and nothing was charged." in body
    assert held(entry) == 0
    assert sumup.ledger()["checkouts"][0]["status"] == "EXPIRED"
    again = client.post(f"/orders/{order.code}/cancel/")
    assert again["Location"] == f"/orders/{order.code}/"


def test_cancel_while_sumup_is_silent_is_remembered(client: Client, buyer: User, sumup: SimulatorProcess) -> None:
    order = ordered(user=buyer)
    opened(order)
    sumup.faults(deactivate="503")

    body = client.post(f"/orders/{order.code}/cancel/", follow=True).content.decode()

    assert "we wait for SumUp to confirm it" in body
    assert states_of(order) == ["reserved"]
    assert client.post(f"/orders/{order.code}/pay/")["Location"] == f"/orders/{order.code}/"


def test_cancel_of_a_paid_order_cancels_nothing(client: Client, buyer: User, sumup: SimulatorProcess) -> None:
    order = ordered(user=buyer)
    checkout = paid_at_sumup(sumup, order)

    client.post(f"/orders/{order.code}/cancel/")
    order.refresh_from_db()
    assert (order.state, states_of(order)) == ("paid", ["confirmed"])

    settle(checkout.pk, who="test", at=later())
    client.post(f"/orders/{order.code}/cancel/")
    assert states_of(order) == ["confirmed"]


def test_an_order_being_cancelled_leads_nowhere_else(client: Client, buyer: User, sumup: SimulatorProcess) -> None:
    order = ordered(user=buyer)
    request_cancel(order, at=later())

    assert client.post(f"/orders/{order.code}/pay/")["Location"] == f"/orders/{order.code}/"
    assert sumup.calls("create") == 0
