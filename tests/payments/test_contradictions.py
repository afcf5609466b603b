"""SumUp's books against ours and against themselves: each contradiction is a case, once, with both figures."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.models import CalendarEntry, Role
from payments.books.checking import read_books
from payments.contradictions import Contradiction, of_payment, of_refunds, of_transaction, put_before_a_person
from payments.models import Case, Checkout, ReconcileRun, RunOutcome, SumUpReport
from payments.refunds.asking import RefundRefused, again
from payments.refunds.reports_of_sumup import adopt_reports
from payments.states import CaseKind
from payments.sumup.transactions import event_key, transaction_from
from tests.desk import member, signed_in_as
from tests.ledger.psql import run
from tests.payments import captures
from tests.payments.money import goodwill, refunded, requested, sent, sold, whole
from tests.payments.reconcile.test_running import reconciled
from tests.simulator import SimulatorProcess
from tests.steps import states_of

pytestmark = pytest.mark.django_db(transaction=True)


def contradictions(*, closed: bool = False) -> list[Case]:
    return list(Case.objects.filter(kind=CaseKind.CONTRADICTION, closed_at__isnull=not closed).order_by("pk"))


def listed(**changes: object) -> dict[str, Any]:
    return {"tamper_listed": changes}


def told(**changes: object) -> dict[str, Any]:
    return {"tamper_transaction": changes}


@dataclass(frozen=True)
class Way:
    """How SumUp contradicts: what is switched on, what the case must name, how much went back before."""

    switches: Callable[[SimulatorProcess, Checkout], dict[str, Any]]
    names: tuple[str, ...]
    back: str = ""


def events(sumup: SimulatorProcess, checkout: Checkout, *fewer: str) -> dict[str, Any]:
    """The transaction with nothing in the lists `fewer`, but for the first event of `events`."""
    raw = sumup.client().read_transaction(checkout.transaction_id).raw
    shown: dict[str, Any] = {}
    for name in fewer:
        rows = raw[name]
        assert isinstance(rows, list)
        shown[name] = [{key: float(v) if isinstance(v, Decimal) else v for key, v in row.items()} for row in rows][:1]
    return told(**shown)


NONE: dict[str, object] = {"events": [], "transaction_events": []}
#: Every kind of contradiction of SumUp's list, or its transaction, with itself or with what we recorded (€ 24.00).
WAYS = {
    "listed as cancelled": Way(lambda _s, _c: listed(status="CANCELLED"), ("24.00 EUR", "CANCELLED")),
    "listed as failed": Way(lambda _s, _c: listed(status="FAILED"), ("24.00 EUR", "FAILED")),
    "listed with another amount": Way(lambda _s, _c: listed(amount=23.99), ("24.00 EUR", "23.99 EUR")),
    "listed in another currency": Way(lambda _s, _c: listed(currency="CHF"), ("24.00 EUR", "24.00 CHF")),
    "listed as paid back": Way(lambda _s, _c: listed(refunded_amount=5), ("5.00 EUR", "0 EUR")),
    "a listed refund that the transaction does not show": Way(lambda _s, _c: told(**NONE), ("9.00 EUR", "0 EUR"), "9"),
    "a listed refund of another amount": Way(
        lambda _s, _c: told(events=[event("1", 8)], transaction_events=[event("1", 8)]), ("9.00 EUR", "8.00 EUR"), "9"
    ),
    "a transaction that is cancelled": Way(lambda _s, _c: told(status="CANCELLED"), ("24.00 EUR", "CANCELLED"), "9"),
    "a transaction of another amount": Way(lambda _s, _c: told(amount=25), ("24.00 EUR", "25.00 EUR"), "9"),
    "a transaction in another currency": Way(lambda _s, _c: told(currency="CHF"), ("24.00 EUR", "24.00 CHF"), "9"),
    "an event in the detailed list alone": Way(lambda s, c: events(s, c, "events"), ("9.00 EUR", "18.00 EUR"), "9 9"),
    "an event in the short list alone": Way(
        lambda s, c: events(s, c, "transaction_events"), ("18.00 EUR", "9.00 EUR"), "9 9"
    ),
    "an event that nobody can book": Way(
        lambda _s, _c: told(events=[event("1", 1e12)], transaction_events=[event("1", 1e12)]), ("24.00 EUR", "1"), "9"
    ),
}


def event(number: object, amount: float, status: str = "REFUNDED") -> dict[str, object]:
    """In the words of both lists."""
    return {"id": number, "type": "REFUND", "event_type": "REFUND", "status": status, "amount": amount}


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.promise("sumup-books-contradict")
def test_each_contradiction_is_a_case_once_with_both_figures(
    sumup: SimulatorProcess, entry: CalendarEntry, name: str
) -> None:
    """Fault 41."""
    way = WAYS[name]
    order, checkout = sold(sumup, entry, 2)
    for amount in way.back.split():
        sumup.control(f"refund/{checkout.transaction_id}", {"amount": amount})
    sumup.faults(**way.switches(sumup, checkout))

    for _time in range(3):
        assert reconciled().outcome == RunOutcome.PERSON

    mine = [case for case in contradictions() if all(figure in case.words for figure in way.names)]
    assert len(mine) == 1, [case.words for case in contradictions()]
    assert (mine[0].checkout, mine[0].amount) == (checkout, Decimal("24.00"))
    assert states_of(order) == ["confirmed"] * 2
    assert read_books() == []

    # What SumUp says no more is nobody's to decide; what a person has decided is not asked again.
    before = Case.objects.filter(kind=CaseKind.CONTRADICTION).count()
    Case.objects.filter(pk=mine[0].pk).update(closed_at=timezone.now(), closed_by="user:1", decision="The bank.")
    reconciled()
    assert Case.objects.filter(kind=CaseKind.CONTRADICTION).count() == before


@pytest.mark.parametrize("name", ["listed with another amount", "a listed refund that the transaction does not show"])
@pytest.mark.promise("sumup-books-contradict")
def test_a_contradiction_that_is_gone_closes_by_itself_and_may_come_back(
    sumup: SimulatorProcess, entry: CalendarEntry, name: str
) -> None:
    way = WAYS[name]
    _order, checkout = sold(sumup, entry, 2)
    for amount in way.back.split():
        sumup.control(f"refund/{checkout.transaction_id}", {"amount": amount})
    switches = way.switches(sumup, checkout)
    sumup.faults(**switches)
    reconciled()
    assert len(contradictions()) == 1

    sumup.faults(**{key: {} for key in switches})
    reconciled()
    assert (len(contradictions()), [case.closed_by for case in contradictions(closed=True)]) == (0, ["reconcile"])

    if not way.back:
        sumup.faults(**switches)
        reconciled()
        assert len(contradictions()) == 1


def test_two_contradictions_of_one_payment_are_two_cases(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    sold(sumup, entry, 2)
    sumup.faults(**listed(amount=20, status="FAILED"))
    assert reconciled().counts["contradictions"] == 2
    sumup.faults(**listed(amount=21, status="FAILED"))
    reconciled()
    assert len(contradictions()) == 2
    assert len(contradictions(closed=True)) == 1


def test_dry_run_tells_and_opens_nothing(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    sold(sumup, entry, 2)
    sumup.faults(**listed(amount=20))
    lines: list[str] = []
    row: ReconcileRun = reconciled(is_dry=True, told=lines.append)
    assert (row.counts["contradictions"], Case.objects.count()) == (1, 0)
    assert "20.00 EUR" in "".join(lines)


def test_owner_closes_a_contradiction_with_a_reason(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, _checkout = sold(sumup, entry, 2)
    sumup.faults(**listed(amount=20))
    reconciled()
    (case,) = contradictions()
    client = signed_in_as(member((order.lines.get().page, Role.OWNER)))
    address = f"/admin/payments/case/{case.pk}"
    assert "I know what is right" in client.get(f"{address}/change/").content.decode()
    client.post(f"{address}/decide/contradiction-seen/", {"reason": "The bank shows 24."})
    case.refresh_from_db()
    assert case.decision == "The bank shows 24."


def test_what_one_list_alone_shows_is_not_booked_and_not_sent_once_more(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order, checkout = sold(sumup, entry, 2)
    first = goodwill(order.tickets.order_by("pk")[0], "2")
    refunded(sumup, checkout, [first])
    sumup.faults(refund="500_after")
    refund = requested(checkout, whole(order, 1)[:1])
    sumup.faults(**events(sumup, checkout, "events"), refund="500_after")
    sent(refund)
    sumup.faults(refund="ok")
    assert refund.state == "unknown"
    assert SumUpReport.objects.filter(checkout=checkout).count() == 1
    with pytest.raises(RefundRefused, match="contradict"):
        again(refund.pk, reason="Once more.", who="user:1", at=timezone.now())
    assert len(sumup.ledger()["refunds"]) == 2


# --- One event, however its id is spelt


@pytest.mark.parametrize("spelling", [1234, "1234", 1234.0, "1234.0", " 1234 "])
@pytest.mark.parametrize("stored", ["1234", "1234.0"])
@pytest.mark.promise("event-id-1234")
def test_an_event_is_one_however_its_id_is_spelt(
    sumup: SimulatorProcess, entry: CalendarEntry, spelling: object, stored: str
) -> None:
    order, checkout = sold(sumup, entry, 2)

    def told_as(number: object) -> None:
        body = {"id": checkout.transaction_id, "events": [event(number, 5)], "amount": 24, "currency": "EUR"}
        decimals = {"events": [event(Decimal(str(number)) if isinstance(number, float) else number, 5)]}
        if isinstance(number, int):
            decimals = {"events": [event(Decimal(number), 5)]}
        answer = transaction_from(body | decimals | {"amount": Decimal(24)})
        adopt_reports(checkout, answer, at=timezone.now(), who="reconcile")

    told_as("1234")
    run(f"UPDATE payments_sumupevent SET event_id = '{stored}'")  # as an older release wrote it down
    told_as(spelling)
    assert SumUpReport.objects.count() == 1
    assert states_of(order) == ["confirmed"] * 2


@pytest.mark.parametrize(
    ("told_id", "key"),
    [
        ("1234", "1234"),
        ("1234.0", "1234"),
        ("1234.00", "1234"),
        ("12.5", "12.5"),
        ("a1.0", "a1.0"),
        ("REFUND 4.50 2026-01-02T03:04:00+00:00", "REFUND 4.5 2026-01-02T03:04:00+00:00"),
        ("REFUND 40 ", "REFUND 40 "),
        ("", ""),
        (".0", ".0"),
    ],
)
def test_the_key_of_an_event_is_its_number_or_its_own_words(told_id: str, key: str) -> None:
    assert event_key(told_id) == key


# --- Each step alone, on rows and answers made by hand


def of_12(**changes: Any) -> Checkout:
    """A capture of 12.00 EUR that nobody saved."""
    facts = {"captured": Decimal("12.00"), "captured_currency": "EUR", "transaction_id": "t1", "transaction_code": "C1"}
    return Checkout(**(facts | changes))


def euros(amount: str | None) -> Decimal | None:
    return None if amount is None else Decimal(amount)


#: What SumUp says of a payment of 12.00 EUR (status, amount, currency), and the keys of what contradicts that.
SAID: list[tuple[str, str | None, str, list[str]]] = [
    ("SUCCESSFUL", "12.00", "EUR", []),
    ("SUCCESSFUL", "12", "", []),
    ("SUCCESSFUL", None, "EUR", []),
    ("SUCCESSFUL", None, "", []),
    ("SUCCESSFUL", "11.99", "EUR", ["list amount 12.00 EUR 11.99 EUR"]),
    ("SUCCESSFUL", "12.01", "", ["list amount 12.00 EUR 12.01 ?"]),
    ("SUCCESSFUL", "12.00", "CHF", ["list currency 12.00 EUR 12.00 CHF"]),
    ("SUCCESSFUL", "13", "CHF", ["list currency 12.00 EUR 13 CHF"]),
    ("SUCCESSFUL", None, "CHF", ["list currency 12.00 EUR ? CHF"]),
    ("FAILED", "12.00", "EUR", ["list status FAILED"]),
    ("CANCELLED", "13", "EUR", ["list status CANCELLED", "list amount 12.00 EUR 13 EUR"]),
]


@pytest.mark.parametrize(("status", "amount", "currency", "keys"), SAID)
def test_what_sumup_says_of_a_payment_contradicts_what_was_recorded(
    status: str, amount: str | None, currency: str, keys: list[str]
) -> None:
    found = of_payment(of_12(), "list", status, euros(amount), currency)
    assert [one.key for one in found] == keys


def test_a_contradiction_about_a_payment_is_told_in_words() -> None:
    wrong = ("transaction", "FAILED", Decimal(13), "EUR")
    assert [one.words for one in of_payment(of_12(), *wrong)] == [
        "We recorded 12.00 EUR (transaction C1), and SumUp calls this payment of 13 EUR FAILED.",
        "We recorded 12.00 EUR (transaction C1), and SumUp says that it was 13 EUR.",
    ]
    (one,) = of_payment(of_12(transaction_code=None), "list", "SUCCESSFUL", None, "CHF")
    assert one.words == "We recorded 12.00 EUR (transaction t1), and SumUp says that it was ? CHF."


def test_a_transaction_that_says_the_same_contradicts_nothing() -> None:
    shown = captures.told("1"), captures.told("2", "5", kind="PAYOUT")
    assert of_transaction(of_12(), captures.answer(*shown, other_events=shown)) == []
    assert of_transaction(of_12(), captures.answer(events=None)) == []


def test_a_transaction_is_compared_with_what_was_recorded() -> None:
    (one,) = of_transaction(of_12(), captures.answer(amount=Decimal(13)))
    assert one.key == "transaction amount 12.00 EUR 13 EUR"


def test_two_lists_of_events_that_differ_are_told_with_what_went_back_by_each() -> None:
    short = [
        captures.told("1", "5.00"), captures.told("2", "2.00", kind="CHARGE_BACK"),
        captures.told("3", "9", kind="PAYOUT"), captures.told("4", "8", status="FAILED"), captures.told("5", None),
    ]  # fmt: skip
    detailed = captures.told("1", "4.00")
    answer = captures.answer(*short, other_events=(detailed,), code="", currency="")
    keys = [one.key for one in of_transaction(of_12(), answer)]
    assert keys == ["transaction events 7.00 4.00", "transaction event 5 None"]
    told_of = of_transaction(of_12(), replace(answer, events=tuple(short[:4]), code="C9", currency="CHF"))
    assert [one.words for one in told_of][1:] == [
        "Of transaction C9 SumUp's short list of reports says that 7.00 CHF went back, its detailed list says 4.00 CHF."
        " The short list is what is booked."
    ]
    (nameless,) = of_transaction(of_12(), replace(answer, events=tuple(short[:4])))
    assert nameless.words == (
        "Of transaction t1 SumUp's short list of reports says that 7.00 EUR went back, its detailed list says 4.00 EUR."
        " The short list is what is booked."
    )


def test_an_event_with_an_amount_that_nobody_can_book_is_told() -> None:
    most, beyond = "99999999.99", "100000000.00"
    shown = (
        captures.told("1", beyond), captures.told("2", beyond, kind="CHARGE_BACK"), captures.told("3", None),
        captures.told("4", most), captures.told("5", beyond, status="FAILED"),
        captures.told("6", beyond, kind="PAYOUT"), captures.told("7", None, kind="PAYOUT", status="FAILED"),
    )  # fmt: skip
    found = of_transaction(of_12(), captures.answer(*shown))
    assert [one.key for one in found] == [
        f"transaction event 1 {beyond}", f"transaction event 2 {beyond}", "transaction event 3 None",
    ]  # fmt: skip
    words = "SumUp reports that something went back of transaction C1 (12.00 EUR), with an amount that nobody can book"
    assert [one.words for one in found] == [f"{words}: 100000000.00."] * 2 + [f"{words}: ?."]


Gone = list[tuple[str, str | None]]
#: What is listed (kind, amount), what the payment says went back, what the transaction shows, and the contradiction.
LISTED: list[tuple[Gone, str | None, Gone | None, list[str]]] = [
    ([], None, [], []),
    ([], "0", [], []),
    ([], None, None, []),
    ([("REFUND", "5")], "5", None, []),
    ([("REFUND", "5")], "5", [("REFUND", "5")], []),
    ([("REFUND", "5")], None, [("REFUND", "5")], []),
    ([], "5", [("REFUND", "5")], []),
    ([], None, [("REFUND", "5")], []),
    ([], "5", [("REFUND", "5"), ("CHARGE_BACK", "3")], []),
    ([], "8", [("REFUND", "5"), ("CHARGE_BACK", "3")], []),
    ([], "3", [("REFUND", "5"), ("CHARGE_BACK", "3")], ["refunds 3 8"]),
    ([], "6", [("REFUND", "5")], ["refunds 6 5"]),
    ([("REFUND", "5")], None, [], ["refunds 5 0"]),
    ([("REFUND", "5")], "5", [], ["refunds 5 0"]),
    ([("REFUND", "5")], "4", [("REFUND", "4")], ["refunds 5 4"]),
    ([("REFUND", "5")], "6", [], ["refunds 6 0"]),
    ([("CHARGE_BACK", "5")], None, [("REFUND", "5")], ["refunds 5 5"]),
    ([("REFUND", "5"), ("REFUND", "5")], None, [("REFUND", "5")], ["refunds 10 5"]),
    ([("REFUND", None)], None, [("REFUND", "5")], ["refunds 0 5"]),
]


@pytest.mark.parametrize(("items", "refunded", "shown", "keys"), LISTED)
def test_what_is_listed_as_gone_back_is_shown_by_the_transaction(
    items: Gone, refunded: str | None, shown: Gone | None, keys: list[str]
) -> None:
    answer = captures.answer(
        events=None
        if shown is None
        else tuple(captures.told(str(n), amount, kind=kind) for n, (kind, amount) in enumerate(shown))
    )
    listed_ = [captures.listed(kind, amount=euros(amount)) for kind, amount in items]
    assert [one.key for one in of_refunds(of_12(), listed_, euros(refunded), answer)] == keys


def test_what_the_detailed_list_alone_shows_is_shown_too() -> None:
    answer = captures.answer(captures.told("1", "5"), other_events=(captures.told("2", "3"),))
    rows = [captures.listed("REFUND", amount=Decimal(amount)) for amount in (5, 3)]
    assert of_refunds(of_12(), rows, None, answer) == []


@pytest.mark.parametrize(("code", "name"), [("C1", "C1"), (None, "t1")])
def test_what_the_transaction_does_not_show_is_told_in_words(code: str | None, name: str) -> None:
    rows = [captures.listed("REFUND", amount=Decimal("5.00"))]
    (one,) = of_refunds(of_12(transaction_code=code), rows, None, captures.answer())
    assert one.words == (f"SumUp lists that 5.00 EUR of payment {name} went back; the transaction itself shows 0 EUR.")


def put(checkout: Checkout, *keys: str, at: datetime | None = None) -> int:
    """Contradictions of the list with these keys."""
    found = [Contradiction(key, f"About {key}") for key in keys]
    return put_before_a_person(checkout.pk, "list", found, who="reconcile", at=at or timezone.now())


@pytest.mark.django_db
def test_a_contradiction_is_a_case_that_opens_and_closes_by_itself() -> None:
    at, checkout, other = timezone.now(), captures.a_capture(captured=Decimal(13)), captures.a_capture()

    def case(about: str, of: Checkout = checkout, kind: CaseKind = CaseKind.CONTRADICTION, **facts: object) -> Case:
        return captures.a_case(kind, of, about=about, **facts)

    def closed(about: str, who: str) -> Case:
        return case(about, closed_at=at, closed_by=who, decision="Before")

    kept, over = case("list kept"), case("list over")
    closed("list decided", "user:1")
    closed("list back", "reconcile")
    others = [
        case("refunds 5 0"), case("transaction list over"), case("list over", other),
        case("list over", kind=CaseKind.GOODS),
    ]  # fmt: skip
    case("list new", other)

    assert put(checkout, "list kept", "list decided", "list back", "list new", at=at) == 2

    over.refresh_from_db()
    assert (over.closed_at, over.closed_by, over.decision) == (at, "reconcile", "SumUp does not say so any more.")
    mine = Case.objects.open().filter(checkout=checkout, about__startswith="list ", kind=CaseKind.CONTRADICTION)
    assert sorted(mine.values_list("about", "words", "amount", "opened_at")) == sorted(
        [
            ("list kept", "Words", None, kept.opened_at), ("list back", "About list back", Decimal(13), at),
            ("list new", "About list new", Decimal(13), at),
        ]
    )  # fmt: skip
    for row in (kept, *others):
        row.refresh_from_db()
        assert row.closed_at is None
    assert Case.objects.filter(about="list decided").count() == 1
    assert put(checkout, "list kept", "list decided", "list back", "list new") == 0


@pytest.mark.django_db
def test_a_long_contradiction_is_known_by_its_beginning() -> None:
    checkout, key = captures.a_capture(), f"list {'x' * 300}"
    assert [put(checkout, key), put(checkout, key), put(checkout, f"{key[:200]}y")] == [1, 0, 0]
    assert (Case.objects.get().about, Case.objects.get().closed_at) == (key[:200], None)


@pytest.mark.django_db
def test_the_order_and_the_payment_are_locked_and_no_others() -> None:
    checkout, _other = captures.a_capture(), captures.a_capture()
    with CaptureQueriesContext(connection) as queries:
        put(checkout)
    locks = [query["sql"] for query in queries if " FOR NO KEY UPDATE" in query["sql"]]
    assert [re.findall(r'FROM "(\w+)"', sql) for sql in locks] == [["orders_order"], ["payments_checkout"]]
    assert [f'"payments_checkout"."id" = {checkout.pk}' in sql for sql in locks] == [True, True]
