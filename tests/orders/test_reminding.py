"""Orders that are not paid: a reminder after ten minutes, a word when they lapse, each once; and paying by the link."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client
from django.urls import reverse
from procrastinate.contrib.django.models import ProcrastinateJob

import orders.jobs
from ledger import clock
from orders.fulfilling import fulfil
from orders.jobs import remind_once, tell_lapsed, tell_unpaid
from orders.links import link_token
from orders.models import Order
from orders.releasing import free, request_cancel
from orders.states import OrderState
from payments.checkouts.ending import Release, free_anyway, release
from payments.models import Checkout
from tests.factories import EventFactory, UserFactory
from tests.ledger.psql import run
from tests.payments.given import a_case
from tests.simulator import SimulatorProcess
from tests.steps import opened, ordered

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]

TEN = timedelta(minutes=10)


def jobs(name: str) -> list[int]:
    """The orders that the jobs of this name are about."""
    rows = ProcrastinateJob.objects.filter(task_name=f"orders.jobs.{name}").order_by("id")
    return [args["order_id"] for args in rows.values_list("args", flat=True)]


def remind(order: Order, *, after: timedelta = TEN) -> list[int]:
    remind_once(at=order.placed_at + after)
    return jobs("tell_unpaid")


@pytest.mark.promise("has-paid-after")
def test_who_has_not_paid_after_ten_minutes_is_reminded_once() -> None:
    order = ordered()
    assert remind(order, after=TEN - timedelta(seconds=1)) == []
    assert remind(order) == [order.pk]
    assert remind(order, after=TEN + timedelta(minutes=1)) == [order.pk]
    tell_unpaid(order_id=order.pk)
    (sent,) = mail.outbox
    assert sent.to == [order.user.email]
    assert "is not paid yet" in str(sent.body)
    assert reverse("order_link", args=[link_token(order)]) in str(sent.body)


def cancelling(order: Order) -> None:
    assert request_cancel(order, at=order.placed_at)


def paid(order: Order) -> None:
    with transaction.atomic():
        fulfil(order, at=order.placed_at)


def lapsing(order: Order) -> None:
    with transaction.atomic():
        free(Order.objects.filter(pk=order.pk).locked().get(), ending=OrderState.EXPIRED)


def undecided(order: Order) -> None:
    checkout = Checkout.objects.create(
        order=order, merchant_id=order.merchant_id or 0, reference="r", amount=order.total, currency="EUR",
        created_at=order.placed_at, valid_until=order.hold_until,
    )  # fmt: skip
    run("UPDATE payments_checkout SET state = 'open', sumup_id = 's', sumup_status = 'PAID' WHERE id = %s", checkout.pk)


ENDINGS = [cancelling, paid, lapsing, undecided]


@pytest.mark.parametrize("ending", ENDINGS)
def test_who_need_not_pay_any_more_is_not_reminded(ending: Callable[[Order], None]) -> None:
    order = ordered()
    ending(order)
    assert remind(order) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_reminder_that_waited_is_not_sent_when_it_is_no_longer_true(ending: Callable[[Order], None]) -> None:
    order = ordered()
    assert remind(order) == [order.pk]
    ending(order)
    tell_unpaid(order_id=order.pk)
    assert mail.outbox == []


def test_with_a_few_minutes_left_nobody_is_reminded(monkeypatch: pytest.MonkeyPatch) -> None:
    order = ordered()
    left = order.hold_until - order.placed_at - timedelta(minutes=5)
    assert remind(order, after=left) == []
    monkeypatch.setattr(clock, "now", lambda: order.placed_at + left + timedelta(seconds=1))
    tell_unpaid(order_id=order.pk)
    assert mail.outbox == []
    assert remind(order, after=left - timedelta(seconds=1)) == [order.pk]


def test_what_is_free_is_neither_reminded_of_nor_lapses() -> None:
    order = ordered(EventFactory.create(ticket_price=Decimal(0)))
    assert remind(order) == []
    assert release(order.pk, who="sweep", at=order.hold_until) is Release.NOT_DUE
    assert jobs("tell_lapsed") == []


@pytest.mark.promise("has-paid-after")
def test_a_reminder_is_enqueued_with_the_word_that_it_was_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the two, neither stays; one order that fails keeps no other from its reminder."""
    first, second = ordered(), ordered()
    defer = tell_unpaid.defer

    def broken(*, order_id: int) -> None:
        defer(order_id=order_id)
        if order_id == first.pk:
            raise RuntimeError

    monkeypatch.setattr(orders.jobs.tell_unpaid, "defer", broken)
    remind_once(at=second.placed_at + TEN)
    assert jobs("tell_unpaid") == [second.pk]
    assert list(Order.objects.exclude(reminded_at=None)) == [second]
    monkeypatch.undo()
    assert remind(second) == [second.pk, first.pk]


