"""The cart over HTTP: whose it is, what it says, and its lines changed in place."""

from decimal import Decimal

import pytest
from django.test import Client

from accounts.models import User
from events.models import CalendarEntry, Merchant, Page, Ticket, TicketType
from events.transitions import call_off_event
from tests.factories import CalendarFactory, EventFactory, PageFactory, TicketTypeFactory, UserFactory
from tests.simulator import OTHER_KEY, OTHER_MERCHANT
from tests.steps import HTMX, fill, later, ordered, shown

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]

ADDRESSES = ["/cart/", "/cart/house/", "/cart/summary.json"]


def text_of(client: Client, address: str = "/cart/") -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def set_line(client: Client, entry: CalendarEntry, quantity: object, *, key: int = 0, htmx: bool = True) -> int:
    headers = HTMX if htmx else {}
    response = client.post(f"/cart/line/{entry.pk}/{key}/", {"quantity": quantity}, headers=headers)
    return response.status_code


@pytest.mark.parametrize("address", ADDRESSES)
def test_cart_pages_are_kept_by_nobody_and_are_read_only(client: Client, address: str) -> None:
    PageFactory.create(slug="house")

    assert "no-store" in client.get(address)["Cache-Control"]
    for method in (client.post, client.put, client.patch, client.delete):
        assert method(address).status_code == 405


def test_a_cart_signed_out_is_empty_and_offers_to_sign_in(client: Client) -> None:
    assert "/accounts/login/?next=/cart/" in text_of(client)
    assert client.get("/cart/summary.json").json()["count"] == 0


def test_a_cart_shows_its_owner_s_tickets_only(client: Client, buyer: User) -> None:
    fill(UserFactory.create(), EventFactory.create(title="Not mine"))

    assert "Not mine" not in text_of(client)
    assert "Your cart is empty" in text_of(client)


def test_a_cart_groups_by_page_with_counts_and_totals(client: Client, buyer: User) -> None:
    house, barn = PageFactory.create(name="House", slug="house"), PageFactory.create(name="Barn", slug="barn")
    fill(buyer, EventFactory.create(title="Jazz", calendar__page=house), 2)
    fill(buyer, EventFactory.create(title="Folk", calendar__page=barn, ticket_price=Decimal("7.50")))

    body = text_of(client)

    assert "Pay now (€ 31.50)" in body
    for words in ("€ 24.00", "€ 7.50", "2 tickets", "Tickets in a cart are not held", "you are refunded"):
        assert words in body
    only = text_of(client, "/cart/barn/")
    assert "Folk" in only
    assert "Jazz" not in only
    assert client.get("/cart/nobody/").status_code == 404


def test_two_merchants_are_told_before_the_click(client: Client, buyer: User) -> None:
    other = Merchant.objects.create(code=OTHER_MERCHANT, name="Other", api_key=OTHER_KEY, currency="EUR")
    barn = PageFactory.create(slug="barn", merchant=other)
    fill(buyer, EventFactory.create())
    fill(buyer, EventFactory.create(calendar__page=barn))

    body = text_of(client)

    assert "This takes 2 payments" in body
    assert body.count('name="page" value="barn"') == 1
    assert "Pay now" not in body


def test_a_line_says_what_sold_out_closed_or_changed_its_price(client: Client, buyer: User) -> None:
    calendar = CalendarFactory.create()
    gone, fewer, cancelled, closed = (EventFactory.create(calendar=calendar, capacity=9) for _ in range(4))
    dearer = TicketTypeFactory.create(entry=EventFactory.create(calendar=calendar), price=Decimal(10))
    for entry in (gone, fewer, cancelled, closed):
        fill(buyer, entry, 2)
    fill(buyer, dearer.entry, {dearer.pk: 1})
    CalendarEntry.objects.filter(pk=gone.pk).update(capacity=0)
    CalendarEntry.objects.filter(pk=fewer.pk).update(capacity=1)
    CalendarEntry.objects.filter(pk=closed.pk).update(sale_ends_at=later(minutes=-1))
    call_off_event(cancelled)
    TicketType.objects.filter(pk=dearer.pk).update(price=Decimal(11))

    body = text_of(client)

    for words in (
        "Sold out meanwhile.",
        "Only 1 is left.",
        "This event has been cancelled.",
        "Ticket sales have closed.",
        "The price was € 10.00 when you put it in; it is € 11.00 now.",
        "Continue with the 2 items still available (€ 23.00)",
    ):
        assert words in body


def test_a_line_is_changed_in_place_with_the_badge(client: Client, buyer: User) -> None:
    entry = EventFactory.create()
    fill(buyer, entry)

    response = client.post(f"/cart/line/{entry.pk}/0/", {"quantity": "3"}, headers=HTMX)

    body = response.content.decode()
    assert response.status_code == 200
    assert "<html" not in body
    assert 'id="cart"' in body
    assert 'id="cart-badge"' in body
    assert "€ 36.00" in body
    assert shown(buyer).count == 3


def test_a_line_is_changed_without_htmx_by_a_redirect(client: Client, buyer: User) -> None:
    entry = EventFactory.create()
    fill(buyer, entry, 3)

    assert client.post(f"/cart/line/{entry.pk}/0/", {"quantity": "1"})["Location"] == "/cart/"
    assert shown(buyer).count == 1
    assert set_line(client, entry, "0", htmx=False) == 302
    assert not Ticket.objects.exists()


def test_a_line_of_one_page_s_cart_comes_back_to_it(client: Client, buyer: User) -> None:
    entry = EventFactory.create(calendar__page__slug="house")
    fill(buyer, entry, 3)

    response = client.post(f"/cart/line/{entry.pk}/0/", {"quantity": "1", "page": "house"})

    assert response["Location"] == "/cart/house/"


