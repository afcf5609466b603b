"""An order on paper: the bill, then a page for each ticket and voucher in hand; and its dates for a calendar."""

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from events.models import CalendarEntry
from events.tickets.invitations import ics
from events.tickets.paper import Paper, add_tickets
from market.documents import voucher_pages
from orders.holdings import Holdings


def order_pdf(held: Holdings) -> bytes:
    order = held.order
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
    for booking in held.valid_bookings:
        _add_booking(paper, booking)
    paper.ln(6)
    paper.say(_("This is no invoice. Order code: %(code)s") % {"code": order.code}, size=9, grey=True)
    paper.own_up()
    add_tickets(paper, held.valid_tickets)
    voucher_pages(paper, held.valid_items)
    return paper.content()


def _add_booking(paper: Paper, booking: CalendarEntry) -> None:
    facts = (booking.title, booking.when_in_full, booking.calendar.page.place, booking.access_note)
    paper.fact(_("Booked for you"), "\n".join(filter(None, facts)))


def order_ics(held: Holdings, *, at: datetime) -> bytes:
    return ics(held.dated, name=held.order.seller, at=at)
