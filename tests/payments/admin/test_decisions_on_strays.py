"""Money to decide about payments of no order, the front page, and the list of comparisons: who sees and does what."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from events.models import Role
from payments.checkouts.ending import release
from payments.models import Case, Checkout, ReconcileRun, RunOutcome
from payments.states import CaseKind
from tests.desk import House, house, member, signed_in_as
from tests.factories import EventFactory, UserFactory
from tests.simulator import SimulatorProcess
from tests.steps import ordered, states_of

pytestmark = pytest.mark.django_db


def stray(home: House, number: int = 1, **changes: object) -> Case:
    facts: dict[str, object] = {
        "kind": CaseKind.STRAY, "merchant": home.page.merchant, "amount": Decimal("12.00"), "currency": "EUR",
        "words": "SumUp took 12 EUR.", "opened_at": timezone.now(), "transaction_id": f"t-{number}",
        "transaction_code": f"T{number}",
    }  # fmt: skip
    return Case.objects.create(**(facts | changes))


def address(case: Case, name: str) -> str:
    return f"/admin/payments/case/{case.pk}/decide/{name}/"


def test_a_stray_is_linked_to_an_order_by_its_code(sumup: SimulatorProcess, owner: Client, home: House) -> None:
    entry = EventFactory.create(calendar__page=home.page, capacity=3)
    order = ordered(entry)
    release(order.pk, who="sweep", at=order.hold_until)
    case = stray(home)

    page = owner.get(f"/admin/payments/case/{case.pk}/change/").content.decode()
    for words in ("It is the payment of an order", "It was paid back elsewhere", "It is not ours"):
        assert words in page
    for code, reason in (("", "Why"), (order.code, ""), ("A" * 26, "Why"), (order.code[:20], "Why")):
        answer = owner.post(address(case, "link"), {"code": code, "reason": reason})
        assert answer.status_code == 422
    assert (
        "no order of this code"
        in owner.post(address(case, "link"), {"code": "A" * 26, "reason": "Why"}).content.decode()
    )
    for _click in range(2):
        answer = owner.post(address(case, "link"), {"code": order.code, "reason": "The receipt."}, follow=True)
    assert "Nothing was done" in answer.content.decode()

    assert states_of(order) == ["confirmed"]
    assert Checkout.objects.get(order=order).transaction_code == "T1"


@pytest.mark.parametrize("name", ["stray-paid-back", "stray-not-ours"])
def test_a_stray_is_closed_with_a_reason(owner: Client, home: House, name: str) -> None:
    case = stray(home)
    assert owner.post(address(case, name), {"reason": ""}).status_code == 422
    owner.post(address(case, name), {"reason": "In cash, on Friday."})
    case.refresh_from_db()
    assert (case.decision, case.closed_by.startswith("user:")) == ("In cash, on Friday.", True)


def test_a_missing_payment_is_closed_with_a_reason(owner: Client, home: House) -> None:
    case = Case.objects.create(
        kind=CaseKind.MISSING, order=home.order, checkout=home.checkout, merchant=home.page.merchant,
        amount=Decimal(24), currency="EUR", words="w", opened_at=timezone.now(),
    )  # fmt: skip
    owner.post(address(case, "missing-seen"), {"reason": "The bank shows it."})
    case.refresh_from_db()
    assert case.decision == "The bank shows it."


def test_another_merchant_s_stray_is_not_found_and_who_may_look_cannot_decide(home: House) -> None:
    case, other = stray(home), house("Beta")
    assert signed_in_as(member((other.page, Role.OWNER))).get(address(case, "link")).status_code == 404
    assert signed_in_as(member((home.page, Role.ORGANISER))).get(address(case, "link")).status_code == 403
    assert signed_in_as(member((home.page, Role.DOOR))).get(address(case, "link")).status_code == 404
    assert signed_in_as(UserFactory.create()).get(address(case, "link")).status_code == 302
    assert signed_in_as(member((home.page, Role.OWNER))).get(address(case, "accept")).status_code == 404


def test_the_front_page_counts_by_kind_and_says_how_old(owner: Client, home: House) -> None:
    for number in range(3):
        stray(home, number, opened_at=timezone.now() - timedelta(days=3))
    page = owner.get("/admin/").content.decode()
    assert "4 cases wait for a person" in page
    assert "SumUp took a payment that belongs to no order here" in page
    assert "3, the oldest for 3\xa0days." in page
    assert "have not been compared yet" in page
    Case.objects.update(closed_at=timezone.now(), closed_by="user:1", decision="done")
    now = timezone.now()
    ReconcileRun.objects.create(started_at=now - timedelta(hours=2), finished_at=now, who="job", outcome="in_order")
    page = owner.get("/admin/").content.decode()
    assert "nothing waits for a person" in page
    assert "last compared 2\xa0hours ago: in order." in page


@pytest.mark.parametrize("number", [1, 5])
def test_the_front_page_asks_a_fixed_number_of_times(
    owner: Client, home: House, number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for turn in range(number):
        stray(home, turn)
    with django_assert_num_queries(9):
        owner.get("/admin/")


def test_comparisons_are_for_superusers_to_read(owner: Client) -> None:
    row = ReconcileRun.objects.create(
        started_at=timezone.now(), finished_at=timezone.now(), who="job", outcome=RunOutcome.PERSON,
        counts={"found paid": 2, "asked about": 7}, problem="",
    )  # fmt: skip
    listed, shown = "/admin/payments/reconcilerun/", f"/admin/payments/reconcilerun/{row.pk}/change/"
    assert owner.get(listed).status_code == 403
    admin = signed_in_as(UserFactory.create(is_staff=True, is_superuser=True))
    assert "found paid: 2" in admin.get(listed).content.decode()
    assert "asked about: 7" in admin.get(shown).content.decode()
    for address_ in ("/admin/payments/reconcilerun/add/", f"/admin/payments/reconcilerun/{row.pk}/delete/"):
        assert admin.get(address_).status_code == 403
    assert admin.post(shown, {"outcome": "in_order"}).status_code == 403
