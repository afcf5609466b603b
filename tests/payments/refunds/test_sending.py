"""Sending one refund and following it, each step by itself: SumUp is what a test says that it says."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

import payments.refunds.sending
from events.models import Merchant
from ledger.models import History
from ledger.tracing import order_id
from payments.models import Case, Checkout, Refund, SumUpEvent
from payments.refunds.asking import RefundRefused, again
from payments.refunds.sending import LONGEST_CALL, LONGEST_PUT_OFF, PUT_OFF, Sent, follow, send
from payments.states import CaseKind
from payments.sumup import FullTransactionAnswer, KeyRefused, NoAnswer, SumUpProblem
from payments.sumup.problems import Refusal
from payments.sumup.transactions import transaction_from
from payments.transitions import mark_succeeded, mark_unknown, mark_withdrawn
from tests.factories import EventFactory
from tests.payments.given import a_case, a_refund_of, jobs, locks, paid
from tests.steps import ordered

pytestmark = pytest.mark.django_db

JOB = "payments.refund_jobs.send_refund"


class Books:
    """SumUp's books on one payment, and what it was asked: the only client there is."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout = checkout
        self.told: dict[str, Any] = {"amount": checkout.captured, "currency": "EUR", "events": []}
        self.unread: SumUpProblem | None = None
        self.refused: SumUpProblem | None = None
        self.before_reading: Callable[[], object] = lambda: None
        self.while_sending: Callable[[], object] = lambda: None
        self.clients: list[tuple[Merchant, float]] = []
        self.reads: list[str] = []
        self.sent: list[tuple[str, Decimal | None]] = []

    def __call__(self, merchant: Merchant, *, deadline: float) -> "Books":
        self.clients.append((merchant, deadline))
        return self

    def event(self, amount: str) -> None:
        number = len(self.told["events"]) + 1
        row = {"id": f"e{number}", "type": "REFUND", "status": "REFUNDED", "amount": Decimal(amount)}
        self.told["events"].append(row | {"timestamp": timezone.now().isoformat()})

    def read_transaction(self, name: str) -> FullTransactionAnswer:
        self.reads.append(name)
        self.before_reading()
        if self.unread:
            raise self.unread
        return transaction_from({"id": name, "transaction_code": self.checkout.transaction_code, **self.told})

    def refund(self, name: str, amount: Decimal | None) -> None:
        self.sent.append((name, amount))
        self.while_sending()
        if self.refused:
            raise self.refused


@pytest.fixture
def checkout(merchant: Merchant) -> Checkout:
    """A ticket of 42.00, given; another order's refund waits to be sent too, and of a third one's nobody knows."""
    entry = EventFactory.create(ticket_price="42.00")
    for state in ("requested", "unknown"):
        order = ordered(entry)
        a_refund_of(paid(order), state, ("goodwill", order.tickets.get(), "1.00"))
    return paid(ordered(entry))


