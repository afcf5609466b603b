"""Money to decide: who may do what about a case, once, with a reason."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from events.models import Role
from orders.models import Order
from payments.checkouts.ending import LONGEST_DOUBT, release
from payments.models import Case, Checkout
from payments.states import CaseKind
from tests.desk import House, house, member, signed_in_as
from tests.factories import EventFactory, UserFactory
from tests.simulator import SimulatorProcess
from tests.steps import held, opened, states_of
from tests.steps import ordered as ordered_by_cart

pytestmark = pytest.mark.django_db


def address(case: Case, name: str) -> str:
    return f"/admin/payments/case/{case.pk}/decide/{name}/"


def held_case(sumup: SimulatorProcess) -> tuple[Case, Order]:
    """An order of a page whose hold is over for a day without a word from SumUp."""
    order = ordered_by_cart(EventFactory.create(capacity=2), 2)
    opened(order)
    sumup.faults(deactivate="503", read="503")
    now = timezone.now()
    Order.objects.filter(pk=order.pk).update(cancel_requested_at=now - LONGEST_DOUBT - timedelta(minutes=1))
    release(order.pk, who="sweep", at=now)
    return Case.objects.get(), order


@pytest.mark.parametrize("role", [Role.OWNER, Role.FINANCE])
def test_the_seats_are_freed_with_a_reason(sumup: SimulatorProcess, role: Role) -> None:
    case, order = held_case(sumup)
    line = order.lines.get()
    client = signed_in_as(member((line.page, role)))

    assert "Free the seats anyway" in client.get(f"/admin/payments/case/{case.pk}/change/").content.decode()
    assert client.get(address(case, "free-seats")).status_code == 200
    for reason in ("", "   ", "x" * 201):
        assert client.post(address(case, "free-seats"), {"reason": reason}).status_code == 422
    assert states_of(order) == ["reserved"] * 2

    for _click in range(2):
        answer = client.post(address(case, "free-seats"), {"reason": "The bank shows nothing."}, follow=True)
    assert "Nothing was done" in answer.content.decode()  # the second click

    case.refresh_from_db()
    order.refresh_from_db()
    assert line.entry is not None
    assert (order.state, states_of(order), held(line.entry)) == ("cancelled", ["cancelled"] * 2, 0)
    assert (case.decision, case.closed_by[:5]) == ("The bank shows nothing.", "user:")


@pytest.mark.parametrize("role", [Role.ORGANISER, Role.BOX_OFFICE, Role.DOOR])
def test_other_roles_decide_nothing(home: House, role: Role) -> None:
    Case.objects.filter(pk=home.case.pk).update(kind=CaseKind.HELD)
    client = signed_in_as(member((home.page, role)))

    for call in (client.get, client.post):
        assert call(address(home.case, "free-seats"), {"reason": "Mine."}).status_code in (403, 404)
    assert Case.objects.open().count() == 1


def test_another_page_s_case_is_not_found(home: House) -> None:
    other = house("Beta")
    client = signed_in_as(member((other.page, Role.OWNER)))

    assert client.post(address(home.case, "give-again"), {"reason": "Mine."}).status_code == 404
    assert Client().post(address(home.case, "give-again")).status_code == 302


def test_a_decision_of_another_kind_is_not_found(home: House) -> None:
    client = signed_in_as(member((home.page, Role.OWNER)))

    for name in ("free-seats", "accept", "nothing"):
        assert client.post(address(home.case, name), {"reason": "Why not."}).status_code == 404


def test_a_mismatch_of_another_amount_is_not_offered_to_be_accepted(home: House) -> None:
    client = signed_in_as(member((home.page, Role.OWNER)))
    Case.objects.filter(pk=home.case.pk).update(kind=CaseKind.MISMATCH)
    assert home.checkout.captured is None

    assert "Take it for" not in client.get(f"/admin/payments/case/{home.case.pk}/change/").content.decode()
    client.post(address(home.case, "accept"), {"reason": "It is near enough."})

    assert Case.objects.open().count() == 1
    assert Checkout.objects.get(pk=home.checkout.pk).state == "new"


def test_a_merchant_s_case_is_closed_with_a_reason(home: House) -> None:
    case = Case.objects.create(
        kind=CaseKind.REFUSED, merchant=home.page.merchant, words="401", opened_at=timezone.now()
    )
    client = signed_in_as(member((home.page, Role.OWNER)))

    client.post(address(case, "settled"), {"reason": "A new key."})

    case.refresh_from_db()
    assert case.decision == "A new key."


def test_the_front_page_counts_what_waits_for_the_one_who_looks(home: House) -> None:
    house("Beta")
    front = "/admin/"

    assert "1 case waits for a person" in signed_in_as(member((home.page, Role.OWNER))).get(front).content.decode()
    assert (
        "2 cases wait" in signed_in_as(UserFactory.create(is_staff=True, is_superuser=True)).get(front).content.decode()
    )
    assert "Money to decide" not in signed_in_as(member((home.page, Role.DOOR))).get(front).content.decode()
    Case.objects.update(closed_at=timezone.now(), decision="done")
    assert "nothing waits" in signed_in_as(member((home.page, Role.OWNER))).get(front).content.decode()
