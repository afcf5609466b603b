"""settle(): a payment is recorded once and its goods are given once, whatever SumUp says in whatever order."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.db import connection, transaction
from django.db.utils import OperationalError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import payments.checkouts.settling
from events.models import CalendarEntry, Merchant
from events.transitions import call_off_event
from ledger.models import History
from ledger.tracing import order_id
from orders.mails import send_confirmation_mail
from orders.models import Order
from orders.states import OrderState
from payments.balance import is_whole
from payments.checkouts.accepting import accept_mismatch, can_accept, give_again
from payments.checkouts.evidence import kept
from payments.checkouts.opening import hosted_page
from payments.checkouts.settling import PAUSE, Verdict, give, record_by_hand, settle
from payments.models import Case, Checkout
from payments.states import CaseKind, CheckoutState
from payments.sumup import CheckoutAnswer, KeyRefused, NoAnswer, SumUpProblem, UnknownCheckout
from payments.transitions import mark_expired, mark_paid, mark_refused
from tests.factories import EventFactory
from tests.payments import given
from tests.payments.given import a_case, a_page, a_payment, a_refund_of, answer, jobs, kept_word
from tests.simulator import PATIENCE, SimulatorProcess
from tests.steps import (
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


@pytest.mark.promise("webhook-100-times")
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
@pytest.mark.promise("paid-read-first")
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
    read = payments.checkouts.settling.ask

    def overtaken(row: Checkout, deadline: float) -> CheckoutAnswer:
        old = read(row, deadline)
        monkeypatch.setattr(payments.checkouts.settling, "ask", read)
        sumup.pay(sumup_id(row))
        settle(row.pk, who="rival", at=later(seconds=5))
        return old

    monkeypatch.setattr(payments.checkouts.settling, "ask", overtaken)

    assert ask(checkout) is Verdict.SETTLED

    order.refresh_from_db()
    assert (checkout.state, order.state, states_of(order)) == ("paid", "paid", ["confirmed"])
    assert moves_to("confirmed", order) == [1]


@pytest.mark.promise("failed-then-paid")
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
@pytest.mark.promise("another-amount-currency")
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
@pytest.mark.promise("read-404-paid")
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
@pytest.mark.promise("sumup-hangs-sends")
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


@pytest.mark.promise("401-key-revoked")
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
        patch.setattr(payments.checkouts.settling, "fulfil", broken)
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
    with pytest.raises(payments.checkouts.opening.PageUnavailable):
        hosted_page(order, at=timezone.now())
    checkout = Checkout.objects.get()
    assert (checkout.state, checkout.sumup_id) == (CheckoutState.NEW, None)

    assert ask(checkout) is Verdict.WAITING
    assert checkout.state == CheckoutState.OPEN

    sumup.pay(sumup_id(checkout))
    ask_again(checkout)
    assert states_of(order) == ["confirmed"]


# --- Each step by itself, SumUp's answer given

WHOLE = "SumUp's answer became whole."
LIE = {"checkout_reference": "another"}


@pytest.fixture
def neighbours(merchant: Merchant) -> list[Checkout]:
    """Other buyers' payments: one given, a mismatch that waits, one whose page is open."""
    mismatched = given.paid(ordered(), Decimal("11.00"))
    return [given.paid(ordered()), mismatched, given.opened(ordered())]


@pytest.fixture
def unchanged(neighbours: list[Checkout]) -> Callable[[], bool]:
    """Whether the others' payments, orders and cases are what they were."""
    pks = [row.pk for row in neighbours]

    def now() -> list[Any]:
        return [
            *Checkout.objects.filter(pk__in=pks).order_by("pk").values(),
            *Order.objects.filter(checkouts__in=pks).order_by("pk").values(),
            *Case.objects.filter(checkout__in=pks).order_by("pk").values(),
        ]

    before = now()
    return lambda: now() == before