@pytest.mark.promise("has-paid-after")
def test_who_did_not_pay_in_time_is_told_once(sumup: SimulatorProcess) -> None:
    order = ordered()
    opened(order)
    for _time in range(2):
        release(order.pk, who="sweep", at=order.hold_until)
    assert jobs("tell_lapsed") == [order.pk]
    tell_lapsed(order_id=order.pk)
    (sent,) = mail.outbox
    assert "was not paid in time" in str(sent.body)
    assert "put it back in your cart" in str(sent.body)
    assert order.get_absolute_url() in str(sent.body)


def test_who_cancelled_is_told_nothing(sumup: SimulatorProcess) -> None:
    order = ordered()
    cancelling(order)
    assert release(order.pk, who="sweep", at=order.placed_at) is Release.FREED
    assert jobs("tell_lapsed") == []


@pytest.mark.promise("has-paid-after")
def test_an_order_of_whose_payment_nobody_knows_is_not_told_to_have_lapsed(sumup: SimulatorProcess) -> None:
    """SumUp is silent: the hold stays. A person who frees the seats all the same does not know either."""
    order = ordered()
    checkout = opened(order)
    sumup.faults(deactivate="503")
    assert release(order.pk, who="sweep", at=order.hold_until) is Release.KEPT
    assert jobs("tell_lapsed") == []
    case = a_case("held", checkout)
    assert free_anyway(case, who="user:1", reason="a day has gone", at=order.hold_until + timedelta(hours=25))
    order.refresh_from_db()
    assert order.state == "expired"
    assert jobs("tell_lapsed") == []


def test_a_late_payment_stops_the_word_that_nothing_was_charged() -> None:
    order = ordered()
    lapsing(order)
    undecided(order)
    tell_lapsed(order_id=order.pk)
    assert mail.outbox == []


# --- Paying by the link of the mail


def test_an_unpaid_order_is_paid_by_its_link_signed_out(sumup: SimulatorProcess, client: Client) -> None:
    order = ordered(EventFactory.create(title="Jazz"))
    link = reverse("order_link", args=[link_token(order)])
    page = client.get(link)
    assert page["Referrer-Policy"] == "no-referrer"
    (action,) = re.findall(r'action="(/orders/link/[^"]+/pay/)"', page.content.decode())
    assert "Jazz" in page.content.decode()
    assert client.get(action)["Location"] == link
    answer = client.post(action)
    assert answer.status_code == 303
    assert answer["Location"] == Checkout.objects.get(order=order).hosted_url
    assert client.post(action)["Location"] == answer["Location"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_link_of_an_order_that_awaits_no_payment_pays_nothing(
    client: Client, ending: Callable[[Order], None]
) -> None:
    order = ordered()
    ending(order)
    link = reverse("order_link", args=[link_token(order)])
    assert "/pay/" not in client.get(link).content.decode()
    assert client.post(f"{link}pay/")["Location"] == link


def test_a_forged_or_revoked_link_pays_nothing(client: Client) -> None:
    order = ordered(user=UserFactory.create())
    token = link_token(order)
    assert client.post(f"/orders/link/{token[:-1]}x/pay/").status_code == 404
    Order.objects.filter(pk=order.pk).update(link_version=7)
    assert client.post(f"/orders/link/{token}/pay/").status_code == 404
    assert not Checkout.objects.exists()
