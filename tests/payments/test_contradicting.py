"""SumUp's books against ours and against themselves: each contradiction is a case, once, with both figures."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from events.models import CalendarEntry, Role
from payments.adopting import adopt_events
from payments.books import read_books
from payments.models import Case, Checkout, ReconcileRun, RunOutcome, SumUpEvent
from payments.refund_sending import again
from payments.refunding import RefundRefused
from payments.states import CaseKind
from payments.sumup.transactions import event_key, transaction_from
from tests.cart.steps import states_of
from tests.desk import member, signed_in_as
from tests.factories import EventFactory
from tests.ledger.psql import run
from tests.payments.money import goodwill, refunded, requested, sent, sold, whole
from tests.payments.test_reconciling import reconciled
from tests.simulator import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def entry() -> CalendarEntry:
    return EventFactory.create(capacity=10)


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
    assert SumUpEvent.objects.filter(checkout=checkout).count() == 1
    with pytest.raises(RefundRefused, match="contradict"):
        again(refund.pk, reason="Once more.", who="user:1", at=timezone.now())
    assert len(sumup.ledger()["refunds"]) == 2


# --- One event, however its id is spelt


@pytest.mark.parametrize("spelling", [1234, "1234", 1234.0, "1234.0", " 1234 "])
@pytest.mark.parametrize("stored", ["1234", "1234.0"])
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
        adopt_events(checkout, answer, at=timezone.now(), who="reconcile")

    told_as("1234")
    run(f"UPDATE payments_sumupevent SET event_id = '{stored}'")  # as an older release wrote it down
    told_as(spelling)
    assert SumUpEvent.objects.count() == 1
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
