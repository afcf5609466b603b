"""What is said through headers, tokens and names reaches no payment, no mail and no page as anything but text."""

from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import default

import pytest
from django.core import mail
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import Settings

from accounts.models import User
from events.models import Ticket
from orders.mails import send_confirmation_mail
from orders.models import Order
from payments.checkouts.settling import settle
from payments.models import Checkout
from tests.factories import EventFactory, PageFactory, TicketTypeFactory, UserFactory
from tests.simulator import SimulatorProcess
from tests.steps import checkout_form, fill, later, opened, order_cart, ordered, shown

pytestmark = pytest.mark.django_db

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
ELSEWHERE = {name: "evil.example" for name in ("HTTP_HOST", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_SERVER")}


@pytest.fixture
def buyer(client: Client) -> User:
    user = UserFactory.create(email="buyer@example.org")
    client.force_login(user)
    return user


def routes(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
        else:
            yield path, pattern


def test_every_address_but_the_webhook_asks_for_a_csrf_token() -> None:
    walked = dict(routes(get_resolver().url_patterns))
    exempt = {path for path, route in walked.items() if getattr(route.callback, "csrf_exempt", False)}

    assert exempt == {"payments/sumup/webhook/"}
    assert {"e/<int:pk>/buy/", "checkout/", "cart/line/<int:pk>/<int:key>/"} <= set(walked)


def test_a_post_without_a_csrf_token_does_nothing(sumup: SimulatorProcess) -> None:
    client = Client(enforce_csrf_checks=True)
    order = ordered()
    client.force_login(order.user)
    entry = EventFactory.create(calendar__page__slug="house")
    fill(order.user, entry, 2)
    form = {"token": "2f1b5d0e-0000-4000-8000-000000000000", "digest": shown(order.user).digest()}

    for address, fields in (
        (f"/e/{entry.pk}/buy/", {"quantity-0": "1"}),
        (f"/cart/line/{entry.pk}/0/", {"quantity": "0"}),
        ("/checkout/", form),
        ("/checkout/house/", form),
        (f"/orders/{order.code}/pay/", {}),
        (f"/orders/{order.code}/cancel/", {}),
    ):
        assert client.post(address, fields).status_code == 403, address

    order.refresh_from_db()
    assert (Order.objects.count(), order.cancel_requested_at, shown(order.user).count) == (1, None, 2)
    assert sumup.ledger()["calls"] == {}


def test_a_foreign_host_is_refused(client: Client) -> None:
    assert client.get("/", HTTP_HOST="evil.example").status_code == 400


def test_no_host_header_reaches_sumup_or_a_mail(
    client: Client, buyer: User, sumup: SimulatorProcess, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["*"]  # as careless as it gets
    fill(buyer, EventFactory.create())

    client.post("/checkout/", checkout_form(client), **ELSEWHERE)  # type: ignore[arg-type]  # WSGI names

    (made,) = sumup.ledger()["checkouts"]
    order = Order.objects.get()
    assert made["return_url"] == "http://testserver/payments/sumup/webhook/"
    assert made["redirect_url"] == f"http://testserver/orders/{order.code}/"
    sumup.pay(made["id"])
    settle(Checkout.objects.get().pk, who="test", at=later())
    send_confirmation_mail(order.pk)
    assert b"evil.example" not in mail.outbox[0].message().as_bytes()
    assert f"http://testserver/orders/{order.code}/" in str(mail.outbox[0].body)


def hostile_order(buyer: User) -> Order:
    """A free, confirmed order of things whose every name is markup."""
    page = PageFactory.create(name=MARKUP, place=MARKUP, text=MARKUP)
    entry = EventFactory.create(calendar__page=page, calendar__name=MARKUP, title=MARKUP, summary=MARKUP, text=MARKUP)
    kind = TicketTypeFactory.create(entry=entry, name=MARKUP, text=MARKUP, price=0)
    fill(buyer, entry, {kind.pk: 2})
    order = order_cart(buyer)
    fill(buyer, entry, {kind.pk: 1})
    return order


def is_text(body: str) -> bool:
    return "&lt;script&gt;alert(1)" in body and "<script>alert" not in body and "<img src=x" not in body


def test_markup_in_names_is_text_on_every_page(client: Client, buyer: User) -> None:
    order = hostile_order(buyer)
    ticket = Ticket.objects.filter(order=order)[0]
    entry, page = ticket.entry, ticket.entry.calendar.page
    addresses = [entry.get_absolute_url(), page.get_absolute_url(), entry.calendar.get_absolute_url(), "/", "/cart/"]
    addresses += [f"/cart/{page.slug}/", "/orders/", f"/orders/{order.code}/", "/tickets/", f"/tickets/{ticket.code}/"]

    for address in addresses:
        response = client.get(address)
        assert response.status_code == 200, address
        assert is_text(response.content.decode()), address


def test_markup_in_names_is_text_in_the_answers_in_place(client: Client, buyer: User) -> None:
    entry = Ticket.objects.filter(order=hostile_order(buyer))[0].entry
    (line,) = shown(buyer).groups[0].tickets

    for address, fields in (
        (f"/e/{entry.pk}/buy/", {f"quantity-{line.key}": "99"}),
        (f"/cart/line/{entry.pk}/{line.key}/", {"quantity": "99"}),
        ("/checkout/", {}),
    ):
        response = client.post(address, fields, headers={"HX-Request": "true"})
        assert response.status_code == 422
        assert is_text(response.content.decode()), address


def test_markup_in_names_is_text_in_the_mail(buyer: User) -> None:
    order = hostile_order(buyer)

    send_confirmation_mail(order.pk)

    sent = BytesParser(policy=default).parsebytes(mail.outbox[0].message().as_bytes())
    html = sent.get_body(("html",))
    assert html is not None
    assert is_text(html.get_content())


def test_a_name_with_line_breaks_adds_no_header(buyer: User) -> None:
    entry = EventFactory.create(title="Jazz\r\nBcc: all@example.org\r\n\r\nBuy more", ticket_price=0)
    fill(buyer, entry)

    send_confirmation_mail(order_cart(buyer).pk)

    message = BytesParser(policy=default).parsebytes(mail.outbox[0].message().as_bytes())
    assert message["Bcc"] is None
    assert message["To"] == "buyer@example.org"
    assert mail.outbox[0].recipients() == ["buyer@example.org"]
    assert len(message.get_all("Subject", [])) == 1


def test_a_mail_sent_twice_has_one_message_id(buyer: User) -> None:
    fill(buyer, EventFactory.create(ticket_price=0))
    order = order_cart(buyer)

    for _ in range(2):
        send_confirmation_mail(order.pk)

    first, second = (message.message()["Message-ID"] for message in mail.outbox)
    assert first == second == f"<confirmation.{order.pk}@foyer.example>"


def test_no_address_and_no_name_of_the_buyer_goes_to_sumup(sumup: SimulatorProcess) -> None:
    order = ordered(user=UserFactory.create(email="very.private@example.org"))

    opened(order)

    (made,) = sumup.ledger()["checkouts"]
    assert "very.private" not in str(made)
    assert made["description"].startswith(order.code)
