"""Whoever asks SumUp, and however many at once: one capture, one confirm, one mail, and never a seat given twice."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest
from django.db import models
from django.db.utils import IntegrityError
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

import payments.checkouts.ending
import payments.checkouts.opening
import payments.checkouts.settling
from ledger.locking import LockableQuerySet
from orders.models import Order
from orders.states import OrderState
from payments.checkouts.ending import Release, release
from payments.checkouts.opening import hosted_page
from payments.checkouts.settling import PAUSE, Verdict, settle
from payments.models import Case, Checkout
from payments.states import CheckoutState
from payments.sumup import CheckoutAnswer
from payments.sumup import Client as SumUpClient
from tests.factories import EventFactory
from tests.races.threads import PATIENCE, at_once, in_a_thread
from tests.simulator import SimulatorProcess
from tests.steps import (
    HTMX,
    held,
    later,
    mail_jobs,
    moves_to,
    opened,
    ordered,
    paid_at_sumup,
    states_of,
    sumup_id,
    tell,
)

ROUNDS = 6


def poll(order: Order) -> int:
    client = Client()
    client.force_login(order.user)
    return client.get(f"/orders/{order.code}/status/?seen=awaiting_payment", headers=HTMX).status_code


@pytest.mark.promise("50-webhooks-poll", "webhook-100-times")
def test_fifty_webhooks_and_a_poll_at_once_confirm_once(sumup: SimulatorProcess) -> None:
    order = ordered(number=2)
    checkout = paid_at_sumup(sumup, order)
    webhooks = [partial(tell, Client(), sumup_id(checkout)) for _ in range(50)]

    began = time.monotonic()
    answers = at_once([*webhooks, partial(poll, order)])
    pauses = (time.monotonic() - began) // PAUSE.total_seconds()

    assert set(answers) <= {200, 204, 503}
    assert 1 <= sumup.calls("read") <= 1 + pauses  # a machine so slow that the pause is over may ask again
    order.refresh_from_db()
    assert order.state == OrderState.PAID
    assert moves_to("confirmed", order) == [1, 1]
    assert mail_jobs() == 1
    assert ProcrastinateJob.objects.filter(task_name="payments.jobs.ask_about").count() <= 1


def test_fifty_who_all_ask_at_once_confirm_once(sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause between two questions is taken away, so all of them hold an answer: the locks alone must do.

    It is the negative control of the pause too: without it SumUp is asked by each of them.
    """
    monkeypatch.setattr(payments.checkouts.settling, "PAUSE", timedelta(hours=-1))
    order = ordered(number=2)
    checkout = paid_at_sumup(sumup, order)

    answers = at_once([partial(settle, checkout.pk, who="webhook", at=timezone.now()) for _ in range(50)])

    assert set(answers) == {Verdict.SETTLED}
    assert sumup.calls("read") > 1
    assert moves_to("confirmed", order) == [1, 1]
    assert mail_jobs() == 1


def test_two_clicks_on_pay_make_one_checkout_at_sumup(sumup: SimulatorProcess) -> None:
    for _ in range(ROUNDS):
        order = ordered()
        answers = at_once([partial(hosted_page, order, at=timezone.now()) for _ in range(4)])

        (checkout,) = Checkout.objects.filter(order=order)
        assert answers == [checkout.hosted_url] * 4
        made = [row for row in sumup.ledger()["checkouts"] if row["reference"].startswith(order.code)]
        assert [row["id"] for row in made] == [checkout.sumup_id]


