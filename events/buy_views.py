"""Buying: the buy form's POST."""

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import ngettext
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import User
from accounts.requests import Request, form_of
from events.buying import PurchaseRefusal, put_in_cart
from events.forms import BadQuantity, read_quantities
from events.models import CalendarEntry
from events.programme.views import entry_context
from ledger import clock


@form_of(lambda pk: reverse("entry", args=[pk, "event"]))
def buy(request: Request, pk: int) -> HttpResponse:
    """Put tickets in the cart. htmx gets the partial `buy`, others a redirect; a refusal is 422 with the reason."""
    entry = get_object_or_404(CalendarEntry.objects.public().with_page().prefetch_related("ticket_types"), pk=pk)
    user = request.user
    if not isinstance(user, User):
        to_login = redirect_to_login(entry.get_absolute_url())
        return HttpResponseClientRedirect(to_login.url) if request.htmx else to_login
    now = clock.now()
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
