"""What is true of any cart: sums and digests of any lines, and the merging of any two carts at sign-in."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from accounts.models import User
from accounts.visitors import Visitor
from cart import adopting
from cart.contents import Cart, Group
from cart.counting import rows_in_cart
from cart.lines import BookingLine, ItemLine, Line, TicketLine
from events.models import Calendar, CalendarEntry, Page, Ticket
from ledger.money import Money
from market.models import Product, ProductItem
from tests.factories import ProductFactory, RoomFactory, UserFactory

# --- Sums and digests: no database

CURRENCIES = ["EUR", "CLP"]


def amounts(currency: str) -> st.SearchStrategy[Money]:
    """Prices as they stand in a row of two places, whatever the places of their currency."""
    cents = st.integers(0, 9_999_999_999)
    found = cents.map(Decimal) if currency == "CLP" else cents.map(lambda n: Decimal(n).scaleb(-2))
    return st.one_of(st.sampled_from([Decimal(0), Decimal("5"), Decimal("5.00")]), found).map(
        lambda amount: Money(amount, currency)
    )


@st.composite
def lines(draw: st.DrawFn, page: Page, currency: str) -> Line:
    """A line of any kind, of a thing with one of a few keys; some of it may not be had."""
    key, price, seen = draw(st.integers(1, 3)), draw(amounts(currency)), draw(amounts(currency))
    kind = draw(st.sampled_from(["ticket", "booking", "item"]))
    quantity = 1 if kind == "booking" else draw(st.integers(1, 100))
    fits = draw(st.integers(0, quantity))
    if kind == "ticket":
        entry = CalendarEntry(pk=key)
        tickets = [Ticket(entry=entry)] * quantity
        return TicketLine(page=page, price=price, seen=seen, fits=fits, entry=entry, ticket_type=None, tickets=tickets)
    if kind == "booking":
        return BookingLine(page=page, price=price, seen=seen, fits=fits, booking=CalendarEntry(pk=key))
    product = Product(pk=key)
    return ItemLine(page=page, price=price, seen=seen, fits=fits, product=product, items=[ProductItem()] * quantity)


@st.composite
def carts(draw: st.DrawFn) -> Cart:
    """Up to three pages, each in one currency; a thing stands in one line only."""
    groups = []
    for pk in range(draw(st.integers(0, 3))):
        page = Page(pk=pk + 1, currency=draw(st.sampled_from(CURRENCIES)))
        found = draw(st.lists(lines(page, page.currency), min_size=1, max_size=5, unique_by=lambda line: line.identity))
        groups.append(Group(page, None, found))
    return Cart(groups)


def paid_for(found: Sequence[Line], currency: str) -> Decimal:
    """The sum by another way: piece by piece."""
    assert {line.price.currency for line in found} <= {currency}
    return sum((line.price.amount for line in found for _piece in range(line.quantity)), Decimal(0))


@given(carts())
@pytest.mark.promise("cart-any-lines")
def test_totals_are_the_sums_of_their_lines(cart: Cart) -> None:
    for group in cart.groups:
        assert group.total == Money(paid_for(group.lines, group.currency), group.currency)
        kinds = [group.ticket_total, group.booking_total, group.product_total]
        assert sum((kind.amount for kind in kinds), Decimal(0)) == group.total.amount
        assert group.ticket_count + group.booking_count + group.product_count == group.count
    assert cart.count == sum(group.count for group in cart.groups)
    currencies = {group.currency for group in cart.groups}
    if len(currencies) == 1:
        (currency,) = currencies
        assert cart.total == Money(paid_for(cart.lines, currency), currency)
    else:
        assert cart.total is cart.rest_total is None


@st.composite
def small_carts(draw: st.DrawFn) -> Cart:
    """So few things, numbers and prices that two of them are often the same."""
    currency = draw(st.sampled_from(CURRENCIES))
    page = Page(pk=draw(st.integers(1, 2)), currency=currency)
    keys = draw(st.lists(st.integers(1, 2), unique=True, max_size=2))
    price = st.sampled_from(["5", "5.00", "50"]).map(lambda text: Money(Decimal(text), currency))
    found = [
        ItemLine(
            page=page, price=draw(price), seen=draw(price), fits=0, product=Product(pk=key),
            items=[ProductItem()] * draw(st.integers(1, 2)),
        )
        for key in keys
    ]  # fmt: skip
    return Cart([Group(page, None, found)] if found else [])


def agreed(cart: Cart) -> Counter[tuple[object, ...]]:
    return Counter((line.identity, line.quantity, line.price.amount, line.price.currency) for line in cart.lines)


@settings(max_examples=400)
@given(small_carts(), small_carts())
@pytest.mark.promise("cart-any-lines")
def test_digests_are_equal_exactly_when_lines_and_prices_are(one: Cart, other: Cart) -> None:
    assert (one.digest() == other.digest()) == (agreed(one) == agreed(other))


@given(carts())
def test_digest_does_not_depend_on_the_order_of_lines(cart: Cart) -> None:
    turned = Cart([replace(group, of_page=list(reversed(group.lines))) for group in reversed(cart.groups)])
    assert turned.digest() == cart.digest()
    assert turned.digest_of_rest() == cart.digest_of_rest()


def cut(line: Line) -> Line:
    """The line with only what can be ordered of it."""
    if isinstance(line, TicketLine):
        return replace(line, tickets=line.tickets[: line.fits])
    return replace(line, items=line.items[: line.fits]) if isinstance(line, ItemLine) else line


@given(carts())
def test_digest_of_the_rest_is_that_of_a_cart_without_its_short_lines(cart: Cart) -> None:
    """What *go on without them* agrees to is what the cart would show, and cost, with the short lines cut."""
    rest = Cart([replace(group, of_page=[cut(line) for line in group.lines if line.fits]) for group in cart.groups])
    assert rest.digest() == cart.digest_of_rest()
    assert rest.count == cart.rest_count
    if cart.currency is not None:
        rest_total = sum((group.total.amount for group in rest.groups if group.lines), Decimal(0))
        assert cart.rest_total == Money(rest_total, cart.currency)


# --- Merging at sign-in: few rows, each example rolled back


@dataclass
class Shop:
    products: list[Product]
    room: Calendar
    user: User
    stranger: User


@pytest.fixture
def shop(db: None) -> Shop:
    return Shop(
        [ProductFactory.create() for _ in range(2)], RoomFactory.create(), UserFactory.create(), UserFactory.create()
    )


@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def put(visitor: Visitor, shop: Shop, pieces: Sequence[int], hours: Sequence[int]) -> None:
    """Pending rows as they may lie in a cart, some from before a maximum was lowered, some whose time has begun."""
    for product, number in zip(shop.products, pieces, strict=True):
        ProductItem.objects.bulk_create(
            ProductItem(product=product, price=product.price, currency="EUR", **visitor.columns())
            for _piece in range(number)
        )
    for hour in hours:
        start = NOW + timedelta(hours=hour)
        end = start + timedelta(hours=1)
        CalendarEntry.objects.create(
            kind="booking", state="pending", calendar=shop.room, room=shop.room, title="Room", price=20, currency="EUR",
            starts_at=start, ends_at=end, blocks=DateTimeTZRange(start, end), **visitor.columns(),
        )  # fmt: skip


NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
KEY = "browser"
numbers = st.lists(st.integers(0, 5), min_size=2, max_size=2)
times = st.lists(st.integers(-1, 3), unique=True, max_size=4)


def content(visitor: Visitor) -> tuple[set[int], set[int]]:
    """The keys of what lies in a cart: pieces, bookings."""
    items = ProductItem.objects.in_cart_of(visitor).values_list("pk", flat=True)
    bookings = CalendarEntry.objects.in_cart_of(visitor).values_list("pk", flat=True)
    return set(items), set(bookings)


def count_of(visitor: Visitor, product: Product) -> int:
    return ProductItem.objects.in_cart_of(visitor).filter(product=product).count()


@pytest.mark.django_db
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(
    own=st.tuples(numbers, times),
    browser=st.tuples(numbers, times),
    most=st.lists(st.integers(1, 5), min_size=2, max_size=2),
    limit=st.one_of(st.integers(0, 12), st.just(100)),
)
@example(own=([5, 0], [1]), browser=([5, 5], [1, 2, -1]), most=[2, 3], limit=100)
@example(own=([3, 3], []), browser=([2, 0], [1, 2]), most=[5, 5], limit=7)
@pytest.mark.promise("any-two-carts")
def test_carts_merge_up_to_each_limit_and_lose_nothing_below(
    shop: Shop,
    own: tuple[list[int], list[int]],
    browser: tuple[list[int], list[int]],
    most: list[int],
    limit: int,
) -> None:
    user, guest, stranger = Visitor(user=shop.user), Visitor(cart_key=KEY), Visitor(user=shop.stranger)
    another = Visitor(cart_key="another")
    with rolled_back(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(adopting, "CART_ROWS", limit)
        for product, maximum in zip(shop.products, most, strict=True):
            Product.objects.filter(pk=product.pk).update(max_per_order=maximum)
        put(user, shop, *own)
        put(guest, shop, *browser)
        put(stranger, shop, [1, 0], [1])
        put(another, shop, [0, 1], [2])
        mine, theirs = content(user), content(guest)
        others = content(stranger), content(another)
        full = [max(own[0][i], min(most[i], own[0][i] + browser[0][i])) for i in range(2)]
        hours = set(own[1]) | {hour for hour in browser[1] if hour > 0}

        joined = adopting.adopt(shop.user, KEY, at=NOW)

        after = content(user)
        assert after[0] >= mine[0]
        assert after[1] >= mine[1]
        assert after[0] - mine[0] <= theirs[0]
        assert after[1] - mine[1] <= theirs[1]
        assert joined == rows_in_cart(user) - len(mine[0]) - len(mine[1])
        whole = sum(full) + len(hours)
        before = len(mine[0]) + len(mine[1])
        assert rows_in_cart(user) == max(before, min(limit, whole))
        if whole <= limit:
            assert [count_of(user, product) for product in shop.products] == full
        found = [row.starts_at for row in CalendarEntry.objects.in_cart_of(user)]
        assert len(found) == len(set(found))
        assert set(found) <= {NOW + timedelta(hours=hour) for hour in hours}
        assert content(guest) == (set(), set())
        assert (content(stranger), content(another)) == others
        assert adopting.adopt(shop.user, KEY, at=NOW) == 0
