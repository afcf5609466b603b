"""A house whose money has no cents (CLP): what its forms take, and an order from the cart to a refund in part."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.test import Client
from pytest_django import Settings

from events.models import BookingRules, CalendarEntry, Merchant, Page, PeakPrice, Role, Ticket, TicketType
from market.models import Product, ProductItem
from orders.models import Order
from payments.books.checking import read_books
from payments.refunds.asking import RefundRefused, Wish
from payments.refunds.sending import Sent
from payments.states import RefundKind
from tests.desk import change, member, sent, signed_in_as
from tests.factories import (
    CalendarFactory,
    EventFactory,
    PageFactory,
    ProductFactory,
    RoomFactory,
    TicketTypeFactory,
    UserFactory,
)
from tests.payments.money import at_sumup, ledgers_agree, requested
from tests.payments.money import sent as sent_to_sumup
from tests.simulator import SimulatorProcess, started
from tests.steps import all_states_of, book, fill, opened, order_cart, sumup_id, take, tell

CODE, SECRET = "MCHILE01", "sup_sk_demo_MCHILE01"
SMALL = "CLP has no such small coins."


@pytest.fixture(scope="module")
def chilean_process() -> Iterator[SimulatorProcess]:
    yield from started("--speed", "1000", "--merchant", f"{CODE},{SECRET},CLP,Casa")


@pytest.fixture
def chile(chilean_process: SimulatorProcess, settings: Settings, db: None) -> SimulatorProcess:
    """A SumUp whose merchant is paid in pesos, empty."""
    chilean_process.reset()
    settings.SUMUP_API_URL = chilean_process.url
    return chilean_process


@pytest.fixture
def casa(db: None) -> Page:
    merchant = Merchant.objects.create(code=CODE, name="Casa", api_key=SECRET, currency="CLP")
    return PageFactory.create(name="Casa", slug="casa", currency="CLP", merchant=merchant)


def placed(casa: Page) -> Order:
    """Two tickets, ninety minutes of a room by the hour, and a thing: 2 * 5990 + 4999.50, rounded up, + 1000."""
    user = UserFactory.create()
    fill(user, EventFactory.create(calendar=CalendarFactory.create(page=casa), ticket_price=Decimal(5990)), 2)
    book(user, RoomFactory.create(page=casa, rules__price=Decimal(3333)), minutes=90)
    take(user, ProductFactory.create(page=casa, price=Decimal(1000)))
    return order_cart(user)


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("house-sells-currency")
def test_order_in_pesos_is_whole_from_the_cart_to_a_refund_in_part(
    chile: SimulatorProcess, casa: Page, client: Client
) -> None:
    order = placed(casa)
    assert (order.total, order.currency) == (Decimal(17980), "CLP")

    checkout = opened(order)
    (asked,) = chile.ledger()["checkouts"]
    assert (asked["amount"], asked["currency"]) == ("17980", "CLP")  # a whole number, as it was sent
    chile.pay(sumup_id(checkout))
    assert tell(client, sumup_id(checkout)) == 204
    assert {state for kind in all_states_of(order).values() for state in kind} == {"confirmed"}
    checkout.refresh_from_db()
    assert (checkout.captured, checkout.captured_currency, checkout.is_applied) == (Decimal(17980), "CLP", True)

    client.force_login(order.user)
    page = client.get(order.get_absolute_url()).content.decode()
    assert "CLP 17,980" in page
    assert "17,980." not in page

    ticket, other = Ticket.objects.filter(order=order).order_by("pk")
    with pytest.raises(RefundRefused, match="0 decimal places"):
        requested(checkout, [Wish(RefundKind.GOODWILL, f"ticket:{ticket.pk}", Decimal("990.50"))])
    refund = requested(checkout, [Wish(RefundKind.GOODWILL, f"ticket:{ticket.pk}", Decimal(990))])
    assert sent_to_sumup(refund) is Sent.SUCCEEDED
    room = CalendarEntry.objects.bookings().get(order=order)
    assert room.price == 5000
    whole = requested(
        checkout, [Wish(RefundKind.ROW, f"booking:{room.pk}"), Wish(RefundKind.ROW, f"ticket:{other.pk}")]
    )
    assert sent_to_sumup(whole) is Sent.SUCCEEDED
    assert at_sumup(chile) == [Decimal(990), Decimal(10990)]
    assert [row["amount"] for row in chile.ledger()["refunds"]] == ["990", "10990"]
    rest = requested(checkout, [Wish(RefundKind.ROW, f"item:{ProductItem.objects.get(order=order).pk}"),
                                Wish(RefundKind.ROW, f"ticket:{ticket.pk}")])  # fmt: skip
    assert rest.amount == 6000
    assert sent_to_sumup(rest) is Sent.SUCCEEDED
    assert {state for kind in all_states_of(order).values() for state in kind} == {"refunded"}
    assert ledgers_agree(chile)


@pytest.mark.django_db(transaction=True)
def test_payment_off_by_a_peso_is_a_mismatch(chile: SimulatorProcess, casa: Page, client: Client) -> None:
    checkout = opened(placed(casa))
    chile.pay(sumup_id(checkout))
    chile.faults(tamper={"amount": 17981})
    assert tell(client, sumup_id(checkout)) == 204
    checkout.refresh_from_db()
    assert (checkout.state, checkout.captured) == ("mismatch", Decimal(17980))
    assert read_books() == []


@pytest.mark.django_db
@pytest.mark.promise("house-sells-currency")
def test_price_with_cents_is_refused_by_every_form(casa: Page) -> None:
    """Of an event, its ticket types, a room's rules and peak hours, a product."""
    desk = signed_in_as(member((casa, Role.OWNER)))
    event = EventFactory.create(calendar=CalendarFactory.create(page=casa), ticket_price=Decimal(5990))
    kind = TicketTypeFactory.create(entry=event, price=Decimal(5990))
    room = RoomFactory.create(page=casa, rules__price=Decimal(3500))
    peak = PeakPrice.objects.create(calendar=room, starts="18:00", ends="20:00", price=Decimal(4000))
    mug = ProductFactory.create(page=casa, price=Decimal(1000))
    for row, field in (
        (event, "ticket_price"),
        (event, "ticket_types-0-price"),
        (room, "rules-0-price"),
        (room, "peak_prices-0-price"),
        (mug, "price"),
    ):
        data = sent(desk, change(row), **{field: "4500.50"})
        answer = desk.post(change(row), data)
        assert answer.status_code == 200, field
        assert SMALL in answer.content.decode(), field
        assert desk.post(change(row), {**data, field: "4500"}).status_code == 302, field
    for found, price in (
        (CalendarEntry.objects.get(pk=event.pk), "ticket_price"),
        (TicketType.objects.get(pk=kind.pk), "price"),
        (BookingRules.objects.get(calendar=room), "price"),
        (PeakPrice.objects.get(pk=peak.pk), "price"),
        (Product.objects.get(pk=mug.pk), "price"),
    ):
        assert getattr(found, price) == 4500
