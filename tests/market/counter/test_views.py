"""A voucher in its buyer's hand: its page, and the page that an order's PDF has for it."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from events.door.desk import Light
from events.tickets.paper import Paper, grouped
from market.counter.handing_out import counter_of
from market.documents import voucher_pages
from market.models import Product, ProductItem
from tests.factories import ProductFactory, UserFactory
from tests.ledger.lives import SOLD_WAYS, an_item
from tests.papers import codes_of, pages_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def mug() -> Product:
    return ProductFactory.create(name="Mug", summary="Blue", page__name="House", page__place="Am Wall 3", price=12)


def page_of(item: ProductItem, status: int = 200) -> str:
    client = Client()
    assert item.user is not None
    client.force_login(item.user)
    answer = client.get(f"/vouchers/{item.code}/")
    assert answer.status_code == status
    assert status != 200 or "no-store" in answer["Cache-Control"]
    return answer.content.decode()


@pytest.mark.parametrize(
    ("state", "words", "is_valid"),
    [
        ("confirmed", "Valid", True),
        ("checked_in", "Handed out<", True),
        ("reserved", "Reserved, not paid yet", False),
        ("cancelled", "Not valid: cancelled", False),
        ("refund_due", "Not valid: its price is owed to you", False),
        ("refunded", "Not valid: refunded", False),
    ],
)
def test_voucher_shows_its_code_state_price_and_order(mug: Product, state: str, words: str, is_valid: bool) -> None:
    item = an_item(state, product=mug)
    assert item.get_absolute_url() == f"/vouchers/{item.code}/"

    body = page_of(item)

    item.refresh_from_db()
    assert item.order is not None
    for text in (words, "Mug", "House", "Am Wall 3", "€ 12.00", grouped(item.code), item.order.get_absolute_url()):
        assert text in body
    assert ('class="qr"' in body) is is_valid


def test_voucher_says_when_it_was_handed_out_on_the_page_s_clock(mug: Product) -> None:
    item = an_item("confirmed", product=mug)
    at = datetime(2027, 1, 5, 23, 30, tzinfo=UTC)
    assert counter_of(mug.page).let_in(item.code, who="user:1", at=at).light is Light.GREEN

    assert "Handed out: 6 Jan 2027, 00:30" in page_of(item)


def test_every_state_but_pending_was_tried() -> None:
    assert set(SOLD_WAYS) - {"pending"} == {
        "confirmed", "checked_in", "reserved", "cancelled", "refund_due", "refunded",
    }  # fmt: skip


def test_what_is_in_a_cart_is_no_voucher(mug: Product) -> None:
    page_of(an_item("pending", product=mug), 404)


def test_another_s_voucher_is_not_found_and_signed_out_one_signs_in(client: Client, mug: Product) -> None:
    item = an_item("confirmed", product=mug)
    address = item.get_absolute_url()

    assert client.get(address)["Location"] == f"/accounts/login/?next={address}"
    client.force_login(UserFactory.create())
    assert client.get(address).status_code == 404
    assert client.get("/vouchers/NOTHING/").status_code == 404
    assert client.post(address).status_code == 405


def test_paper_has_a_page_for_each_voucher_with_the_code_that_a_scanner_reads(mug: Product) -> None:
    items = [an_item("confirmed", product=mug) for _ in range(2)]
    rows = ProductItem.objects.with_page().select_related("order").filter(pk__in=[item.pk for item in items])
    paper = Paper("Order")

    voucher_pages(paper, rows.order_by("pk"))

    content = paper.content()
    assert codes_of(content) == [item.code for item in items]
    for text, item in zip(pages_of(content), rows.order_by("pk"), strict=True):
        assert item.order is not None
        for words in ("Mug", "Blue", "House", "Am Wall 3", "€ 12.00", grouped(item.code), item.order.code[:8]):
            assert words in text
