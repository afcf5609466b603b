"""SumUp's list beside our rows, each step alone: what is found, asked, told and counted, and what is left alone."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from events.models import Merchant
from orders.models import Order
from payments.checkouts.settling import Verdict
from payments.contradictions import of_payment
from payments.merchants import PATIENT
from payments.models import Case, Checkout, SumUpReport
from payments.reconcile import matching
from payments.states import CaseKind
from payments.sumup import HistoryItem, KeyRefused, NoAnswer, UnknownTransaction
from tests.factories import EventFactory
from tests.ledger.lives import a_line, a_merchant, an_order
from tests.payments.captures import (
    Run,
    a_capture,
    a_case,
    an_event,
    an_order_of,
    another_merchant,
    answer,
    listed,
    pks,
    told,
)

pytestmark = pytest.mark.django_db

NOBODY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Key = tuple[str, str, Decimal]


@pytest.fixture
def run() -> Run:
    return Run(timezone.now())


@pytest.fixture
def dry() -> Run:
    return Run(timezone.now(), is_dry=True)


class SumUp:
    """Answers what it was given: a list, which may break off, and a transaction; `read` are those asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.items: list[HistoryItem | Exception] = []
        self.transaction: Any = NoAnswer("asked for nothing")
        self.read: list[str] = []
        self.adopted: list[tuple[Checkout, object, datetime, str]] = []
        self.since: list[datetime] = []
        monkeypatch.setattr(matching, "client_for", self._client)
        monkeypatch.setattr(matching, "adopt_reports", self._adopt)

    def _client(self, _merchant: Merchant, *, deadline: float) -> "SumUp":
        assert deadline == PATIENT
        return self

    def read_history(self, *, changes_since: datetime, before_page: Any, waits: Any) -> Iterator[HistoryItem]:
        self.since.append(changes_since)
        before_page()
        waits(NoAnswer("busy", retry_after=3.0))
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            yield item

    def read_transaction(self, transaction_id: str) -> object:
        self.read.append(transaction_id)
        if isinstance(self.transaction, Exception):
            raise self.transaction
        return self.transaction

    def _adopt(self, checkout: Checkout, told_: object, *, at: datetime, who: str) -> None:
        self.adopted.append((checkout, told_, at, who))


@pytest.fixture
def sumup(monkeypatch: pytest.MonkeyPatch) -> SumUp:
    return SumUp(monkeypatch)


