"""What answers a click is seen and heard: a wrong code, a time of a room's week, a countdown that is polled."""

import re
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from accounts.visitors import Visitor
from cart.adding import put_booking_in_cart
from tests.browser.conftest import Visit
from tests.browser.visitor import ON_A_PHONE
from tests.factories import EventFactory, RoomFactory, UserFactory
from tests.steps import order_cart, ordered

#: The answer has the focus, and all of it is in what one sees.
SEEN = """() => {
  const box = document.activeElement.getBoundingClientRect();
  return document.activeElement.textContent.includes("In your cart:") && box.top >= 0 && box.bottom <= innerHeight;
}"""


def test_the_answer_of_a_room_s_week_is_in_view_on_a_phone(visit: Visit) -> None:
    room = RoomFactory.create(rules__slot_minutes=60)
    visitor = visit(ON_A_PHONE, UserFactory.create())
    visitor.go(f"{room.get_absolute_url()}?view=week&date={timezone.localdate() + timedelta(days=7)}")
    with visitor.in_place():
        last = visitor.page.locator("button.slot").last
        last.click()
        visitor.sees("In your cart:")
        visitor.page.wait_for_function(SEEN)


def test_a_refused_time_of_a_room_s_week_is_said_in_view(visit: Visit) -> None:
    room = RoomFactory.create(rules__slot_minutes=60)
    visitor = visit(ON_A_PHONE, UserFactory.create())
    visitor.go(f"{room.get_absolute_url()}?view=week&date={timezone.localdate() + timedelta(days=7)}")
    last = visitor.page.locator("button.slot").last
    start, _, minutes = str(last.get_attribute("value")).partition("/")
    begins = datetime.fromisoformat(start)
    other = UserFactory.create()
    put_booking_in_cart(Visitor(user=other), room, begins, begins + timedelta(minutes=int(minutes)), at=timezone.now())
    order_cart(other)
    last.click()
    visitor.sees("This time is taken.")
    visitor.page.wait_for_function(SEEN.replace("In your cart:", "This time is taken."))
    assert visitor.page.locator("ol.room-week").count() == 1
    visitor.forgive("422")


def test_a_wrong_code_is_ready_to_be_typed_over(visit: Visit) -> None:
    visitor = visit(ON_A_PHONE)
    visitor.go("/accounts/login/")
    assert visitor.page.evaluate("document.activeElement.name") == "login"
    visitor.page.keyboard.type("nobody@example.org")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/code/**")
    visitor.page.keyboard.type("WRONG123")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_selector("[aria-invalid=true]")
    field = visitor.page.evaluate(
        "() => { const a = document.activeElement; return a.value.slice(a.selectionStart, a.selectionEnd); }"
    )
    assert field == "WRONG123"
    visitor.forgive("422")


@pytest.mark.promise("paying-offered-exactly")
def test_the_countdown_does_not_flicker_when_it_is_polled(visit: Visit) -> None:
    """What the server says is never shown between two seconds, and *Pay* keeps the focus."""
    user = UserFactory.create()
    order = ordered(EventFactory.create(), 1, user)
    visitor = visit(ON_A_PHONE, user)
    visitor.go(order.get_absolute_url())
    visitor.page.locator("#pay-button").focus()
    texts = visitor.page.evaluate(
        """async () => {
          const texts = [];
          const note = () => texts.push(document.querySelector(".countdown")?.textContent ?? "gone");
          new MutationObserver(note).observe(document.body, { childList: true, subtree: true, characterData: true });
          for (let n = 0; n < 2; n += 1) {
            await new Promise((done) => {
              document.addEventListener("htmx:afterSettle", done, { once: true });
              const address = document.querySelector("#status").getAttribute("hx-get");
              htmx.ajax("GET", address, { target: "#status", swap: "outerHTML" });
            });
          }
          return texts;
        }"""
    )
    assert texts
    assert [text for text in texts if not re.fullmatch(r"\d+:\d\d", text)] == []
    assert visitor.page.evaluate("document.activeElement.id") == "pay-button"
