"""At the door: a code is read, and one look tells whether its bearer goes in.

A shop's counter (market/counter/handing_out.py) reads codes and answers in the same way.
"""

import enum
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import product
from typing import Protocol, TypeVar

from django.db import transaction
from django.utils.translation import gettext as _

from events.local_times import told
from events.models import CalendarEntry, Ticket
from events.states import EntryState, TicketState
from events.transitions import mark_back_out, mark_checked_in
from ledger.arrows import IllegalTransition
from ledger.signing import sign

#: A code at the end of what was typed; people and printers take 0 for O, 8 for B, and 1 for I or L.
CODE = re.compile(r"([A-Z0-8]{26})(?:\.PDF|\.ICS)?$")
SURE = str.maketrans("08", "OB")
#: So many ones in a code are tried as I and as L each; of more, all as the one or all as the other.
ONES = 3
#: A scanner is a keyboard: set to one country's and plugged into another's, it types other signs. By what is read, what
#: was printed: a US scanner at a German and at a French computer, a German and a French one at a US computer.
KEYBOARDS = tuple(
    str.maketrans(read, printed)
    for read, printed in [
        ("yzYZ-_ßÖ", "zyZY/?-:"),
        ("aqzwAQZW,?mM&é\"'(-è_çà!§):;", "qawzQAWZmM;:1234567890/?-.,"),
        ("yzYZ&_>", "zyZY/?:"),
        ("aqzwAQZW;:mM!@#$%^&*>.<6", "qawzQAWZmM,?12345678/:.-"),
    ]
)
#: Letters of a code that lists show, for people to tell rows apart; they open nothing.
SHORT = 8


class Light(enum.Enum):
    """What the person at the door sees first."""

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
class Found:
    """A row that somebody without its code was looked up for: who, what, of which order; `is_done`: let in already."""

    who: str
    what: str
    order: str
    code: str
    is_done: bool


class Coded(Protocol):
    @property
    def code(self) -> str: ...


Row = TypeVar("Row", bound=Coded)


def read_codes(typed: str) -> list[str]:
    """The codes that what was typed or scanned may stand for, that which it spells first; never more than a few dozen.

    It may be the code alone, in groups, in small letters, or a ticket's address with or without a query behind it.
    """
    texts = [typed, *(typed.translate(keyboard) for keyboard in KEYBOARDS)]
    return list(dict.fromkeys(code for text in texts for code in _spelled(text)))


def _spelled(text: str) -> list[str]:
    address = re.split(r"[?#]", text, maxsplit=1)[0]
    found = CODE.search(re.sub(r"[\s\-–·]", "", address).strip("/").upper())
    if found is None:
        return []
    parts = found[1].translate(SURE).split("1")
    gaps = len(parts) - 1
    fillings = product("IL", repeat=gaps) if gaps <= ONES else ("I" * gaps, "L" * gaps)
    return ["".join(map("".join, zip(parts, (*filling, ""), strict=True))) for filling in fillings]


def meant(found: Iterable[Row], typed: str, is_own: Callable[[Row], bool]) -> Row | None:
    """Which of the rows with one of `read_codes(typed)` is shown here: that of the code as spelled, whosesoever it is.

    What must be read in some other way counts only when it leads to one row of this house and to no other.
    """
    rows = list(found)
    as_spelled = [row for row in rows if [row.code] == _spelled(typed)]
    own = as_spelled or [row for row in rows if is_own(row)]
    return own[0] if len(own) == 1 else None


def opens_at(entry: CalendarEntry) -> datetime:
    """From when on people are let in: the morning of the day before, on the page's clock."""
    zone = entry.calendar.page.zone()
    day = entry.starts_at.astimezone(zone).date() - timedelta(days=1)
    return datetime.combine(day, time(0), zone)


