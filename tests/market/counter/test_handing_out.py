"""The counter: green once, amber after that, red with its reason; for those who stand there, and for nobody else."""

from datetime import datetime
from functools import partial

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from events.door.desk import Answer, Desk, Light
from events.models import Page, Role
from ledger.models import History
from market.counter.handing_out import counter_of
from market.models import Product, ProductItem
from tests.desk import house, member, signed_in_as
from tests.factories import PageFactory, ProductFactory, UserFactory
from tests.ledger.lives import SOLD_WAYS, an_item, an_order
from tests.ledger.locks import locks
from tests.ledger.psql import run
from tests.ledger.watching import watched
from tests.races.threads import at_once, in_a_thread
from tests.steps import HTMX

pytestmark = pytest.mark.django_db


@pytest.fixture
def mug() -> Product:
    return ProductFactory.create(page__slug="house", page__name="House", name="Mug")


@pytest.fixture
def voucher(mug: Product) -> ProductItem:
    """One of three valid ones."""
    order = an_order(user=UserFactory.create(email="buyer@example.org"))
    items = [an_item("confirmed", product=mug, order=order) for _ in range(3)]
    return ProductItem.objects.with_page().select_related("order").get(pk=items[0].pk)


@pytest.fixture
def seller(mug: Product) -> Client:
    return signed_in_as(member((mug.page, Role.DOOR)))


