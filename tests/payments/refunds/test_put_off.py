"""A refund that SumUp was too busy for: nothing was done, so it is sent again by itself, and never twice."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

import payments.refunds.sending
from events.models import CalendarEntry
from events.organising.calling_off import call_off
from ledger.models import History
from payments.models import Case, Refund
from payments.reconcile.round import Round
from payments.reconcile.running import reconcile
from payments.refunds.asking import withdraw
from payments.refunds.batches import run, start
from payments.refunds.jobs import refunds_once
from payments.refunds.sending import LONGEST_PUT_OFF, PUT_OFF, Sent, send
from tests.jobs import run_jobs
from tests.payments.money import at_sumup, ledgers_agree, requested, sold, whole
from tests.races.threads import at_once
from tests.simulator import SimulatorProcess
from tests.steps import later, states_of

pytestmark = pytest.mark.django_db(transaction=True)


def tried(refund: Refund, at: datetime) -> Sent:
    outcome = send(refund.pk, who="refund", at=at)
    refund.refresh_from_db()
    return outcome


@pytest.mark.promise("refund-answered-429")
def test_a_refund_answered_429_waits_and_is_sent_again_by_itself(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 2)
    sumup.faults(refund="429", times=1)
    refund = requested(checkout, whole(order, 1))
    now = timezone.now()

    assert tried(refund, now) is Sent.WAITING
    assert (refund.state, refund.sent_at, refund.events_before) == ("requested", None, None)
    assert refund.not_before == now + PUT_OFF
    assert "Too many requests" in refund.words
    assert (states_of(order), Case.objects.count()) == (["refund_due", "confirmed"], 0)
    assert tried(refund, now + PUT_OFF - timedelta(seconds=1)) is Sent.WAITING
    assert sumup.calls("refund") == 1

    refunds_once(at=now + PUT_OFF)

    refund.refresh_from_db()
    assert (refund.state, at_sumup(sumup), states_of(order)) == ("succeeded", [Decimal(12)], ["refunded", "confirmed"])
    assert sumup.calls("refund") == 2
    moves = History.objects.of(refund).filter(field="state").values_list("new", flat=True)
    assert list(moves)[-4:] == ["sending", "requested", "sending", "succeeded"]
    assert ledgers_agree(sumup)


def test_the_pause_that_sumup_asks_for_binds_job_sweep_reconcile_and_batch(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order, checkout = sold(sumup, entry)
    sumup.faults(refund="429:900", times=1)
    refund = requested(checkout, whole(order))
    before = timezone.now()

    run_jobs()

    refund.refresh_from_db()
    assert refund.not_before is not None
    assert timedelta(seconds=880) < refund.not_before - before < timedelta(seconds=960)
    job = ProcrastinateJob.objects.get(task_name="payments.refund_jobs.send_refund", status="todo")
    assert job.scheduled_at is not None
    assert job.scheduled_at >= refund.not_before - timedelta(seconds=5)
    for minutes in (3, 10, 14):
        refunds_once(at=later(minutes=minutes))
        reconcile(Round(clock=lambda minutes=minutes: later(minutes=minutes)))  # type: ignore[misc]  # of this turn
    assert (sumup.calls("refund"), Case.objects.count()) == (1, 0)
    refund.refresh_from_db()
    assert refund.state == "requested"


def test_a_busy_answer_before_the_refund_puts_it_off_too(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry)
    sumup.faults(transaction="429:600", times=1)
    refund = requested(checkout, whole(order))
    now = timezone.now()

    assert tried(refund, now) is Sent.WAITING
    assert (refund.state, refund.not_before) == ("requested", now + timedelta(seconds=600))
    assert sumup.calls("refund") == 0


@pytest.mark.promise("refund-answered-429")
def test_a_refund_put_off_for_a_day_fails_and_a_person_is_asked(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry)
    sumup.faults(refund="429")
    refund = requested(checkout, whole(order))
    at, tries = refund.requested_at, 0
    while tried(refund, at) is Sent.WAITING:
        assert refund.not_before is not None
        at, tries = refund.not_before + timedelta(hours=5), tries + 1

    assert tries == 5
    assert at > refund.requested_at + LONGEST_PUT_OFF
    assert (refund.state, states_of(order)) == ("failed", ["refund_due"] * 2)
    case = Case.objects.open().get()
    assert (case.kind, "Too many requests" in case.words) == ("refund", True)
    assert at_sumup(sumup) == []
    assert len(mail.outbox) == 0


@pytest.mark.promise("refund-answered-429")
def test_one_that_went_through_after_all_is_not_sent_again(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    """A proxy may say 429 of what SumUp has done: its event, read before the next try, ends the refund."""
    order, checkout = sold(sumup, entry)
    sumup.faults(refund="429", times=1)
    refund = requested(checkout, whole(order, 1))
    assert tried(refund, timezone.now()) is Sent.WAITING
    sumup.control(f"refund/{checkout.transaction_id}", {"amount": "12"})

    assert tried(refund, later(minutes=5)) is Sent.NOT_DUE

    assert refund.state == "withdrawn"
    assert (sumup.calls("refund"), at_sumup(sumup)) == (1, [Decimal(12)])
    assert states_of(order) == ["refunded", "confirmed"]
    assert ledgers_agree(sumup)


def test_one_that_shows_at_once_succeeds(
    sumup: SimulatorProcess, entry: CalendarEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, checkout = sold(sumup, entry)
    refund = requested(checkout, whole(order, 1))
    sumup.faults(refund="429", times=1)
    call = payments.refunds.sending._call

    def done_and_answered_429(*arguments: Any) -> object:
        sumup.control(f"refund/{checkout.transaction_id}", {"amount": "12"})
        return call(*arguments)

    monkeypatch.setattr(payments.refunds.sending, "_call", done_and_answered_429)

    assert tried(refund, timezone.now()) is Sent.SUCCEEDED
    assert (refund.state, at_sumup(sumup)) == ("succeeded", [Decimal(12)])
    assert ledgers_agree(sumup)


def test_many_at_once_after_the_pause_send_it_once(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry)
    sumup.faults(refund="429", times=1)
    refund = requested(checkout, whole(order, 1))
    assert tried(refund, timezone.now()) is Sent.WAITING

    at_once([lambda: send(refund.pk, who="sweep", at=later(minutes=3))] * 6)

    refund.refresh_from_db()
    assert (refund.state, at_sumup(sumup), sumup.calls("refund")) == ("succeeded", [Decimal(12)], 2)
    assert ledgers_agree(sumup)


def test_a_person_may_withdraw_what_was_put_off(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry)
    sumup.faults(refund="429", times=1)
    refund = requested(checkout, whole(order))
    assert tried(refund, timezone.now()) is Sent.WAITING

    assert withdraw(refund.pk, reason="Kept.", who="user:1", at=timezone.now())
    refunds_once(at=later(minutes=5))

    refund.refresh_from_db()
    assert (refund.state, at_sumup(sumup)) == ("withdrawn", [])


def test_a_batch_stops_at_a_busy_answer_and_goes_on_later(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    for _turn in range(3):
        sold(sumup, entry)
    call_off(entry.pk, money_back=True, who="user:1", why="The singer is ill")
    batch = start(entry, reason="Called off.", who="user:1", at=timezone.now())
    sumup.faults(refund="429", times=1)

    assert not run(batch.pk)
    assert sumup.calls("refund") == 1
    assert run(batch.pk)
    refunds_once(at=later(minutes=5))

    assert set(Refund.objects.values_list("state", flat=True)) == {"succeeded"}
    assert at_sumup(sumup) == [Decimal(24)] * 3
    assert ledgers_agree(sumup)