class Said:
    """What SumUp says when a page is asked about, and how often it was."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch, self.asked = patch, list[int]()

    def __call__(self, told: CheckoutAnswer | SumUpProblem, meanwhile: Callable[[], object] = lambda: None) -> None:
        def ask(checkout: Checkout, _deadline: float) -> CheckoutAnswer:
            self.asked.append(checkout.pk)
            meanwhile()
            if isinstance(told, SumUpProblem):
                raise told
            return told

        self.patch.setattr(payments.checkouts.settling, "ask", ask)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    return Said(monkeypatch)


def settled(checkout: Checkout, *, at: datetime | None = None, who: str = "test") -> Verdict:
    """At once, however long ago it was asked last."""
    Checkout.objects.filter(pk=checkout.pk).update(asked_at=None)
    verdict = settle(checkout.pk, who=who, at=at or timezone.now())
    checkout.refresh_from_db()
    checkout.order.refresh_from_db()
    return verdict


def opened_page() -> Checkout:
    return given.opened(ordered())


def mismatch(said: Said, captured: str = "11.99") -> Checkout:
    """A page whose payment is a cent short."""
    checkout = opened_page()
    said(answer(checkout, "PAID", a_payment(checkout, amount=Decimal(captured))))
    settled(checkout)
    assert checkout.state == "mismatch"
    return checkout


def told(checkout: Checkout) -> tuple[object, ...]:
    return (checkout.state, checkout.captured, checkout.transaction_id, checkout.transaction_code, checkout.is_applied)


@pytest.mark.parametrize(
    ("before", "verdict"),
    [
        (None, Verdict.WAITING),
        (PAUSE + timedelta(microseconds=1), Verdict.WAITING),
        (PAUSE, Verdict.BUSY),
        (timedelta(0), Verdict.BUSY),
        (-PAUSE, Verdict.BUSY),
    ],
)
def test_a_question_is_claimed_for_a_pause_and_for_its_page_alone(
    said: Said, unchanged: Callable[[], bool], before: timedelta | None, verdict: Verdict
) -> None:
    at = timezone.now()
    asked_at = None if before is None else at - before
    checkout = given.opened(ordered(), asked_at=asked_at, sumup_status="")
    said(answer(checkout, "PENDING"))
    order_id.set(None)

    assert settle(checkout.pk, who="test", at=at) is verdict

    checkout.refresh_from_db()
    assert checkout.asked_at == (at if verdict is Verdict.WAITING else asked_at)
    assert len(said.asked) == (verdict is Verdict.WAITING)
    assert order_id.get() == checkout.order_id
    assert unchanged()


def test_what_is_over_is_not_asked_about(said: Said, merchant: Merchant) -> None:
    paid, refused, by_hand = given.paid(ordered()), a_page(ordered()), given.paid(ordered(), Decimal("11.00"))
    mark_refused(refused, words="No.")
    just_asked = mismatch(said)
    Checkout.objects.filter(pk=just_asked.pk).update(asked_at=timezone.now())
    said.asked.clear()

    for checkout in (paid, refused, by_hand, just_asked):
        assert settle(checkout.pk, who="test", at=timezone.now()) is Verdict.SETTLED

    assert said.asked == []
    assert set(Checkout.objects.filter(pk__in=[paid.pk, refused.pk]).values_list("asked_at", flat=True)) == {None}


@pytest.mark.parametrize("problem", [KeyRefused("Unauthorized", status=401), NoAnswer("Gone", status=503)])
def test_no_answer_is_told_and_only_a_refused_key_is_a_case(
    said: Said, merchant: Merchant, problem: SumUpProblem
) -> None:
    checkout, at = opened_page(), timezone.now()
    heard: list[SumUpProblem] = []
    said(problem)

    assert settle(checkout.pk, who="test", at=at, heard=heard.append) is Verdict.UNKNOWN

    assert heard == [problem]
    found = [(case.kind, case.merchant, case.words, case.opened_at) for case in Case.objects.all()]
    refused = isinstance(problem, KeyRefused)
    assert found == ([(CaseKind.REFUSED, merchant, "401 · Unauthorized", at)] if refused else [])


class Books:
    """SumUp's books, as the client reads them."""

    def __init__(self, found: list[CheckoutAnswer]) -> None:
        self.found = found

    def read_checkout(self, name: str) -> CheckoutAnswer:
        return next(row for row in self.found if row.id == name)

    def find_checkouts(self, _reference: str) -> list[CheckoutAnswer]:
        return self.found