def test_a_click_between_the_intent_and_the_call_finds_the_same_checkout(
    sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = ordered()
    create = payments.checkouts.opening._create_or_find
    rivals = [partial(hosted_page, order, at=timezone.now())]
    pages: list[str] = []

    def rival_first(client: SumUpClient, order: Order, checkout: Checkout) -> CheckoutAnswer:
        if rivals:
            pages.append(in_a_thread(rivals.pop()))
        return create(client, order, checkout)

    monkeypatch.setattr(payments.checkouts.opening, "_create_or_find", rival_first)

    pages.append(hosted_page(order, at=timezone.now()))

    assert len(set(pages)) == 1
    assert len(sumup.ledger()["checkouts"]) == 1


def test_without_the_order_s_lock_two_clicks_collide(sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: unlocked, both see no checkout and make one; only the unique index stands."""
    order = ordered()
    both_have_looked = threading.Barrier(2)
    create = Checkout.objects.create

    def create_together(**fields: object) -> Checkout:
        both_have_looked.wait(PATIENCE)
        return create(**fields)

    def unlocked(rows: LockableQuerySet[models.Model]) -> models.QuerySet[models.Model]:
        return rows.order_by("pk")

    monkeypatch.setattr(LockableQuerySet, "locked", unlocked)
    monkeypatch.setattr(Checkout.objects, "create", create_together)

    answers = at_once([partial(hosted_page, order, at=timezone.now()) for _ in range(2)])

    assert any(isinstance(answer, IntegrityError) for answer in answers)


def test_a_payment_found_after_the_seats_were_freed_takes_them_again(
    sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rival at the seam: the hold ends and frees while the answer PAID is on its way."""
    entry = EventFactory.create(capacity=2)
    order = ordered(entry, 2)
    checkout = opened(order)
    ask = payments.checkouts.settling.ask
    freed: list[Release] = []

    def rival_first(row: Checkout, deadline: float) -> CheckoutAnswer:
        freed.append(in_a_thread(partial(release, order.pk, who="sweep", at=later(minutes=31))))
        sumup.control(f"pay/{row.sumup_id}", {"force": True})
        return ask(row, deadline)

    monkeypatch.setattr(payments.checkouts.settling, "ask", rival_first)

    assert settle(checkout.pk, who="webhook", at=later(seconds=5)) is Verdict.SETTLED

    assert freed == [Release.FREED]
    checkout.refresh_from_db()
    order.refresh_from_db()
    assert (checkout.state, checkout.captured, checkout.is_applied) == (CheckoutState.PAID, order.total, True)
    assert order.state == OrderState.PAID
    assert states_of(order) == ["confirmed", "confirmed"]
    assert moves_to("cancelled", order) == [1, 1]
    assert held(entry) == 2
    assert not Case.objects.exists()


def test_a_payment_found_between_the_deactivation_and_the_freeing_keeps_the_seats(
    sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other seam: SumUp said EXPIRED, took the money all the same, and the webhook is quicker than the release."""
    entry = EventFactory.create(capacity=2)
    order = ordered(entry, 2)
    checkout = opened(order)
    free = payments.checkouts.ending._free

    def rival_first(order_pk: int, who: str, at: datetime) -> Release:
        sumup.pay(sumup_id(checkout), force=True)
        in_a_thread(partial(settle, checkout.pk, who="webhook", at=at))
        return free(order_pk, who, at)

    monkeypatch.setattr(payments.checkouts.ending, "_free", rival_first)

    assert release(order.pk, who="sweep", at=later(minutes=31)) is Release.NOT_DUE

    order.refresh_from_db()
    assert order.state == OrderState.PAID
    assert states_of(order) == ["confirmed", "confirmed"]
    assert held(entry) == 2


@pytest.mark.parametrize("head_start", ["release", "payment"])
@pytest.mark.promise("end-hold-against")
def test_release_against_payment_never_frees_a_confirmed_seat(sumup: SimulatorProcess, head_start: str) -> None:
    for _ in range(ROUNDS):
        entry = EventFactory.create(capacity=2)
        order = ordered(entry, 2)
        checkout = opened(order)
        end = later(minutes=31)
        if head_start == "payment":
            sumup.pay(sumup_id(checkout))
        works: list[Callable[[], object]] = [
            partial(release, order.pk, who="sweep", at=end),
            partial(pay_and_settle, sumup, checkout, end),
        ]

        answers = at_once(works)

        assert not any(isinstance(answer, Exception) for answer in answers), answers
        settle(checkout.pk, who="sweep", at=end + timedelta(minutes=1))
        checkout.refresh_from_db()
        order.refresh_from_db()
        assert (checkout.state, order.state) == (CheckoutState.PAID, OrderState.PAID)
        assert (checkout.is_applied, states_of(order), held(entry)) == (True, ["confirmed"] * 2, 2)
        assert moves_to("confirmed", order) == [1, 1]
    assert not Case.objects.exists()


def pay_and_settle(sumup: SimulatorProcess, checkout: Checkout, at: datetime) -> Verdict:
    """Pay, even when SumUp has just ended the checkout, and take the webhook's part."""
    if not any(row["checkout_id"] == checkout.sumup_id for row in sumup.ledger()["captures"]):
        sumup.pay(sumup_id(checkout), force=True)
    return settle(checkout.pk, who="webhook", at=at)


@pytest.mark.promise("two-sweeps-once")
def test_two_releases_at_once_free_once(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=2)
    order = ordered(entry, 2)
    opened(order)

    answers = at_once([partial(release, order.pk, who="sweep", at=later(minutes=31)) for _ in range(8)])

    assert set(answers) <= {Release.FREED, Release.NOT_DUE}
    assert answers.count(Release.FREED) == 1
    assert moves_to("cancelled", order) == [1, 1]
    assert held(entry) == 0
