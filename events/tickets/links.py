"""Links that open one ticket without signing in: signed, dead as soon as the ticket's code is, and 30 days after."""

import hashlib
from datetime import datetime, timedelta

from django.core import signing

from events.models import Ticket
from events.states import TicketState

SALT = "ticket-link"
#: A link lies in a mailbox for ever: what it opens without signing in ends so long after the event has.
AFTER_THE_EVENT = timedelta(days=30)


def link_token(ticket: Ticket) -> str:
    """What the mail to the new holder carries: it opens this ticket and dies with its code."""
    return signing.dumps([ticket.pk, _digest(ticket.code)], salt=SALT)


def ticket_of_link(token: str) -> Ticket | None:
    """The ticket that `token` opens; None when it is forged, or the ticket was sent on since."""
    try:
        pk, digest = signing.loads(token, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    found = Ticket.objects.with_page().select_related("order").filter(pk=pk).exclude(state=TicketState.PENDING).first()
    return found if found is not None and _digest(found.code) == digest else None


def has_ended(ticket: Ticket, *, at: datetime) -> bool:
    """Whether the link of `ticket` opens nothing any more, as its event is long over."""
    return at > ticket.entry.ends_at + AFTER_THE_EVENT


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()[:24]
