"""The number between minus and plus stays within its bounds, clicked, typed or stepped by keys, in every form."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, expect

from events.models import Ticket
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor
from tests.chromium import PATIENCE
from tests.factories import ProductFactory, TicketTypeFactory, UserFactory
from tests.steps import fill

MOST = 3


@dataclass
class Stepper:
    """One stepper on a page, and what it may say at least."""

    visitor: Visitor
    label: str
    least: int

    @property
    def field(self) -> Locator:
        return self.visitor.quantity(self.label)

    @property
    def less(self) -> Locator:
        return self.visitor.button(f"One fewer: {self.label}")

    @property
    def more(self) -> Locator:
        return self.visitor.button(f"One more: {self.label}")

    def says(self, number: int) -> None:
        """And the button that would lead beyond a bound is off."""
        expect(self.field).to_have_value(str(number), timeout=PATIENCE)
        expect(self.less).to_be_disabled() if number <= self.least else expect(self.less).to_be_enabled()
        expect(self.more).to_be_disabled() if number >= MOST else expect(self.more).to_be_enabled()

    def click_to(self, button: Locator, *numbers: int) -> None:
        for number in numbers:
            button.click()
            self.says(number)

    def typed(self, text: str, button: Locator, number: int) -> None:
        """What was typed, whatever it is, leads to the nearest number that may be chosen."""
        self.field.fill(text)
        button.click()
        self.says(number)


def of_an_event(visit: Visit) -> Stepper:
    kind = TicketTypeFactory.create(name="Adult", max_per_order=MOST)
    TicketTypeFactory.create(entry=kind.entry, name="Child")  # alone it would be chosen already
    visitor = visit(user=UserFactory.create())
    visitor.go(kind.entry.get_absolute_url())
    return Stepper(visitor, "Adult", 0)


def of_a_product(visit: Visit) -> Stepper:
    product = ProductFactory.create(name="Mug", max_per_order=MOST)
    visitor = visit()
    visitor.go(product.get_absolute_url())
    return Stepper(visitor, "Mug", 1)


@pytest.mark.parametrize("form", [of_an_event, of_a_product])
@pytest.mark.promise("stepper-keeps-within")
def test_stepper_of_a_buy_form_stays_within_its_bounds(visit: Visit, form: Callable[[Visit], Stepper]) -> None:
    stepper = form(visit)
    least = stepper.least
    stepper.says(least)
    stepper.click_to(stepper.more, *range(least + 1, MOST + 1))
    stepper.click_to(stepper.less, *range(MOST - 1, least - 1, -1))
    for text, button, number in (
        ("99", stepper.less, MOST),
        ("-7", stepper.more, least),
        ("", stepper.more, 1),
        ("2.5", stepper.more, MOST),
    ):
        stepper.typed(text, button, number)
    stepper.field.fill("99")
    expect(stepper.more).to_be_enabled()  # it leads back
    stepper.typed("99", stepper.more, MOST)
    stepper.field.focus()
    for key, number in (("ArrowUp", MOST), ("ArrowDown", least)):
        for _each in range(MOST + 1):
            stepper.visitor.page.keyboard.press(key)
        stepper.says(number)


@pytest.mark.promise("plus-minus-know")
def test_stepper_knows_the_least_number_that_an_order_takes(visit: Visit) -> None:
    kind = TicketTypeFactory.create(name="Pair", min_per_order=2, max_per_order=MOST)
    TicketTypeFactory.create(entry=kind.entry, name="Child")
    visitor = visit(user=UserFactory.create())
    visitor.go(kind.entry.get_absolute_url())
    stepper = Stepper(visitor, "Pair", 0)
    stepper.click_to(stepper.more, 2, MOST)
    stepper.click_to(stepper.less, 2, 0)
    stepper.typed("1", stepper.more, 2)
    stepper.typed("1", stepper.less, 0)
    stepper.field.focus()
    for key, number in (("ArrowUp", 2), ("ArrowUp", MOST), ("ArrowDown", 2), ("ArrowDown", 0)):
        visitor.page.keyboard.press(key)
        stepper.says(number)


@pytest.mark.promise("stepper-keeps-within")
def test_stepper_of_the_cart_stays_within_its_bounds(visit: Visit) -> None:
    kind, user = TicketTypeFactory.create(name="Adult", max_per_order=MOST), UserFactory.create()
    fill(user, kind.entry, {kind.pk: 1})
    visitor = visit(user=user)
    visitor.go("/cart/")
    stepper = Stepper(visitor, f"{kind.entry.title} – Adult", 0)
    with visitor.in_place():
        stepper.click_to(stepper.more, 2, MOST)
        visitor.badge_is(MOST)
        stepper.field.fill("99")
        stepper.field.press("Tab")  # the browser refuses what is beyond a bound: nothing is sent
        stepper.typed("99", stepper.less, MOST)
        visitor.badge_is(MOST)
        stepper.field.focus()
        stepper.visitor.page.keyboard.press("ArrowUp")
        stepper.says(MOST)
        stepper.click_to(stepper.less, 2, 1)
        visitor.badge_is(1)
        stepper.less.click()
        visitor.sees("Your cart is empty")
        visitor.badge_is(0)
    assert not Ticket.objects.exists()