def test_a_page_is_asked_for_by_its_id_else_by_its_own_reference_the_paid_one_first(
    monkeypatch: pytest.MonkeyPatch, merchant: Merchant
) -> None:
    known, new = opened_page(), a_page(ordered())
    other = answer(new, "PAID", id="a", checkout_reference="another")
    first, paid = answer(new, "PENDING", id="b"), answer(new, "PAID", id="c")
    asked = []

    def found(rows: list[CheckoutAnswer]) -> None:
        def client(who: Merchant, *, deadline: float) -> Books:
            asked.append((who, deadline))
            return Books(rows)

        monkeypatch.setattr(payments.checkouts.settling, "client_for", client)

    found([other, answer(known, "PENDING")])
    assert payments.checkouts.settling.ask(known, 7).id == known.sumup_id
    assert asked == [(merchant, 7)]
    found([other, first, paid])
    assert payments.checkouts.settling.ask(new).id == "c"
    found([other, first, answer(new, "FAILED", id="d")])
    assert payments.checkouts.settling.ask(new).id == "b"
    for rows in ([], [other]):
        found(rows)
        with pytest.raises(UnknownCheckout):
            payments.checkouts.settling.ask(new)


# --- Words short of a payment


def test_a_page_that_sumup_tells_of_is_open(said: Said, unchanged: Callable[[], bool]) -> None:
    checkout = a_page(ordered())
    said(answer(checkout, "PENDING", hosted_checkout_url=""))
    assert settled(checkout) is Verdict.WAITING
    assert (checkout.state, checkout.sumup_status, checkout.sumup_id) == ("new", "PENDING", None)
    assert kept_word(checkout, "id") == f"co-{checkout.pk}"

    said(answer(checkout, "PENDING"))
    assert settled(checkout) is Verdict.WAITING
    assert (checkout.state, checkout.sumup_id) == ("open", f"co-{checkout.pk}")
    assert checkout.hosted_url == "https://pay.example/1"
    assert History.objects.of(checkout).get(new="open").reason == "SumUp says PENDING"
    assert unchanged()


def test_a_word_is_kept_where_it_has_changed(said: Said, unchanged: Callable[[], bool]) -> None:
    checkout = opened_page()
    said(answer(checkout, "FAILED"))
    assert settled(checkout) is Verdict.WAITING
    assert (checkout.state, checkout.sumup_status, kept_word(checkout, "status")) == ("open", "FAILED", "FAILED")

    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert settled(checkout) is Verdict.WAITING
    assert not [row for row in queries if '"sumup_answer" = ' in row["sql"]]
    assert unchanged()


def test_a_page_that_sumup_ended_is_expired_once(said: Said, unchanged: Callable[[], bool]) -> None:
    checkout = opened_page()
    said(answer(checkout, "EXPIRED"))
    assert settled(checkout) is Verdict.SETTLED
    assert (checkout.state, checkout.sumup_status, kept_word(checkout, "status")) == ("expired",) + ("EXPIRED",) * 2

    said(answer(checkout, "EXPIRED", amount=Decimal(1)))
    assert settled(checkout) is Verdict.SETTLED
    assert kept_word(checkout, "amount") == "12"
    said(answer(checkout, "PENDING"))
    assert settled(checkout) is Verdict.WAITING
    assert (checkout.state, checkout.sumup_status, states_of(checkout.order)) == ("expired", "PENDING", ["reserved"])
    assert unchanged()


def test_what_a_rival_settled_meanwhile_is_not_settled_again(said: Said, unchanged: Callable[[], bool]) -> None:
    """Paid by then, its goods are given; refused by then, nothing is."""
    checkout, refused = opened_page(), a_page(ordered())
    paid: dict[str, Any] = {"transaction_id": "t", "transaction_code": "T", "captured": Decimal(12), "currency": "EUR"}

    def pay() -> None:
        mark_paid(checkout, sumup_id=checkout.sumup_id, at=timezone.now(), **paid)

    said(answer(checkout, "PENDING"), meanwhile=pay)
    assert settled(checkout) is Verdict.SETTLED
    assert (checkout.state, checkout.is_applied, checkout.order.state) == ("paid", True, "paid")
    said(answer(refused, "PAID"), meanwhile=lambda: mark_refused(refused, words="No."))
    assert settled(refused) is Verdict.SETTLED
    assert (refused.state, refused.captured, refused.order.state) == ("refused", None, "awaiting_payment")
    assert not Case.objects.filter(checkout__in=[checkout, refused]).exists()
    assert unchanged()


# --- A payment


