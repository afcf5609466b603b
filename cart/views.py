"""The cart's pages, its lines changed in place, and its summary for programs."""

import uuid

from django.contrib import messages
from django.core.validators import slug_re
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import User
from accounts.requests import Request
from cart.changing import set_quantity
from cart.contents import Cart, Group, cart_of
from events.buying import PurchaseRefusal
from events.forms import BadQuantity, whole_number
from events.models import CalendarEntry, Page, Ticket
from events.states import TicketState
from ledger.money import Money


@never_cache
@require_safe
def cart(request: HttpRequest) -> HttpResponse:
    context = context_of(_cart_of(request)) | {"unpaid": _unpaid_orders(request)}
    return render(request, "cart/cart.html", context)


@never_cache
@require_safe
def cart_of_page(request: HttpRequest, slug: str) -> HttpResponse:
    """One page's part of the cart."""
    page = get_object_or_404(Page, slug=slug)
    context = context_of(_cart_of(request).of_page(page)) | {"page": page, "unpaid": _unpaid_orders(request)}
    return render(request, "cart/cart.html", context)


@require_POST
def line(request: Request, pk: int, key: int) -> HttpResponse:
    """Set the number of one line's tickets; 0 removes it. htmx gets the partial `cart`, others the cart again.

    `page` in the form is the page whose part of the cart was looked at, and is shown again.
    """
    user, slug = request.user, request.POST.get("page", "")
    if slug and not slug_re.match(slug):  # a NUL, for one, which the database refuses to look for
        raise Http404
    page = get_object_or_404(Page, slug=slug) if slug else None
    back = redirect("cart_of_page", page.slug) if page else redirect("cart")
    if not isinstance(user, User):  # signed out in another tab
        return HttpResponseClientRedirect(back.url) if request.htmx else back
    entry = get_object_or_404(CalendarEntry.objects.events().with_page().prefetch_related("ticket_types"), pk=pk)
    refusal = removed = ""
    try:
        quantity = whole_number(request.POST.get("quantity", ""))
        set_quantity(user, entry, key, quantity, at=timezone.now())
        removed = "" if quantity else _("Removed: %(what)s") % {"what": _name(entry, key)}
    except (PurchaseRefusal, BadQuantity) as error:
        refusal = str(error)
    if not request.htmx and not refusal:
        if removed:
            messages.success(request, removed)
        return back
    template = "cart/cart.html#cart" if request.htmx else "cart/cart.html"
    contents = _cart_of(request)
    context = context_of(contents.of_page(page) if page else contents)
    context |= {"page": page, "refusal": refusal, "removed": removed}
    return render(request, template, context, status=422 if refusal else 200)


@never_cache
@require_safe
def summary(request: HttpRequest) -> JsonResponse:
    """Counts and totals of the visitor's cart, overall and per page; totals are strings, null over mixed currencies."""
    contents = _cart_of(request)
    pages = {group.page.slug: _sums(group.ticket_count, group.ticket_total) for group in contents.groups}
    return JsonResponse(_sums(contents.ticket_count, contents.total) | {"pages": pages})


def context_of(contents: Cart) -> dict[str, object]:
    """What templates/cart/cart.html reads; each checkout form gets a token of its own: one token, one order."""
    return {
        "cart": contents,
        "token": uuid.uuid4(),
        "groups": [GroupShown(group, Cart([group]), uuid.uuid4()) for group in contents.groups],
    }


class GroupShown:
    """A group with what its own checkout form sends."""

    def __init__(self, group: Group, cart: Cart, token: uuid.UUID) -> None:
        self.group, self.cart, self.token = group, cart, token


def _cart_of(request: HttpRequest) -> Cart:
    return cart_of(request.user, at=timezone.now()) if isinstance(request.user, User) else Cart()


def _name(entry: CalendarEntry, key: int) -> str:
    """As the cart's line calls it; reads entry.ticket_types."""
    kinds = [ticket_type.name for ticket_type in entry.ticket_types.all() if ticket_type.pk == key]
    return " – ".join([entry.title, *kinds])


def _unpaid_orders(request: HttpRequest) -> list[object]:
    """The visitor's orders that await payment: who comes back from SumUp's page looks for their tickets here."""
    if not isinstance(request.user, User):
        return []
    reserved = Ticket.objects.filter(user=request.user, state=TicketState.RESERVED).select_related("order")
    return [ticket.order for ticket in reserved.order_by("order_id").distinct("order_id")]


def _sums(count: int, amount: Money | None) -> dict[str, object]:
    """The summary's fixed names; products and bookings are not sold yet and count 0."""
    nothing = str(Money(amount.amount * 0, amount.currency).amount) if amount else "0"
    value = str(amount.amount) if amount else ("0" if not count else None)
    return {
        "product_count": 0,
        "product_total": nothing,
        "booking_count": 0,
        "booking_total": nothing,
        "ticket_count": count,
        "ticket_total": value,
        "count": count,
        "total": value,
        "currency": amount.currency if amount else None,
    }
