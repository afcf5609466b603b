"""A transaction as SumUp tells it after its capture, with the events of it: refunds, chargebacks, payouts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from payments.sumup.answers import _object, amount_of, id_of, text_of
from payments.sumup.problems import Unreadable

REFUND, CHARGE_BACK = "REFUND", "CHARGE_BACK"
#: The one status of an event whose money has not moved and will not.
FAILED = "FAILED"
#: When something can have happened; at the ends of the calendar a time has no UTC.
YEARS = range(1971, 2500)


@dataclass(frozen=True, slots=True)
class EventAnswer:
    """Something that happened to a transaction; `kind` and `status` are SumUp's words, whatever they are."""

    id: str
    kind: str
    status: str
    amount: Decimal | None
    happened_at: datetime | None

    @property
    def counts(self) -> bool:
        """Its money has moved, or will."""
        return self.status != FAILED


@dataclass(frozen=True, slots=True)
class FullTransactionAnswer:
    """A transaction; `events` is None where SumUp told none of its lists: nothing is known of refunds then."""

    id: str
    code: str
    status: str
    amount: Decimal | None
    currency: str
    timestamp: str
    summary: str
    events: tuple[EventAnswer, ...] | None
    raw: Mapping[str, object] = field(repr=False, compare=False)

    def gone(self, *kinds: str) -> Decimal | None:
        """The sum of the events of `kinds` that count, in major units; None when SumUp does not say."""
        if self.events is None:
            return None
        rows = [event for event in self.events if event.kind in kinds and event.counts]
        return sum((event.amount or Decimal(0) for event in rows), Decimal(0))


def transaction_from(body: object) -> FullTransactionAnswer:
    """A transaction from parsed JSON; raises Unreadable when it is no object with an id."""
    facts = _object(body)
    if not id_of(facts, "id"):
        raise Unreadable("SumUp's answer is not a transaction.")
    return FullTransactionAnswer(
        id=id_of(facts, "id"),
        code=id_of(facts, "transaction_code"),
        status=text_of(facts, "status"),
        amount=amount_of(facts, "amount"),
        currency=text_of(facts, "currency"),
        timestamp=text_of(facts, "timestamp"),
        summary=text_of(facts, "product_summary"),
        events=_events(facts),
        raw=facts,
    )


def _events(facts: Mapping[str, object]) -> tuple[EventAnswer, ...] | None:
    """One of the two lists, the other where it is empty: each refund stands in both, and is counted once."""
    told = False
    for name, kind in (("events", "type"), ("transaction_events", "event_type")):
        listed = facts.get(name)
        if not isinstance(listed, list):
            continue
        told = True
        if found := tuple(_event(item, kind) for item in listed if isinstance(item, dict)):
            return found
    return () if told else None


def _event(facts: Mapping[str, object], kind: str) -> EventAnswer:
    event = EventAnswer(
        id=_identity(facts),
        kind=text_of(facts, kind, 60),
        status=text_of(facts, "status", 60),
        amount=amount_of(facts, "amount"),
        happened_at=moment(text_of(facts, "timestamp")) or moment(text_of(facts, "date")),
    )
    if event.id:
        return event
    told = f"{event.kind} {event.amount} {event.happened_at.isoformat() if event.happened_at else ''}"
    return EventAnswer(told, event.kind, event.status, event.amount, event.happened_at)


def _identity(facts: Mapping[str, object]) -> str:
    value = facts.get("id")
    return str(value)[:255] if isinstance(value, (str, Decimal)) else ""


def moment(text: str) -> datetime | None:
    """A time that SumUp tells, in UTC where it names no zone; None for anything else, of which year 1 is some."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if found.year not in YEARS:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
