"""The door of one event: who has a ticket for it goes in, once."""

from datetime import datetime, time, timedelta

from django.db.models import Q
from django.utils.translation import gettext as _

from events.door.desk import Answer, Desk, Light
from events.models import CalendarEntry, Ticket
from events.states import EntryState, TicketState


def door_of(entry: CalendarEntry) -> Desk[Ticket]:
    """`entry` has its calendar and page at hand."""
    return Desk(
        page=entry.calendar.page,
        place="at the door",
        rows=Ticket.objects.with_page(),
        own=Q(entry=entry),
        page_of=lambda ticket: ticket.entry.calendar.page,
        parent=lambda ticket: CalendarEntry.objects.filter(pk=ticket.entry_id),
        refusal=lambda ticket, at: refusal(entry, ticket, at),
        who=lambda ticket: ticket.holder or ticket.sent_to or str(ticket.user),
        kind=kind,
        what=what,
        named=named,
        title=_("Door: %(title)s") % {"title": entry.title},
        heading=entry.title,
        ready=_("Scan a ticket, or type its code."),
        count=_("%(done)s of %(valid)s are in"),
        do=_("Let in"),
        question=_("Somebody without a ticket?"),
        label=_("Name, e-mail address or order code"),
        nobody=_("Nobody found among the valid tickets of this event."),
        welcome=_("Come in"),
        done=_("Already in"),
        since=_("Since %(when)s."),
        unknown=(_("Not a ticket"), _("No ticket has this code. Was it sent on, or typed wrong?")),
        taken_back=_("That ticket is out again and can be let in once more."),
        not_done=_("That ticket is not in."),
        reasons={
            TicketState.RESERVED: _("This ticket is ordered and not paid yet."),
            TicketState.CANCELLED: _("This ticket was cancelled."),
            TicketState.REFUND_DUE: _("The money for this ticket is owed to its buyer."),
            TicketState.REFUNDED: _("The money for this ticket went back to its buyer."),
        },
    )


def kind(ticket: Ticket) -> str:
    return ticket.ticket_type.name if ticket.ticket_type else ""


def what(ticket: Ticket) -> str:
    """The kind of ticket, and for whom, as far as known."""
    return " · ".join(filter(None, [kind(ticket), ticket.holder]))


def named(term: str) -> Q:
    address = Q(user__email__icontains=term) | Q(sent_to__iexact=term) | Q(sent_to__icontains=term, holder="")
    return Q(holder__finds=term) | address


def refusal(entry: CalendarEntry, ticket: Ticket, at: datetime) -> Answer | None:
    """Another event's, too early, or called off."""
    if ticket.entry_id != entry.pk:
        # Another page's event is nobody's business here, not even its name.
        other = ticket.entry.title if ticket.entry.calendar.page_id == entry.calendar.page_id else _("another house")
        return Answer(Light.RED, _("Wrong event"), _("This ticket is for: %(title)s") % {"title": other})
    if at < opens_at(entry):
        return Answer(Light.RED, _("Too early"), _("Tickets of this event are let in from the day before on."))
    if entry.state != EntryState.CONFIRMED:
        return Answer(Light.RED, _("Event cancelled"), "", ticket.pk, what(ticket))
    return None


def opens_at(entry: CalendarEntry) -> datetime:
    """From when on people are let in: the morning of the day before, on the page's clock."""
    zone = entry.calendar.page.zone()
    day = entry.starts_at.astimezone(zone).date() - timedelta(days=1)
    return datetime.combine(day, time(0), zone)