def check_in(entry: CalendarEntry, typed: str, *, who: str, at: datetime) -> Answer:
    """Let the bearer of a code in, once: green. Already in is amber; what opens no door is red, with the reason.

    Two doors at the same moment: one sees green, the other amber. `entry` has its calendar and page at hand.
    """
    tickets = Ticket.objects.with_page().exclude(state=TicketState.PENDING).filter(code__in=read_codes(typed))
    ticket = meant(tickets, typed, lambda row: row.entry.calendar.page_id == entry.calendar.page_id)
    if ticket is None:
        return Answer(Light.RED, _("Not a ticket"), _("No ticket has this code. Was it sent on, or typed wrong?"))
    if ticket.entry_id != entry.pk:
        # Another page's event is nobody's business here, not even its name.
        other = ticket.entry.title if ticket.entry.calendar.page_id == entry.calendar.page_id else _("another house")
        return Answer(Light.RED, _("Wrong event"), _("This ticket is for: %(title)s") % {"title": other})
    if at < opens_at(entry):
        return Answer(Light.RED, _("Too early"), _("Tickets of this event are let in from the day before on."))
    if entry.state != EntryState.CONFIRMED:
        return Answer(Light.RED, _("Event cancelled"), "", ticket.pk, what(ticket))
    if ticket.state == TicketState.CONFIRMED and _let_in(ticket, who=who, at=at):
        return Answer(Light.GREEN, _("Come in"), "", ticket.pk, what(ticket))
    ticket.refresh_from_db(fields=["state", "checked_in_at"])
    return _refused(ticket)


def _refused(ticket: Ticket) -> Answer:
    if ticket.state == TicketState.CHECKED_IN:
        when = told(ticket.checked_in_at, ticket.entry.calendar.page.time_zone)
        return Answer(Light.AMBER, _("Already in"), _("Since %(when)s.") % {"when": when}, ticket.pk, what(ticket))
    words = {
        TicketState.RESERVED: (_("Not paid"), _("This ticket is ordered and not paid yet.")),
        TicketState.CANCELLED: (_("Cancelled"), _("This ticket was cancelled.")),
        TicketState.REFUND_DUE: (_("Not valid"), _("The money for this ticket is owed to its buyer.")),
        TicketState.REFUNDED: (_("Refunded"), _("The money for this ticket went back to its buyer.")),
    }
    headline, reason = words.get(TicketState(ticket.state), (_("Not valid"), ""))
    return Answer(Light.RED, headline, reason, ticket.pk, what(ticket))


def what(ticket: Ticket) -> str:
    """The kind of ticket, and for whom, as far as known."""
    return " · ".join(filter(None, [ticket.ticket_type.name if ticket.ticket_type else "", ticket.holder]))


def _let_in(ticket: Ticket, *, who: str, at: datetime) -> bool:
    """True for the one who lets it in; a rival who was quicker has left nothing to move."""
    try:
        with transaction.atomic():
            sign(who=who, why="at the door")
            list(CalendarEntry.objects.filter(pk=ticket.entry_id).locked().values_list("pk"))
            list(Ticket.objects.filter(pk=ticket.pk).locked().values_list("pk"))
            return bool(mark_checked_in([ticket.pk], at=at))
    except IllegalTransition:
        return False


def undo(entry: CalendarEntry, pk: int, *, who: str) -> bool:
    """Take back that a ticket of `entry` was let in; False when it is not in (any more)."""
    if not Ticket.objects.filter(pk=pk, entry=entry).exists():
        return False
    try:
        with transaction.atomic():
            sign(who=who, why="undone at the door")
            list(CalendarEntry.objects.filter(pk=entry.pk).locked().values_list("pk"))
            list(Ticket.objects.filter(pk=pk).locked().values_list("pk"))
            return bool(mark_back_out([pk]))
    except IllegalTransition:
        return False


def counts(entry: CalendarEntry) -> tuple[int, int]:
    """How many are in, and how many valid tickets there are."""
    states = list(
        Ticket.objects.filter(entry=entry, state__in=[TicketState.CONFIRMED, TicketState.CHECKED_IN]).values_list(
            "state", flat=True
        )
    )
    return states.count(TicketState.CHECKED_IN), len(states)
