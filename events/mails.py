"""The mail to the new holder of a ticket."""

from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from events.documents import tickets_pdf
from events.invitations import ics
from events.models import Ticket
from events.ticket_links import link_token


def send_ticket_mail(ticket_id: int) -> None:
    """Tell the new holder of a ticket, with its PDF and calendar entry; nothing if it was sent on or voided since."""
    ticket = Ticket.objects.with_page().select_related("order").get(pk=ticket_id)
    if not ticket.is_sent or not ticket.is_valid:
        return
    token = link_token(ticket)
    context = {"ticket": ticket, "ticket_url": settings.SITE_URL + reverse("ticket_link", args=[token])}
    mail = EmailMultiAlternatives(
        subject=one_line(_("A ticket for you: %(title)s") % {"title": ticket.entry.title}),
        body=render_to_string("events/mail/sent.txt", context),
        to=[ticket.sent_to],
        headers={"Message-ID": f"<ticket.{ticket.pk}.{token[-12:]}@{urlsplit(settings.SITE_URL).hostname}>"},
    )
    mail.attach_alternative(render_to_string("events/mail/sent.html", context), "text/html")
    mail.attach("ticket.pdf", tickets_pdf([ticket]), "application/pdf")
    mail.attach("event.ics", ics([ticket.entry], name=ticket.entry.title, at=timezone.now()), "text/calendar")
    mail.send()


def one_line(words: str) -> str:
    """`words` as a subject: a title with a line break in it must not become a header."""
    return " ".join(words.split())
