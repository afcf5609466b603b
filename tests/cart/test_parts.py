"""A cart of several sellers: how many payments it takes and why, one for each seller, and what is left after each."""

import uuid
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from cart.contents import Cart
from events.models import CalendarEntry, Merchant, Page
from orders.models import Order
from payments.checkouts.settling import settle
from tests.factories import EventFactory, PageFactory
from tests.simulator import OTHER_KEY, OTHER_MERCHANT, SimulatorProcess
from tests.steps import checkout_form, fill, order_cart, paid_at_sumup, shown

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]

WHY = "payments, one after the other: a payment goes to one seller, in one currency"


def pages(**currencies: tuple[Merchant | None, str]) -> list[Page]:
    return [
        PageFactory.create(slug=slug, name=slug.title(), merchant=merchant, currency=currency)
        for slug, (merchant, currency) in currencies.items()
    ]


def other(currency: str = "EUR") -> Merchant:
    return Merchant.objects.create(code=OTHER_MERCHANT, name="Other", api_key=OTHER_KEY, currency=currency)


def want(buyer: User, page: Page, price: int = 12) -> None:
    fill(buyer, EventFactory.create(calendar__page=page, ticket_price=Decimal(price)))


def slugs(parts: list[Cart]) -> list[list[str]]:
    return [[group.page.slug for group in part.groups] for part in parts]


@pytest.mark.promise("cart-several-sellers")
def test_pages_of_one_merchant_are_one_part(buyer: User) -> None:
    barn_keeper = other()
    house, barn, cellar, loft = pages(
        house=(None, "EUR"), barn=(barn_keeper, "EUR"), cellar=(None, "EUR"), loft=(barn_keeper, "EUR")
    )
    for page in (barn, house, loft, cellar):
        want(buyer, page)

    cart = shown(buyer)

    assert slugs(cart.parts) == [["barn", "loft"], ["house", "cellar"]]
    assert (cart.pays_at_once, cart.payments) == (False, 2)


def test_what_is_free_goes_along_with_the_first_part_in_its_currency(buyer: User) -> None:
    swiss = other("CHF")
    free, house, alp, gift = pages(free=(None, "EUR"), house=(None, "EUR"), alp=(swiss, "CHF"), gift=(None, "CHF"))
    for page, price in ((free, 0), (house, 12), (gift, 0), (alp, 20)):
        want(buyer, page, price)

    cart = shown(buyer)

    assert slugs(cart.parts) == [["free", "house"], ["gift", "alp"]]
    assert cart.payments == 2
    francs_only = Cart([group for group in cart.groups if group.page.slug in {"house", "gift"}])
    assert (slugs(francs_only.parts), francs_only.payments) == ([["house"], ["gift"]], 1)


def test_an_empty_cart_has_no_part(buyer: User) -> None:
    assert (shown(buyer).parts, shown(buyer).payments, shown(buyer).pays_at_once) == ([], 0, False)


def form_with(body: str, slug: str) -> dict[str, list[str]]:
    """What the form sends that names the page `slug`."""
    forms = [form.split("</form>")[0] for form in body.split('<form method="post" action="/checkout/"')[1:]]
    (form,) = [form for form in forms if f'name="page" value="{slug}"' in form]

    def values(name: str) -> list[str]:
        return [part.split('"')[0] for part in form.split(f'name="{name}" value="')[1:]]

    return {name: values(name) for name in ("page", "token", "digest")}


@pytest.mark.promise("cart-several-sellers")
def test_the_cart_says_how_many_payments_and_why_above_the_buttons(client: Client, buyer: User) -> None:
    barn_keeper = other()
    house, barn, loft = pages(house=(None, "EUR"), barn=(barn_keeper, "EUR"), loft=(barn_keeper, "EUR"))
    for page in (house, barn, loft):
        want(buyer, page)

    body = client.get("/cart/").content.decode()

    assert f"This takes 2 {WHY}" in body
    assert body.index(WHY) < body.index("Pay this part (")
    assert body.count("Pay this part (") == 2
    assert form_with(body, "loft")["page"] == ["barn", "loft"]
    one = client.get("/cart/barn/").content.decode()
    assert WHY not in one
    assert "Pay now (€ 12.00)" in one


