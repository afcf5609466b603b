"""A transaction as SumUp tells it after its capture, with the events of it: refunds, chargebacks, payouts."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from ledger.money import MOST
from payments.sumup.answers import _object, amount_of, id_of, text_of
from payments.sumup.problems import Unreadable

REFUND, CHARGE_BACK = "REFUND", "CHARGE_BACK"
#: The one status of an event whose money has not moved and will not.
FAILED = "FAILED"
#: Kinds of events whose money has gone from the merchant to the payer.
TAKEN = (REFUND, CHARGE_BACK)
NUMBER = re.compile(r"\s*(\d{1,200})(?:\.0*)?\s*", re.ASCII)
#: When something can have happened; at the ends of the calendar a time has no UTC.
YEARS = range(1971, 2500)

#: What stands for the id of an event without one: its kind, amount and time.
MADE = re.compile(r"(\S{1,60}) (-?\d{1,20}(?:\.\d{1,20})?) (\S*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class EventAnswer:
    """Something that happened to a transaction; `kind` and `status` are SumUp's words, whatever they are."""

    id: str
    kind: str
    status: str
    amount: Decimal | None
    happened_at: datetime | None

    @property
    def is_readable(self) -> bool:
        """Its amount is one that can be booked."""
        return self.amount is not None and abs(self.amount) <= MOST

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
    #: The list that `events` was not taken from, as far as it was told.
    other_events: tuple[EventAnswer, ...] = ()

    def gone(self, *kinds: str) -> Decimal | None:
        """The sum of the events of `kinds` that count, in major units; None when SumUp does not say.

        Where its two lists differ it is the larger sum: what may have gone back must not be sent once more.
        """
        if self.events is None:
            return None
        return max(_sum(self.events, kinds), _sum(self.other_events, kinds))

    @property
    def only_in_one(self) -> list[EventAnswer]:
        """Refunds and chargebacks that one of the two lists shows and the other, which is not empty, does not."""
        if not self.events or not self.other_events:
            return []
        mine, theirs = _taken(self.events), _taken(self.other_events)
        missing = (theirs - mine) + (mine - theirs)
        return [event for event in (*self.events, *self.other_events) if missing[_likeness(event)]]


def transaction_from(body: object) -> FullTransactionAnswer:
    """A transaction from parsed JSON; raises Unreadable when it is no object with an id."""
    facts = _object(body)
    if not id_of(facts, "id"):
        raise Unreadable("SumUp's answer is not a transaction.")
    lists = facts.get("events"), facts.get("transaction_events")
    told = any(isinstance(listed, list) for listed in lists)
    compact, detailed = _events(lists[0], "type"), _events(lists[1], "event_type")
    return FullTransactionAnswer(
        id=id_of(facts, "id"),
        code=id_of(facts, "transaction_code"),
        status=text_of(facts, "status"),
        amount=amount_of(facts, "amount"),
        currency=text_of(facts, "currency"),
        timestamp=text_of(facts, "timestamp"),
        summary=text_of(facts, "product_summary"),
        events=(compact or detailed) if told else None,
        raw=facts,
        other_events=detailed if compact else (),
    )


def _events(listed: object, kind: str) -> tuple[EventAnswer, ...]:
    """One of the two lists. Each refund stands in both, so one is counted: the first, the other where it is empty."""
    return tuple(_event(item, kind) for item in (listed if isinstance(listed, list) else []) if isinstance(item, dict))


def _sum(events: Iterable[EventAnswer], kinds: Collection[str]) -> Decimal:
    rows = [event for event in events if event.kind in kinds and event.counts]
    return sum((event.amount or Decimal(0) for event in rows), Decimal(0))


def _likeness(event: EventAnswer) -> tuple[str, Decimal]:
    """By what the same event is known in both lists: nothing says that they give it the same id."""
    return event.kind, event.amount or Decimal(0)


def _taken(events: Iterable[EventAnswer]) -> Counter[tuple[str, Decimal]]:
    return Counter(_likeness(event) for event in events if event.kind in TAKEN and event.counts)


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
    return EventAnswer(event_key(told), event.kind, event.status, event.amount, event.happened_at)


def _identity(facts: Mapping[str, object]) -> str:
    value = facts.get("id")
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 200:
        return event_key(format(value, "f"))
    return event_key(value) if isinstance(value, str) else ""


def event_key(told: str) -> str:
    """The one spelling of an event's id: SumUp tells the same one as 1234, "1234" and 1234.0.

    So with the amount in what stands for the id of an event that has none.
    """
    if number := NUMBER.fullmatch(told):
        return number[1]
    if made := MADE.fullmatch(told):
        return f"{made[1]} {Decimal(made[2]).normalize():f} {made[3]}"[:255]
    return told[:255]


def moment(text: str) -> datetime | None:
    """A time that SumUp tells, in UTC where it names no zone; None for anything else, of which year 1 is some."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if found.year not in YEARS:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
