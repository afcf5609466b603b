"""What one holds: my tickets, a ticket on the page, on paper and in the calendar, its name, and sending it on."""

from dataclasses import dataclass
from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from accounts.models import User
from accounts.requests import form_of, signed_in
from events.forms import HolderForm, SendForm
from events.models import Ticket
from events.states import TicketState
from events.tickets.handing_on import HandingRefusal, rename, send_on
from events.tickets.invitations import CONTENT_TYPE, ics
from events.tickets.links import has_ended, ticket_of_link
from events.tickets.paper import tickets_pdf
from ledger import clock

private = cache_control(private=True, no_store=True)

#: So many tickets of an order lie side by side on a ticket's page; further ones are a page away.
SIDE_BY_SIDE = 12


@dataclass(frozen=True)
class Place:
    """A ticket among those of its order, and the codes of its neighbours ("" for none)."""

    ticket: Ticket
    number: int
    previous: str = ""
    next: str = ""


@private
@login_required
@require_safe
def tickets(request: HttpRequest) -> HttpResponse:
    """The signed-in person's tickets, bought or received: those to come first, then the past ones."""
    now = clock.now()
    shown = [TicketState.CONFIRMED, TicketState.CHECKED_IN, TicketState.REFUND_DUE, TicketState.REFUNDED]
    mine = Ticket.objects.shown_to(signed_in(request)).filter(state__in=shown)
    rows = mine.with_page().order_by("entry__starts_at", "pk")
    coming = [ticket for ticket in rows if ticket.entry.ends_at > now]
    past = [ticket for ticket in rows if ticket.entry.ends_at <= now]
    return render(request, "events/tickets.html", {"coming": coming, "past": past[::-1]})


def own_ticket(request: HttpRequest, code: str) -> Ticket:
    """404 for another's, one that was never ordered, and one that was sent on."""
    rows = Ticket.objects.shown_to(signed_in(request)).with_page().select_related("order")
    return get_object_or_404(rows, code=code)


@private
@login_required
@require_safe
def ticket(request: HttpRequest, code: str) -> HttpResponse:
    """One ticket with its QR code; those of its order that the same person holds are a swipe away."""
    return ticket_page(request, own_ticket(request, code))


def ticket_page(request: HttpRequest, shown: Ticket, *, status: int = 200, **forms: object) -> HttpResponse:
    places = places_of(shown, signed_in(request))
    at = next((index for index, place in enumerate(places) if place.ticket.pk == shown.pk), None)
    if at is None:
        raise Http404  # sent on a moment ago
    context = {
        "ticket": shown,
        "entry": shown.entry,
        "count": len(places),
        "number": places[at].number,
        "places": [*places[at:], *places[:at]][:SIDE_BY_SIDE],
        "can_hand_on": shown.state == TicketState.CONFIRMED and shown.entry.ends_at > clock.now(),
        **forms,
    }
    return render(request, "events/ticket.html", context, status=status)


def places_of(shown: Ticket, user: User) -> list[Place]:
    """The tickets of the order of `shown` that `user` may see, in their order."""
    rows = Ticket.objects.shown_to(user).filter(order=shown.order_id).with_page().select_related("order").order_by("pk")
    tickets = list(rows)
    codes = ["", *(ticket.code for ticket in tickets), ""]
    return [Place(ticket, at + 1, codes[at], codes[at + 2]) for at, ticket in enumerate(tickets)]


@private
@login_required
@require_safe
def pdf(request: HttpRequest, code: str) -> HttpResponse:
    return pdf_of(own_ticket(request, code))


@private
@login_required
@require_safe
def calendar_file(request: HttpRequest, code: str) -> HttpResponse:
    entry = own_ticket(request, code).entry
    return as_file(ics([entry], name=entry.title, at=clock.now()), "event.ics", CONTENT_TYPE)


def pdf_of(shown: Ticket) -> HttpResponse:
    """A valid ticket on paper; one that opens no door is not printed."""
    if not shown.is_valid:
        raise Http404
    return as_file(tickets_pdf([shown]), "ticket.pdf", "application/pdf")


def as_file(content: bytes, name: str, kind: str) -> HttpResponse:
    return HttpResponse(content, content_type=kind, headers={"Content-Disposition": f'inline; filename="{name}"'})


@form_of(lambda code: reverse("ticket", args=[code]))
@login_required
def holder(request: HttpRequest, code: str) -> HttpResponse:
    """Put a name on the ticket."""
    shown, form = own_ticket(request, code), HolderForm(request.POST)
    if not form.is_valid():
        return ticket_page(request, shown, status=422, holder_form=form)
    try:
        rename(shown, form.cleaned_data["holder"], at=clock.now())
    except HandingRefusal:
        messages.error(request, _("This ticket can no longer be changed."))
    else:
        messages.success(request, _("The name on the ticket is changed."))
    return redirect(shown)


@form_of(lambda code: reverse("ticket", args=[code]))
@login_required
def send(request: HttpRequest, code: str) -> HttpResponse:
    """Send the ticket to somebody else: its code dies, and the receiver gets a new one by mail."""
    shown, form = own_ticket(request, code), SendForm(request.POST)
    if not form.is_valid():
        return ticket_page(request, shown, status=422, send_form=form)
    user, to = signed_in(request), form.cleaned_data["email"]
    try:
        send_on(shown, to=to, holder=form.cleaned_data["name"], who=f"user:{user.pk}", at=clock.now())
    except HandingRefusal:
        messages.error(request, _("This ticket can no longer be sent to somebody else."))
        return redirect(shown)
    messages.success(request, _("The ticket is on its way to %(to)s. Its old code is no longer valid.") % {"to": to})
    return redirect("tickets")


@private
@require_safe
def linked(request: HttpRequest, token: str) -> HttpResponse:
    """A ticket by the link in the receiver's mail, without signing in."""
    shown = _linked(token)
    if has_ended(shown, at=clock.now()):
        return link_ended(request, reverse("tickets"))
    context = {"ticket": shown, "entry": shown.entry, "token": token}
    response = render(request, "events/ticket_linked.html", context)
    response["Referrer-Policy"] = "no-referrer"
    return response


@private
@require_safe
def linked_pdf(request: HttpRequest, token: str) -> HttpResponse:
    shown = _linked(token)
    return link_ended(request, reverse("tickets")) if has_ended(shown, at=clock.now()) else pdf_of(shown)


def _linked(token: str) -> Ticket:
    shown = ticket_of_link(token)
    if shown is None:
        raise Http404
    return shown


def link_ended(request: HttpRequest, next_url: str) -> HttpResponse:
    """The page of a link that was good and has ended: it says what now, and nothing of what it opened."""
    return render(request, "link_ended.html", {"next": next_url}, status=HTTPStatus.GONE)
