"""settle(): a payment is recorded once and its goods are given once, whatever SumUp says in whatever order."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.core import mail
from django.utils import timezone

import payments.settling
from events.models import CalendarEntry
from events.transitions import call_off_event
from ledger.models import History
from orders.mails import send_confirmation_mail
from orders.models import Order
from orders.states import OrderState
from payments.models import Case, Checkout
from payments.opening import hosted_page
from payments.settling import PAUSE, Verdict, settle
from payments.states import CaseKind, CheckoutState
from payments.sumup import CheckoutAnswer
from tests.cart.steps import (
    held,
    later,
    mail_jobs,
    moves_to,
    opened,
    ordered,
    paid_at_sumup,
    states_of,
    sumup_id,
)
from tests.factories import EventFactory
from tests.simulator import PATIENCE, SimulatorProcess

pytestmark = pytest.mark.django_db


def ask(checkout: Checkout, *, at: datetime | None = None, deadline: float = PATIENCE) -> Verdict:
    verdict = settle(checkout.pk, who="test", at=at or timezone.now(), deadline=deadline)
    checkout.refresh_from_db()
    return verdict


def ask_again(checkout: Checkout, times: int = 1) -> Verdict:
    """As long after the last question as it takes to be answered again."""
    return ask(checkout, at=later(seconds=3 * times))


def test_settling_a_payment_records_it_and_confirms(sumup: SimulatorProcess) -> None:
    order = ordered(number=2)
    checkout = paid_at_sumup(sumup, order)

    assert ask(checkout) is Verdict.SETTLED

    order.refresh_from_db()
    (capture,) = sumup.ledger()["captures"]
    assert (checkout.state, checkout.captured, checkout.captured_currency) == ("paid", Decimal("24.00"), "EUR")
    assert (checkout.transaction_id, checkout.transaction_code) == (capture["id"], capture["code"])
    assert (checkout.is_applied, order.state) == (True, OrderState.PAID)
    assert states_of(order) == ["confirmed", "confirmed"]
    assert mail_jobs() == 1
    change = History.objects.of(order).get(field="state")
    assert (change.new, change.actor, change.reason) == ("paid", "test", "SumUp says PAID")


def test_settling_a_hundred_times_confirms_once(sumup: SimulatorProcess) -> None:
    order = ordered()
    checkout = paid_at_sumup(sumup, order)

    assert {ask_again(checkout, n) for n in range(100)} == {Verdict.SETTLED}

    assert sumup.calls("read") == 1
    assert moves_to("confirmed", order) == [1]
    assert mail_jobs() == 1


def test_an_unpaid_checkout_is_waiting_and_is_asked_about_once_in_two_seconds(sumup: SimulatorProcess) -> None:
    checkout = opened(ordered())
    now = timezone.now()

    assert ask(checkout, at=now) is Verdict.WAITING
    assert ask(checkout, at=now + PAUSE) is Verdict.BUSY
    assert ask(checkout, at=now + PAUSE + timedelta(milliseconds=1)) is Verdict.WAITING
    assert sumup.calls("read") == 2


@pytest.mark.parametrize("old_word", ["stale", "FAILED", "EXPIRED"])
def test_an_old_word_read_after_paid_changes_nothing(sumup: SimulatorProcess, old_word: str) -> None:
    order = ordered()
    checkout = paid_at_sumup(sumup, order)
    ask(checkout)
    sumup.faults(**({"read": "stale"} if old_word == "stale" else {"tamper": {"status": old_word}}))

    assert ask_again(checkout) is Verdict.SETTLED

    order.refresh_from_db()
    assert (checkout.state, order.state, states_of(order)) == ("paid", "paid", ["confirmed"])


def test_an_old_answer_applied_after_paid_changes_nothing(
    sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer PENDING was on its way while another question was answered PAID."""
    order = ordered()
    checkout = opened(order)
    read = payments.settling.ask

    def overtaken(row: Checkout, deadline: float) -> CheckoutAnswer:
        old = read(row, deadline)
        monkeypatch.setattr(payments.settling, "ask", read)
        sumup.pay(sumup_id(row))
        settle(row.pk, who="rival", at=later(seconds=5))
        return old

    monkeypatch.setattr(payments.settling, "ask", overtaken)

    assert ask(checkout) is Verdict.SETTLED

    order.refresh_from_db()
    assert (checkout.state, order.state, states_of(order)) == ("paid", "paid", ["confirmed"])
    assert moves_to("confirmed", order) == [1]


