"""What one holds: my tickets, a ticket on the page, on paper and in the calendar, its name, and sending it on."""

from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from accounts.requests import form_of, signed_in
from events.documents import grouped, qr_svg, tickets_pdf
from events.forms import HolderForm, SendForm
from events.handing import HandingRefusal, rename, send_on
from events.invitations import CONTENT_TYPE, ics
from events.models import Ticket
from events.states import TicketState
from events.ticket_links import has_ended, ticket_of_link
from ledger import clock

private = cache_control(private=True, no_store=True)


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
    """One ticket with its QR code."""
    shown = own_ticket(request, code)
    siblings = Ticket.objects.shown_to(signed_in(request)).filter(order=shown.order_id)
    codes = list(siblings.order_by("pk").values_list("code", flat=True))
    place = codes.index(shown.code)
    context = context_of(shown) | {
        "number": place + 1,
        "count": len(codes),
        "previous": codes[place - 1] if place else "",
        "next": codes[place + 1] if place + 1 < len(codes) else "",
    }
    return render(request, "events/ticket.html", context)


def context_of(shown: Ticket) -> dict[str, object]:
    """What a ticket's page reads; a ticket that opens no door shows no QR code."""
    context: dict[str, object] = {"ticket": shown, "entry": shown.entry, "grouped_code": grouped(shown.code)}
    if shown.is_valid:
        context["qr"] = qr_svg(shown.code)
        context["can_hand_on"] = shown.state == TicketState.CONFIRMED and shown.entry.ends_at > clock.now()
    return context


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
        return render(request, "events/ticket.html", context_of(shown) | {"holder_form": form}, status=422)
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
        return render(request, "events/ticket.html", context_of(shown) | {"send_form": form}, status=422)
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
    response = render(request, "events/ticket_linked.html", context_of(shown) | {"token": token})
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
