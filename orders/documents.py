"""An order on paper: the bill, then a page for each ticket that its buyer holds; and its events for a calendar."""

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from events.documents import Paper, add_tickets
from events.invitations import ics
from events.models import Ticket
from orders.models import Order


def held_tickets(order: Order) -> list[Ticket]:
    """The valid tickets of `order` that its buyer has not sent to somebody else."""
    rows = Ticket.objects.filter(order=order, sent_to="").with_page().select_related("order").order_by("pk")
    return [ticket for ticket in rows if ticket.is_valid]


def order_pdf(order: Order, tickets: Sequence[Ticket]) -> bytes:
    paper = Paper(_("Order %(code)s") % {"code": order.short_code})
    paper.add_page()
    paper.say(order.seller, size=10, grey=True)
    paper.say(_("Order %(code)s") % {"code": order.short_code}, size=20, bold=True)
    if order.paid_at:
        with timezone.override(order.time_zone):
            paper.say(date_format(timezone.localtime(order.paid_at), "j F Y, H:i T"), size=10, grey=True)
    paper.ln(6)
    for line in order.lines.all():
        paper.row(f"{line.quantity} × {line.name}", line.amount.or_free())
    paper.ln(2)
    paper.row(_("Total"), order.money.or_free(), bold=True)
    paper.ln(6)
    paper.say(_("This is no invoice. Order code: %(code)s") % {"code": order.code}, size=9, grey=True)
    add_tickets(paper, tickets)
    return paper.content()


def order_ics(tickets: Sequence[Ticket], *, name: str, at: datetime) -> bytes:
    return ics((ticket.entry for ticket in tickets), name=name, at=at)