@pytest.mark.parametrize(
    ("own", "whole", "expected"),
    [
        ({}, {}, ("t-{0}-1", "T{0}N1")),
        ({"id": ""}, {"transaction_id": "told"}, ("told", "T{0}N1")),
        ({"transaction_code": ""}, {"transaction_code": "TOLD"}, ("t-{0}-1", "TOLD")),
        ({}, {"transaction_id": "told", "transaction_code": "TOLD"}, ("t-{0}-1", "T{0}N1")),
        ({"transaction_code": ""}, {}, ("t-{0}-1", None)),
    ],
)
def test_a_payment_is_written_with_its_transaction_and_given(
    said: Said,
    unchanged: Callable[[], bool],
    own: dict[str, Any],
    whole: dict[str, Any],
    expected: tuple[str, str | None],
) -> None:
    """Its own words count before those of its page."""
    checkout, at = a_page(ordered()), timezone.now()
    said(answer(checkout, "PAID", a_payment(checkout, **own), **whole))

    assert settled(checkout, at=at) is Verdict.SETTLED

    numbers = [each and each.format(checkout.pk) for each in expected]
    assert told(checkout) == ("paid", Decimal(12), *numbers, True)
    assert (checkout.sumup_id, checkout.paid_at, checkout.sumup_status) == (f"co-{checkout.pk}", at, "PAID")
    assert kept_word(checkout, "status") == "PAID"
    assert (checkout.order.state, states_of(checkout.order)) == ("paid", ["confirmed"])
    assert unchanged()


def test_paid_without_a_payment_is_kept_and_asked_again(said: Said, unchanged: Callable[[], bool]) -> None:
    checkout = opened_page()
    said(answer(checkout, "PAID", {"status": "PENDING"}))

    assert settled(checkout) is Verdict.UNKNOWN

    assert (checkout.state, checkout.sumup_status, kept_word(checkout, "status")) == ("open", "PAID", "PAID")
    assert unchanged()


def test_a_payment_that_differs_is_written_as_it_came(said: Said, unchanged: Callable[[], bool]) -> None:
    checkout, at = opened_page(), timezone.now()
    said(answer(checkout, "PAID", a_payment(checkout, amount=Decimal("11.99"))))

    assert settled(checkout, at=at) is Verdict.SETTLED

    assert told(checkout) == ("mismatch", Decimal("11.99"), f"t-{checkout.pk}-1", f"T{checkout.pk}N1", False)
    assert checkout.problem == "transaction amount: 11.99 where 12.00 was asked for"
    assert (checkout.captured_currency, kept_word(checkout, "status")) == ("EUR", "PAID")
    (case,) = Case.objects.filter(checkout=checkout)
    assert (case.kind, case.words, case.opened_at) == ("mismatch", checkout.problem, at)
    assert (case.amount, case.currency) == (Decimal("11.99"), "EUR")
    assert jobs("payments.mails.tell_mismatch")[-1] == {"checkout_id": checkout.pk}
    assert unchanged()


def test_a_payment_of_another_order_is_a_mismatch_without_money(
    said: Said, neighbours: list[Checkout], unchanged: Callable[[], bool]
) -> None:
    checkout, theirs = opened_page(), neighbours[0]
    used = a_payment(checkout, id=theirs.transaction_id, transaction_code="")
    said(answer(checkout, "PAID", used))

    assert settled(checkout) is Verdict.SETTLED

    assert told(checkout) == ("mismatch", None, "", None, False)
    assert "has paid another checkout" in checkout.problem
    assert unchanged()


def test_a_payment_that_a_person_gave_to_this_order_already_is_kept(said: Said, merchant: Merchant) -> None:
    order = ordered()
    checkout = given.opened(order)
    mark_expired(checkout, status="EXPIRED")
    by_hand = given.paid(order)
    said(answer(checkout, "PAID", a_payment(checkout, id=by_hand.transaction_id)))

    assert settled(checkout) is Verdict.SETTLED

    assert (checkout.state, checkout.captured, checkout.sumup_status) == ("expired", None, "PAID")
    assert kept_word(checkout, "status") == "PAID"
    assert not Case.objects.exists()


# --- More payments than one of a page


def others_of(checkout: Checkout) -> list[tuple[object, ...]]:
    rows = Checkout.objects.filter(order=checkout.order).exclude(pk=checkout.pk).order_by("pk")
    return [(row.reference, row.state, row.captured, row.transaction_id, row.is_applied) for row in rows]