def test_a_decline_is_not_the_end_and_the_retry_on_the_same_page_confirms(sumup: SimulatorProcess) -> None:
    order = ordered()
    checkout = opened(order)
    sumup.decline(sumup_id(checkout))

    assert ask(checkout) is Verdict.WAITING
    order.refresh_from_db()
    assert (checkout.state, checkout.sumup_status, order.state) == ("open", "FAILED", "awaiting_payment")
    assert hosted_page(order, at=timezone.now()) == checkout.hosted_url

    sumup.pay(sumup_id(checkout))
    assert ask_again(checkout) is Verdict.SETTLED
    assert states_of(order) == ["confirmed"]


@pytest.mark.parametrize(
    "lie",
    [
        {"amount": 12.01},
        {"amount": 11.99},
        {"amount": None},
        {"currency": "CHF"},
        {"merchant_code": "MDEMO002"},
        {"checkout_reference": "somebody-else-s"},
        {"id": "another-id"},
        {"transactions": [{"id": "t", "transaction_code": "T", "status": "SUCCESSFUL", "amount": 11.99}]},
        {"transactions": [{"transaction_code": "T", "status": "SUCCESSFUL", "amount": 12, "currency": "CHF"}]},
    ],
    ids=str,
)
def test_a_payment_that_differs_is_a_mismatch_that_gives_nothing(
    sumup: SimulatorProcess, lie: dict[str, object]
) -> None:
    entry = EventFactory.create(capacity=5)
    order = ordered(entry)
    checkout = paid_at_sumup(sumup, order)
    sumup.faults(tamper=lie)

    assert ask(checkout) is Verdict.SETTLED
    assert ask_again(checkout) is Verdict.SETTLED

    order.refresh_from_db()
    assert (checkout.state, checkout.is_applied, order.state) == ("mismatch", False, "awaiting_payment")
    assert checkout.problem
    assert (states_of(order), held(entry)) == (["reserved"], 1)
    case = Case.objects.open().get()
    assert (case.kind, case.checkout, case.words) == (CaseKind.MISMATCH, checkout, checkout.problem)
    assert mail_jobs() == 0


def test_a_transaction_that_paid_another_checkout_is_a_mismatch(sumup: SimulatorProcess) -> None:
    first, second = ordered(), ordered()
    checkout = paid_at_sumup(sumup, first)
    ask(checkout)
    other = paid_at_sumup(sumup, second)
    used = {"id": "t", "transaction_code": checkout.transaction_code, "status": "SUCCESSFUL", "amount": 12}
    sumup.faults(tamper={"transactions": [used | {"currency": "EUR"}]})

    ask(other)

    assert other.state == CheckoutState.MISMATCH
    assert "has paid another checkout" in other.problem


def test_failed_attempts_beside_the_one_that_succeeded_are_no_difference(sumup: SimulatorProcess) -> None:
    order = ordered()
    checkout = opened(order)
    sumup.decline(sumup_id(checkout))
    sumup.decline(sumup_id(checkout))
    sumup.pay(sumup_id(checkout))

    ask(checkout)

    assert checkout.state == CheckoutState.PAID


@pytest.mark.parametrize(
    "fault",
    [
        "garbage", "truncated", "empty", "array", "huge", "deep", "404", "404html", "500", "502html", "503", "504",
        "429:1", "drop", "lost_answer", "redirect", "204", "403", "blocked", "400", "400array",
    ],
)  # fmt: skip
def test_an_answer_that_says_nothing_is_unknown_and_changes_nothing(sumup: SimulatorProcess, fault: str) -> None:
    order = ordered()
    checkout = paid_at_sumup(sumup, order)
    before = Checkout.objects.filter(pk=checkout.pk).values("state", "sumup_status", "problem").get()
    sumup.faults(read=fault)

    assert ask(checkout) is Verdict.UNKNOWN

    assert Checkout.objects.filter(pk=checkout.pk).values("state", "sumup_status", "problem").get() == before
    assert states_of(order) == ["reserved"]
    assert not Case.objects.exists()
    sumup.faults(read="ok")
    assert ask_again(checkout) is Verdict.SETTLED
    assert states_of(order) == ["confirmed"]


@pytest.mark.parametrize("fault", ["hang", "slow_byte:0.2", "slow_headers:0.2"])
def test_a_server_that_does_not_end_is_unknown_in_bounded_time(sumup: SimulatorProcess, fault: str) -> None:
    checkout = paid_at_sumup(sumup, ordered())
    sumup.faults(read=fault)

    assert ask(checkout, deadline=0.5) is Verdict.UNKNOWN
    assert checkout.state == CheckoutState.OPEN


