"""A desk where codes are read and each is good once: an event's door (letting_in), the counter of a shop (market)."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

from django.db import transaction
from django.db.models import Model, Q
from django.utils.translation import gettext as _

from events.door.reading import SHORT, meant, read_codes
from events.local_times import told
from events.models import Page
from events.states import TicketState
from events.transitions import mark_back_out, mark_checked_in
from ledger.arrows import IllegalTransition
from ledger.locking import LockableQuerySet
from ledger.signing import sign

#: So many people are shown of those who were looked up.
MOST_SHOWN = 20
VALID = (TicketState.CONFIRMED, TicketState.CHECKED_IN)

Row = TypeVar("Row", bound=Model)


class Light(enum.Enum):
    """What the person at the desk sees first."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True)
class Answer:
    """The light, the words beside it, and the row (its pk, and what it stands for) if it is one of this place's."""

    light: Light
    headline: str
    words: str = ""
    pk: int | None = None
    what: str = ""


@dataclass(frozen=True)
class Match:
    """A row that somebody without its code was looked up for: who, what, of which order; `is_done`: let in already."""

    who: str
    what: str
    order: str
    code: str
    is_done: bool


@dataclass(frozen=True, eq=False)
class Desk(Generic[Row]):
    """What differs from desk to desk. Two at the same moment with one code: one sees green, the other amber."""

    page: Page
    place: str  # in the history
    rows: LockableQuerySet[Row]  # all of the kind, of whatever page
    own: Q  # which of them are let in here
    page_of: Callable[[Row], Page]
    parent: Callable[[Row], LockableQuerySet[Any]]  # what a row counts against, locked before it
    refusal: Callable[[Row, datetime], Answer | None]  # why not here, or not now, whatever its own state is
    who: Callable[[Row], str]
    kind: Callable[[Row], str]
    what: Callable[[Row], str]
    named: Callable[[str], Q]  # rows of people with this name or address

    title: str
    heading: str
    ready: str
    count: str  # with %(done)s and %(valid)s
    do: str
    question: str
    label: str
    nobody: str
    welcome: str
    done: str
    since: str  # with %(when)s
    unknown: tuple[str, str]  # headline and reason
    taken_back: str
    not_done: str
    reasons: Mapping[str, str]  # by state

    def let_in(self, typed: str, *, who: str, at: datetime) -> Answer:
        """Let the bearer of a code in, once: green. Already in is amber; all else is red, with the reason."""
        rows: LockableQuerySet[Any] = self.rows.exclude(state=TicketState.PENDING).filter(code__in=read_codes(typed))
        row = meant(rows, typed, lambda row: self.page_of(row) == self.page)
        if row is None:
            return Answer(Light.RED, *self.unknown)
        if refusal := self.refusal(row, at):
            return refusal
        if row.state == TicketState.CONFIRMED and self._let_in(row, who=who, at=at):
            return Answer(Light.GREEN, self.welcome, "", row.pk, self.what(row))
        row.refresh_from_db(fields=["state", "checked_in_at"])
        return self._not_valid(row)

    def _not_valid(self, row: Any) -> Answer:
        if row.state == TicketState.CHECKED_IN:
            since = self.since % {"when": told(row.checked_in_at, self.page.time_zone)}
            return Answer(Light.AMBER, self.done, since, row.pk, self.what(row))
        headlines = {
            TicketState.RESERVED: _("Not paid"),
            TicketState.CANCELLED: _("Cancelled"),
            TicketState.REFUNDED: _("Refunded"),
        }
        headline = headlines.get(row.state, _("Not valid"))
        return Answer(Light.RED, headline, self.reasons.get(row.state, ""), row.pk, self.what(row))

    def _let_in(self, row: Row, *, who: str, at: datetime) -> bool:
        return self._moved(row, partial(mark_checked_in, at=at), who=who, why=self.place)

    def take_back(self, pk: int, *, who: str) -> bool:
        """Undo that a row was let in here; False when it is not in (any more)."""
        row = self.rows.filter(self.own, pk=pk).first()
        return row is not None and self._moved(row, mark_back_out, who=who, why=f"undone {self.place}")

    def _moved(self, row: Row, move: Callable[..., int], *, who: str, why: str) -> bool:
        """True for the one who moves it; a rival who was quicker has left nothing to move."""
        try:
            with transaction.atomic():
                sign(who=who, why=why)
                list(self.parent(row).locked().values_list("pk"))
                list(self.rows.filter(pk=row.pk).locked().values_list("pk"))
                return bool(move([row.pk], of=self.rows.model))
        except IllegalTransition:
            return False

    def counts(self) -> tuple[int, int]:
        """How many are in, and how many valid ones there are."""
        states = list(self.rows.filter(self.own, state__in=VALID).values_list("state", flat=True))
        return states.count(TicketState.CHECKED_IN), len(states)

    def matches(self, term: str) -> list[Match]:
        """Valid ones of people who come without theirs, by name, address, or the beginning of the order's code.

        What the page does not show is answered about as a whole only: a part of it would read out the rest.
        """
        rows: LockableQuerySet[Any] = self.rows.filter(self.own, state__in=VALID).select_related("user", "order")
        asked = self.named(term) | Q(order__code__istartswith=term[:SHORT])
        return [
            Match(
                who=self.who(row),
                what=self.kind(row),
                order=row.order.short_code if row.order else "",
                code=row.code,
                is_done=row.state == TicketState.CHECKED_IN,
            )
            for row in rows.filter(asked).order_by("pk")[:MOST_SHOWN]
        ]