def test_each_further_payment_of_a_page_is_a_row_of_its_own(said: Said, unchanged: Callable[[], bool]) -> None:
    """Another's and what has no number are passed over; what came in another currency stays so."""
    checkout, at = opened_page(), timezone.now()
    other = given.paid(ordered())
    code = checkout.order.code
    rows = [
        a_payment(checkout),
        a_payment(checkout, 2, id=other.transaction_id, amount=Decimal(12)),
        a_payment(checkout, 3, transaction_code="", amount=Decimal("7.00")),
        a_payment(checkout, 4, id="", amount=Decimal("8.00"), currency="CHF"),
        a_payment(checkout, 5, amount=Decimal("1e12")),
    ]
    said(answer(checkout, "PAID", *rows))

    assert settled(checkout, at=at) is Verdict.SETTLED

    assert told(checkout)[0] == "paid"
    assert others_of(checkout) == [
        (f"{code}-2", "paid", Decimal("7.00"), f"t-{checkout.pk}-3", False),
        (f"{code}-3", "paid", Decimal("8.00"), "", False),
        (f"{code}-4", "mismatch", None, f"t-{checkout.pk}-5", False),
    ]
    more = Checkout.objects.filter(order=checkout.order).exclude(pk=checkout.pk).order_by("pk")
    assert list(more.values_list("amount", "currency", "captured_currency", "created_at")) == [
        (Decimal("7.00"), "EUR", "EUR", at),
        (Decimal("8.00"), "CHF", "CHF", at),
        (Decimal("12.00"), "EUR", "", at),
    ]
    words = f"SumUp reports it beside the payment of {checkout.reference}"
    assert Case.objects.get(checkout=more[2]).words == words
    assert unchanged()


def test_a_payment_without_a_number_beside_another_is_no_row(said: Said, merchant: Merchant) -> None:
    checkout = opened_page()
    nameless = a_payment(checkout, 2, id="", transaction_code="")
    said(answer(checkout, "PAID", a_payment(checkout), nameless, a_payment(checkout, 3)))

    settled(checkout)

    assert [row[3] for row in others_of(checkout)] == [f"t-{checkout.pk}-3"]


def test_there_is_no_room_for_a_further_payment_while_a_page_can_be_paid(said: Said, merchant: Merchant) -> None:
    order = ordered()
    first = given.opened(order)
    mark_expired(first, status="EXPIRED")
    second = given.opened(order)
    lie = a_payment(first, amount=Decimal("11.00"))
    said(answer(first, "PAID", lie, a_payment(first, 2, amount=Decimal("1.00"))))

    settled(first)

    assert [row[:2] for row in others_of(first)] == [(second.reference, "open")]


@pytest.mark.parametrize(
    ("is_paid", "captured", "currency", "expected"),
    [
        (False, "12.00", "EUR", ("paid", True, None)),
        (False, "11.99", "EUR", ("mismatch", False, "mismatch")),
        (False, "12.01", "EUR", ("mismatch", False, "mismatch")),
        (False, "12.00", "CHF", ("mismatch", False, "mismatch")),
        (False, None, "", ("mismatch", False, "mismatch")),
        (True, "12.00", "EUR", ("paid", False, "surplus")),
        (True, "0.01", "CHF", ("paid", False, "surplus")),
        (True, None, "", ("mismatch", False, "mismatch")),
    ],
)
def test_a_payment_by_hand_is_the_price_or_beside_what_was_paid_else_for_a_person(
    unchanged: Callable[[], bool],
    is_paid: bool,
    captured: str | None,
    currency: str,
    expected: tuple[str, bool, str | None],
) -> None:
    order, at = ordered(), timezone.now()
    if is_paid:
        given.paid(order)
    checkout, amount = a_page(order), None if captured is None else Decimal(captured)

    with transaction.atomic():
        record_by_hand(order, checkout, amount, currency, ("t", "T"), words="By hand.", at=at)

    checkout.refresh_from_db()
    assert told(checkout) == (expected[0], amount, "t", "T", expected[1])
    assert checkout.captured_currency == currency
    cases = list(Case.objects.filter(checkout=checkout).values_list("kind", "amount", "opened_at"))
    assert cases == ([(expected[2], amount, at)] if expected[2] else [])
    mails = {kind: jobs(f"payments.mails.tell_{kind}") for kind in ("mismatch", "surplus")}
    mine = {kind: [row for row in rows if row["checkout_id"] == checkout.pk] for kind, rows in mails.items()}
    assert mine == {kind: [{"checkout_id": checkout.pk}] * (kind == expected[2]) for kind in mine}
    order.refresh_from_db()
    assert order.state == ("paid" if is_paid or expected[1] else "awaiting_payment")
    if expected[0] == "mismatch":
        assert (checkout.problem, Case.objects.get(checkout=checkout).words) == ("By hand.", "By hand.")
    assert unchanged()


