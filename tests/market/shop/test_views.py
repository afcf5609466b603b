"""The shop over HTTP: what a product's page shows and takes, signed in and signed out, and the organiser's page."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.visitors import SESSION_KEY, Visitor
from events.models import Merchant
from market.models import Product, ProductItem
from tests.factories import PageFactory, ProductFactory, UserFactory
from tests.steps import HTMX

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]


@pytest.fixture
def mug() -> Product:
    return ProductFactory.create(page__slug="house", page__name="House", slug="mug", name="Mug", max_per_order=4)


def text_of(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return response.content.decode()


def buy(client: Client, product: Product, quantity: object, status: int = 200, headers: dict[str, str] = HTMX) -> str:
    response = client.post(f"{product.get_absolute_url()}buy/", {"quantity": quantity}, headers=headers)
    assert response.status_code == status
    return response.content.decode()


def of_session(client: Client) -> Visitor:
    """The signed-out visitor that this client is."""
    return Visitor(cart_key=client.session.get(SESSION_KEY, ""))


def test_product_has_its_address_price_and_text(client: Client, mug: Product) -> None:
    assert mug.get_absolute_url() == "/p/house/shop/mug/"
    Product.objects.update(text="Fired in the yard.", summary="Blue")

    body = text_of(client, "/p/house/shop/mug/")

    for words in ("Mug", "€ 5.00", "Fired in the yard.", "Blue", "House", 'max="4"', "Put in the cart"):
        assert words in body
    assert "left" not in body


@pytest.mark.parametrize(
    ("stock", "words", "form"),
    [(None, "", True), (11, "", True), (10, "Only 10 left", True), (1, "Only 1 left", True), (0, "Sold out", False)],
)
def test_product_says_how_many_are_left(
    client: Client, mug: Product, stock: int | None, words: str, form: bool
) -> None:
    Product.objects.update(stock=stock)

    for address in ("/p/house/shop/mug/", "/p/house/"):
        body = text_of(client, address)
        assert words in body
        assert ("Sold out" in body, " left" in body) == (words == "Sold out", words.startswith("Only"))
    assert ("buy-button" in text_of(client, "/p/house/shop/mug/")) is form


@pytest.mark.parametrize("hidden", [{"is_published": False}, {"page__is_published": False}])
def test_what_is_not_for_sale_is_not_found(client: Client, hidden: dict[str, bool]) -> None:
    product = ProductFactory.create(**hidden)

    text_of(client, product.get_absolute_url(), 404)
    buy(client, product, 1, 404)
    assert not ProductItem.objects.exists()


def test_product_is_found_on_its_own_page_only(client: Client, mug: Product) -> None:
    PageFactory.create(slug="other")

    text_of(client, "/p/other/shop/mug/", 404)
    text_of(client, "/p/house/shop/cup/", 404)
    text_of(client, "/p/house/shop/", 404)


def test_each_address_takes_its_own_method_only(client: Client, mug: Product) -> None:
    assert client.post("/p/house/shop/mug/").status_code == 405
    assert client.put("/p/house/shop/mug/buy/").status_code == 405


def test_buying_signed_in_by_htmx_answers_the_partial_with_the_badge(client: Client, mug: Product) -> None:
    user = UserFactory.create()
    client.force_login(user)

    body = buy(client, mug, 2)

    assert body.lstrip().startswith('<section class="buy-box panel" id="buy"')
    assert "2 × Mug added to your cart" in body
    assert "you are refunded" in body
    assert 'href="/cart/"' in body
    assert 'id="cart-badge" hx-swap-oob="true"' in " ".join(body.split())
    assert "<html" not in body
    assert ProductItem.objects.pending_for(user).count() == 2
    assert SESSION_KEY not in client.session


def test_buying_without_htmx_leads_to_the_cart_that_says_so(client: Client, mug: Product) -> None:
    response = client.post("/p/house/shop/mug/buy/", {"quantity": "1"}, follow=True)

    assert response.redirect_chain == [("/cart/", 302)]
    assert "1 × Mug added to cart" in response.content.decode()


def test_buying_signed_out_is_kept_under_a_key_of_the_session(client: Client, mug: Product, settings: Settings) -> None:
    response = client.post("/p/house/shop/mug/buy/", {"quantity": "2"}, headers=HTMX)

    assert "no-store" in response["Cache-Control"]
    cookie = response.cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert len(of_session(client).cart_key) == 43
    assert ProductItem.objects.in_cart_of(of_session(client)).count() == 2
    buy(client, mug, 1)
    assert ProductItem.objects.in_cart_of(of_session(client)).count() == 3
    stranger = Client()
    buy(stranger, mug, 1)
    assert ProductItem.objects.in_cart_of(of_session(stranger)).count() == 1


def test_looking_makes_no_session(client: Client, mug: Product) -> None:
    text_of(client, "/p/house/shop/mug/")

    assert "sessionid" not in client.cookies


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        ("0", "Choose at least one"),
        ("5", "Mug: at most 4 an order"),
        ("", "is not a number"),
        ("-1", "is not a number"),
        ("1.5", "is not a number"),
        ("1e9", "is not a number"),
        ("٣", "is not a number"),
        ("<b>", "&lt;b&gt;"),
    ],
)
@pytest.mark.parametrize("headers", [HTMX, {}])
def test_bad_numbers_are_refused_with_a_sentence(
    client: Client, mug: Product, quantity: str, words: str, headers: dict[str, str]
) -> None:
    body = buy(client, mug, quantity, 422, headers)

    assert words in body
    assert ("<html" in body) is not bool(headers)
    assert not ProductItem.objects.exists()


def test_a_refused_form_shows_again_what_was_asked_for(client: Client, mug: Product) -> None:
    assert 'value="7"' in buy(client, mug, 7, 422)


def test_a_post_for_what_is_sold_out_or_unpayable_is_taken(client: Client, mug: Product) -> None:
    Product.objects.update(stock=0)
    Merchant.objects.update(is_site=False)

    assert "1 × Mug added" in buy(client, mug, 1)


def test_price_state_and_owner_in_the_form_are_not_read(client: Client, mug: Product) -> None:
    other = UserFactory.create()
    lies = {"quantity": "1", "price": "0.01", "state": "confirmed", "user": other.pk, "cart_key": "x", "product": "0"}

    assert client.post("/p/house/shop/mug/buy/", lies).status_code == 302

    item = ProductItem.objects.get()
    assert (item.price, item.state, item.user, item.cart_key) == (
        mug.price,
        "pending",
        None,
        of_session(client).cart_key,
    )


def test_without_a_merchant_only_what_is_free_can_be_had_and_the_page_says_so(client: Client, mug: Product) -> None:
    Merchant.objects.update(is_site=False)
    flyer = ProductFactory.create(page=mug.page, slug="flyer", name="Flyer", price=0)
    sentence = "takes no payments at the moment: only what is free can be had"

    paid, free = text_of(client, mug.get_absolute_url()), text_of(client, flyer.get_absolute_url())

    assert sentence in paid
    assert "buy-button" not in paid
    assert sentence not in free
    assert "buy-button" in free
    assert text_of(client, "/p/house/").count("Not for sale now") == 1


def test_page_has_a_shop_in_the_organisers_order(client: Client, mug: Product) -> None:
    ProductFactory.create(page=mug.page, name="Bag", position=1)
    ProductFactory.create(page=mug.page, name="Hidden", is_published=False)
    ProductFactory.create(name="Elsewhere")

    body = text_of(client, "/p/house/")

    assert 'href="/p/house/shop/mug/"' in body
    assert body.index(">Mug<") < body.index(">Bag<")
    assert "Hidden" not in body
    assert "Elsewhere" not in body
    assert 'href="#shop"' in body
    assert 'id="shop"' not in text_of(client, "/p/house/?past=1")


def test_page_without_products_has_no_shop(client: Client) -> None:
    PageFactory.create(slug="house")

    assert "shop" not in text_of(client, "/p/house/").lower()


def test_queries_are_as_many_for_three_products_as_for_one(
    client: Client, mug: Product, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for count in (1, 3):
        while Product.objects.count() < count:
            ProductFactory.create(page=mug.page)
        with django_assert_num_queries(5):  # the page's own 3 without an event, the products, who takes the money
            text_of(client, "/p/house/")
        with django_assert_num_queries(2):
            text_of(client, "/p/house/shop/mug/")


def test_markup_in_an_organisers_words_is_text(client: Client, mug: Product) -> None:
    Product.objects.update(name="<b>Mug</b>", summary="<i>", text="<script>alert(1)</script>")

    for address in ("/p/house/", "/p/house/shop/mug/"):
        body = text_of(client, address)
        assert "<b>Mug" not in body
        assert "<script>alert" not in body
