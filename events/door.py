"""At the door: a code is read, and one look tells whether its bearer goes in.

A shop's counter (market/handing_out.py) reads codes and answers in the same way.
"""

import enum
import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from events.local_times import told
from events.models import CalendarEntry, Ticket
from events.states import EntryState, TicketState
from events.transitions import mark_back_out, mark_checked_in
from ledger.arrows import IllegalTransition
from ledger.signing import sign

#: What a scanner or a person types: the code alone, in groups, in small letters, or at the end of a ticket's address.
CODE = re.compile(r"([A-Z2-7]{26})$")
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


def read_code(typed: str) -> str:
    """The ticket's code in what was typed or scanned; "" when there is none."""
    letters = re.sub(r"[\s\-–·]", "", typed).strip("/").upper()
    found = CODE.search(letters)
    return found[1] if found else ""


def opens_at(entry: CalendarEntry) -> datetime:
    """From when on people are let in: the morning of the day before, on the page's clock."""
    zone = entry.calendar.page.zone()
    day = entry.starts_at.astimezone(zone).date() - timedelta(days=1)
    return datetime.combine(day, time(0), zone)


def check_in(entry: CalendarEntry, typed: str, *, who: str, at: datetime) -> Answer:
    """Let the bearer of a code in, once: green. Already in is amber; what opens no door is red, with the reason.

    Two doors at the same moment: one sees green, the other amber. `entry` has its calendar and page at hand.
    """
    code = read_code(typed)
    ticket = Ticket.objects.with_page().exclude(state=TicketState.PENDING).filter(code=code).first() if code else None
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
