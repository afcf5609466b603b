"""The end of an unpaid order: SumUp is made to refuse the payment first; no answer keeps the hold."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

import payments.jobs
import payments.patience
from events.models import Merchant
from ledger.models import History
from orders.models import Order
from orders.releasing import request_cancel
from payments.jobs import ask_soon, sweep_once
from payments.models import Checkout
from payments.opening import PageUnavailable, hosted_page
from payments.releasing import Release, release
from payments.settling import settle
from payments.states import CheckoutState
from tests.cart.steps import held, later, mail_jobs, opened, ordered, paid_at_sumup, states_of, sumup_id
from tests.factories import EventFactory
from tests.simulator import OTHER_KEY, OTHER_MERCHANT, PATIENCE, SimulatorProcess

pytestmark = pytest.mark.django_db


def end(order: Order, *, at: datetime | None = None) -> Release:
    """What the sweep does at the end of the hold."""
    ending = release(order.pk, who="sweep", at=at or order.hold_until, deadline=PATIENCE)
    order.refresh_from_db()
    return ending


def test_nothing_is_ended_before_the_hold_is_over(sumup: SimulatorProcess) -> None:
    order = ordered()
    opened(order)

    assert end(order, at=order.hold_until - timedelta(seconds=1)) is Release.NOT_DUE
    assert sumup.calls("deactivate") == 0


def test_the_end_of_the_hold_deactivates_and_frees(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=2)
    order = ordered(entry, 2)
    checkout = opened(order)

    assert end(order) is Release.FREED

    checkout.refresh_from_db()
    assert sumup.ledger()["checkouts"][0]["status"] == "EXPIRED"
    assert (checkout.state, order.state, states_of(order)) == ("expired", "expired", ["cancelled"] * 2)
    assert held(entry) == 0
    assert History.objects.of(order).get(field="state").actor == "sweep"
    assert end(order) is Release.NOT_DUE


def test_an_order_that_never_got_to_sumup_is_freed_without_a_call(sumup: SimulatorProcess) -> None:
    order = ordered()

    assert end(order) is Release.FREED
    assert sumup.ledger()["calls"] == {}


def test_a_buyer_s_cancel_ends_as_cancelled(sumup: SimulatorProcess) -> None:
    order = ordered()
    opened(order)
    assert request_cancel(order, at=timezone.now())
    assert not request_cancel(order, at=timezone.now())

    assert end(order, at=timezone.now()) is Release.FREED
    assert order.state == "cancelled"


def test_already_paid_is_confirmed_instead(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=2)
    order = ordered(entry, 2)
    paid_at_sumup(sumup, order)

    assert end(order) is Release.NOT_DUE

    assert (order.state, states_of(order), held(entry)) == ("paid", ["confirmed"] * 2, 2)
    assert mail_jobs() == 1


@pytest.mark.parametrize(
    "fault",
    [
        "authorizing", "409processed", "500", "502html", "503", "429", "401", "403", "drop", "lost_answer",
        "hang_after", "garbage", "truncated", "empty", "array", "redirect", "404html", "blocked", "204",
        "unknown_state", "stale",
    ],
)  # fmt: skip
def test_anything_but_a_clear_word_keeps_the_hold_and_is_asked_again(sumup: SimulatorProcess, fault: str) -> None:
    entry = EventFactory.create(capacity=1)
    order = ordered(entry)
    checkout = opened(order)
    sumup.faults(deactivate=fault)

    assert release(order.pk, who="sweep", at=order.hold_until, deadline=1) is Release.KEPT

    order.refresh_from_db()
    assert (order.state, states_of(order), held(entry)) == ("awaiting_payment", ["reserved"], 1)
    assert Checkout.objects.get() == checkout
    sumup.faults(deactivate="ok")
    assert end(order, at=order.hold_until + timedelta(minutes=1)) is Release.FREED
    assert held(entry) == 0


def test_an_authorization_in_progress_keeps_the_hold_and_its_payment_is_confirmed(sumup: SimulatorProcess) -> None:
    order = ordered()
    checkout = opened(order)
    sumup.authorize(sumup_id(checkout))
    assert end(order) is Release.KEPT

    sumup.pay(sumup_id(checkout))

    assert end(order, at=order.hold_until + timedelta(minutes=1)) is Release.NOT_DUE
    assert (order.state, states_of(order)) == ("paid", ["confirmed"])


@pytest.mark.parametrize("is_known", [True, False])
def test_what_sumup_does_not_know_is_dead_when_it_says_so_twice_the_second_time_after_its_time(
    sumup: SimulatorProcess, is_known: bool
) -> None:
    """Known: SumUp answers 404 to an id that it gave us. Unknown: our create never arrived (or may arrive late)."""
    order = ordered()
    sumup.faults(create="ok" if is_known else "500")
    if is_known:
        opened(order)
        sumup.faults(deactivate="404")
    else:
        with pytest.raises(PageUnavailable):
            hosted_page(order, at=timezone.now())
    request_cancel(order, at=timezone.now())
    checkout = Checkout.objects.get()

    assert end(order, at=timezone.now()) is Release.KEPT
    assert end(order, at=later(minutes=1)) is Release.KEPT
    assert end(order, at=checkout.valid_until) is Release.KEPT
    assert end(order, at=checkout.valid_until + timedelta(seconds=1)) is Release.FREED
    assert (order.state, states_of(order)) == ("cancelled", ["cancelled"])


def test_what_sumup_did_not_know_once_after_its_time_is_asked_a_second_time(sumup: SimulatorProcess) -> None:
    order = ordered()
    sumup.faults(create="500")
    with pytest.raises(PageUnavailable):
        hosted_page(order, at=timezone.now())

    assert end(order) is Release.KEPT
    assert end(order, at=order.hold_until + timedelta(minutes=1)) is Release.FREED


def test_a_checkout_made_behind_a_lost_answer_is_found_and_deactivated(sumup: SimulatorProcess) -> None:
    order = ordered()
    sumup.faults(create="lost_answer", times=1)
    with pytest.raises(PageUnavailable):
        hosted_page(order, at=timezone.now())

    assert end(order) is Release.KEPT
    assert end(order, at=order.hold_until + timedelta(minutes=1)) is Release.FREED
    assert sumup.ledger()["checkouts"][0]["status"] == "EXPIRED"


def test_a_checkout_made_and_paid_behind_a_lost_answer_is_confirmed(sumup: SimulatorProcess) -> None:
    order = ordered()
    sumup.faults(create="lost_answer", times=1)
    with pytest.raises(PageUnavailable):
        hosted_page(order, at=timezone.now())
    sumup.pay(sumup.ledger()["checkouts"][0]["id"])

    assert end(order) is Release.NOT_DUE
    assert states_of(order) == ["confirmed"]


def test_a_mismatch_keeps_the_seats_until_a_person_decides(sumup: SimulatorProcess) -> None:
    order = ordered()
    paid_at_sumup(sumup, order)
    sumup.faults(tamper={"amount": 1})

    assert end(order) is Release.KEPT
    assert end(order, at=order.hold_until + timedelta(days=2)) is Release.KEPT
    assert states_of(order) == ["reserved"]


def overdue(*orders: Order) -> None:
    """Let their time run out: the frozen columns are turned back with the triggers off."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = 'replica'")
        cursor.execute(
            "UPDATE orders_order SET hold_until = now() - interval '1 minute' WHERE id = ANY(%s)",
            [[order.pk for order in orders]],
        )
        cursor.execute("SET LOCAL session_replication_role = 'origin'")


