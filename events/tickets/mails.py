"""The mail to who has a ticket now, and in whose name the mails about a page's things speak."""

from collections.abc import Iterable

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from procrastinate.contrib.django import app

from accounts.mails import MAIL_RETRY, Voice, in_subject, letter
from events.models import Page, Ticket
from events.tickets.invitations import ics
from events.tickets.links import link_token
from events.tickets.paper import tickets_pdf
from ledger import clock


def voice_of(pages: Iterable[Page]) -> Voice:
    """A mail about things of `pages` speaks in the name of the one page, and is answered by all that want answers."""
    different = {page.pk: page for page in pages}.values()
    name = next(iter(different)).name if len(different) == 1 else ""
    return Voice(name, tuple(dict.fromkeys(page.contact_email for page in different if page.contact_email)))


@app.task(name="events.jobs.tell_new_holder", queue="mail", retry=MAIL_RETRY)
def tell_new_holder(ticket_id: int) -> None:
    """Tell the new holder of a ticket, with its PDF and calendar entry; nothing if it was sent on or voided since."""
    ticket = Ticket.objects.with_page().select_related("order").get(pk=ticket_id)
    if not ticket.is_sent or not ticket.is_valid:
        return
    token = link_token(ticket)
    mail = letter(
        "events/mail/sent",
        {"ticket": ticket, "ticket_url": settings.SITE_URL + reverse("ticket_link", args=[token])},
        subject=_("A ticket for you: %(title)s") % {"title": in_subject(ticket.entry.title)},
        to=ticket.sent_to,
        number=f"ticket.{ticket.pk}.{token[-12:]}",
        voice=voice_of([ticket.entry.calendar.page]),
    )
    mail.attach("ticket.pdf", tickets_pdf([ticket]), "application/pdf")
    mail.attach("event.ics", ics([ticket.entry], name=ticket.entry.title, at=clock.now()), "text/calendar")
    mail.send()
