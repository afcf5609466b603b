"""Paying back in a real browser: the organiser chooses, looks at the sum and confirms; the buyer reads of it."""

import re
from typing import Literal

import pytest
from playwright.sync_api import expect

from events.models import Role
from events.organising.calling_off import call_off
from payments.models import Refund
from payments.refunds.sending import Sent
from tests.browser.conftest import Visit
from tests.browser.visitor import AT_A_DESK, ON_A_PHONE, Way
from tests.desk import member
from tests.factories import EventFactory
from tests.jobs import run_jobs
from tests.payments.money import at_sumup, requested, sent, sold, whole
from tests.simulator import SimulatorProcess
from tests.steps import states_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_ticket_is_chosen_looked_at_and_paid_back(visit: Visit, way: Way, sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(title="Jazz night", capacity=5)
    order, _checkout = sold(sumup, entry, 2)
    desk = visit(way, member((entry.calendar.page, Role.OWNER)))
    desk.go(f"/admin/orders/order/{order.pk}/change/")
    desk.link("Pay back").click()
    desk.sees("Left of it")
    desk.page.get_by_role("checkbox").first.check()
    desk.page.get_by_label("Reason").fill("The buyer is ill")
    desk.stop("20-refund")
    desk.button("Go on: see what it comes to").click()
    desk.sees("It comes to")
    desk.stop("20-refund-confirm")
    desk.button(re.compile("Pay .*12.00 back")).click()
    desk.sees("is on its way back")
    assert states_of(order) == ["refund_due", "confirmed"]
    run_jobs()
    desk.page.reload()
    desk.sees("paid back")
    desk.stop("20-refund-done")
    assert [str(amount) for amount in at_sumup(sumup)] == ["12"]

    buyer = visit(way, order.user)
    buyer.go(order.get_absolute_url())
    buyer.sees("Money back")
    buyer.sees("to the card that you paid with")
    buyer.stop("20-refund-buyer")


@pytest.mark.parametrize(
    ("way", "scheme"),
    [(AT_A_DESK, "light"), (ON_A_PHONE, "light"), (AT_A_DESK, "dark")],
    ids=["desk", "phone", "dark"],
)
def test_axe_finds_nothing_on_the_pages_of_refunds(
    visit: Visit, way: Way, scheme: Literal["light", "dark"], sumup: SimulatorProcess
) -> None:
    entry = EventFactory.create(title="Jazz night", capacity=5)
    order, checkout = sold(sumup, entry, 2)
    sumup.faults(refund="500", times=1)
    refund = requested(checkout, whole(order, 1))
    assert sent(refund) is Sent.UNKNOWN
    desk = visit(way, member((entry.calendar.page, Role.OWNER)), axe=True, scheme=scheme)
    for name, address in {
        "of": f"of/{checkout.pk}/",
        "again": f"{refund.pk}/do/again/",
        "one": f"{refund.pk}/change/",
        "bulk": f"bulk/?order={order.pk}",
    }.items():
        desk.go(f"/admin/payments/refund/{address}")
        expect(desk.page.locator("#site-name")).to_have_text("Foyer box office")
        desk.stop(f"21-refunds-{name}-{way}-{scheme}")


def test_called_off_event_is_paid_back_and_watched(visit: Visit, sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(title="Jazz night", capacity=5)
    for _turn in range(2):
        sold(sumup, entry, 1)
    call_off(entry.pk, money_back=True, who="user:1", why="Ill")
    desk = visit(AT_A_DESK, member((entry.calendar.page, Role.OWNER)))
    desk.go(f"/admin/events/calendarentry/{entry.pk}/change/")
    desk.link("Pay back what is owed").click()
    desk.sees("2 orders get money back")
    desk.page.get_by_label("Reason").fill("Called off")
    desk.stop("22-batch-start")
    desk.button("Pay it back").click()
    desk.sees("0 of 2 refunds have an answer")
    desk.stop("22-batch")
    run_jobs()
    desk.sees("2 of 2 refunds have an answer")  # by itself
    desk.sees("Done.")
    assert Refund.objects.filter(state="succeeded").count() == 2
    checked = visit(AT_A_DESK, member((entry.calendar.page, Role.OWNER)), axe=True)
    checked.go(desk.path)
    checked.sees("Done.")
    checked.stop("22-batch-done")
