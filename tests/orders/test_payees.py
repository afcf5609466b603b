"""Who takes the money of an order: one merchant in one currency, or nobody, and never a guess."""

from decimal import Decimal

import pytest
from django.test import RequestFactory
from django.utils import timezone

from accounts.models import User
from events.admin.arrows import ARROWS, warnings_of
from events.models import CalendarEntry, Merchant, Page, Role, Ticket
from events.programme.views import entry_context
from market.models import Product
from market.selling import on_shelf, shelf_of
from orders.models import Order
from orders.placing import CartChanged, SeveralMerchants, ShortLines
from payments.admin.reports import merchants_of
from tests.desk import member
from tests.factories import EventFactory, PageFactory, ProductFactory
from tests.simulator import OTHER_KEY, OTHER_MERCHANT
from tests.steps import fill, order_cart, shown

pytestmark = pytest.mark.usefixtures("merchant")


def nothing_was_claimed(buyer: User, *, pending: int) -> bool:
    return not Order.objects.exists() and Ticket.objects.pending_for(buyer).count() == pending


def test_a_currency_changed_since_it_was_shown_claims_nothing(buyer: User) -> None:
    entry = EventFactory.create()
    fill(buyer, entry)
    seen = shown(buyer).digest()
    CalendarEntry.objects.filter(pk=entry.pk).update(currency="CHF")
    Page.objects.update(currency="CHF")

    with pytest.raises(CartChanged):
        order_cart(buyer, seen=seen)
    with pytest.raises(ShortLines):  # and a merchant is never asked for a currency that is not its own
        order_cart(buyer)
    assert nothing_was_claimed(buyer, pending=1)


def test_several_merchants_are_paid_page_by_page(buyer: User, merchant: Merchant) -> None:
    other = Merchant.objects.create(code=OTHER_MERCHANT, name="Other", api_key=OTHER_KEY, currency="EUR")
    here, there = EventFactory.create(), EventFactory.create(calendar__page__merchant=other)
    fill(buyer, here)
    fill(buyer, there, 2)

    assert not shown(buyer).pays_at_once
    with pytest.raises(SeveralMerchants):
        order_cart(buyer)
    assert nothing_was_claimed(buyer, pending=3)
    first, second = (order_cart(buyer, page=entry.calendar.page) for entry in (here, there))

    assert [(order.merchant, order.total) for order in (first, second)] == [
        (merchant, Decimal(12)),
        (other, Decimal(24)),
    ]


def test_several_currencies_are_paid_page_by_page(buyer: User) -> None:
    swiss = Merchant.objects.create(code=OTHER_MERCHANT, name="Swiss", api_key=OTHER_KEY, currency="CHF")
    francs = PageFactory.create(currency="CHF", merchant=swiss)
    fill(buyer, EventFactory.create())
    fill(buyer, EventFactory.create(calendar__page=francs))

    assert shown(buyer).total is None
    with pytest.raises(SeveralMerchants):
        order_cart(buyer)
    assert nothing_was_claimed(buyer, pending=2)


@pytest.mark.promise("page-page-each")
def test_without_a_merchant_only_what_is_free_can_be_ordered(buyer: User) -> None:
    Merchant.objects.all().delete()
    paid = EventFactory.create()
    free = EventFactory.create(ticket_price=Decimal(0))
    fill(buyer, paid)
    fill(buyer, free)

    with pytest.raises(ShortLines):
        order_cart(buyer)
    assert nothing_was_claimed(buyer, pending=2)
    (short,) = shown(buyer).short
    assert "takes no payments" in short.problem
    order = order_cart(buyer, seen=shown(buyer).digest_of_rest())  # the one click that goes on without it
    order.refresh_from_db()
    assert (order.total, str(order.state)) == (Decimal(0), "paid")
    assert [line.entry_id for line in order.lines.all()] == [free.pk]


def test_what_is_free_in_another_currency_is_ordered_by_itself_too(buyer: User, merchant: Merchant) -> None:
    francs = EventFactory.create(calendar__page=PageFactory.create(currency="CHF"), ticket_price=Decimal(0))
    fill(buyer, EventFactory.create())
    fill(buyer, francs)

    with pytest.raises(SeveralMerchants):
        order_cart(buyer)
    assert nothing_was_claimed(buyer, pending=2)
    free = order_cart(buyer, page=francs.calendar.page)
    assert (free.merchant, free.total, free.currency) == (None, Decimal(0), "CHF")
    paid = order_cart(buyer)
    assert (paid.merchant, paid.total, paid.currency) == (merchant, Decimal(12), "EUR")


#: What the site's merchant is, the page's currency now (its prices stay in euros), and whether a price can be paid.
PAYEES: list[tuple[dict[str, object], str, bool]] = [
    ({}, "EUR", True),
    ({}, "CHF", True),
    ({"currency": "CHF"}, "EUR", False),
    ({"currency": "CHF"}, "CHF", False),
    ({"api_key": None}, "EUR", False),
    ({"is_sandbox": True}, "EUR", False),
    ({"is_site": False}, "EUR", False),
]


@pytest.mark.parametrize("is_own", [False, True])
@pytest.mark.parametrize(("merchant_now", "currency", "can_pay"), PAYEES)
def test_all_who_ask_who_is_paid_are_told_the_same(
    rf: RequestFactory, buyer: User, merchant_now: dict[str, object], currency: str, can_pay: bool, is_own: bool
) -> None:
    entry = EventFactory.create()
    page = entry.calendar.page
    product = ProductFactory.create(page=page)
    fill(buyer, entry)
    Merchant.objects.update(**merchant_now)
    Page.objects.filter(pk=page.pk).update(currency=currency, merchant=Merchant.objects.get() if is_own else None)
    can_pay = can_pay or (is_own and merchant_now == {"is_site": False})
    entry, page = CalendarEntry.objects.with_page().get(pk=entry.pk), Page.objects.get(pk=page.pk)
    (line,) = shown(buyer).lines

    answers = {
        "event": not entry_context(entry, at=timezone.now())["unpayable"],
        "product": not on_shelf(Product.objects.get(pk=product.pk)).unpayable,
        "shelf": not shelf_of(page)[0].unpayable,
        "cart": line.fits == 1,
        "payment": shown(buyer).groups[0].payee is not None,
        "publishing": "Nobody can pay" not in " ".join(warnings_of(ARROWS["publish"], entry)),
    }
    assert answers == dict.fromkeys(answers, can_pay)
    request = rf.get("/")
    request.user = member((page, Role.OWNER))
    paid_through = None if merchant_now == {"is_site": False} and not is_own else Merchant.objects.get().pk
    assert merchants_of(request) == ({paid_through} if paid_through else set())