@pytest.fixture
def books(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Books:
    found = Books(checkout)
    monkeypatch.setattr(payments.refunds.sending, "client_for", found)
    return found


def part(checkout: Checkout, amount: str = "12.00", state: str = "requested", origin: str = "ours") -> Refund:
    """So much of the ticket, which stays valid."""
    return a_refund_of(checkout, state, ("goodwill", checkout.order.tickets.get(), amount), origin=origin)


def all_others(refund: Refund) -> list[Any]:
    return [*Refund.objects.exclude(pk=refund.pk).exclude(checkout=refund.checkout).order_by("pk").values()]


def tried(refund: Refund, *, at: datetime | None = None) -> Sent:
    """A try to send it, which leaves all other refunds as they are."""
    others = all_others(refund)
    outcome = send(refund.pk, who="job", at=at or timezone.now(), deadline=7)
    refund.refresh_from_db()
    assert all_others(refund) == others
    return outcome


# --- Whether it is sent


def test_a_refund_is_sent_with_its_amount_and_what_was_there_before_is_written(books: Books) -> None:
    refund, at = part(books.checkout), timezone.now()
    transaction, named = books.checkout.transaction_id, list[int | None]()
    books.before_reading = lambda: named.append(order_id.get())
    order_id.set(None)

    assert tried(refund, at=at) is Sent.SUCCEEDED

    assert named == [books.checkout.order_id]  # what is logged of the first question names its order already
    assert (books.sent, books.reads) == ([(transaction, Decimal(12))], [transaction])
    assert books.clients == [(books.checkout.merchant, 7)] * 2
    assert (refund.state, refund.is_rest, refund.events_before) == ("succeeded", False, Decimal(0))
    assert (refund.sent_at, refund.asked_at, refund.finished_at) == (at, at, at)
    moves = History.objects.of(refund).filter(field="state").values_list("new", "actor", "reason")
    assert list(moves)[-2:] == [("sending", "job", "about to be sent to SumUp"), ("succeeded", "job", "SumUp took it")]
    assert not Case.objects.exists()


def test_what_sumup_shows_before_is_taken_in_first(books: Books) -> None:
    refund = part(books.checkout)
    books.event("1.50")

    assert tried(refund) is Sent.SUCCEEDED

    assert refund.events_before == Decimal("1.50")
    (event,) = SumUpEvent.objects.all()
    assert (event.checkout, event.amount) == (books.checkout, Decimal("1.50"))


@pytest.mark.parametrize(
    ("state", "origin"), [("withdrawn", "ours"), ("succeeded", "ours"), ("sending", "ours"), ("requested", "dashboard")]
)
def test_what_is_not_ours_to_send_or_not_any_more_is_not_due(books: Books, state: str, origin: str) -> None:
    assert tried(part(books.checkout, state=state, origin=origin)) is Sent.NOT_DUE
    assert books.clients == []


def test_what_waits_is_sent_at_its_moment_and_no_sooner(books: Books) -> None:
    refund, until = part(books.checkout), timezone.now() + timedelta(minutes=1)
    Refund.objects.filter(pk=refund.pk).update(not_before=until)

    assert tried(refund, at=until - timedelta(microseconds=1)) is Sent.WAITING
    assert books.clients == []
    assert tried(refund, at=until) is Sent.SUCCEEDED


@pytest.mark.parametrize("told", [{"events": None}, None])
def test_nothing_is_sent_while_sumup_does_not_say_what_went_back(books: Books, told: dict[str, Any] | None) -> None:
    refund = part(books.checkout)
    if told is None:
        books.unread = NoAnswer("Gone", status=503)
    else:
        books.told |= told

    assert tried(refund) is Sent.WAITING

    assert (books.sent, refund.state, refund.not_before) == ([], "requested", None)
    assert not Case.objects.exists()


def test_a_refused_key_is_a_case_and_nothing_is_sent(books: Books) -> None:
    refund, at = part(books.checkout), timezone.now()
    books.unread = KeyRefused("Unauthorized", status=401)

    assert tried(refund, at=at) is Sent.WAITING

    (case,) = Case.objects.all()
    assert (case.kind, case.merchant, case.opened_at) == (CaseKind.REFUSED, books.checkout.merchant, at)
    assert case.words == "401 · Unauthorized"
    assert books.sent == []


def test_no_process_sends_it_before_sumup_wants_to_be_asked_again(books: Books) -> None:
    refund, at = part(books.checkout), timezone.now()
    books.unread = NoAnswer("Busy", status=429, retry_after=90.0)

    assert tried(refund, at=at) is Sent.WAITING
    assert refund.not_before == at + timedelta(seconds=90)
    books.before_reading = lambda: mark_withdrawn(refund, at=at)
    Refund.objects.filter(pk=refund.pk).update(not_before=None)
    assert tried(refund, at=at) is Sent.WAITING
    assert Refund.objects.filter(pk=refund.pk, state="withdrawn", not_before=None).exists()


def test_what_was_withdrawn_while_sumup_was_read_is_not_sent(books: Books) -> None:
    refund = part(books.checkout)
    books.before_reading = lambda: mark_withdrawn(refund, at=timezone.now())

    assert tried(refund) is Sent.NOT_DUE
    assert (books.sent, refund.state) == ([], "withdrawn")


@pytest.mark.parametrize(
    ("amount", "gone_elsewhere", "told", "is_rest"),
    [
        ("12.00", "30.00", "12.00", True),
        ("12.00", "0", "12.00", False),
        ("12.00", "30.00", "42.00", False),
        ("12.00", "29.00", "12.00", False),
        ("1.00", "41.00", None, False),
    ],
)
def test_all_that_is_left_is_sent_without_an_amount_where_both_books_say_so(
    books: Books, amount: str, gone_elsewhere: str, told: str | None, is_rest: bool
) -> None:
    if Decimal(gone_elsewhere):
        part(books.checkout, gone_elsewhere, "succeeded", "elsewhere")
    refund = part(books.checkout, amount)
    books.told["amount"] = None if told is None else Decimal(told)

    assert tried(refund) is Sent.SUCCEEDED

    assert refund.is_rest is is_rest
    assert books.sent == [(books.checkout.transaction_id, None if is_rest else Decimal(amount))]


def test_what_went_back_at_sumup_is_taken_off_what_is_left_there(books: Books) -> None:
    """2.00 of 42.00 were paid back in the dashboard: 40.00 are all that is left in both books."""
    books.event("2.00")
    refund = part(books.checkout, "40.00")

    assert tried(refund) is Sent.SUCCEEDED
    assert refund.is_rest


# --- What came of it


@pytest.mark.parametrize(
    "problem", [Refusal("Not refundable", status=409), KeyRefused("Unauthorized", status=401)], ids=["no", "key"]
)
def test_a_no_fails_it_in_sumups_words(books: Books, problem: SumUpProblem) -> None:
    refund, at = part(books.checkout), timezone.now()
    books.refused = problem

    assert tried(refund, at=at) is Sent.FAILED

    assert (refund.state, refund.words, len(books.reads)) == ("failed", str(problem), 2)
    change = History.objects.of(refund).get(new="failed")
    assert (change.actor, change.reason) == ("job", str(problem))
    case = Case.objects.get(checkout=books.checkout)
    assert (case.kind, case.words) == ("refund", f"€ 12.00: {problem}")
    keys = [(row.words, row.opened_at) for row in Case.objects.filter(kind=CaseKind.REFUSED)]
    assert keys == ([(str(problem), at)] if isinstance(problem, KeyRefused) else [])


def test_a_no_after_which_sumups_books_show_it_is_a_yes(books: Books) -> None:
    refund = part(books.checkout)
    books.refused, books.while_sending = Refusal("No", status=409), lambda: books.event("12.00")

    assert tried(refund) is Sent.SUCCEEDED

    assert refund.sumup_events.count() == 1
    assert not History.objects.of(refund).filter(new="failed").exists()
    assert not Case.objects.exists()


def test_a_no_that_a_cent_less_was_paid_back_for_is_a_no(books: Books) -> None:
    refund = part(books.checkout)
    books.refused, books.while_sending = Refusal("No", status=409), lambda: books.event("11.99")

    assert tried(refund) is Sent.FAILED


@pytest.mark.parametrize("is_shown", [False, True])
def test_no_answer_is_unknown_unless_sumups_books_show_it(books: Books, is_shown: bool) -> None:
    refund = part(books.checkout)
    books.refused = NoAnswer("Gone", status=503, retry_after=90.0)
    books.while_sending = (lambda: books.event("12.00")) if is_shown else lambda: None

    assert tried(refund) is (Sent.SUCCEEDED if is_shown else Sent.UNKNOWN)

    assert refund.not_before is None
    assert refund.words == ("" if is_shown else "503 · Gone")
    assert not Case.objects.filter(kind="refund").exists()


@pytest.mark.parametrize(("told", "pause"), [(90.0, timedelta(seconds=90)), (None, PUT_OFF)])
def test_too_many_questions_put_it_off_for_so_long(books: Books, told: float | None, pause: timedelta) -> None:
    refund, at = part(books.checkout), timezone.now()
    books.refused = NoAnswer("Busy", status=429, retry_after=told)

    assert tried(refund, at=at) is Sent.WAITING

    assert (refund.state, refund.not_before, refund.sent_at) == ("requested", at + pause, None)
    assert refund.words == "429 · Busy"
    assert not Case.objects.exists()


@pytest.mark.parametrize(("after", "outcome"), [(timedelta(0), Sent.WAITING), (timedelta(microseconds=1), Sent.FAILED)])
def test_it_is_put_off_for_a_day_and_no_longer(books: Books, after: timedelta, outcome: Sent) -> None:
    refund = part(books.checkout)
    books.refused = NoAnswer("Busy", status=429)

    assert tried(refund, at=refund.requested_at + LONGEST_PUT_OFF + after) is outcome


def test_what_a_rival_left_behind_meanwhile_succeeds_or_fails_all_the_same(books: Books) -> None:
    """A sweep took it for lost while SumUp was still working on it."""
    refund = part(books.checkout, "2.00")
    books.while_sending = lambda: mark_unknown(refund, words="Lost")
    assert tried(refund) is Sent.SUCCEEDED

    refund = part(books.checkout, "2.00")
    books.refused = NoAnswer("Busy", status=429)
    assert tried(refund) is Sent.FAILED  # it is not to be sent a second time

    refund = part(books.checkout, "2.00")
    books.refused = NoAnswer("Gone", status=503)
    assert tried(refund) is Sent.UNKNOWN
    assert refund.words == "Lost"


def test_what_a_rival_settled_meanwhile_stays_as_it_is(books: Books) -> None:
    refund = part(books.checkout)

    def settle() -> None:
        mark_succeeded(Refund.objects.get(pk=refund.pk), at=timezone.now())

    books.while_sending, books.refused = settle, Refusal("No", status=409)

    assert tried(refund) is Sent.SUCCEEDED
    assert (refund.words, Case.objects.count()) == ("", 0)


# --- Following it


def test_following_takes_in_what_sumup_tells_and_says_whether_it_did(books: Books) -> None:
    refund, at = part(books.checkout, state="unknown"), timezone.now()
    others = all_others(refund)
    order_id.set(None)
    books.told["events"] = None
    assert follow(refund.pk, who="sweep", at=at, deadline=5) is False
    books.unread = NoAnswer("Gone")
    assert follow(refund.pk, who="sweep", at=at, deadline=5) is False
    refund.refresh_from_db()
    assert (refund.state, refund.asked_at, order_id.get()) == ("unknown", at, books.checkout.order_id)

    books.unread, books.told["events"] = None, []
    books.event("12.00")
    assert follow(refund.pk, who="sweep", at=at, deadline=5) is True

    refund.refresh_from_db()
    assert refund.state == "succeeded"
    assert books.clients == [(books.checkout.merchant, 5)] * 3
    assert all_others(refund) == others


@pytest.mark.parametrize(
    ("before", "state"), [(LONGEST_CALL, "unknown"), (LONGEST_CALL - timedelta(microseconds=1), "sending")]
)
def test_what_was_being_sent_for_longer_than_a_call_takes_was_left_behind(
    books: Books, before: timedelta, state: str
) -> None:
    refund, at = part(books.checkout, state="sending"), timezone.now()
    Refund.objects.filter(pk=refund.pk).update(sent_at=at - before)
    books.unread = NoAnswer("Gone")
    others = all_others(refund)

    with locks() as taken:
        follow(refund.pk, who="sweep", at=at)

    refund.refresh_from_db()
    assert refund.state == state
    if state == "unknown":
        assert refund.words == "The answer was never written down."
        change = History.objects.of(refund).get(new="unknown")
        assert (change.actor, change.reason) == ("sweep", "found half sent")
        checkout = books.checkout
        refunds = [refund.pk]
        assert taken == [
            ("orders_order", [checkout.order_id]),
            ("payments_checkout", [checkout.pk]),
            ("payments_refund", refunds),
        ]
    assert all_others(refund) == others


def test_what_ended_is_followed_and_stays_as_it_is(books: Books) -> None:
    refund, at = part(books.checkout, state="failed"), timezone.now()
    Refund.objects.filter(pk=refund.pk).update(sent_at=at - LONGEST_CALL)

    assert follow(refund.pk, who="sweep", at=at) is True
    refund.refresh_from_db()
    assert refund.state == "failed"


# --- Once more


def sent_again(refund: Refund) -> Refund:
    others = all_others(refund)
    found = again(refund.pk, reason="Once more", who="user:1", at=timezone.now())
    refund.refresh_from_db()
    assert found is not None
    assert all_others(refund) == others
    return found


def test_a_failed_one_is_asked_for_again_without_asking_sumup(books: Books) -> None:
    refund = part(books.checkout, state="failed")

    second = sent_again(refund)

    assert (second.state, second.origin, second.amount, second.checkout) == (
        "requested", "ours", refund.amount, books.checkout,
    )  # fmt: skip
    assert (second.reason, second.requested_by, second.batch) == ("Once more", "user:1", None)
    assert [(row.kind, row.ticket_id, row.amount) for row in second.lines.all()] == [
        (row.kind, row.ticket_id, row.amount) for row in refund.lines.all()
    ]
    assert jobs(JOB) == [{"refund_pk": second.pk}]
    assert books.reads == []


def test_an_unknown_one_is_asked_about_first_and_taken_for_failed(books: Books) -> None:
    refund = part(books.checkout, state="unknown")
    a_case("outside", books.checkout)
    a_case("contradiction", Checkout.objects.exclude(pk=books.checkout.pk)[0])

    second = sent_again(refund)

    assert (refund.state, refund.words) == ("failed", "SumUp shows nothing of it; sent again by a person.")
    change = History.objects.of(refund).get(new="failed")
    assert (change.actor, change.reason) == ("user:1", "Once more")
    assert (second.state, len(books.reads)) == ("requested", 1)


def test_an_unknown_one_is_not_sent_while_sumup_does_not_say_or_its_books_contradict_each_other(books: Books) -> None:
    refund = part(books.checkout, state="unknown")
    books.unread = NoAnswer("Gone")
    with pytest.raises(RefundRefused, match="does not say at the moment"):
        sent_again(refund)
    books.unread = None
    a_case("contradiction", books.checkout, about="by hand")
    with pytest.raises(RefundRefused, match="contradict each other"):
        sent_again(refund)
    assert Refund.objects.filter(checkout=books.checkout).count() == 1
    assert jobs(JOB) == []


@pytest.mark.parametrize("state", ["requested", "sending", "succeeded", "withdrawn"])
def test_what_did_not_fail_is_not_sent_again(books: Books, state: str) -> None:
    refund = part(books.checkout, state=state)

    with pytest.raises(RefundRefused, match="there is nothing to send again") as refused:
        sent_again(refund)
    assert refund.get_state_display() in str(refused.value)
    assert books.reads == []
