"""Buying, and what one has bought: the buy form's POST, my tickets, a ticket."""

import segno
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import User
from accounts.requests import Request, signed_in
from events.buying import PurchaseRefusal, put_in_cart
from events.forms import BadQuantity, read_quantities
from events.models import CalendarEntry, Ticket
from events.states import TicketState
from events.views import entry_context


@require_POST
def buy(request: Request, pk: int) -> HttpResponse:
    """Put tickets in the cart. htmx gets the partial `buy`, others a redirect; a refusal is 422 with the reason."""
    entry = get_object_or_404(CalendarEntry.objects.public().with_page().prefetch_related("ticket_types"), pk=pk)
    user = request.user
    if not isinstance(user, User):
        to_login = redirect_to_login(entry.get_absolute_url())
        return HttpResponseClientRedirect(to_login.url) if request.htmx else to_login
    now = timezone.now()
    chosen = None
    try:
        chosen = read_quantities(request.POST)
        added = put_in_cart(user, entry, chosen, at=now)
    except (PurchaseRefusal, BadQuantity) as refusal:
        context = entry_context(entry, at=now, chosen=chosen) | {"refusal": str(refusal)}
        template = "events/entry.html#buy" if request.htmx else "events/entry.html"
        return render(request, template, context, status=422)
    if request.htmx:
        return render(request, "events/entry.html#buy", entry_context(entry, at=now) | {"added": added})
    messages.success(
        request, ngettext("%(n)s ticket added to cart.", "%(n)s tickets added to cart.", added) % {"n": added}
    )
    return redirect("cart")


@never_cache
@login_required
@require_safe
def tickets(request: HttpRequest) -> HttpResponse:
    """The signed-in buyer's tickets: those to come first, then the past ones."""
    now = timezone.now()
    shown = [TicketState.CONFIRMED, TicketState.CHECKED_IN, TicketState.REFUND_DUE, TicketState.REFUNDED]
    rows = (
        Ticket.objects.filter(user=signed_in(request), state__in=shown).with_page().order_by("entry__starts_at", "pk")
    )
    coming = [ticket for ticket in rows if ticket.entry.ends_at > now]
    past = [ticket for ticket in rows if ticket.entry.ends_at <= now]
    return render(request, "events/tickets.html", {"coming": coming, "past": past[::-1]})


@never_cache
@login_required
@require_safe
def ticket(request: HttpRequest, code: str) -> HttpResponse:
    """One ticket with its QR code; another user's is not found, and neither is one that was never ordered."""
    rows = Ticket.objects.with_page().select_related("order").exclude(state=TicketState.PENDING)
    shown = get_object_or_404(rows, code=code, user=signed_in(request))
    groups = " ".join(shown.code[start : start + 4] for start in range(0, len(shown.code), 4))
    codes = list(Ticket.objects.filter(order=shown.order_id).order_by("pk").values_list("code", flat=True))
    place = codes.index(shown.code)
    context: dict[str, object] = {
        "ticket": shown,
        "entry": shown.entry,
        "grouped_code": groups,
        "number": place + 1,
        "count": len(codes),
        "previous": codes[place - 1] if place else "",
        "next": codes[place + 1] if place + 1 < len(codes) else "",
    }
    if shown.is_valid:
        context["qr"] = segno.make(shown.code, error="m", micro=False).svg_inline(
            scale=6, border=2, dark="#000", light="#fff", omitsize=True, svgclass=None, lineclass=None
        )
    return render(request, "events/ticket.html", context)
