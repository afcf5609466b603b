"""The admin's pages about money and rooms, looked at by axe: empty and with rows, at a desk and on a phone."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from events.organising.calling_off import call_off
from orders.models import Order
from payments.models import Case, ReconcileRun, SumUpReport
from payments.reconcile.payouts import read_payouts
from payments.reconcile.round import Round
from payments.reconcile.running import reconcile
from tests.browser.conftest import Visit
from tests.browser.visitor import AT_A_DESK, ON_A_PHONE, Visitor, Way
from tests.factories import EventFactory, ProductFactory, RoomFactory, UserFactory
from tests.payments.money import apply, sold
from tests.simulator import SimulatorProcess
from tests.steps import book, fill, order_cart, paid_at_sumup, take

pytestmark = pytest.mark.django_db(transaction=True)

#: Django's own, and not ours to write: the label of its search field is an empty picture, the links of its filters
#: are told by colour alone, its side bar repeats a name, and its tables of rows below a form have empty heads, boxes
#: for deleting without a label, and no way to scroll them by keyboard where they hold nothing but text.
DJANGOS_OWN = [
    "#changelist-search", "#changelist-filter", "#nav-sidebar", ".action-checkbox-column", ".inline-group thead",
    ".inline-group td.delete", "#lines-group > .tabular",
]  # fmt: skip


def look(desk: Visitor, pages: Mapping[str, str]) -> None:
    for name, address in pages.items():
        desk.go(f"/admin/{address}")
        expect(desk.page.locator("#site-name")).to_have_text("Foyer box office")
        desk.stop(f"23-{name}")


def order_of_all_three(sumup: SimulatorProcess) -> Order:
    """A ticket, a time in a room and a product, paid; a part went back in SumUp's dashboard, as a comparison found."""
    entry, buyer = EventFactory.create(title="Jazz night", capacity=9), UserFactory.create()
    page = entry.calendar.page
    fill(buyer, entry)
    book(buyer, RoomFactory.create(page=page, name="Rehearsal room", slug="room"))
    take(buyer, ProductFactory.create(page=page, name="Tote bag"))
    order = order_cart(buyer)
    checkout = paid_at_sumup(sumup, order)
    apply(checkout)
    sumup.control(f"refund/{checkout.transaction_id}", {"amount": 1})
    reconcile(Round())
    sumup.shift_clock(86400)
    read_payouts(checkout.merchant, Round(clock=lambda: timezone.now() + timedelta(days=1)))
    sumup.shift_clock(-86400)
    return order


@pytest.mark.parametrize(("way", "scheme"), [(AT_A_DESK, "light"), (ON_A_PHONE, "dark")], ids=["light", "dark"])
@pytest.mark.promise("admin-pages-about")
def test_axe_finds_nothing_on_the_pages_of_money_and_rooms(
    visit: Visit, way: Way, scheme: Literal["light", "dark"], sumup: SimulatorProcess
) -> None:
    desk = visit(way, UserFactory.create(is_staff=True, is_superuser=True), axe=True, scheme=scheme)
    desk.leave_out = DJANGOS_OWN
    reports, runs, cases = "orders/order/reports/", "payments/reconcilerun/", "payments/case/"
    look(desk, {"front-none": "", "money-none": cases, "runs-none": runs, "reports-none": reports})
    desk.sees("Nothing was sold in this time.")

    order = order_of_all_three(sumup)
    entry, booking = order.tickets.get().entry, order.bookings.get()
    off = EventFactory.create(title="Called off", calendar=entry.calendar, capacity=5)
    sold(sumup, off, 1)
    call_off(off.pk, money_back=True, who="user:1", why="Ill")
    look(
        desk,
        {
            "front": "",
            "money": cases,
            "case": f"{cases}{Case.objects.get().pk}/change/",
            "explain": f"payments/refund/event/{SumUpReport.objects.get().pk}/",
            "batch-start": f"payments/refund/entry/{off.pk}/",
            "owed": "payments/refund/owed/",
            "runs": runs,
            "run": f"{runs}{ReconcileRun.objects.get().pk}/change/",
            "reports": reports,
            "reports-entry": f"{reports}?kind=entry",
            "report-event": f"{reports}event/{entry.pk}/",
            "order": f"orders/order/{order.pk}/change/",
            "proof": f"orders/order/{order.pk}/proof/page/",
            "rules": f"events/calendar/{booking.calendar_id}/change/",
            "bookings": "events/booking/",
            "booking": f"events/booking/{booking.pk}/change/",
            "make-event": f"events/booking/{booking.pk}/event/",
        },
    )
    desk.go(f"/admin/orders/order/{order.pk}/change/")
    desk.link("Rehearsal room, ").first.click()
    desk.link("Make it an event").click()
    desk.link("No, go back").click()
    desk.go(f"/admin/{reports}?kind=entry")
    expect(desk.page.get_by_role("region", name="Payouts")).to_contain_text("1 of 2 payments")
    desk.page.locator("#content").get_by_role("link", name="Rehearsal room, ").click()
    assert desk.path == f"/admin/events/booking/{booking.pk}/change/"
