"""The buy form: what it takes, what it refuses, and that nothing but numbers of tickets can be said through it."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.datastructures import MultiValueDict

from accounts.models import User
from events.models import CalendarEntry, Merchant, Page, Ticket
from events.states import EntryState
from orders.models import Order
from tests.factories import EventFactory, TicketTypeFactory, UserFactory
from tests.steps import HTMX, fill, from_now, held, later

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]


def buy(client: Client, entry: CalendarEntry, quantities: dict[int, object], status: int = 422) -> str:
    """Post the form by htmx; the answer must have this status, its text is returned."""
    return post(client, entry, {f"quantity-{key}": value for key, value in quantities.items()}, status)


def post(client: Client, entry: CalendarEntry, fields: Mapping[str, object], status: int) -> str:
    response = client.post(f"/e/{entry.pk}/buy/", fields, headers=HTMX)
    assert response.status_code == status, response.content.decode()
    return response.content.decode()


def test_buying_with_htmx_answers_the_partial_with_the_badge(client: Client, buyer: User) -> None:
    body = buy(client, EventFactory.create(), {0: "2"}, 200)

    assert body.lstrip().startswith('<section class="buy-box panel" id="buy"')
    assert "2 tickets added to your cart" in body
    assert "you are refunded" in body
    assert 'href="/cart/"' in body
    assert 'id="cart-badge"' in body
    assert "<html" not in body
    assert [(row.state, row.price, row.order_id) for row in Ticket.objects.pending_for(buyer)] == [
        ("pending", Decimal("12.00"), None)
    ] * 2


def test_buying_without_htmx_leads_to_the_cart_that_says_so(client: Client, buyer: User) -> None:
    response = client.post(f"/e/{EventFactory.create().pk}/buy/", {"quantity-0": "1"}, follow=True)

    assert response.redirect_chain == [("/cart/", 302)]
    assert "1 ticket added to cart" in response.content.decode()


def test_a_refusal_without_htmx_is_a_full_page(client: Client, buyer: User) -> None:
    response = client.post(f"/e/{EventFactory.create().pk}/buy/", {"quantity-0": "0"})

    assert response.status_code == 422
    assert "<html" in response.content.decode()
    assert "Choose at least one ticket" in response.content.decode()


def test_buying_signed_out_makes_no_row_and_leads_to_sign_in_and_back(client: Client) -> None:
    entry = EventFactory.create(title="Jazz")
    address = f"/accounts/login/?next=/e/{entry.pk}-jazz/"

    plain = client.post(f"/e/{entry.pk}/buy/", {"quantity-0": "1"})
    in_place = client.post(f"/e/{entry.pk}/buy/", {"quantity-0": "1"}, headers=HTMX)

    assert (plain.status_code, plain["Location"]) == (302, address)
    assert (in_place.status_code, in_place["HX-Redirect"]) == (200, address)
    assert not Ticket.objects.exists()


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_buying_is_a_post(client: Client, buyer: User, method: str) -> None:
    assert getattr(client, method)(f"/e/{EventFactory.create().pk}/buy/").status_code == 405


def test_sold_out_goes_into_the_cart_all_the_same(client: Client, buyer: User) -> None:
    entry = EventFactory.create(capacity=0)

    buy(client, entry, {0: "1"}, 200)

    assert held(entry) == 0
    assert Ticket.objects.pending_for(buyer).count() == 1


@pytest.mark.parametrize(
    "quantity",
    [
        "-1", "1e9", "1000000000", "1.5", "1,5", "NaN", "Infinity", "½", "１", "٣", "²", "0x1", "1_0", "+1", "one",
        "9" * 5000, "--", "1 1", "[1]", "true", "1; DROP TABLE events_ticket", "<script>",
    ],
)  # fmt: skip
def test_a_quantity_that_is_none_is_refused(client: Client, buyer: User, quantity: str) -> None:
    body = buy(client, EventFactory.create(), {0: quantity})

    assert "is not a number from 0 to 999" in body
    assert "<script>" not in body
    assert not Ticket.objects.exists()


@pytest.mark.parametrize(
    "fields", [{"quantity-0": "0"}, {"quantity-0": ""}, {"quantity-0": "  "}, {}, {"quantity": "1"}]
)
def test_nothing_chosen_is_said_so(client: Client, buyer: User, fields: dict[str, str]) -> None:
    assert "Choose at least one ticket" in post(client, EventFactory.create(), fields, 422)


def test_a_list_of_quantities_is_refused(client: Client, buyer: User) -> None:
    assert "One number for each kind" in buy(client, EventFactory.create(), {0: ["1", "2"]})
    assert not Ticket.objects.exists()


@pytest.mark.parametrize("key", ["999999999999999999", "1" * 30, "-1", "１", "x", "", "0x0", "1.0"])
def test_a_key_that_is_no_offer_makes_no_row(client: Client, buyer: User, key: str) -> None:
    response = client.post(f"/e/{EventFactory.create().pk}/buy/", {f"quantity-{key}": "1"})

    assert response.status_code == 422
    assert not Ticket.objects.exists()


def test_a_key_in_full_width_digits_is_no_key(client: Client, buyer: User) -> None:
    kind = TicketTypeFactory.create()
    key = "".join(chr(ord(digit) + 0xFEE0) for digit in str(kind.pk))

    assert client.post(f"/e/{kind.entry_id}/buy/", {f"quantity-{key}": "1"}).status_code == 422


def test_a_type_of_another_entry_is_refused(client: Client, buyer: User) -> None:
    entry = EventFactory.create()
    mine, other = TicketTypeFactory.create(entry=entry), TicketTypeFactory.create()

    body = buy(client, entry, {mine.pk: "1", other.pk: "1"})

    assert "does not sell that ticket" in body
    assert not Ticket.objects.exists()


def test_the_entry_s_own_price_is_no_offer_beside_its_types(client: Client, buyer: User) -> None:
    kind = TicketTypeFactory.create(price=Decimal(50), entry__ticket_price=Decimal(1))

    assert "does not sell that ticket" in buy(client, kind.entry, {0: "1"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"starts_at": -timedelta(days=6), "ends_at": -timedelta(days=5)}, "This event is over"),
        ({"state": EntryState.CANCELLED}, "has been cancelled"),
        ({"sale_starts_at": timedelta(minutes=5)}, "not on sale yet"),
        ({"sale_ends_at": -timedelta(minutes=5)}, "sales have closed"),
        ({"ticket_price": None}, "does not sell that ticket"),
    ],
)
def test_what_is_not_on_sale_is_refused(client: Client, buyer: User, change: dict[str, object], words: str) -> None:
    entry = EventFactory.create()
    CalendarEntry.objects.filter(pk=entry.pk).update(**from_now(change))

    assert words in buy(client, entry, {0: "1"})
    assert not Ticket.objects.exists()


@pytest.mark.parametrize("change", [{"is_published": False}, {"state": EntryState.DRAFT}])
def test_what_is_not_public_is_not_found(client: Client, buyer: User, change: dict[str, object]) -> None:
    entry = EventFactory.create()
    CalendarEntry.objects.filter(pk=entry.pk).update(**change)

    buy(client, entry, {0: "1"}, 404)
    assert not Ticket.objects.exists()


def test_what_is_on_an_unpublished_page_or_does_not_exist_is_not_found(client: Client, buyer: User) -> None:
    entry = EventFactory.create()
    Page.objects.update(is_published=False)

    buy(client, entry, {0: "1"}, 404)
    assert client.post(f"/e/{2**70}/buy/", {"quantity-0": "1"}).status_code == 404


@pytest.mark.parametrize("field", ["sale_starts_at", "sale_ends_at"])
def test_a_type_outside_its_own_window_is_refused(client: Client, buyer: User, field: str) -> None:
    moment = timezone.now() + timedelta(hours=1 if field == "sale_starts_at" else -1)
    kind = TicketTypeFactory.create(**{field: moment})

    buy(client, kind.entry, {kind.pk: "1"})
    assert not Ticket.objects.exists()


def test_the_maximum_counts_what_is_in_the_cart(client: Client, buyer: User) -> None:
    entry = EventFactory.create(max_per_order=4)

    assert "at most 4 an order" in buy(client, entry, {0: "5"})
    buy(client, entry, {0: "3"}, 200)
    assert "your cart has 3 already" in buy(client, entry, {0: "2"})
    buy(client, entry, {0: "1"}, 200)
    assert Ticket.objects.pending_for(buyer).count() == 4


@pytest.mark.promise("fewer-seats-than")
def test_fewer_seats_than_an_order_takes_are_not_offered(client: Client, buyer: User) -> None:
    kind = TicketTypeFactory.create(min_per_order=2, capacity=1)
    other = TicketTypeFactory.create(entry=kind.entry, min_per_order=2, capacity=2)

    page = client.get(kind.entry.get_absolute_url()).content.decode()

    assert f'name="quantity-{kind.pk}"' not in page
    assert "Only 1 left" in page
    assert "An order takes at least 2, so these cannot be bought" in page
    assert f'name="quantity-{other.pk}"' in page
    fill(buyer, kind.entry, {kind.pk: 2})
    assert "Only 1 is left, and an order takes at least 2." in client.get("/cart/").content.decode()


def test_the_minimum_of_a_type_holds(client: Client, buyer: User) -> None:
    kind = TicketTypeFactory.create(min_per_order=3)

    assert "at least 3 tickets" in buy(client, kind.entry, {kind.pk: "2"})
    buy(client, kind.entry, {kind.pk: "3"}, 200)


def test_one_refused_kind_refuses_all(client: Client, buyer: User) -> None:
    entry = EventFactory.create()
    good, closed = TicketTypeFactory.create(entry=entry), TicketTypeFactory.create(entry=entry, sale_ends_at=later(-5))

    buy(client, entry, {good.pk: "1", closed.pk: "1"})

    assert not Ticket.objects.exists()


def test_a_cart_holds_a_hundred_rows_at_most(client: Client, buyer: User) -> None:
    entry = EventFactory.create(max_per_order=200)
    fill(buyer, entry, 99)

    assert "at most 100 things" in buy(client, entry, {0: "2"})
    buy(client, entry, {0: "1"}, 200)
    assert Ticket.objects.pending_for(buyer).count() == 100


def test_a_refused_form_shows_again_what_was_asked_for(client: Client, buyer: User) -> None:
    entry = EventFactory.create(max_per_order=3)

    assert 'value="7"' in buy(client, entry, {0: "7"})


def test_without_a_merchant_what_costs_something_has_no_button_and_its_post_is_taken(
    client: Client, buyer: User, merchant: Merchant
) -> None:
    Merchant.objects.update(is_site=False)
    entry = EventFactory.create()
    paid, free = (TicketTypeFactory.create(entry=entry, price=price) for price in ("9.00", "0.00"))

    shown = client.get(entry.get_absolute_url()).content.decode()

    assert "takes no payments at the moment: only what is free can be had" in shown
    assert f'name="quantity-{free.pk}"' in shown
    assert f'name="quantity-{paid.pk}"' not in shown
    buy(client, entry, {paid.pk: 1}, 200)
    assert Ticket.objects.pending_for(buyer).count() == 1


@pytest.mark.parametrize("change", [{"api_key": None}, {"currency": "CHF"}, {"is_sandbox": True}])
def test_a_merchant_that_cannot_take_the_money_is_none(
    client: Client, buyer: User, merchant: Merchant, change: dict[str, object]
) -> None:
    entry = EventFactory.create(calendar__page__merchant=merchant)
    assert 'name="quantity-0"' in client.get(entry.get_absolute_url()).content.decode()

    Merchant.objects.update(**change)

    shown = client.get(entry.get_absolute_url()).content.decode()
    assert "takes no payments at the moment" in shown
    assert "buy-button" not in shown


def test_a_free_event_needs_no_merchant_and_says_nothing_of_it(client: Client, buyer: User, merchant: Merchant) -> None:
    Merchant.objects.update(is_site=False)

    shown = client.get(EventFactory.create(ticket_price=0).get_absolute_url()).content.decode()

    assert "takes no payments" not in shown
    assert "buy-button" in shown


def test_price_state_currency_order_and_user_in_the_form_are_not_read(client: Client, buyer: User) -> None:
    entry, other = EventFactory.create(), UserFactory.create()
    lies = MultiValueDict(
        {
            "quantity-0": ["1"], "price": ["0"], "price-0": ["0.01"], "total": ["0"], "currency": ["HUF"],
            "state": ["confirmed"], "user": [str(other.pk)], "order": ["1"], "holder": ["x"], "code": ["A"],
        }
    )  # fmt: skip

    assert client.post(f"/e/{entry.pk}/buy/", lies).status_code == 302

    ticket = Ticket.objects.get()
    assert (ticket.price, ticket.currency, ticket.state) == (Decimal("12.00"), "EUR", "pending")
    assert (ticket.user, ticket.order, ticket.holder, len(ticket.code)) == (buyer, None, "", 26)
    assert not Order.objects.exists()