def test_the_sweep_alone_confirms_a_payment_that_nobody_told_of(sumup: SimulatorProcess) -> None:
    order = ordered()
    paid_at_sumup(sumup, order)

    sweep_once()

    order.refresh_from_db()
    assert (order.state, states_of(order), mail_jobs()) == ("paid", ["confirmed"], 1)


def test_the_sweep_frees_what_is_over_and_leaves_what_is_not(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=3)
    over, cancelled, waiting = (ordered(entry) for _ in range(3))
    for order in (over, cancelled, waiting):
        opened(order)
    overdue(over)
    request_cancel(cancelled, at=timezone.now())

    sweep_once()

    assert [Order.objects.get(pk=row.pk).state for row in (over, cancelled, waiting)] == [
        "expired",
        "cancelled",
        "awaiting_payment",
    ]
    assert held(entry) == 1


def test_one_bad_row_does_not_keep_the_sweep_from_the_others(
    sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good, over = ordered(), ordered(), ordered()
    broken = paid_at_sumup(sumup, bad)
    paid_at_sumup(sumup, good)
    overdue(over)

    def settle_some(pk: int, /, *, who: str, at: datetime) -> object:
        if pk == broken.pk:
            raise ZeroDivisionError
        return settle(pk, who=who, at=at)

    def release_some(pk: int, /, *, who: str, at: datetime) -> object:
        return release(pk, who=who, at=at)

    monkeypatch.setattr(payments.jobs, "settle", settle_some)
    monkeypatch.setattr(payments.jobs, "release", release_some)

    sweep_once()

    assert [Order.objects.get(pk=row.pk).state for row in (bad, good, over)] == ["awaiting_payment", "paid", "expired"]


def test_the_sweep_asks_first_what_was_never_asked(sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, fresh = opened(ordered()), opened(ordered())
    Checkout.objects.filter(pk=asked.pk).update(asked_at=later(minutes=-5))
    seen: list[int] = []
    monkeypatch.setattr(payments.jobs, "settle", lambda pk, **_how: seen.append(pk))

    sweep_once()

    assert seen == [fresh.pk, asked.pk]


def test_the_sweep_leaves_alone_what_was_asked_within_a_minute(sumup: SimulatorProcess) -> None:
    checkout = opened(ordered())
    Checkout.objects.filter(pk=checkout.pk).update(asked_at=later(seconds=-30))

    sweep_once()

    assert sumup.calls("read") == 0


@pytest.mark.django_db(transaction=True)
def test_asking_soon_enqueues_one_question(sumup: SimulatorProcess) -> None:
    checkout, other = opened(ordered()), opened(ordered())
    questions = ProcrastinateJob.objects.filter(task_name="payments.jobs.ask_about")
    before = questions.count()

    for _ in range(3):
        ask_soon(checkout.pk)
    ask_soon(other.pk)

    assert questions.count() == before + 2


def test_a_question_that_nobody_answered_is_asked_again(sumup: SimulatorProcess) -> None:
    order = ordered()
    checkout = paid_at_sumup(sumup, order)
    sumup.faults(read="500")
    with pytest.raises(payments.patience.NotAnswered):
        payments.jobs.ask_about(checkout.pk)

    sumup.faults(read="ok")
    Checkout.objects.filter(pk=checkout.pk).update(asked_at=later(minutes=-1))
    payments.jobs.ask_about(checkout.pk)

    assert states_of(order) == ["confirmed"]
    checkout.refresh_from_db()
    assert checkout.state == CheckoutState.PAID


def test_the_sweep_makes_the_merchant_that_the_environment_names(sumup: SimulatorProcess, settings: Settings) -> None:
    """As soon as SumUp answers for it; a key of somebody else's makes none and stops nothing."""
    Merchant.objects.all().delete()
    settings.SUMUP_MERCHANT_CODE, settings.SUMUP_API_KEY = OTHER_MERCHANT, "sup_sk_wrong"
    settings.DEBUG = True  # the simulator's merchants are sandbox accounts
    sweep_once()
    assert not Merchant.objects.exists()

    settings.SUMUP_API_KEY = OTHER_KEY
    sweep_once()
    sweep_once()

    merchant = Merchant.objects.get()
    assert (merchant.code, merchant.currency, merchant.is_site) == (OTHER_MERCHANT, "EUR", True)
    assert sumup.calls("merchant") == 2
