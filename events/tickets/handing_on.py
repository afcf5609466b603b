"""What the holder of a ticket may do with it: put a name on it, send it to somebody else."""

from datetime import datetime

from django.db import transaction

from events.models import CalendarEntry, Ticket, TicketQuerySet, new_ticket_code
from events.states import TicketState
from events.tickets.mails import tell_new_holder
from ledger.signing import sign


class HandingRefusal(Exception):
    """The ticket is no longer one that can be renamed or sent: used, cancelled, over, or sent a moment ago."""


def rename(ticket: Ticket, holder: str, *, at: datetime) -> None:
    """Put a name on a valid ticket of an event that is not over. Raises HandingRefusal."""
    with transaction.atomic():
        if not _valid(ticket, at).update(holder=holder):
            raise HandingRefusal


def send_on(ticket: Ticket, *, to: str, holder: str, who: str, at: datetime) -> None:
    """Give a valid ticket to the person at the address `to`: the code dies, a new one goes out by mail.

    The right to a refund stays with the buyer who paid. Twice at once: the second finds the old code dead. Raises
    HandingRefusal.
    """
    with transaction.atomic():
        sign(who=who, why="sent to somebody else")
        if not _valid(ticket, at).update(code=new_ticket_code(), sent_to=to, holder=holder, sent_at=at):
            raise HandingRefusal
        tell_new_holder.defer(ticket_id=ticket.pk)


def _valid(ticket: Ticket, at: datetime) -> TicketQuerySet:
    """The ticket as long as it is valid under the code by which it was found. Raises HandingRefusal after its event.

    Whether the event is over is asked under its own lock: asked by a join it would put code and state into a
    subselect, which PostgreSQL does not look at again when it has waited for a rival.
    """
    running = CalendarEntry.objects.filter(pk=ticket.entry_id, ends_at__gt=at).locked()
    if not list(running.values_list("pk")):
        raise HandingRefusal
    return Ticket.objects.filter(pk=ticket.pk, code=ticket.code, state=TicketState.CONFIRMED)