@pytest.mark.promise("cart-several-sellers")
def test_after_the_first_payment_the_order_says_what_is_still_to_pay(
    client: Client, buyer: User, sumup: SimulatorProcess, merchant: Merchant
) -> None:
    barn_keeper = other()
    house, barn, loft = pages(house=(None, "EUR"), barn=(barn_keeper, "EUR"), loft=(barn_keeper, "EUR"))
    fill(buyer, EventFactory.create(title="Film", calendar__page=house, ticket_price=Decimal(9)), 2)
    want(buyer, barn)
    want(buyer, loft)

    first = client.post("/checkout/", form_with(client.get("/cart/").content.decode(), "loft"))
    assert first.status_code == 303
    both = Order.objects.get()
    assert (both.merchant, both.total) == (barn_keeper, Decimal(24))
    assert "Still to pay" not in client.get(both.get_absolute_url()).content.decode()
    paid_at_sumup(sumup, both)
    settle(both.checkouts.get().pk, who="test", at=timezone.now())

    body = client.get(both.get_absolute_url()).content.decode()
    for words in ("Still to pay", "2 × Film – Ticket", "Pay this part (€ 18.00)"):
        assert words in body
    assert WHY not in body
    second = client.post("/checkout/", form_with(body, "house"))
    assert second.status_code == 303
    rest = Order.objects.exclude(pk=both.pk).get()
    assert (rest.merchant_id, rest.total) == (merchant.pk, Decimal(18))
    assert "Still" not in client.get(both.get_absolute_url()).content.decode()


def test_what_changed_in_the_rest_is_looked_at_in_the_cart(client: Client, buyer: User) -> None:
    bought = free_order(buyer)
    gone = EventFactory.create(capacity=5)
    fill(buyer, gone, 2)
    CalendarEntry.objects.filter(pk=gone.pk).update(capacity=1)

    body = client.get(bought.get_absolute_url()).content.decode()

    assert "Something has changed since you put it in." in body
    assert "still available (" not in body
    assert 'action="/checkout/"' not in body


def test_only_free_things_left_are_not_called_to_pay(client: Client, buyer: User) -> None:
    bought = free_order(buyer)
    want(buyer, PageFactory.create(), 0)

    body = client.get(bought.get_absolute_url()).content.decode()

    assert "Still in your cart" in body
    assert "Still to pay" not in body
    assert "Confirm, it is free" in body


def free_order(buyer: User) -> Order:
    page = PageFactory.create()
    want(buyer, page, 0)
    return order_cart(buyer, page=page)


@pytest.mark.parametrize("named", ["nobody", "HOUSE", "x" * 5000])
def test_a_part_that_names_a_page_of_nobody_is_not_found(client: Client, buyer: User, named: str) -> None:
    (house,) = pages(house=(None, "EUR"))
    want(buyer, house)
    PageFactory.create(slug="secret", is_published=False)

    for wrong in (named, "secret"):
        form = form_with_page(client, "house", wrong)
        assert client.post("/checkout/", form).status_code == 404
    assert not Order.objects.exists()


def form_with_page(client: Client, *slugs: str) -> dict[str, object]:
    return {**checkout_form(client), "page": list(slugs)}


@pytest.mark.promise("cart-several-sellers")
def test_a_part_of_two_sellers_is_refused(client: Client, buyer: User) -> None:
    house, barn = pages(house=(None, "EUR"), barn=(other(), "EUR"))
    want(buyer, house)
    want(buyer, barn)

    form = {"page": ["house", "barn"], "token": str(uuid.uuid4()), "digest": shown(buyer).digest()}
    response = client.post("/checkout/", form)

    assert response.status_code == 422
    assert "more than one payment" in response.content.decode()
    assert not Order.objects.exists()
