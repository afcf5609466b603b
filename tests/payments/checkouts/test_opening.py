"""From the order to SumUp's page: one checkout, found again whatever happened to the answer that made it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from orders.models import LAST_CALL, LEAST_LEFT
from orders.releasing import request_cancel
from payments.checkouts.opening import NotPayable, PageUnavailable, PaymentRefused, hosted_page
from payments.checkouts.settling import settle
from payments.models import Case, Checkout
from payments.states import CaseKind, CheckoutState
from tests.factories import EventFactory
from tests.simulator import SimulatorProcess
from tests.steps import later, opened, ordered, states_of, sumup_id

pytestmark = pytest.mark.django_db


def test_the_page_is_asked_for_with_what_the_order_says(sumup: SimulatorProcess) -> None:
    order = ordered(EventFactory.create(ticket_price=Decimal("12.35")), 3)

    address = hosted_page(order, at=timezone.now())

    (made,) = sumup.ledger()["checkouts"]
    assert (made["reference"], made["amount"], made["currency"]) == (f"{order.code}-1", "37.05", "EUR")
    assert made["description"].startswith(order.code)
    assert made["return_url"] == "http://testserver/payments/sumup/webhook/"
    assert made["redirect_url"] == f"http://testserver/orders/{order.code}/"
    checkout = Checkout.objects.get()
    assert checkout.valid_until == order.hold_until - timedelta(minutes=2)
    assert (checkout.state, checkout.sumup_id, checkout.hosted_url) == ("open", made["id"], address)


def test_the_second_click_gets_the_same_page_without_a_call(sumup: SimulatorProcess) -> None:
    order = ordered()
    first = hosted_page(order, at=timezone.now())

    assert hosted_page(order, at=later(minutes=26)) == first
    assert sumup.calls("create") == 1


@pytest.mark.parametrize(
    "fault", ["lost_answer", "500_after", "garbage", "truncated", "empty", "array", "huge", "deep", "204"]
)
@pytest.mark.promise("create-time-out")
def test_an_answer_lost_after_the_work_was_done_is_found_again_and_adopted(sumup: SimulatorProcess, fault: str) -> None:
    order = ordered()
    sumup.faults(create=fault, times=1)
    with pytest.raises(PageUnavailable):
        hosted_page(order, at=timezone.now())
    assert Checkout.objects.get().state == CheckoutState.NEW
    assert states_of(order) == ["reserved"]

    address = hosted_page(order, at=timezone.now())

    (made,) = sumup.ledger()["checkouts"]
    assert Checkout.objects.get().sumup_id == made["id"]
    assert address.endswith(made["id"])


@pytest.mark.parametrize("fault", ["500", "502html", "503", "504", "429", "drop", "redirect", "blocked"])
def test_a_create_that_did_not_happen_can_be_tried_again(sumup: SimulatorProcess, fault: str) -> None:
    order = ordered()
    sumup.faults(create=fault, times=1)
    with pytest.raises(PageUnavailable):
        hosted_page(order, at=timezone.now())
    assert not Case.objects.exists()

    assert hosted_page(order, at=timezone.now())
    assert [row["reference"] for row in sumup.ledger()["checkouts"]] == [f"{order.code}-1"]


def test_a_create_that_is_dropped_is_not_sent_twice_by_itself(sumup: SimulatorProcess) -> None:
    order = ordered()
    sumup.faults(create="drop")

    with pytest.raises(PageUnavailable):
        hosted_page(order, at=timezone.now())
    assert sumup.calls("create") == 1


@pytest.mark.parametrize("fault", ["403", "400", "400array", "401"])
@pytest.mark.promise("create-time-out")
def test_a_refusal_is_told_to_the_buyer_and_to_a_person(sumup: SimulatorProcess, fault: str) -> None:
    order = ordered()
    sumup.faults(create=fault, times=2)
    for _ in range(2):
        with pytest.raises(PaymentRefused):
            hosted_page(order, at=timezone.now())

    assert [row.state for row in Checkout.objects.all()] == [CheckoutState.REFUSED] * 2
    assert all(row.problem.startswith(fault[:3]) for row in Checkout.objects.all())
    case = Case.objects.open().get()
    assert (case.kind, case.merchant) == (CaseKind.REFUSED, order.merchant)
    assert states_of(order) == ["reserved"]

    assert opened(order).reference == f"{order.code}-3"


def test_a_reference_that_sumup_knows_and_does_not_show_is_tried_again_later(sumup: SimulatorProcess) -> None:
    order = ordered()
    sumup.faults(create="409", times=1)

    with pytest.raises(PageUnavailable):
        hosted_page(order, at=timezone.now())
    assert hosted_page(order, at=timezone.now())


def test_adoption_takes_nothing_that_is_another_merchant_s(sumup: SimulatorProcess) -> None:
    order = ordered()
    sumup.faults(create="lost_answer", times=1)
    with pytest.raises(PageUnavailable):
        hosted_page(order, at=timezone.now())
    for lie in ({"merchant_code": "MDEMO002"}, {"checkout_reference": "another"}):
        sumup.faults(tamper=lie)
        with pytest.raises(PageUnavailable):
            hosted_page(order, at=timezone.now())
    assert Checkout.objects.get().state == CheckoutState.NEW


def test_a_checkout_without_a_page_is_ended_and_another_one_made(sumup: SimulatorProcess) -> None:
    order = ordered()
    sumup.faults(create="missing_fields", times=1)

    address = hosted_page(order, at=timezone.now())

    first, second = Checkout.objects.order_by("pk")
    assert (first.state, second.state) == (CheckoutState.EXPIRED, CheckoutState.OPEN)
    assert address == second.hosted_url
    assert [row["status"] for row in sumup.ledger()["checkouts"]] == ["EXPIRED", "PENDING"]


def test_a_new_attempt_needs_five_minutes_of_the_hold(sumup: SimulatorProcess) -> None:
    order, late = ordered(), ordered()

    assert hosted_page(order, at=order.hold_until - LEAST_LEFT)
    with pytest.raises(NotPayable):
        hosted_page(late, at=late.hold_until - LEAST_LEFT + timedelta(seconds=1))
    assert LEAST_LEFT.total_seconds() == 5 * 60


def test_an_open_page_is_given_until_its_last_minute(sumup: SimulatorProcess) -> None:
    order = ordered()
    address = hosted_page(order, at=timezone.now())

    assert hosted_page(order, at=order.hold_until - LAST_CALL - timedelta(seconds=1)) == address
    for too_late in (order.hold_until - LAST_CALL, order.hold_until):
        with pytest.raises(NotPayable):
            hosted_page(order, at=too_late)


def test_an_order_that_is_paid_or_being_cancelled_has_no_page(sumup: SimulatorProcess) -> None:
    paid, cancelled = ordered(), ordered()
    checkout = opened(paid)
    sumup.pay(sumup_id(checkout))
    settle(checkout.pk, who="test", at=timezone.now())
    request_cancel(cancelled, at=timezone.now())

    for order in (paid, cancelled):
        with pytest.raises(NotPayable):
            hosted_page(order, at=timezone.now())
    assert sumup.calls("create") == 1


def test_a_new_checkout_is_made_only_after_sumup_said_that_the_old_one_is_dead(sumup: SimulatorProcess) -> None:
    order = ordered()
    first = opened(order)
    sumup.decline(sumup_id(first))
    settle(first.pk, who="test", at=timezone.now())
    assert opened(order) == first

    sumup.ask("DELETE", f"/v0.1/checkouts/{first.sumup_id}")
    settle(first.pk, who="test", at=later(seconds=5))

    assert opened(order).reference == f"{order.code}-2"
