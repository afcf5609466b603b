"""The organiser's desk in a real browser: nothing is blocked, and an event goes from a form to the public."""

import pytest
from playwright.sync_api import expect

from events.models import CalendarEntry, Role
from tests.browser.conftest import Visit
from tests.browser.visitor import AT_A_DESK
from tests.desk import house, member
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_policy_blocks_nothing_on_the_pages_of_the_desk(visit: Visit) -> None:
    """What the browser blocked would be among the complaints; each stop is as wide as a phone, too."""
    home = house("Alpha", sold=3)
    organiser = visit(user=member((home.page, Role.OWNER)))
    for path in (
        "", "events/page/", f"events/page/{home.page.pk}/change/", "events/calendar/", "events/calendar/add/",
        "events/calendarentry/", "events/calendarentry/add/", f"events/calendarentry/{home.entry.pk}/change/",
        f"events/calendarentry/{home.entry.pk}/move/call-off/", "events/tickettype/",
        f"events/tickettype/{home.ticket_type.pk}/change/", "events/ticket/?q=alpha",
        f"events/ticket/{home.ticket.pk}/change/", "orders/order/", f"orders/order/{home.order.pk}/change/",
        "payments/checkout/", f"payments/checkout/{home.checkout.pk}/change/", "payments/case/",
        f"payments/case/{home.case.pk}/change/",
    ):  # fmt: skip
        organiser.go(f"/admin/{path}")
        expect(organiser.page.locator("#site-name")).to_have_text("Foyer box office")
        organiser.stop(f"desk-{path.replace('/', '-').replace('?', '-')}")
    boss = visit(user=UserFactory.create(is_staff=True, is_superuser=True))
    for path in ("", "events/merchant/add/", "events/page/add/", "accounts/user/"):
        boss.go(f"/admin/{path}")
        expect(boss.page.locator("#site-name")).to_have_text("Foyer box office")
        boss.stop(f"boss-{path.replace('/', '-')}")


def test_organiser_makes_an_event_with_a_ticket_type_and_publishes_it(visit: Visit) -> None:
    home = house("Alpha")
    desk = visit(AT_A_DESK, member((home.page, Role.ORGANISER)))
    desk.go("/admin/events/calendarentry/add/")
    desk.page.get_by_label("Title").fill("Poetry")
    desk.page.get_by_label("Starts", exact=False).first.fill("2027-07-01T20:00")
    desk.page.get_by_label("Ends", exact=False).first.fill("2027-07-01T22:00")
    desk.page.get_by_role("button", name="Save", exact=True).click()
    desk.sees("is a draft: nobody sees it yet")
    desk.page.get_by_text("Add another Ticket type").click()
    desk.page.locator("#id_ticket_types-0-name").fill("Standing")
    desk.page.locator("#id_ticket_types-0-price").fill("9.50")
    desk.page.get_by_role("button", name="Save and continue editing").click()
    desk.sees("was changed successfully")
    desk.link("Publish").click()
    desk.button("Publish").click()
    desk.sees("is published")
    entry = CalendarEntry.objects.get(title="Poetry")
    assert entry.state == "confirmed"
    desk.link("As visitors see it").click()
    desk.sees("Standing")