class Settling:
    """Stands for settle(): `verdict`, and what it finds out of each checkout that it is asked about."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.verdict, self.asked = Verdict.WAITING, list[int]()
        self.finds: dict[int, dict[str, object]] = {}
        self.problem: NoAnswer | KeyRefused | None = None
        monkeypatch.setattr(matching, "settle", self)

    def __call__(self, pk: int, *, who: str, at: datetime, heard: Any) -> Verdict:
        assert (who, at.tzinfo) == ("reconcile", UTC)
        self.asked.append(pk)
        if self.problem is not None:
            heard(self.problem)
        if pk in self.finds:
            Checkout.objects.filter(pk=pk).update(**self.finds[pk])
        return self.verdict


@pytest.fixture
def settling(monkeypatch: pytest.MonkeyPatch) -> Settling:
    return Settling(monkeypatch)


def known(*items: HistoryItem, merchant: Merchant | None = None) -> matching._Known:
    return matching._Known(merchant or a_merchant(), items)


def about(checkout: Checkout, about_: str = "refunds 5 0", **facts: object) -> Case:
    """An open contradiction."""
    return a_case(CaseKind.CONTRADICTION, checkout, about=about_, **facts)


def is_open(case: Case) -> bool:
    case.refresh_from_db()
    return case.closed_at is None


# --- The list


def test_the_list_is_read_a_chunk_at_a_time_to_its_end(sumup: SumUp, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "ITEMS_AT_ONCE", 2)
    sumup.items = [listed(transaction_id=f"x{n}", transaction_code=f"X{n}", summary="Two coffees") for n in range(3)]
    merchant = a_merchant()

    assert matching.match_history(merchant, run.clock(), run)

    assert sumup.since == [run.clock()]
    assert run.found() == {"listed by SumUp": 3, "not of this shop": 3}
    assert run.steps == [("M-ROWS: SumUp's list", 2, None), ("M-ROWS: SumUp's list", 3, None)]
    assert run.asked.calls == [merchant.pk, (merchant.pk, 3.0)]
    assert run.lines == []


def test_a_list_that_breaks_off_is_told_and_what_came_before_is_kept(
    sumup: SumUp, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "ITEMS_AT_ONCE", 1)
    sumup.items = [listed(summary="Two coffees"), NoAnswer("gone", retry_after=7.0)]
    merchant = a_merchant()

    assert not matching.match_history(merchant, run.clock(), run)

    assert run.found() == {"listed by SumUp": 1, "not of this shop": 1, "no answer": 1}
    assert run.lines == ["M-ROWS: SumUp's list could not be read to its end (gone)."]
    assert (run.unanswered, run.asked.calls[2:]) == (["gone"], [(merchant.pk, 7.0)])


def test_payments_alone_that_took_money_and_are_not_known_are_looked_at(run: Run) -> None:
    a_capture(transaction_id="t1", transaction_code="C1")
    unknown = {"transaction_id": "x", "transaction_code": "X", "summary": "Two coffees"}
    ours = [listed()] * 5
    failed = [listed(status=status, **unknown) for status in sorted(matching.NOT_TAKEN)]
    gone = [listed("REFUND", **unknown)] * 3

    matching._match(a_merchant(), [*ours, *failed, *gone, *[listed(**unknown)] * 2], run)

    assert (run.found(), run.unanswered) == ({"not of this shop": 2}, [])


def test_what_is_listed_is_marked_once_and_its_stray_closed(run: Run, dry: Run) -> None:
    long_ago = run.clock() - timedelta(days=9)
    mine = a_capture(transaction_id="t1", transaction_code="C1")
    old = a_capture(transaction_id="t2", transaction_code="C2", listed_at=long_ago)
    other = a_capture(transaction_id="t3", transaction_code="C3")
    case = a_case(CaseKind.STRAY, None, transaction_id="t1", transaction_code="C1")
    items = [listed(), listed(transaction_id="t2", transaction_code="C2")]

    matching._match(a_merchant(), items, dry)
    mine.refresh_from_db()
    assert (mine.listed_at, is_open(case)) == (None, True)
    matching._match(a_merchant(), items, run)

    for row, at in ((mine, run.clock()), (old, long_ago), (other, None)):
        row.refresh_from_db()
        assert row.listed_at == at
    assert not is_open(case)
    assert (case.closed_by, case.closed_at) == ("reconcile", run.clock())


def test_what_another_run_found_meanwhile_keeps_its_time(run: Run) -> None:
    checkout, at = a_capture(transaction_id="t1", transaction_code="C1"), run.clock()

    def rival() -> datetime:
        Checkout.objects.filter(pk=checkout.pk, listed_at=None).update(listed_at=at - timedelta(seconds=1))
        return at

    run.clock = rival
    matching._match(a_merchant(), [listed()], run)
    checkout.refresh_from_db()
    assert checkout.listed_at == at - timedelta(seconds=1)


def test_a_checkout_is_known_by_code_or_by_id_and_to_its_own_merchant() -> None:
    by_id = a_capture(transaction_id="t1")
    by_code = a_capture(transaction_code="C2")
    another = an_order_of(another_merchant())
    theirs = a_capture(order=another, transaction_id="t3", transaction_code="C3")
    nameless = a_capture("open")
    items = [
        listed(transaction_code=""),
        listed(transaction_id="", transaction_code="C2"),
        listed(transaction_id="t3", transaction_code="C3"),
    ]

    ours = known(*items)
    ours.remember(nameless)

    assert [ours.of(item) for item in items] == [by_id, by_code, None]
    assert (ours.by_id, ours.by_code) == ({"t1": by_id}, {"C2": by_code})
    assert sorted(pks(ours.checkouts())) == [by_id.pk, by_code.pk]
    assert [known(*items, merchant=theirs.merchant).of(item) for item in items] == [None, None, theirs]


@pytest.mark.parametrize(
    ("summary", "code"),
    [(NOBODY, NOBODY), (f"Sale: {NOBODY} a house", NOBODY), (f"{NOBODY}2", None), ("Two coffees", None), ("", None)],
)
def test_an_order_s_code_is_found_in_a_description(summary: str, code: str | None) -> None:
    assert matching.order_code(listed(summary=summary)) == code


# --- A payment that we do not know


def test_a_stray_names_the_order_of_its_code_if_that_pays_to_this_merchant(run: Run, settling: Settling) -> None:
    an_order()
    mine, theirs = an_order(), an_order_of(another_merchant())
    for number, code in enumerate((mine.code, theirs.code, NOBODY)):
        item = listed(transaction_id=f"x{number}", transaction_code=f"X{number}", summary=code)
        matching._match_unknown(a_merchant(), item, known(item), run)

    cases = Case.objects.order_by("transaction_id")
    assert [(case.kind, case.order, case.amount, case.currency) for case in cases] == [
        ("stray", order, Decimal("12.00"), "EUR") for order in (mine, None, None)
    ]
    assert (run.found(), run.lines) == ({"of no order": 3}, [case.words for case in cases])


def test_a_dry_run_says_that_a_case_would_be_opened(dry: Run) -> None:
    item = listed(summary=NOBODY)
    matching._match_unknown(a_merchant(), item, known(item), dry)
    assert (dry.found(), Case.objects.count()) == ({"of no order": 1}, 0)
    assert dry.lines == [
        "SumUp took 12.00 EUR (transaction C1, ECOM, 2026-01-02T03:04). Its description names an order that is not"
        " here: ABCDEFGH. A case would be opened."
    ]


def test_a_mismatch_that_it_is_knows_its_transaction_and_is_listed(run: Run, dry: Run) -> None:
    order = an_order()
    mismatch = a_capture("mismatch", order=order)
    item = listed(summary=order.code)

    ours = known(item)
    matching._match_unknown(a_merchant(), item, ours, dry)
    mismatch.refresh_from_db()
    assert (ours.of(item), mismatch.transaction_id) == (mismatch, "")
    matching._match(a_merchant(), [item], run)

    mismatch.refresh_from_db()
    assert (mismatch.transaction_id, mismatch.transaction_code) == ("t1", "C1")
    assert (mismatch.listed_at, Case.objects.count(), run.unanswered) == (run.clock(), 0, [])


@pytest.mark.parametrize("is_known", [True, False])
def test_a_question_about_a_stray_that_a_person_has_is_forgotten(run: Run, settling: Settling, is_known: bool) -> None:
    """What was not answered before stays, and so does a key that is refused: that is for a person."""
    order = an_order()
    a_capture("expired", order=order)
    if is_known:
        a_case(CaseKind.STRAY, None, transaction_id="t1", transaction_code="C1")
    run.unanswered, run.refused = ["before"], []
    item = listed(summary=order.code)

    settling.problem = NoAnswer("busy")
    matching._match_unknown(a_merchant(), item, known(item), run)
    assert run.unanswered == (["before"] if is_known else ["before", "busy"])
    settling.problem = KeyRefused("no")
    matching._match_unknown(a_merchant(), item, known(item), run)
    assert run.refused == ["no"]
    assert run.unanswered[0] == "before"


def test_a_refused_key_of_another_merchant_keeps_no_such_question(run: Run, settling: Settling) -> None:
    order = an_order()
    a_capture("expired", order=order)
    a_case(CaseKind.STRAY, None, transaction_id="t1", transaction_code="C1")
    run.refused, settling.problem = ["key"], NoAnswer("busy")
    item = listed(summary=order.code)
    matching._match_unknown(a_merchant(), item, known(item), run)
    assert (run.unanswered, run.refused) == ([], ["key"])


def test_a_stray_met_again_keeps_what_was_not_answered_before(run: Run, settling: Settling) -> None:
    item = listed(summary=NOBODY)
    a_case(CaseKind.STRAY, None, transaction_id="t1", transaction_code="C1")
    run.unanswered, run.refused = ["one", "two", "three"], ["key"]
    matching._match_unknown(a_merchant(), item, known(item), run)
    assert (run.unanswered, run.refused) == (["one", "two", "three"], ["key"])


def test_a_payment_that_is_waited_for_is_counted_and_nobody_asked(run: Run, settling: Settling) -> None:
    order = an_order()
    a_capture("open", order=order, sumup_status="PAID")
    item = listed(summary=order.code)
    assert [matching._is_of(order, item, known(item), run) for _time in range(2)] == [True, True]
    assert (run.found(), settling.asked, run.asked.calls) == ({"paid, not shown yet": 2}, [], [])


@pytest.fixture
def tries() -> list[Checkout]:
    """Two checkouts of one order that may have been paid; of it and of another are more, of which none can be it."""
    order = an_order()
    for state in ("refused", "mismatch", "paid"):
        a_capture(state, order=order)
    mine = [a_capture("expired", order=order), a_capture("open", order=order)]
    a_capture("open")
    return mine


def test_each_payment_that_it_may_be_is_asked_about_newest_first(
    run: Run, settling: Settling, tries: list[Checkout]
) -> None:
    item, order = listed(), tries[0].order
    assert not matching._is_of(order, item, known(item), run)
    assert settling.asked == pks(reversed(tries))
    assert run.asked.calls == [order.merchant_id] * 2
    assert (run.found(), run.lines) == ({}, [])


def test_the_payment_that_it_is_ends_the_asking(run: Run, settling: Settling, tries: list[Checkout]) -> None:
    item, order = listed(), tries[0].order
    settling.finds = {tries[1].pk: {"transaction_code": "C1"}}
    ours = known(item)
    assert matching._is_of(order, item, ours, run)
    assert (settling.asked, ours.of(item)) == ([tries[1].pk], tries[1])
    assert (run.found(), run.lines) == (
        {"found paid": 1}, [f"Order {order.short_code}: SumUp took 12.00 EUR. It is settled."],
    )  # fmt: skip


@pytest.mark.parametrize("is_found", [True, False])
def test_what_another_asks_about_is_left_to_the_next_run(
    run: Run, settling: Settling, tries: list[Checkout], is_found: bool
) -> None:
    item, order = listed(), tries[0].order
    settling.verdict = Verdict.BUSY
    if is_found:
        settling.finds = {tries[1].pk: {"transaction_id": "t1"}}
    for _time in range(2):
        assert matching._is_of(order, item, known(), run)
    assert settling.asked == [tries[1].pk] * 2
    assert (run.found(), run.lines) == ({} if is_found else {"asked by another": 2}, [])


def test_a_dry_run_says_that_it_would_be_settled(dry: Run, settling: Settling, tries: list[Checkout]) -> None:
    item, order = listed(), tries[0].order
    assert matching._is_of(order, item, known(item), dry)
    assert (settling.asked, dry.found(), dry.asked.calls) == ([], {"found paid": 1}, [])
    assert dry.lines == [f"Order {order.short_code}: SumUp took 12.00 EUR. It would be settled."]


# --- In words


@pytest.mark.parametrize(
    ("amount", "currency", "taken", "words"),
    [
        ("12.5", "EUR", (Decimal("12.50"), "EUR"), "12.50 EUR"),
        ("99999999.990", "EUR", (Decimal("99999999.99"), "EUR"), "99999999.99 EUR"),
        ("99999999.991", "EUR", (None, ""), "99999999.991 EUR"),
        ("12.5", "XXX", (None, ""), "12.5 XXX"),
        ("-3", "EUR", (None, ""), "-3.00 EUR"),
        ("700", "CLP", (Decimal(700), "CLP"), "700 CLP"),
    ],
)
def test_an_amount_is_held_by_a_case_and_told_to_a_person(
    amount: str, currency: str, taken: tuple[Decimal | None, str], words: str
) -> None:
    item = listed(amount=Decimal(amount), currency=currency)
    assert (matching._taken(item), matching._amount(item)) == (taken, words)


def test_no_amount_is_held_by_no_case_and_told_as_a_question_mark() -> None:
    for currency, words in (("EUR", "? EUR"), ("", "? ?")):
        item = listed(amount=None, currency=currency)
        assert (matching._taken(item), matching._amount(item)) == ((None, ""), words)


def test_a_stray_is_told_in_words() -> None:
    order, item = an_order(), listed(refunded=Decimal(5))
    facts = "SumUp took 12.00 EUR (transaction C1, ECOM, 2026-01-02T03:04). 5.00 EUR of it went back already."
    assert matching._stray_words(item, order, order.code) == (
        f"{facts} Its description names order {order.short_code}, but no payment of that order can be it."
    )
    assert matching._stray_words(listed(payment_type="", timestamp=""), None, NOBODY) == (
        "SumUp took 12.00 EUR (transaction C1). Its description names an order that is not here: ABCDEFGH."
    )


@pytest.mark.parametrize(
    ("refunded", "status", "words"),
    [
        ("12.00", "SUCCESSFUL", "All of it went back already."),
        ("11.99", "REFUNDED", "11.99 EUR of it went back already."),
        ("0.01", "SUCCESSFUL", "0.01 EUR of it went back already."),
        ("0", "REFUNDED", "SumUp says that it went back already, and not how much."),
        (None, "REFUNDED", "SumUp says that it went back already, and not how much."),
        ("0", "SUCCESSFUL", ""),
        (None, "SUCCESSFUL", ""),
    ],
)
def test_what_of_a_stray_went_back_is_told(refunded: str | None, status: str, words: str) -> None:
    item = listed(refunded=None if refunded is None else Decimal(refunded), status=status)
    assert matching._gone_words(item) == words


# --- Refunds and chargebacks


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[HistoryItem], Decimal | None]]:
    """The transactions that were to be read: of which checkout, what is listed, and how much the payment says."""
    found: list[tuple[int, list[HistoryItem], Decimal | None]] = []

    def note(checkout: Checkout, gone: list[HistoryItem], refunded: Decimal | None, _run: object) -> None:
        found.append((checkout.pk, gone, refunded))

    monkeypatch.setattr(matching, "_read_reports", note)
    return found


def two(**facts: Any) -> tuple[Checkout, Checkout]:
    return tuple(a_capture(transaction_id=f"t{n}", transaction_code=f"C{n}", **facts) for n in (1, 2))  # type: ignore[return-value]  # of two


def second(kind: str = "PAYMENT", **facts: object) -> HistoryItem:
    return listed(kind, **({"transaction_id": "t2", "transaction_code": "C2"} | facts))


def test_what_is_not_booked_as_it_is_listed_is_read(run: Run, read: list[Any]) -> None:
    one, other = two()
    third = a_capture(transaction_id="t3", transaction_code="C3")
    an_event(one, "1", "5.00")
    gone = [listed("REFUND", status="REFUNDED", amount=Decimal(5)), second("CHARGE_BACK", amount=Decimal(3))]
    items = [
        listed("REFUND", transaction_id="x", transaction_code="X"),  # of nobody here: it keeps nothing from the rest
        listed(refunded=Decimal(5)), gone[0], gone[1], second(), second("PAYOUT"),
        listed(transaction_id="t3", transaction_code="C3", refunded=Decimal(2)),
    ]  # fmt: skip

    matching._match_reports(items, known(*items), run)

    assert read == [(other.pk, [gone[1]], None), (third.pk, [], Decimal(2))]
    assert (run.found(), run.lines, run.unanswered) == ({}, [], [])


def test_a_dry_run_says_of_each_that_it_would_be_booked(dry: Run, read: list[Any]) -> None:
    one, other = two()
    items = [listed("REFUND"), second("REFUND")]
    matching._match_reports(items, known(*items), dry)
    words = "SumUp lists money that went back. It would be booked."
    assert (dry.found(), read) == ({"refunds to book": 2}, [])
    assert dry.lines == [f"{row.reference}: {words}" for row in (one, other)]


def test_a_contradiction_is_told_and_closes_when_it_is_over(run: Run, read: list[Any]) -> None:
    one, other = two()
    over = about(one, "list amount 12.00 EUR 13.00 EUR"), about(one), about(one, "transaction amount 1 2")
    elsewhere = about(other, "list amount 12.00 EUR 13.00 EUR")
    uncaptured = a_capture("expired", transaction_id="t3")
    items = [listed(), second(amount=Decimal("11.99")), listed(transaction_id="t3", transaction_code="", amount=None)]

    matching._match_reports(items, known(*items), run)

    assert [is_open(case) for case in (*over, elsewhere)] == [False, False, True, False]
    (case,) = Case.objects.open().filter(checkout=other)
    assert (case.kind, case.about) == ("contradiction", "list amount 12.00 EUR 11.99 EUR")
    assert run.found() == {"contradictions": 1}
    assert (run.lines, run.unanswered) == ([case.words], [])
    assert not Case.objects.filter(checkout=uncaptured).exists()


def test_a_payment_without_a_capture_contradicts_nothing(run: Run, read: list[Any]) -> None:
    checkout = a_capture("expired", transaction_id="t1")
    matching._match_reports([listed()], known(listed()), run)
    assert (Case.objects.filter(checkout=checkout).count(), run.found()) == (0, {})


def test_a_dry_run_tells_each_contradiction_and_opens_none(dry: Run, read: list[Any]) -> None:
    one, _other = two()
    over = about(one)
    items = [listed(status="FAILED", amount=Decimal(13))]
    matching._match_reports(items, known(*items), dry)
    assert (dry.found(), Case.objects.count(), is_open(over)) == ({"contradictions": 2}, 1, True)
    assert [line.endswith(" A case would be opened.") for line in dry.lines] == [True, True]


def test_new_contradictions_are_counted_once(run: Run) -> None:
    one, other = two()
    wrong = listed(amount=Decimal(13), status="FAILED")
    found = of_payment(one, "list", wrong.status, wrong.amount, wrong.currency)
    for checkout in (one, other, one):
        matching._tell(checkout, "list", found, run, is_told=False)
    assert (run.found(), len(run.lines), Case.objects.open().count()) == ({"contradictions": 4}, 4, 4)


#: What is listed (kind, status, amount), what the payment says went back, what is booked, and whether that is it.
BOOKED: list[tuple[list[tuple[str, str, str | None]], str | None, dict[tuple[str, str, str], int], bool]] = [
    ([], None, {}, True),
    ([], "0", {}, True),
    ([], "5", {}, False),
    ([("REFUND", "REFUNDED", "5")], None, {}, False),
    ([("REFUND", "REFUNDED", "5")], None, {("REFUND", "REFUNDED", "5"): 1}, True),
    ([("REFUND", "REFUNDED", "5")], "5", {("REFUND", "REFUNDED", "5"): 1}, True),
    ([("REFUND", "REFUNDED", "5")], "4", {("REFUND", "REFUNDED", "5"): 1}, False),
    ([("REFUND", "REFUNDED", "5")], "5", {("REFUND", "REFUNDED", "4"): 1}, False),
    ([("REFUND", "REFUNDED", "5")], None, {("REFUND", "FAILED", "5"): 1}, False),
    ([("REFUND", "REFUNDED", "5")], None, {("CHARGE_BACK", "REFUNDED", "5"): 1}, False),
    ([("REFUND", "REFUNDED", "5")] * 2, None, {("REFUND", "REFUNDED", "5"): 1}, False),
    ([("REFUND", "REFUNDED", "5")] * 2, "10", {("REFUND", "REFUNDED", "5"): 2}, True),
    ([("REFUND", "REFUNDED", "5")], "10", {("REFUND", "REFUNDED", "5"): 2}, True),
    ([("REFUND", "REFUNDED", None)], "0", {("REFUND", "REFUNDED", "0"): 1}, True),
    # What failed went nowhere; a chargeback may or may not be in what the payment says.
    ([], "0", {("REFUND", "FAILED", "5"): 1}, True),
    ([], "5", {("REFUND", "FAILED", "5"): 1}, False),
    ([], "5", {("REFUND", "REFUNDED", "5"): 1, ("CHARGE_BACK", "DONE", "3"): 1}, True),
    ([], "8", {("REFUND", "REFUNDED", "5"): 1, ("CHARGE_BACK", "DONE", "3"): 1}, True),
    ([], "3", {("REFUND", "REFUNDED", "5"): 1, ("CHARGE_BACK", "DONE", "3"): 1}, False),
]


@pytest.mark.parametrize(("items", "refunded", "ours", "is_booked"), BOOKED)
def test_what_went_back_is_booked_when_it_is_there_as_it_is_listed(
    items: list[tuple[str, str, str | None]],
    refunded: str | None,
    ours: dict[tuple[str, str, str], int],
    is_booked: bool,
) -> None:
    shown = [
        listed(kind, status=status, amount=None if amount is None else Decimal(amount))
        for kind, status, amount in items
    ]
    booked = Counter({(kind, status, Decimal(amount)): n for (kind, status, amount), n in ours.items()})
    assert matching._is_booked(shown, None if refunded is None else Decimal(refunded), booked) == is_booked


def test_events_are_counted_by_checkout_as_they_stand() -> None:
    one, other = two()
    an_event(one, "1", "5.00")
    an_event(one, "2", "5.00")
    an_event(one, "3", None, status="FAILED")
    an_event(one, "4", "3.00", kind="CHARGE_BACK")
    an_event(one, "5", "4.00", kind="PAYOUT")
    an_event(other, "1", "5.00")
    SumUpReport.objects.filter(pk=an_event(one, "6").pk).update(checkout=None)
    mine: Counter[Key] = Counter(
        {
            ("REFUND", "REFUNDED", Decimal(5)): 2,
            ("REFUND", "FAILED", Decimal(0)): 1,
            ("CHARGE_BACK", "REFUNDED", Decimal(3)): 1,
        }
    )
    assert matching._booked([one]) == {one.pk: mine}
    assert matching._booked([]) == {}


def test_contradictions_alone_that_are_open_are_told_already() -> None:
    one, other = two()
    third, goods = a_capture(), a_capture()
    about(one)
    about(one, "list amount 1 2")
    about(other)
    about(third, closed_at=timezone.now(), closed_by="reconcile", decision="Over")
    a_case(CaseKind.GOODS, goods)
    assert matching._contradicted([one, third, goods]) == {one.pk}


def test_a_transaction_is_read_adopted_and_compared_with_the_list(sumup: SumUp, run: Run) -> None:
    one, _other = two()
    over = about(one)
    sumup.transaction = answer(told("1", "5.00"))
    matching._read_reports(one, [listed("REFUND", amount=Decimal("5.00"))], Decimal(5), run)
    assert (sumup.read, run.asked.calls) == (["t1"], [one.merchant_id])
    assert sumup.adopted == [(one, sumup.transaction, run.clock(), "reconcile")]
    assert not is_open(over)
    assert run.lines == [f"{one.reference}: what SumUp says of its refunds is booked."]

    matching._read_reports(one, [listed("REFUND", amount=Decimal(9))], None, run)
    assert Case.objects.open().get().about == "refunds 9 5.00"
    assert run.found() == {"refunds booked": 2, "contradictions": 1}


def test_a_transaction_that_is_not_shown_or_not_known_is_told(sumup: SumUp, run: Run) -> None:
    one, nameless = a_capture(transaction_id="t1"), a_capture(transaction_code="C2")
    sumup.transaction = NoAnswer("busy", retry_after=7.0)
    matching._read_reports(one, [], Decimal(5), run)
    matching._read_reports(nameless, [], Decimal(5), run)
    assert run.lines == [
        f"{one.reference}: SumUp lists money that went back, but does not show its payment (busy).",
        f"{nameless.reference}: SumUp lists money that went back of a payment whose transaction is not known.",
    ]
    assert (run.found(), run.unanswered) == ({"no answer": 1}, ["busy"])
    assert run.asked.calls == [one.merchant_id, (one.merchant_id, 7.0)]
    assert (sumup.read, sumup.adopted) == (["t1"], [])


# --- What is not listed


def test_captures_of_a_day_ago_that_are_not_listed_are_those_of_this_merchant(run: Run) -> None:
    now, second_ = run.clock(), timedelta(microseconds=1)
    since, latest = now - timedelta(days=9), now - timedelta(hours=24)
    mine = [a_capture(paid_at=at) for at in (since, latest)]
    for at in (since - second_, latest + second_):
        a_capture(paid_at=at)
    a_capture(paid_at=latest, listed_at=now)
    a_capture("mismatch", paid_at=latest)
    a_capture(order=an_order_of(another_merchant()), paid_at=latest)
    assert list(matching.unlisted_captures(a_merchant(), since, run)) == pks(mine)


def late_evening(order: Order) -> Checkout:
    """Paid at half past eleven by UTC: the next day in Berlin, where its event is."""
    a_line(order, EventFactory.create(calendar__page__time_zone="Europe/Berlin"))
    return a_capture(
        order=order, transaction_id="t1", transaction_code="C1", paid_at=datetime(2026, 1, 2, 23, 30, tzinfo=UTC)
    )


def test_the_day_of_a_payment_is_told_on_the_clock_of_what_it_bought() -> None:
    assert matching._day(late_evening(an_order())) == "2026-01-03"
    assert matching._day(a_capture("expired")) == ""


def test_a_payment_that_sumup_does_not_know_is_a_case_once(sumup: SumUp, run: Run, dry: Run) -> None:
    checkout = late_evening(an_order())
    a_capture()
    sumup.transaction = UnknownTransaction("no such transaction")
    words = (
        "We recorded 12.00 EUR (transaction C1) on 2026-01-03, and SumUp neither lists it nor knows it. The tickets are"
        " valid."
    )
    matching.look_for(checkout.pk, dry)
    assert (dry.lines, dry.found()) == ([f"{words} A case would be opened."], {"not in SumUp's list": 1})
    assert not Case.objects.exists()

    for _time in range(2):
        matching.look_for(checkout.pk, run)
    case = Case.objects.get()
    assert (case.kind, case.checkout, case.words, case.opened_at) == ("missing", checkout, words, run.clock())
    assert (run.lines, run.found()) == ([words], {"not in SumUp's list": 1})
    assert run.asked.calls == [checkout.merchant_id] * 2
    checkout.refresh_from_db()
    assert (checkout.listed_at, sumup.adopted) == (None, [])


def test_a_payment_that_sumup_knows_is_taken_for_listed_and_its_events_in(sumup: SumUp, run: Run, dry: Run) -> None:
    checkout, other = two()
    sumup.transaction = answer()
    matching.look_for(checkout.pk, dry)
    checkout.refresh_from_db()
    assert (checkout.listed_at, sumup.adopted) == (None, [])

    matching.look_for(checkout.pk, run)
    for row, at in ((checkout, run.clock()), (other, None)):
        row.refresh_from_db()
        assert row.listed_at == at
    assert sumup.adopted == [(checkout, sumup.transaction, run.clock(), "reconcile")]
    assert (sumup.read, run.found(), Case.objects.count()) == (["t1", "t1"], {}, 0)


def test_a_payment_that_sumup_does_not_answer_about_is_asked_about_again(sumup: SumUp, run: Run) -> None:
    checkout, _other = two()
    sumup.transaction = NoAnswer("busy", retry_after=7.0)
    matching.look_for(checkout.pk, run)
    assert (run.unanswered, run.found(), Case.objects.count()) == (["busy"], {"no answer": 1}, 0)
    assert run.asked.calls == [checkout.merchant_id, (checkout.merchant_id, 7.0)]
