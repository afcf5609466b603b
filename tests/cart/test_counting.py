"""What counts as in the cart, for the badge and for the limit of 100: what is pending, and nothing that was ordered."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from accounts.visitors import SESSION_KEY, Visitor
from cart.adding import PurchaseRefusal
from cart.adopting import adopt
from cart.counting import CART_ROWS, rows_in_cart
from events.models import CalendarEntry, Merchant
from market.models import Product
from tests.factories import EventFactory, PageFactory, ProductFactory, RoomFactory, UserFactory
from tests.ledger.lives import SOLD_WAYS, a_booking, a_ticket, an_item
from tests.steps import book, fill, order_cart, take

pytestmark = pytest.mark.django_db

KINDS: dict[str, Callable[..., object]] = {"ticket": a_ticket, "booking": a_booking, "item": an_item}


@pytest.mark.parametrize("state", SOLD_WAYS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.promise("only-pending-counts")
def test_only_what_is_pending_counts(client: Client, kind: str, state: str) -> None:
    user = UserFactory.create()
    KINDS[kind](state, user=user)

    client.force_login(user)

    expected = 1 if state == "pending" else 0
    assert rows_in_cart(Visitor(user=user)) == expected
    assert badge(client) == expected


def badge(client: Client) -> int:
    """What the header says on a page that has not read the cart; a badge of 0 is hidden."""
    answer = client.get("/")
    number = int(answer.context["cart_badge"].count)
    assert ('id="cart-badge" hidden' in answer.content.decode()) == (number == 0)
    return number


class Shelf:
    """Something of each kind to put in a cart."""

    def __init__(self, merchant: Merchant) -> None:
        page = PageFactory.create(merchant=merchant)
        self.entry: CalendarEntry = EventFactory.create(calendar__page=page, max_per_order=CART_ROWS)
        self.room = RoomFactory.create(page=page)
        self.product: Product = ProductFactory.create(page=page, max_per_order=2 * CART_ROWS)

    def ways(self, visitor: Visitor, hour: int) -> dict[str, Callable[[], object]]:
        """How one more of each kind is put in."""
        more: dict[str, Callable[[], object]] = {
            "booking": lambda: book(visitor, self.room, hour=hour),
            "item": lambda: take(visitor, self.product),
        }
        if (user := visitor.user) is not None:
            more["ticket"] = lambda: fill(user, self.entry)
        return more

    def fill_up(self, visitor: Visitor, hour: int = 8) -> None:
        """One of each kind, then pieces; nothing of any kind goes in after that."""
        for way in self.ways(visitor, hour).values():
            way()
        take(visitor, self.product, CART_ROWS - rows_in_cart(visitor))
        for way in self.ways(visitor, hour + 2).values():
            with pytest.raises(PurchaseRefusal, match="at most 100"):
                way()


@pytest.fixture
def shelf(merchant: Merchant) -> Shelf:
    return Shelf(merchant)


@pytest.mark.promise("only-pending-counts")
def test_a_full_cart_that_was_ordered_is_empty_and_can_be_filled_again(client: Client, shelf: Shelf) -> None:
    user = UserFactory.create()
    client.force_login(user)
    shelf.fill_up(Visitor(user=user))
    assert badge(client) == CART_ROWS

    order_cart(user)

    assert badge(client) == 0
    shelf.fill_up(Visitor(user=user), hour=16)
    assert badge(client) == CART_ROWS


@pytest.mark.promise("only-pending-counts")
def test_a_full_cart_of_a_browser_comes_along_is_ordered_and_empty(client: Client, shelf: Shelf) -> None:
    key, user = "a-browser", UserFactory.create()
    session = client.session
    session[SESSION_KEY] = key
    session.save()
    shelf.fill_up(Visitor(cart_key=key))
    assert badge(client) == CART_ROWS

    client.force_login(user)

    assert badge(client) == CART_ROWS
    assert rows_in_cart(Visitor(cart_key=key)) == 0
    order_cart(user)
    assert badge(client) == 0
    client.logout()
    assert badge(client) == 0
    take(Visitor(cart_key=key), shelf.product, CART_ROWS)
    assert rows_in_cart(Visitor(cart_key=key)) == CART_ROWS
    assert rows_in_cart(Visitor(user=user)) == 0
    assert adopt(user, key, at=timezone.now()) == CART_ROWS
