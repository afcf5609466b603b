"""The end of an unpaid order: SumUp is made to refuse the payment first; no answer keeps the hold."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

import payments.checkouts.ending
import payments.jobs
import payments.patience
from events.models import Merchant, Ticket
from ledger.models import History
from ledger.tracing import order_id
from orders.models import Order
from orders.releasing import request_cancel
from payments.checkouts.ending import LONGEST_DOUBT, Release, free_anyway, release
from payments.checkouts.opening import PageUnavailable, hosted_page
from payments.checkouts.settling import Verdict, settle
from payments.jobs import ask_soon, sweep_once
from payments.models import Case, Checkout
from payments.states import CheckoutState
from payments.sumup import AlreadyProcessed, CheckoutAnswer, NoAnswer, SumUpProblem, UnknownCheckout
from payments.transitions import mark_paid
from tests.factories import EventFactory
from tests.payments import given
from tests.payments.given import a_case, a_page, answer, kept_word, locks
from tests.simulator import OTHER_KEY, OTHER_MERCHANT, PATIENCE, SimulatorProcess
from tests.steps import held, later, mail_jobs, opened, ordered, paid_at_sumup, states_of, sumup_id

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


@pytest.mark.promise("buyer-closes-payment")
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


@pytest.mark.promise("deactivation-answers-processed")
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
@pytest.mark.promise("deactivation-answers-processed")
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


@pytest.mark.promise("buyer-pays-never")
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


# --- Each step by itself, SumUp's answers given

MOMENT = timedelta(microseconds=1)


class Books:
    """What SumUp says when a page is to be ended or looked up, and what it was asked."""

    def __init__(self) -> None:
        self.ended: dict[str, CheckoutAnswer | SumUpProblem] = {}
        self.found: list[CheckoutAnswer] | SumUpProblem = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.clients: list[tuple[Merchant, float]] = []
        self.asked: list[str] = []
        self.settled: list[tuple[int, str, datetime, float]] = []

    def __call__(self, merchant: Merchant, *, deadline: float) -> "Books":
        self.clients.append((merchant, deadline))
        return self

    def deactivate_checkout(self, name: str) -> CheckoutAnswer:
        self.asked.append(name)
        self.meanwhile()
        told = self.ended[name]
        if isinstance(told, SumUpProblem):
            raise told
        return told

    def find_checkouts(self, reference: str) -> list[CheckoutAnswer]:
        self.asked.append(reference)
        self.meanwhile()
        if isinstance(self.found, SumUpProblem):
            raise self.found
        return self.found

    def settle(self, checkout_pk: int, *, who: str, at: datetime, deadline: float) -> Verdict:
        self.settled.append((checkout_pk, who, at, deadline))
        return Verdict.WAITING


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Books:
    found = Books()
    monkeypatch.setattr(payments.checkouts.ending, "client_for", found)
    monkeypatch.setattr(payments.checkouts.ending, "settle", found.settle)
    return found


@pytest.fixture
def unchanged(merchant: Merchant) -> Callable[[], bool]:
    """Whether two other orders are what they were: one whose page is open, one held while nobody says anything."""
    first, second = given.opened(ordered()), given.opened(ordered())
    a_case("held", second)
    pks = [first.pk, second.pk]

    def now() -> list[Any]:
        return [
            *Checkout.objects.filter(pk__in=pks).order_by("pk").values(),
            *Order.objects.filter(checkouts__in=pks).order_by("pk").values(),
            *Ticket.objects.filter(order__checkouts__in=pks).order_by("pk").values(),
            *Case.objects.filter(checkout__in=pks).order_by("pk").values(),
        ]

    before = now()
    return lambda: now() == before


def ending(order: Order, *, after: timedelta = timedelta(0)) -> Release:
    found = release(order.pk, who="sweep", at=order.hold_until + after, deadline=7)
    order.refresh_from_db()
    return found


def page_of(order: Order, books: Books, said: str | SumUpProblem = "EXPIRED") -> Checkout:
    """Its page, open; what SumUp says when it is to be ended."""
    checkout = given.opened(order)
    told = said if isinstance(said, SumUpProblem) else answer(checkout, said)
    books.ended[sumup_id(checkout)] = told
    return checkout


def test_an_order_ends_with_its_hold_and_nothing_else_does(books: Books, unchanged: Callable[[], bool]) -> None:
    order = ordered()
    checkout = page_of(order, books)
    order_id.set(None)
    assert ending(order, after=-MOMENT) is Release.NOT_DUE
    assert (order_id.get(), books.asked) == (order.pk, [])

    with locks() as taken:
        assert ending(order) is Release.FREED

    checkout.refresh_from_db()
    assert (books.asked, books.settled) == ([checkout.sumup_id], [])
    assert books.clients == [(checkout.merchant, 7)]
    assert (checkout.state, checkout.sumup_status, kept_word(checkout, "status")) == ("expired",) + ("EXPIRED",) * 2
    assert (order.state, states_of(order)) == ("expired", ["cancelled"])
    change = History.objects.of(order).get(new="expired")
    assert (change.actor, change.reason) == ("sweep", "order expired: nobody can pay it any more")
    change = History.objects.of(checkout).get(new="expired")
    assert (change.actor, change.reason) == ("sweep", "SumUp will not take a payment for it")
    assert taken[:2] == [("orders_order", [order.pk]), ("payments_checkout", [checkout.pk])]
    assert unchanged()


def test_an_undecided_order_within_its_hold_keeps_no_page_and_is_not_ended(
    books: Books, unchanged: Callable[[], bool]
) -> None:
    order = ordered()
    given.paid(order, Decimal("11.99"))
    checkout = page_of(order, books)

    assert ending(order, after=-MOMENT) is Release.NOT_DUE

    checkout.refresh_from_db()
    assert (checkout.state, order.state) == ("expired", "awaiting_payment")
    assert ending(order) is Release.KEPT
    assert states_of(order) == ["reserved"]
    assert unchanged()


@pytest.mark.parametrize(
    ("said", "settles"),
    [
        ("PENDING", False),
        (NoAnswer("Gone", status=503), False),
        (UnknownCheckout("No such checkout", status=404), False),
        (AlreadyProcessed("Paid", status=409), True),
    ],
    ids=["pending", "no answer", "unknown", "processed"],
)
def test_a_page_that_may_still_be_paid_keeps_the_hold(
    books: Books, unchanged: Callable[[], bool], said: str | SumUpProblem, settles: bool
) -> None:
    order = ordered()
    checkout = page_of(order, books, said)

    assert ending(order) is Release.KEPT

    checkout.refresh_from_db()
    assert (checkout.state, order.state, states_of(order)) == ("open", "awaiting_payment", ["reserved"])
    assert checkout.missing_since == (order.hold_until if isinstance(said, UnknownCheckout) else None)
    assert books.settled == ([(checkout.pk, "sweep", order.hold_until, 7)] if settles else [])
    assert not Case.objects.filter(checkout=checkout).exists()
    assert unchanged()


@pytest.mark.parametrize("found", ["one", "none", "no answer"])
def test_a_page_whose_answer_was_lost_is_looked_up_by_its_reference(
    books: Books, unchanged: Callable[[], bool], found: str
) -> None:
    order = ordered()
    checkout = a_page(order)
    books.found = NoAnswer("Gone") if found == "no answer" else [answer(checkout, "PENDING")] * (found == "one")

    assert ending(order) is Release.KEPT

    checkout.refresh_from_db()
    assert (books.asked, books.clients) == ([checkout.reference], [(checkout.merchant, 7)])
    assert books.settled == ([(checkout.pk, "sweep", order.hold_until, 7)] if found == "one" else [])
    assert checkout.missing_since == (order.hold_until if found == "none" else None)
    assert unchanged()


@pytest.mark.parametrize(
    ("missing_for", "past_its_time", "state"),
    [
        (None, MOMENT, "new"),
        (timedelta(0), MOMENT, "new"),
        (MOMENT, timedelta(0), "new"),
        (MOMENT, -MOMENT, "new"),
        (MOMENT, MOMENT, "expired"),
    ],
)
def test_what_sumup_does_not_know_is_dead_when_told_so_twice_the_second_time_after_its_end(
    books: Books,
    unchanged: Callable[[], bool],
    missing_for: timedelta | None,
    past_its_time: timedelta,
    state: str,
) -> None:
    order = ordered()
    checkout = a_page(order, valid_until=order.hold_until - past_its_time)
    missing_since = None if missing_for is None else order.hold_until - missing_for
    Checkout.objects.filter(pk=checkout.pk).update(missing_since=missing_since, sumup_status="LOST")

    ended = ending(order)

    checkout.refresh_from_db()
    assert (checkout.state, checkout.sumup_status) == (state, "LOST")
    assert checkout.missing_since == (missing_since or order.hold_until)
    assert ended is (Release.FREED if state == "expired" else Release.KEPT)
    assert unchanged()


def test_what_a_rival_wrote_meanwhile_stays(books: Books, unchanged: Callable[[], bool]) -> None:
    """Missing since it was missed first; paid, when the payment was told meanwhile."""
    order = ordered()
    checkout = a_page(order)
    first = order.hold_until - timedelta(minutes=1)
    books.meanwhile = lambda: Checkout.objects.filter(pk=checkout.pk).update(missing_since=first)
    ending(order)
    checkout.refresh_from_db()
    assert checkout.missing_since == first

    order = ordered()
    open_page = page_of(order, books)
    paid: dict[str, Any] = {"transaction_id": "t", "transaction_code": "T", "captured": Decimal(12), "currency": "EUR"}
    books.meanwhile = lambda: mark_paid(open_page, sumup_id=open_page.sumup_id, at=timezone.now(), **paid)
    assert ending(order) is Release.KEPT
    open_page.refresh_from_db()
    assert (open_page.state, states_of(order)) == ("paid", ["reserved"])
    assert unchanged()


@pytest.mark.parametrize(("after", "cases"), [(LONGEST_DOUBT - MOMENT, []), (LONGEST_DOUBT, ["held"])])
@pytest.mark.parametrize("by_buyer", [False, True])
def test_a_day_without_an_answer_is_for_a_person(
    books: Books, unchanged: Callable[[], bool], after: timedelta, cases: list[str], by_buyer: bool
) -> None:
    """A day after the buyer cancelled, else after the end of the hold."""
    order = ordered()
    checkout = page_of(order, books, NoAnswer("Gone"))
    since = order.hold_until
    if by_buyer:
        since = order.hold_until - timedelta(minutes=20)
        assert request_cancel(order, at=since)

    assert release(order.pk, who="sweep", at=since + after) is Release.KEPT

    found = Case.objects.filter(checkout=checkout)
    assert [case.kind for case in found] == cases
    if cases:
        assert (found[0].opened_at, found[0].amount) == (since + after, order.total)
        words = "SumUp does not say whether this payment can still be made. The seats stay held until it does."
        assert found[0].words == words
    assert unchanged()


def test_an_answer_after_a_day_ends_its_own_case_alone(books: Books, unchanged: Callable[[], bool]) -> None:
    order = ordered()
    checkout = page_of(order, books)
    case, refused = a_case("held", checkout), a_case("refund", checkout)

    assert ending(order, after=LONGEST_DOUBT) is Release.FREED

    case.refresh_from_db()
    refused.refresh_from_db()
    told = (case.closed_at, case.closed_by, case.decision)
    assert told == (order.hold_until + LONGEST_DOUBT, "sweep", "SumUp has answered.")
    assert refused.closed_at is None
    assert unchanged()


def test_a_person_frees_what_is_held(unchanged: Callable[[], bool]) -> None:
    order = ordered()
    checkout = given.opened(order)
    Checkout.objects.filter(pk=checkout.pk).update(sumup_status="FAILED")
    case, at = a_case("held", checkout), order.hold_until

    assert free_anyway(case, who="user:1", reason="Nobody paid.", at=at) is True

    for row in (order, checkout, case):
        row.refresh_from_db()
    assert (case.closed_at, case.closed_by, case.decision) == (at, "user:1", "Nobody paid.")
    assert (checkout.state, checkout.sumup_status) == ("expired", "FAILED")
    assert (order.state, states_of(order)) == ("expired", ["cancelled"])
    for row in (order, checkout):
        change = History.objects.of(row).get(new="expired")
        assert (change.actor, change.reason) == ("user:1", "Nobody paid.")
    assert unchanged()


@pytest.mark.parametrize("why", ["closed", "another kind", "not over", "undecided"])
def test_a_person_frees_nothing_too_late_too_soon_or_under_money(unchanged: Callable[[], bool], why: str) -> None:
    order = ordered()
    if why == "undecided":
        given.paid(order, Decimal("11.99"))
    checkout = given.opened(order)
    case = a_case("outside" if why == "another kind" else "held", checkout)
    if why == "closed":
        Case.objects.filter(pk=case.pk).update(closed_at=timezone.now(), closed_by="user:1", decision="Wait.")
    at = order.hold_until - (MOMENT if why == "not over" else timedelta(0))
    before = Case.objects.filter(pk=case.pk).values().get()

    assert free_anyway(case, who="user:2", reason="Nobody paid.", at=at) is False

    order.refresh_from_db()
    checkout.refresh_from_db()
    assert (order.state, checkout.state, states_of(order)) == ("awaiting_payment", "open", ["reserved"])
    assert Case.objects.filter(pk=case.pk).values().get() == before
    assert unchanged()