# --- A mismatch that goes on being asked about


def test_a_mismatch_becomes_the_payment_with_all_that_belongs_to_it(said: Said, unchanged: Callable[[], bool]) -> None:
    checkout, at = mismatch(said), timezone.now()
    refused = a_case("refund", checkout)
    said(answer(checkout, "PAID", a_payment(checkout), a_payment(checkout, 2)))

    assert settled(checkout, at=at, who="sweep") is Verdict.SETTLED

    assert told(checkout) == ("paid", Decimal(12), f"t-{checkout.pk}-1", f"T{checkout.pk}N1", True)
    change = History.objects.of(checkout).get(field="state", new="paid")
    assert (change.actor, change.reason) == ("sweep", "SumUp's answer became whole")
    case = Case.objects.get(checkout=checkout, kind="mismatch")
    assert (case.closed_at, case.closed_by, case.decision) == (at, "sweep", WHOLE)
    refused.refresh_from_db()
    assert refused.closed_at is None
    assert [row[3:] for row in others_of(checkout)] == [(f"t-{checkout.pk}-2", False)]
    assert unchanged()


def test_a_mismatch_of_no_known_amount_heals_too(said: Said, merchant: Merchant) -> None:
    checkout = opened_page()
    said(answer(checkout, "PAID", a_payment(checkout, amount=Decimal("1e12"))))
    settled(checkout)
    assert told(checkout)[:2] == ("mismatch", None)

    said(answer(checkout))
    settled(checkout)

    assert told(checkout)[:2] == ("paid", Decimal(12))


@pytest.mark.parametrize("why", ["decided", "going back", "not paid", "unshown", "taken"])
def test_a_mismatch_does_not_heal(
    said: Said, neighbours: list[Checkout], unchanged: Callable[[], bool], why: str
) -> None:
    checkout = mismatch(said)
    whole = answer(checkout)
    if why == "decided":
        Case.objects.filter(checkout=checkout).update(closed_at=timezone.now(), closed_by="user:1", decision="Back.")
        a_case("refund", checkout)
    elif why == "going back":
        a_refund_of(checkout, "requested", ("surplus", None, "0.01"))
    elif why == "not paid":
        whole = answer(checkout, "FAILED", a_payment(checkout))
    elif why == "unshown":
        whole = answer(checkout, "PAID", {"status": "PENDING"})
    else:
        whole = answer(checkout, "PAID", a_payment(checkout, id=neighbours[0].transaction_id))
    before = told(checkout)
    said(whole)

    assert settled(checkout) is Verdict.SETTLED

    assert told(checkout) == before
    assert checkout.order.state == "awaiting_payment"
    is_kept = why in ("not paid", "unshown", "taken")
    assert (checkout.sumup_answer == kept(whole.raw)) is is_kept
    assert unchanged()


@pytest.mark.parametrize("code", ["NEW", ""])
def test_a_mismatch_that_stays_one_is_written_as_sumup_says_now(
    said: Said, unchanged: Callable[[], bool], code: str
) -> None:
    checkout = mismatch(said)
    refused = a_case("refund", checkout, amount=Decimal(5), currency="EUR")
    own = a_payment(checkout, id="new", transaction_code=code, amount=Decimal("9.50"), currency="CHF")
    lies = {"checkout_reference": "r" * 250, "merchant_code": "m" * 250}
    said(answer(checkout, "PAID", own, a_payment(checkout, 2, amount=Decimal("3.00")), **lies))

    assert settled(checkout) is Verdict.SETTLED

    assert told(checkout) == ("mismatch", Decimal("9.50"), "new", code or None, False)
    assert (checkout.captured_currency, len(checkout.problem), checkout.sumup_status) == ("CHF", 400, "PAID")
    assert kept_word(checkout, "checkout_reference") == "r" * 250
    case = Case.objects.get(checkout=checkout, kind="mismatch")
    assert (case.amount, case.currency, case.closed_at) == (Decimal("9.50"), "CHF", None)
    assert case.words.startswith(checkout.problem)
    assert case.words.endswith("transaction currency: CHF where EUR was asked for")
    refused.refresh_from_db()
    assert (refused.amount, refused.currency, refused.words) == (Decimal(5), "EUR", "Somebody should look.")
    assert [row[2:4] for row in others_of(checkout)] == [(Decimal("3.00"), f"t-{checkout.pk}-2")]
    assert unchanged()
    with CaptureQueriesContext(connection) as queries:
        settled(checkout)
    assert not [row for row in queries if row["sql"].startswith('UPDATE "payments_case"')]