@pytest.mark.parametrize("slug", ["nobody", "//evil.example", "https://evil.example/", "a" * 500])
def test_a_line_leads_to_pages_that_exist_only(client: Client, buyer: User, slug: str) -> None:
    entry = EventFactory.create()
    fill(buyer, entry)

    assert client.post(f"/cart/line/{entry.pk}/0/", {"quantity": "1", "page": slug}).status_code == 404


def test_a_line_changed_signed_out_changes_nothing(client: Client) -> None:
    owner, entry = UserFactory.create(), EventFactory.create()
    fill(owner, entry, 2)

    assert set_line(client, entry, "0", htmx=False) == 302
    in_place = client.post(f"/cart/line/{entry.pk}/0/", {"quantity": "0"}, headers=HTMX)

    assert "HX-Redirect" in in_place
    assert shown(owner).count == 2


def test_a_line_changed_by_somebody_else_changes_their_own_cart_only(client: Client, buyer: User) -> None:
    owner, entry = UserFactory.create(), EventFactory.create()
    fill(owner, entry, 2)

    assert set_line(client, entry, "0") == 200
    assert shown(owner).count == 2


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_line_is_changed_by_post(client: Client, buyer: User, method: str) -> None:
    assert getattr(client, method)("/cart/line/1/0/").status_code == 405


@pytest.mark.parametrize(
    "quantity", ["-1", "1e9", "1000000000", "1.5", "NaN", "３", "", " ", "x", ["1", "x"], "9" * 5000]
)
@pytest.mark.parametrize("htmx", [True, False])
def test_a_quantity_that_is_none_changes_nothing(client: Client, buyer: User, quantity: object, htmx: bool) -> None:
    entry = EventFactory.create()
    fill(buyer, entry, 2)

    assert set_line(client, entry, quantity, htmx=htmx) == 422
    assert shown(buyer).count == 2


def test_limits_hold_in_the_cart_too(client: Client, buyer: User) -> None:
    kind = TicketTypeFactory.create(min_per_order=2, max_per_order=4)
    fill(buyer, kind.entry, {kind.pk: 2})

    assert set_line(client, kind.entry, "5", key=kind.pk) == 422
    assert set_line(client, kind.entry, "1", key=kind.pk) == 422
    assert shown(buyer).count == 2
    assert set_line(client, kind.entry, "4", key=kind.pk) == 200
    assert set_line(client, kind.entry, "0", key=kind.pk) == 200
    assert shown(buyer).count == 0


def test_more_of_what_is_not_on_sale_any_more_is_refused_and_fewer_is_not(client: Client, buyer: User) -> None:
    entry = EventFactory.create()
    fill(buyer, entry, 3)
    Page.objects.update(is_published=False)

    assert set_line(client, entry, "4") == 422
    assert set_line(client, entry, "2") == 200
    assert shown(buyer).count == 2


@pytest.mark.parametrize(
    ("pk", "key", "status"),
    [("0", "0", 404), (str(2**70), "0", 404), ("-1", "0", 404), ("1", "-1", 404), ("x", "0", 404)],
)
def test_a_line_of_nothing_is_not_found(client: Client, buyer: User, pk: str, key: str, status: int) -> None:
    assert client.post(f"/cart/line/{pk}/{key}/", {"quantity": "1"}).status_code == status


@pytest.mark.parametrize("key", [1, 10**12, 2**70])
def test_a_line_of_a_type_that_the_entry_does_not_sell_changes_nothing(client: Client, buyer: User, key: int) -> None:
    entry = EventFactory.create()
    fill(buyer, entry)

    assert set_line(client, entry, "1", key=key) in {404, 422}
    assert set_line(client, entry, "0", key=key) in {200, 404}
    assert shown(buyer).count == 1


def test_summary_names_counts_and_totals_overall_and_by_page(client: Client, buyer: User) -> None:
    fill(buyer, EventFactory.create(calendar__page__slug="house"), 2)

    told = client.get("/cart/summary.json").json()

    facts = {
        "product_count": 0, "product_total": "0.00", "booking_count": 0, "booking_total": "0.00",
        "ticket_count": 2, "ticket_total": "24.00", "count": 2, "total": "24.00", "currency": "EUR",
    }  # fmt: skip
    assert told == facts | {"pages": {"house": facts}}


def test_summary_over_several_currencies_has_no_total(client: Client, buyer: User) -> None:
    fill(buyer, EventFactory.create(calendar__page__slug="house"))
    fill(buyer, EventFactory.create(calendar__page__slug="hut", calendar__page__currency="CHF"), 2)

    told = client.get("/cart/summary.json").json()

    assert (told["count"], told["total"], told["currency"]) == (3, None, None)
    assert (told["pages"]["hut"]["total"], told["pages"]["hut"]["currency"]) == ("24.00", "CHF")
    assert "in several currencies" in text_of(client)


def test_a_page_whose_currency_changed_does_not_break_its_buyers_carts(client: Client, buyer: User) -> None:
    entry = EventFactory.create(calendar__page__slug="house")
    fill(buyer, entry)
    Page.objects.update(currency="CHF")

    for address in ADDRESSES:
        assert client.get(address).status_code == 200


def test_an_ordered_ticket_is_out_of_the_cart(client: Client, buyer: User) -> None:
    ordered(number=2, user=buyer)

    assert client.get("/cart/summary.json").json()["count"] == 0


def test_the_badge_counts_everything_on_every_page(client: Client, buyer: User) -> None:
    fill(buyer, EventFactory.create(), 7)

    assert '<span class="badge" id="cart-badge">7<' in text_of(client, "/")
