"""What may be asked for: what is public, and what is in one's own cart though it is public no longer."""

import pytest

from accounts.models import User
from accounts.visitors import Visitor
from cart.reach import entries_within, pages_within, products_within
from events.models import CalendarEntry, Page
from market.models import Product, ProductItem
from tests.factories import EventFactory, PageFactory, ProductFactory, RoomFactory, TicketTypeFactory, UserFactory
from tests.ledger.lives import a_booking, a_ticket, an_item

pytestmark = pytest.mark.django_db


@pytest.fixture
def buyer() -> User:
    return UserFactory.create()


def hidden() -> CalendarEntry:
    return EventFactory.create(is_published=False)


def put_aside(product: Product) -> str:
    """A piece of it in the cart of somebody signed out; the key of that cart."""
    item = ProductItem.objects.create(product=product, cart_key=f"key-{product.pk}", price=5, currency="EUR")
    return str(item.cart_key)


def test_an_event_is_within_reach_at_the_price_at_which_it_lies_in_the_cart(buyer: User) -> None:
    public, at_its_own, by_type = EventFactory.create(), hidden(), TicketTypeFactory.create(entry=hidden())
    other_type = TicketTypeFactory.create(entry=hidden())
    a_ticket(entry=at_its_own, user=buyer)
    a_ticket(ticket_type=by_type, user=buyer)
    a_ticket(entry=hidden())
    a_ticket("reserved", entry=hidden(), user=buyer)
    a_booking(user=buyer)
    hidden()

    assert set(entries_within(buyer, 0)) == {public, at_its_own}
    assert set(entries_within(buyer, by_type.pk)) == {public, by_type.entry}
    assert set(entries_within(buyer, other_type.pk)) == {public}
    assert set(entries_within(UserFactory.create(), 0)) == {public}


def test_a_product_is_within_reach_while_it_lies_in_the_cart(buyer: User) -> None:
    public, mine, aside, others, bought, _nobodys = (
        ProductFactory.create(is_published=number == 0) for number in range(6)
    )
    an_item(product=mine, user=buyer)
    key = put_aside(aside)
    an_item(product=others)
    an_item("reserved", product=bought, user=buyer)

    assert set(products_within(Visitor(user=buyer))) == {public, mine}
    assert set(products_within(Visitor(cart_key=key))) == {public, aside}
    assert set(products_within(Visitor(cart_key="another"))) == {public}
    assert set(products_within(Visitor())) == {public}


def test_a_page_is_within_reach_while_anything_of_it_lies_in_the_cart(buyer: User) -> None:
    public, with_ticket, with_booking, with_item, with_item_aside, others, bought, _nobodys = (
        PageFactory.create() for _ in range(8)
    )
    a_ticket(entry=EventFactory.create(calendar__page=with_ticket), user=buyer)
    a_booking(room=RoomFactory.create(page=with_booking), user=buyer)
    an_item(product=ProductFactory.create(page=with_item), user=buyer)
    key = put_aside(ProductFactory.create(page=with_item_aside))
    a_ticket(entry=EventFactory.create(calendar__page=others))
    a_booking(room=RoomFactory.create(page=others))
    an_item(product=ProductFactory.create(page=others))
    a_ticket("reserved", entry=EventFactory.create(calendar__page=bought), user=buyer)
    Page.objects.exclude(pk=public.pk).update(is_published=False)

    assert set(pages_within(Visitor(user=buyer))) == {public, with_ticket, with_booking, with_item}
    assert set(pages_within(Visitor(cart_key=key))) == {public, with_item_aside}
    assert set(pages_within(Visitor(cart_key="another"))) == {public}
    assert set(pages_within(Visitor())) == {public}
