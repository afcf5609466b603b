"""The proof of an order: every fact, what SumUp said word for word, for those who see the order whole."""

import json

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from events.models import Page, Role
from ledger.models import History
from orders.models import Order
from payments.books.proof import proof_of
from payments.checkouts.settling import settle
from payments.models import Checkout, SumUpAnswer
from payments.reconcile.pace import Pace
from payments.reconcile.round import Round
from payments.reconcile.running import reconcile
from tests.desk import House, house, member, signed_in_as
from tests.factories import EventFactory, UserFactory
from tests.simulator import SimulatorProcess
from tests.steps import ordered, paid_at_sumup

pytestmark = pytest.mark.django_db(transaction=True)


def address(order: Order, form: str) -> str:
    return f"/admin/orders/order/{order.pk}/proof/{form}/"


def lived(sumup: SimulatorProcess, home: House, number: int = 2) -> Order:
    """Paid, then charged back at the bank, and found by reconcile."""
    Page.objects.filter(pk=home.page.pk).update(merchant=None)  # the site's takes it: the simulator knows that one
    home.page.refresh_from_db()
    order = ordered(EventFactory.create(calendar__page=home.page, capacity=50), number)
    settle(paid_at_sumup(sumup, order).pk, who="webhook", at=timezone.now())
    sumup.control(f"chargeback/{Checkout.objects.get(order=order).transaction_id}")
    reconcile(Round(pace=Pace(0)))
    return order


@pytest.mark.promise("proof-order-holds")
def test_the_file_holds_every_fact(sumup: SimulatorProcess, home: House) -> None:
    order = lived(sumup, home)
    client = signed_in_as(member((home.page, Role.OWNER)))

    answer = client.get(address(order, "json"))

    assert answer.status_code == 200
    assert {"private", "no-store"} <= set(answer["Cache-Control"].split(", "))
    assert answer["Content-Disposition"] == f'attachment; filename="order-{order.short_code}.json"'
    proof = json.loads(answer.content)
    assert proof == json.loads(json.dumps(proof_of(Order.objects.get(pk=order.pk))))
    assert (proof["order"]["code"], proof["order"]["total"]) == (order.code, "24.00")
    assert [thing["state"] for thing in proof["goods"]] == ["refunded"] * 2
    assert [said["status"] for said in proof["what_sumup_said"]] == ["PENDING", "PAID"]
    assert proof["what_sumup_said"][1]["body"] == SumUpAnswer.objects.latest("pk").body
    assert [(row["kind"], row["amount"]) for row in proof["what_sumup_reported"]] == [("CHARGE_BACK", "24.00")]
    assert [(row["origin"], row["state"]) for row in proof["refunds"]] == [("chargeback", "succeeded")]
    assert [row["kind"] for row in proof["cases"]] == ["outside"]
    ids = {thing["id"] for thing in proof["goods"]}
    assert (
        len([row for row in proof["history"] if row["subject"] == "ticket"])
        == History.objects.filter(subject="ticket", subject_id__in=ids).count()
    )
    assert [row["actor"] for row in proof["history"] if row["subject"] == "checkout"] == [
        "checkout",
        "webhook",
        "webhook",
    ]
    at = [row["at"] for row in proof["history"]]
    assert at == sorted(at)


def test_the_page_tells_it_and_leads_to_the_file(sumup: SimulatorProcess, home: House) -> None:
    order = lived(sumup, home)
    client = signed_in_as(member((home.page, Role.OWNER)))
    assert address(order, "page") in client.get(f"/admin/orders/order/{order.pk}/change/").content.decode()
    page = client.get(address(order, "page")).content.decode()
    for words in (
        "SumUp took the money of payment 1.", order.code, "What SumUp said, word for word",
        "&quot;status&quot;: &quot;PAID&quot;", address(order, "json"),
    ):  # fmt: skip
        assert words in page


@pytest.mark.promise("proof-order-holds")
def test_who_may_not_see_the_money_of_the_whole_order_finds_no_proof(sumup: SimulatorProcess, home: House) -> None:
    other = house("Beta")
    for user in (
        member((other.page, Role.OWNER)), member((home.page, Role.BOX_OFFICE)), member((home.page, Role.DOOR)),
    ):  # fmt: skip
        for form in ("page", "json"):
            assert signed_in_as(user).get(address(home.order, form)).status_code == 404
    assert Client().get(address(home.order, "json")).status_code == 302
    assert signed_in_as(UserFactory.create()).get(address(home.order, "json")).status_code == 302
    page = signed_in_as(member((home.page, Role.BOX_OFFICE))).get(f"/admin/orders/order/{home.order.pk}/change/")
    assert "/proof/" not in page.content.decode()


@pytest.mark.parametrize("number", [1, 9])
def test_a_proof_asks_a_fixed_number_of_times(
    sumup: SimulatorProcess, home: House, number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    order = Order.objects.select_related("user").get(pk=lived(sumup, home, number).pk)
    with django_assert_num_queries(12):
        proof_of(order)