def test_a_mismatch_whose_amount_cannot_be_told_any_more_has_none(said: Said, merchant: Merchant) -> None:
    checkout = mismatch(said)
    said(answer(checkout, "PAID", a_payment(checkout, amount=Decimal("1e12"))))

    settled(checkout)

    case = Case.objects.get(checkout=checkout)
    assert (checkout.captured, checkout.captured_currency, case.amount, case.currency) == (None, "", None, "EUR")


# --- The goods


def kept_back(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> Checkout:
    """A payment whose goods could not be given."""

    def broken(_order: Order, *, at: datetime) -> bool:
        raise error or ZeroDivisionError("the printer")

    with monkeypatch.context() as patch:
        patch.setattr(payments.checkouts.settling, "fulfil", broken)
        checkout = given.paid(ordered())
    assert (checkout.state, checkout.is_applied) == ("paid", False)
    return checkout


def test_goods_are_given_on_a_later_try_and_only_their_case_is_closed(
    monkeypatch: pytest.MonkeyPatch, unchanged: Callable[[], bool]
) -> None:
    other, checkout, at = kept_back(monkeypatch), kept_back(monkeypatch), timezone.now()
    (case,) = Case.objects.filter(checkout=checkout)
    assert case.words == "The order is awaiting payment. ZeroDivisionError: the printer"
    assert (case.kind, case.amount) == ("goods", Decimal(12))
    refused = a_case("refund", checkout)

    assert settled(checkout, at=at, who="sweep") is Verdict.SETTLED

    assert (checkout.is_applied, checkout.order.state) == (True, "paid")
    assert History.objects.of(checkout.order).get(new="paid").reason == "paid, goods not given yet"
    case.refresh_from_db()
    refused.refresh_from_db()
    assert (case.closed_at, case.closed_by, case.decision) == (at, "sweep", "The goods were given on a later try.")
    assert refused.closed_at is None
    assert Case.objects.open().filter(checkout=other, kind="goods").exists()
    assert Checkout.objects.get(pk=other.pk).is_applied is False
    assert unchanged()


def test_goods_that_cannot_be_given_again_wait_on(
    monkeypatch: pytest.MonkeyPatch, unchanged: Callable[[], bool]
) -> None:
    checkout, at = kept_back(monkeypatch), timezone.now()
    case = Case.objects.get(checkout=checkout)

    def broken(_order: Order, *, at: datetime) -> bool:
        raise ZeroDivisionError("still")

    with monkeypatch.context() as patch:
        patch.setattr(payments.checkouts.settling, "fulfil", broken)
        assert give_again(case, who="user:1", reason="Once more", at=at) is False
    assert Case.objects.open().get(checkout=checkout) == case

    assert give_again(case, who="user:1", reason="Once more", at=at) is True
    change = History.objects.of(Order.objects.get(pk=checkout.order_id)).get(new="paid")
    assert (change.actor, change.reason) == ("user:1", "Once more")
    assert not Case.objects.open().filter(checkout=checkout).exists()
    assert unchanged()


def test_goods_are_not_given_for_what_is_going_back(monkeypatch: pytest.MonkeyPatch, merchant: Merchant) -> None:
    checkout = kept_back(monkeypatch)
    a_refund_of(checkout, "requested", ("surplus", None, "0.01"))

    assert settled(checkout) is Verdict.SETTLED

    assert (checkout.is_applied, checkout.order.state) == (False, "awaiting_payment")
    assert Case.objects.open().get().kind == "goods"


def test_a_surplus_of_which_something_went_back_is_told_all_the_same(said: Said, merchant: Merchant) -> None:
    order = ordered()
    given.paid(order)
    surplus = given.paid(order)
    a_refund_of(surplus, "succeeded", ("surplus", None, "0.01"))
    Case.objects.filter(checkout=surplus).update(kind="outside")

    assert settled(surplus) is Verdict.SETTLED

    assert set(Case.objects.filter(checkout=surplus).values_list("kind", flat=True)) == {"outside", "surplus"}


def test_what_was_given_is_not_given_again(merchant: Merchant) -> None:
    checkout = given.paid(ordered())

    assert give(checkout.order, checkout, timezone.now()) is Verdict.SETTLED
    assert not Case.objects.exists()
    assert moves_to("confirmed", checkout.order) == [1]


@pytest.mark.parametrize(("after", "closes"), [(timedelta(0), True), (-timedelta(microseconds=1), False)])
def test_a_held_order_needs_nobody_once_it_is_paid_after_its_hold(
    said: Said, unchanged: Callable[[], bool], after: timedelta, closes: bool
) -> None:
    checkout = opened_page()
    held, at = a_case("held", checkout), checkout.order.hold_until + after
    said(answer(checkout))

    settled(checkout, at=at)

    held.refresh_from_db()
    assert (held.closed_at, held.closed_by) == ((at, "settle") if closes else (None, ""))
    assert checkout.is_applied
    assert unchanged()


class Lost(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("lost")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(("code", "is_raised"), [("40P01", True), ("40001", True), ("53200", False)])
def test_a_lost_race_is_tried_again_and_any_other_error_of_the_database_is_for_a_person(
    monkeypatch: pytest.MonkeyPatch, merchant: Merchant, code: str, is_raised: bool
) -> None:
    error = OperationalError("out of something")
    error.__cause__ = Lost(code)
    if is_raised:
        with pytest.raises(OperationalError):
            kept_back(monkeypatch, error)
        assert not Case.objects.exists()
    else:
        checkout = kept_back(monkeypatch, error)
        words = Case.objects.get(checkout=checkout, kind="goods").words
        assert words == "The order is awaiting payment. OperationalError: out of something"


# --- A person takes it


def test_a_person_takes_a_mismatch_of_the_very_amount(said: Said, unchanged: Callable[[], bool]) -> None:
    checkout, at = opened_page(), timezone.now()
    said(answer(checkout, **LIE))
    settled(checkout)
    case = Case.objects.get(checkout=checkout)
    assert can_accept(checkout)

    assert accept_mismatch(case, who="user:1", reason="It is this one.", at=at) is True

    checkout.refresh_from_db()
    case.refresh_from_db()
    order = Order.objects.get(pk=checkout.order_id)
    assert told(checkout) == ("paid", Decimal(12), f"t-{checkout.pk}-1", f"T{checkout.pk}N1", True)
    assert (checkout.paid_at, checkout.sumup_id) == (at, f"co-{checkout.pk}")
    assert (case.closed_at, case.closed_by, case.decision) == (at, "user:1", "It is this one.")
    change = History.objects.of(order).get(new="paid")
    assert (change.actor, change.reason, states_of(order)) == ("user:1", "It is this one.", ["confirmed"])
    assert not can_accept(checkout)
    assert accept_mismatch(case, who="user:2", reason="Again.", at=at) is False
    assert unchanged()


@pytest.mark.parametrize("why", ["closed", "another kind", "a cent less", "another currency", "going back"])
def test_a_person_cannot_take_what_is_decided_or_not_what_was_asked_for(
    said: Said, unchanged: Callable[[], bool], why: str
) -> None:
    checkout, changes = opened_page(), dict[str, Any]()
    if why == "a cent less":
        changes = {"amount": Decimal("11.99")}
    elif why == "another currency":
        changes = {"currency": "CHF"}
    said(answer(checkout, "PAID", a_payment(checkout, **changes), **LIE))
    settled(checkout)
    case = Case.objects.get(checkout=checkout)
    if why == "closed":
        Case.objects.filter(pk=case.pk).update(closed_at=timezone.now(), closed_by="user:1", decision="No.")
    elif why == "another kind":
        case = a_case("outside", checkout)
    elif why == "going back":
        a_refund_of(checkout, "requested", ("surplus", None, "0.01"))
    before = Case.objects.filter(pk=case.pk).values().get()
    assert is_whole(checkout) is (why != "going back")
    assert can_accept(checkout) is (why in ("closed", "another kind"))

    assert accept_mismatch(case, who="user:2", reason="Yes.", at=timezone.now()) is False

    checkout.refresh_from_db()
    assert (checkout.state, checkout.is_applied) == ("mismatch", False)
    assert Case.objects.filter(pk=case.pk).values().get() == before
    assert unchanged()