@pytest.mark.parametrize("fault", ["unknown_state", "missing_fields", "nul"])
def test_a_word_that_nobody_knows_is_kept_and_waited_on(sumup: SimulatorProcess, fault: str) -> None:
    order = ordered()
    checkout = opened(order)
    sumup.faults(read=fault)

    assert ask(checkout) is Verdict.WAITING

    order.refresh_from_db()
    assert (checkout.state, order.state, states_of(order)) == ("open", "awaiting_payment", ["reserved"])


def test_a_revoked_key_is_a_case_and_expires_nothing(sumup: SimulatorProcess) -> None:
    order = ordered()
    checkout = paid_at_sumup(sumup, order)
    sumup.faults(read="401")

    assert {ask_again(checkout, n) for n in range(3)} == {Verdict.UNKNOWN}

    case = Case.objects.open().get()
    assert (case.kind, case.merchant) == (CaseKind.REFUSED, checkout.merchant)
    assert states_of(order) == ["reserved"]
    sumup.faults(read="ok")
    assert ask_again(checkout, 4) is Verdict.SETTLED


def test_a_second_payment_of_an_order_is_surplus_and_gives_nothing_twice(sumup: SimulatorProcess) -> None:
    order = ordered()
    first = opened(order)
    sumup.ask("DELETE", f"/v0.1/checkouts/{first.sumup_id}")
    ask(first)
    assert first.state == CheckoutState.EXPIRED
    second = paid_at_sumup(sumup, order)
    assert second.pk != first.pk
    ask(second)
    sumup.pay(sumup_id(first), force=True)

    assert ask_again(first) is Verdict.SETTLED

    assert (second.is_applied, first.state, first.is_applied) == (True, CheckoutState.PAID, False)
    assert first.captured == order.total
    case = Case.objects.open().get()
    assert (case.kind, case.checkout, case.amount) == (CaseKind.SURPLUS, first, order.total)
    assert moves_to("confirmed", order) == [1]
    assert mail_jobs() == 1
    assert ask_again(first, 2) is Verdict.SETTLED
    assert Case.objects.count() == 1


def test_an_event_cancelled_before_the_payment_arrives_makes_its_price_owed(sumup: SimulatorProcess) -> None:
    gone = EventFactory.create(title="Called off")
    order = ordered(gone, 2)
    checkout = paid_at_sumup(sumup, order)
    CalendarEntry.objects.filter(pk=gone.pk).update(state="cancelled")

    ask(checkout)

    order.refresh_from_db()
    assert (order.state, states_of(order), held(gone)) == ("paid", ["refund_due"] * 2, 0)
    assert (checkout.captured, checkout.is_applied) == (Decimal("24.00"), True)
    send_confirmation_mail(order.pk)
    body = str(mail.outbox[0].body)
    assert "We owe you € 24.00" in body
    assert "Code for the door" not in body
    assert call_off_event(gone) == 0


def test_goods_that_raise_leave_the_capture_and_a_case_and_the_next_settle_gives_them(
    sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = EventFactory.create(capacity=1)
    order = ordered(entry)
    checkout = paid_at_sumup(sumup, order)

    def broken(row: Order, *, at: datetime) -> bool:
        Order.objects.filter(pk=row.pk).update(state="paid", paid_at=at)
        raise ZeroDivisionError("the printer is out of paper")

    with monkeypatch.context() as patch:
        patch.setattr(payments.settling, "fulfil", broken)
        assert ask(checkout) is Verdict.SETTLED

    order.refresh_from_db()
    assert (checkout.state, checkout.captured, checkout.is_applied) == ("paid", order.total, False)
    assert (order.state, states_of(order), mail_jobs()) == ("awaiting_payment", ["reserved"], 0)
    assert "ZeroDivisionError: the printer" in Case.objects.open().get(kind=CaseKind.GOODS).words
    assert Checkout.objects.unsettled().get() == checkout

    assert ask_again(checkout) is Verdict.SETTLED
    assert (checkout.is_applied, states_of(order), mail_jobs()) == (True, ["confirmed"], 1)
    assert not Checkout.objects.unsettled().exists()
    assert sumup.calls("read") == 1


def test_a_checkout_whose_answer_was_lost_is_found_by_its_reference(sumup: SimulatorProcess) -> None:
    order = ordered()
    sumup.faults(create="lost_answer", times=1)
    with pytest.raises(payments.opening.PageUnavailable):
        hosted_page(order, at=timezone.now())
    checkout = Checkout.objects.get()
    assert (checkout.state, checkout.sumup_id) == (CheckoutState.NEW, None)

    assert ask(checkout) is Verdict.WAITING
    assert checkout.state == CheckoutState.OPEN

    sumup.pay(sumup_id(checkout))
    ask_again(checkout)
    assert states_of(order) == ["confirmed"]