def told(client: Client, code: str, **headers: str) -> str:
    answer = client.post("/door/products/house/", {"code": code}, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def state_of(item: ProductItem) -> str:
    return str(ProductItem.objects.values_list("state", flat=True).get(pk=item.pk))


def test_green_once_then_amber_with_the_time_and_a_count(seller: Client, voucher: ProductItem) -> None:
    first = told(seller, voucher.code)
    assert "door-answer green" in first
    assert "Mug" in first
    assert "1 of 3 are handed out" in first

    again = told(seller, voucher.code)
    assert "door-answer amber" in again
    assert "Already handed out" in again
    assert "1 of 3 are handed out" in again
    assert state_of(voucher) == "checked_in"
    (row,) = History.objects.filter(subject="productitem", subject_id=voucher.pk, new="checked_in")
    assert (row.actor[:5], row.reason) == ("user:", "at the counter")


@pytest.mark.parametrize("shape", ["{}", " {} ", "/vouchers/{}/", "https://foyer.example.org/vouchers/{}/"])
def test_a_code_is_read_in_any_shape(seller: Client, voucher: ProductItem, shape: str) -> None:
    assert "door-answer green" in told(seller, shape.format(voucher.code.lower()))


def test_htmx_gets_the_desk_alone(seller: Client, voucher: ProductItem) -> None:
    body = told(seller, voucher.code, **HTMX)

    assert body.strip().startswith("<section")
    assert "door-answer green" in body
    assert "<html" not in body


def test_the_last_one_is_taken_back_once(seller: Client, voucher: ProductItem) -> None:
    told(seller, voucher.code)

    for words in ("Taken back", "Nothing to take back"):
        assert words in seller.post("/door/products/house/", {"undo": str(voucher.pk)}).content.decode()

    voucher.refresh_from_db()
    assert (voucher.state, voucher.checked_in_at) == ("confirmed", None)
    assert "door-answer green" in told(seller, voucher.code)


@pytest.mark.parametrize("taken", ["-1", "x", "1" * 30, "0", "²"])
def test_a_bad_undo_changes_nothing(seller: Client, voucher: ProductItem, taken: str) -> None:
    assert "door-answer red" in seller.post("/door/products/house/", {"undo": taken}).content.decode()


@pytest.mark.parametrize("typed", ["", "x", "A" * 3000, "' OR 1=1 --", "A" * 26])
def test_what_is_no_code_is_red(seller: Client, voucher: ProductItem, typed: str) -> None:
    assert "Not a voucher" in told(seller, typed)


@pytest.mark.parametrize(
    ("state", "headline"),
    [
        ("reserved", "Not paid"),
        ("cancelled", "Cancelled"),
        ("refund_due", "Not valid"),
        ("refunded", "Refunded"),
        ("pending", "Not a voucher"),
    ],
)
def test_what_is_not_valid_is_red_with_the_reason(seller: Client, mug: Product, state: str, headline: str) -> None:
    item = an_item(state, product=mug)

    body = told(seller, item.code)

    assert "door-answer red" in body
    assert headline in body
    assert state_of(item) == state


def test_voucher_of_another_house_is_red_and_names_nothing(seller: Client, voucher: ProductItem) -> None:
    foreign = an_item("confirmed", product=ProductFactory.create(name="Secret", page__name="Elsewhere"))

    body = told(seller, foreign.code)

    assert "Another house" in body
    assert "Secret" not in body
    assert "Elsewhere" not in body
    assert state_of(foreign) == "confirmed"


def test_nothing_of_another_house_is_taken_back(seller: Client, voucher: ProductItem) -> None:
    foreign = an_item("checked_in")

    assert "Nothing to take back" in seller.post("/door/products/house/", {"undo": str(foreign.pk)}).content.decode()
    assert state_of(foreign) == "checked_in"


def test_a_ticket_is_no_voucher_and_a_voucher_no_ticket(voucher: ProductItem) -> None:
    home = house("Alpha")
    client = signed_in_as(member((home.page, Role.DOOR), (voucher.product.page, Role.DOOR)))

    assert "Not a voucher" in told(client, home.ticket.code)
    assert "Not a ticket" in client.post(f"/door/{home.entry.pk}/", {"code": voucher.code}).content.decode()


@pytest.mark.parametrize("role", [Role.OWNER, Role.ORGANISER, Role.BOX_OFFICE, Role.DOOR])
def test_these_roles_stand_at_the_counter(mug: Product, role: Role) -> None:
    client = signed_in_as(member((mug.page, role)))

    assert 'href="/door/products/house/"' in client.get("/door/").content.decode()
    assert client.get("/door/products/house/").status_code == 200


def test_nobody_else_does(mug: Product, voucher: ProductItem) -> None:
    other = PageFactory.create()
    address = "/door/products/house/"
    for user, status in [
        (member((mug.page, Role.FINANCE)), 403),
        (UserFactory.create(), 403),
        (member((other, Role.DOOR)), 404),
    ]:
        client = signed_in_as(user)
        assert client.get(address).status_code == status
        assert client.post(address, {"code": voucher.code}).status_code == status
    assert "House" not in signed_in_as(member((other, Role.DOOR))).get("/door/").content.decode()
    assert Client().get(address)["Location"] == f"/accounts/login/?next={address}"
    assert Client().post(address, {"code": voucher.code}).status_code == 302
    assert signed_in_as(member((mug.page, Role.DOOR))).put(address).status_code == 405
    assert state_of(voucher) == "confirmed"


def test_a_superuser_stands_everywhere(mug: Product) -> None:
    client = signed_in_as(UserFactory.create(is_staff=True, is_superuser=True))

    assert client.get("/door/products/house/").status_code == 200


def test_page_without_products_has_no_counter_in_the_list() -> None:
    page = PageFactory.create(slug="bare")
    Page.objects.filter(pk=page.pk).update(name="Bare")

    assert "Bare" not in signed_in_as(member((page, Role.DOOR))).get("/door/").content.decode()


def test_people_without_their_voucher_are_found_by_address_and_order(seller: Client, voucher: ProductItem) -> None:
    assert voucher.order is not None
    for term in ("buyer@", voucher.order.short_code.lower()):
        assert f'value="{voucher.code}"' in seller.get("/door/products/house/", {"name": term}).content.decode()
    assert "Nobody found" in seller.get("/door/products/house/", {"name": "nobody"}).content.decode()
    told(seller, voucher.code)
    assert "Already handed out" in seller.get("/door/products/house/", {"name": "buyer@"}).content.decode()


def test_the_counter_asks_as_often_for_one_voucher_as_for_many(
    seller: Client, mug: Product, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for count in (1, 9):
        while ProductItem.objects.count() < count:
            an_item("confirmed", product=mug)
        with django_assert_num_queries(7):
            seller.get("/door/products/house/", {"name": "user"})


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("two-counters-read")
def test_two_counters_at_once_hand_out_one() -> None:
    item = an_item("confirmed")
    works = [
        partial(counter_of(item.product.page).let_in, item.code, who="user:1", at=timezone.now()) for _ in range(8)
    ]

    lights = [getattr(answer, "light", answer) for answer in at_once(works)]

    assert sorted(str(light) for light in lights) == ["Light.AMBER"] * 7 + ["Light.GREEN"]


@pytest.mark.django_db(transaction=True)
def test_the_rival_who_is_quicker_by_a_hair_makes_it_amber(monkeypatch: pytest.MonkeyPatch) -> None:
    item = an_item("confirmed")
    hand_over = Desk._let_in
    rivals = [partial(counter_of(item.product.page).let_in, item.code, who="user:2", at=timezone.now())]

    def rival_first(desk: Desk[ProductItem], item: ProductItem, *, who: str, at: object) -> bool:
        if rivals:
            in_a_thread(rivals.pop())
        return hand_over(desk, item, who=who, at=timezone.now())

    monkeypatch.setattr(Desk, "_let_in", rival_first)

    assert counter_of(item.product.page).let_in(item.code, who="user:1", at=timezone.now()).light is Light.AMBER


@pytest.mark.django_db(transaction=True)
def test_the_product_is_locked_before_its_piece() -> None:
    item = an_item("confirmed")
    with watched() as watch:
        counter_of(item.product.page).let_in(item.code, who="user:1", at=timezone.now())
        counter_of(item.product.page).take_back(item.pk, who="user:1")
    locks = [table for verb, table in watch.seen if verb == "LOCK"]
    assert watch.breaches == []
    assert {"market_product", "market_productitem"} <= set(locks)


def test_what_is_no_code_is_not_looked_for(mug: Product, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        assert counter_of(mug.page).let_in("Mug", who="user:1", at=timezone.now()).headline == "Not a voucher"


def test_the_piece_and_its_product_are_locked_and_nothing_else(voucher: ProductItem) -> None:
    with locks() as locked:
        counter_of(voucher.product.page).let_in(voucher.code, who="user:1", at=timezone.now())
        counter_of(voucher.product.page).take_back(voucher.pk, who="user:1")

    assert locked == [("market_product", (voucher.product_id,)), ("market_productitem", (voucher.pk,))] * 2


def test_only_the_piece_that_is_named_is_handed_out_and_taken_back(voucher: ProductItem) -> None:
    page, (first, second, third) = voucher.product.page, ProductItem.objects.order_by("pk")
    for item in (first, second):
        counter_of(page).let_in(item.code, who="user:1", at=timezone.now())
    assert [state_of(item) for item in (first, second, third)] == ["checked_in", "checked_in", "confirmed"]

    assert counter_of(page).take_back(second.pk, who="user:2")

    assert [state_of(item) for item in (first, second, third)] == ["checked_in", "confirmed", "confirmed"]
    row = History.objects.filter(subject="productitem", subject_id=second.pk).latest("pk")
    assert (row.old, row.new, row.actor, row.reason) == ("checked_in", "confirmed", "user:2", "undone at the counter")
    assert not counter_of(page).take_back(third.pk, who="user:2")


@pytest.mark.parametrize("state", [state for state in SOLD_WAYS if state != "checked_in"])
def test_what_is_not_handed_out_is_not_taken_back(state: str) -> None:
    item = an_item(state)

    assert not counter_of(item.product.page).take_back(item.pk, who="user:1")
    assert state_of(item) == state


def test_a_voucher_that_was_cancelled_a_moment_ago_is_red(
    monkeypatch: pytest.MonkeyPatch, voucher: ProductItem
) -> None:
    hand_over = Desk._let_in

    def rival_first(desk: Desk[ProductItem], item: ProductItem, *, who: str, at: datetime) -> bool:
        run("UPDATE market_productitem SET state = 'refund_due' WHERE id = %s", item.pk)
        return hand_over(desk, item, who=who, at=at)

    monkeypatch.setattr(Desk, "_let_in", rival_first)

    told = counter_of(voucher.product.page).let_in(voucher.code, who="user:1", at=timezone.now())

    words = "The money for this voucher is owed to its buyer."
    assert told == Answer(Light.RED, "Not valid", words, voucher.pk, "Mug")


def test_what_is_out_and_valid_is_counted_by_page(mug: Product) -> None:
    other = ProductFactory.create(page=mug.page)
    for product, states in ((mug, SOLD_WAYS), (other, ["confirmed", "checked_in", "checked_in"])):
        for state in states:
            an_item(state, product=product)
    for state in ("confirmed", "checked_in"):
        an_item(state)

    assert counter_of(mug.page).counts() == (3, 5)
    assert counter_of(PageFactory.create()).counts() == (0, 0)
