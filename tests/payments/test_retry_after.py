"""Retry-After: for as long as SumUp asks to be left alone, nobody here asks it, whoever would."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from procrastinate.contrib.django.models import ProcrastinateJob

from payments.jobs import ask_soon, sweep_once
from payments.models import Checkout, RunOutcome
from payments.reconcile.pace import Pace
from payments.reconcile.round import Round
from payments.reconcile.running import reconcile
from payments.sumup import Client, KeyRefused, NoAnswer, SumUpProblem, wire
from payments.sumup.problems import RETRY_AFTER_MOST, problem_from
from tests.jobs import run_jobs
from tests.simulator import KEY, OTHER_KEY, OTHER_MERCHANT, SimulatorProcess
from tests.steps import opened, ordered, paid_at_sumup, states_of, sumup_id, tell

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
#: Every question of the client but a refund, which `test_refunds_put_off` plays.
QUESTIONS: dict[str, Callable[[Client], object]] = {
    "read": lambda client: client.read_checkout("x"),
    "find": lambda client: client.find_checkouts("x"),
    "deactivate": lambda client: client.deactivate_checkout("x"),
    "merchant": lambda client: client.read_merchant(),
    "transaction": lambda client: client.read_transaction("x"),
    "history": lambda client: list(client.read_history()),
    "payouts": lambda client: client.list_payouts(NOON.date(), NOON.date()),
}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0), ("7", 7), (" 120 ", 120), ("86400", RETRY_AFTER_MOST), ("9" * 400, RETRY_AFTER_MOST),
        (format_datetime(NOON + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOON - timedelta(seconds=90), usegmt=True), 0),
        (format_datetime(NOON + timedelta(days=900), usegmt=True), RETRY_AFTER_MOST),
        ("Sunday, 22-Nov-26 12:01:30 GMT", 90), ("Sun Nov 22 12:01:30 2026", 90),
        ("", None), ("soon", None), ("-1", None), ("1.5", None), ("٣", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_by_sumups_own_clock_and_has_a_bound(
    header: str, seconds: float | None
) -> None:
    date = format_datetime(NOON, usegmt=True)
    assert problem_from(429, None, retry_after=header, date=date).retry_after == seconds


@given(header=st.text() | st.integers().map(str), date=st.text())
@settings(deadline=None)
def test_any_header_is_a_pause_or_none(header: str, date: str) -> None:
    pause = problem_from(503, None, retry_after=header, date=date).retry_after
    assert pause is None or 0 <= pause <= RETRY_AFTER_MOST


@pytest.mark.parametrize("answer", ["429:120", "503:120"])
@pytest.mark.parametrize("operation", QUESTIONS)
@pytest.mark.promise("while-sumup-asks")
def test_no_question_is_asked_while_sumup_wants_to_be_left_alone(
    simulator: SimulatorProcess, operation: str, answer: str
) -> None:
    simulator.faults(**{operation: answer})
    client = simulator.client(deadline_seconds=10)
    with pytest.raises(NoAnswer) as first:
        QUESTIONS[operation](client)
    assert first.value.retry_after == 120

    for ask in QUESTIONS.values():
        with pytest.raises(NoAnswer) as caught:
            ask(client)
        assert caught.value.status == 429
        assert caught.value.retry_after is not None
        assert 60 < caught.value.retry_after <= 120

    assert len(simulator.questions()) == 1
    simulator.faults(**{operation: "ok"})
    other = simulator.client(key=OTHER_KEY, merchant_code=OTHER_MERCHANT)
    assert other.read_merchant().merchant_code == OTHER_MERCHANT, "another merchant was not meant"


def test_a_patient_call_waits_for_a_short_pause_and_a_quick_one_does_not(simulator: SimulatorProcess) -> None:
    simulator.faults(merchant="429:1", times=1)
    with pytest.raises(NoAnswer):
        simulator.client().read_merchant()

    with pytest.raises(NoAnswer):
        simulator.client(deadline_seconds=3).read_merchant()
    began = time.monotonic()
    assert simulator.client(deadline_seconds=10).read_merchant().merchant_code
    assert time.monotonic() - began < 9
    assert simulator.calls("merchant") == 2


def test_a_busy_answer_without_a_time_holds_nobody_back(simulator: SimulatorProcess) -> None:
    simulator.faults(merchant="429", times=1)
    with pytest.raises(NoAnswer) as caught:
        simulator.client().read_merchant()
    assert caught.value.retry_after is None
    assert simulator.client().read_merchant().merchant_code


def test_the_pause_is_known_before_the_key_is_looked_at(simulator: SimulatorProcess) -> None:
    """A key that cannot be one is told so also while SumUp is busy: it is never asked with it."""
    simulator.faults(merchant="429:120")
    with pytest.raises(NoAnswer):
        simulator.client().read_merchant()
    with pytest.raises(KeyRefused):
        simulator.client(key="").read_merchant()


# --- The run over all payments


def time_passes(seconds: float) -> None:
    """What a sleep of `seconds` would change, without it."""
    assert seconds > 0
    for key, until in wire._line.left_alone.items():
        wire._line.left_alone[key] = until - seconds


@pytest.mark.django_db(transaction=True)
def test_a_run_waits_as_long_as_sumup_asks_and_then_reads_on(sumup: SimulatorProcess) -> None:
    order = ordered()
    checkout = paid_at_sumup(sumup, order)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time_passes(seconds)

    sumup.faults(history="429:30", times=2)
    row = reconcile(Round(pace=Pace(0, sleep=sleep)))

    assert row.outcome == RunOutcome.IN_ORDER
    # The clock that stood still meanwhile makes the question after these wait as long.
    assert [round(seconds) for seconds in slept[:2]] == [30, 30]
    assert sumup.calls("history") == 3
    checkout.refresh_from_db()
    assert checkout.listed_at is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("answer", ["429:30", "429:600", "429"])
def test_a_run_that_waits_in_vain_ends_and_asks_few_questions(sumup: SimulatorProcess, answer: str) -> None:
    for order in [ordered(), ordered(), ordered()]:
        opened(order)
    before = len(sumup.questions())
    sumup.faults(read=answer, history=answer, transaction=answer, payouts=answer)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time_passes(seconds)

    row = reconcile(Round(pace=Pace(0, sleep=sleep)))

    assert row.outcome == RunOutcome.UNREACHABLE
    asked = len(sumup.questions()) - before
    if answer == "429:600":
        assert (asked, slept) == (1, []), "so long nobody waits: the next run asks"
    if answer == "429:30":
        assert len(slept) == asked - 1
        assert all(seconds > 29 for seconds in slept)
    assert asked <= 6


# --- Jobs, sweeps and pages


@pytest.mark.django_db(transaction=True)
def test_a_job_is_tried_again_no_sooner_than_sumup_says(sumup: SimulatorProcess) -> None:
    checkout = paid_at_sumup(sumup, ordered())
    sumup.faults(read="429:900")
    ask_soon(checkout.pk)
    ProcrastinateJob.objects.filter(task_name="payments.jobs.ask_about").update(scheduled_at=None)

    before = timezone.now()
    run_jobs()

    job = ProcrastinateJob.objects.get(task_name="payments.jobs.ask_about", status="todo")
    assert job.scheduled_at is not None
    assert timedelta(seconds=880) < job.scheduled_at - before < timedelta(seconds=960)
    assert sumup.calls("read") == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("while-sumup-asks")
def test_sweep_and_pages_ask_once_while_sumup_wants_to_be_left_alone(sumup: SimulatorProcess, client: Browser) -> None:
    orders = [ordered() for _turn in range(3)]
    pages = [opened(order) for order in orders]
    sumup.pay(sumup_id(pages[0]))
    sumup.faults(read="429:120")
    client.force_login(orders[0].user)

    for _turn in range(5):
        Checkout.objects.update(asked_at=None)
        page = client.get(reverse("order_status", args=[orders[0].code]), headers={"HX-Request": "true"})
        assert "Waiting for your payment" in page.content.decode()
        assert tell(client, sumup_id(pages[0])) == 503
        Checkout.objects.update(asked_at=None)
        sweep_once()

    assert sumup.calls("read") == 1
    assert len([row for row in sumup.questions() if row["method"] == "GET"]) == 1
    time_passes(120)
    sumup.faults(read="ok")
    Checkout.objects.update(asked_at=None)
    sweep_once()
    assert states_of(orders[0]) == ["confirmed"]


@pytest.mark.django_db
def test_a_buyer_is_told_to_try_again_and_no_page_is_made_while_sumup_is_busy(
    sumup: SimulatorProcess, client: Browser
) -> None:
    order = ordered()
    client.force_login(order.user)
    sumup.faults(create="429:120")

    for _turn in range(3):
        page = client.post(reverse("pay", args=[order.code]), follow=True)
        assert "SumUp does not answer at the moment" in page.content.decode()

    assert sumup.calls("create") == 1
    assert Checkout.objects.get().state == "new"


def test_the_client_and_the_problem_name_no_key() -> None:
    client = Client(KEY, "M", "http://127.0.0.1:9", 10)
    wire.leave_alone(client.base_url, "M", 60)
    with pytest.raises(SumUpProblem) as caught:
        client.read_merchant()
    assert KEY not in str(caught.value)
