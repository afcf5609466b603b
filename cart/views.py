"""The cart's pages, its lines changed in place, and its summary for programs."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import User
from accounts.requests import Request, comes_from, form_of
from accounts.visitors import visitor_of
from cart.adding import PurchaseRefusal
from cart.changing import move_booking, set_pieces, set_quantity
from cart.contents import Cart, Group, cart_of
from cart.context_processors import COUNTED
from cart.reach import entries_within, pages_within, products_within
from cart.removing import remove_booking
from events.forms import BadQuantity, whole_number
from events.models import CalendarEntry
from events.states import LineKind
from ledger import clock
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
    page = get_object_or_404(pages_within(visitor_of(request)), slug=slug)
    context = context_of(_cart_of(request).of_page(page)) | {"page": page, "unpaid": _unpaid_orders(request)}
    return render(request, "cart/cart.html", context)


@form_of(lambda **_line: reverse("cart"))
def line(request: Request, pk: int, key: int) -> HttpResponse:
    """Set the number of one line's tickets; 0 removes it."""
    user = request.user
    if not isinstance(user, User):  # signed out in another tab
        back = redirect("cart")
        return HttpResponseClientRedirect(back.url) if request.htmx else back
    entry = get_object_or_404(entries_within(user, key).with_page().prefetch_related("ticket_types"), pk=pk)

    def change() -> str:
        quantity = whole_number(request.POST.get("quantity", ""))
        set_quantity(user, entry, key, quantity, at=clock.now())
        return "" if quantity else _removed(_name(entry, key))

    return _changed(request, change)


@form_of(lambda **_product: reverse("cart"))
def pieces(request: Request, pk: int) -> HttpResponse:
    """Set the number of pieces of a product; 0 removes the line."""
    visitor = visitor_of(request)
    product = get_object_or_404(products_within(visitor).with_page(), pk=pk)

    def change() -> str:
        quantity = whole_number(request.POST.get("quantity", ""))
        set_pieces(visitor, product, quantity, at=clock.now())
        return "" if quantity else _removed(product.name)

    return _changed(request, change)


@form_of(lambda **_booking: reverse("cart"))
def booking(request: Request, pk: int) -> HttpResponse:
    """Remove a booking; with `start`, the moment of another free time, take that time instead."""
    visitor = visitor_of(request)
    row = get_object_or_404(CalendarEntry.objects.in_cart_of(visitor).select_related("calendar__page"), pk=pk)

    def change() -> str:
        typed = request.POST.get("start", "")
        if not typed:
            remove_booking(visitor, row.pk)
            return _removed(row.title)
        start = _moment(typed)
        move_booking(visitor, row, start, at=clock.now())
        return ""

    return _changed(request, change)


def _moment(typed: str) -> datetime:
    try:
        start = parse_datetime(typed)
    except ValueError:
        start = None
    if start is None or start.tzinfo is None:
        raise PurchaseRefusal(_("That is no time that can be booked."))
    return start


def _changed(request: Request, change: Callable[[], str]) -> HttpResponse:
    """Do `change`, which answers what to say; htmx gets the partial `cart`, others the cart again.

    `page` in the form is the page whose part of the cart was looked at, and is shown again. A refusal is 422.
    """
    slug = request.POST.get("page", "")
    page = get_object_or_404(pages_within(visitor_of(request)), slug=slug) if slug else None
    if page:
        comes_from(request, reverse("cart_of_page", args=[page.slug]))
    refusal = removed = ""
    try:
        removed = change()
    except (PurchaseRefusal, BadQuantity) as error:
        refusal = str(error)
    if not request.htmx and not refusal:
        if removed:
            messages.success(request, removed)
        still_there = page and pages_within(visitor_of(request)).filter(pk=page.pk).exists()
        return redirect("cart_of_page", page.slug) if page and still_there else redirect("cart")
    template = "cart/cart.html#cart" if request.htmx else "cart/cart.html"
    contents = _cart_of(request)
    context = context_of(contents.of_page(page) if page else contents)
    context |= {"page": page, "refusal": refusal, "removed": removed}
    return render(request, template, context, status=422 if refusal else 200)


def _removed(what: str) -> str:
    return _("Removed: %(what)s") % {"what": what}


@never_cache
@require_safe
def summary(request: HttpRequest) -> JsonResponse:
    """Counts and totals of the visitor's cart, overall and per page; totals are strings, null over mixed currencies."""
    contents = _cart_of(request)
    return JsonResponse(_sums(contents) | {"pages": {group.page.slug: _sums(group) for group in contents.groups}})


def context_of(contents: Cart) -> dict[str, object]:
    """What templates/cart/cart.html reads; each checkout form gets a token of its own: one token, one order."""
    seen: set[str] = set()
    groups = []
    for group in contents.groups:
        kinds = {str(line.kind) for line in group.lines}
        groups.append(GroupShown(group, Cart([group]), uuid.uuid4(), kinds - seen))
        seen |= kinds
    return {"cart": contents, "token": uuid.uuid4(), "groups": groups} | parts_of(contents)


def parts_of(contents: Cart) -> dict[str, object]:
    """What templates/cart/_parts.html reads."""
    return {"parts": [(part, uuid.uuid4()) for part in contents.parts], "payments": contents.payments}


@dataclass(frozen=True)
class GroupShown:
    """A group with what its own checkout form sends; `first_of` are the kinds of which it shows the first section."""

    group: Group
    cart: Cart
    token: uuid.UUID
    first_of: set[str]


def _cart_of(request: HttpRequest) -> Cart:
    contents = cart_of(visitor_of(request), at=clock.now())
    setattr(request, COUNTED, contents.count)
    return contents


def _name(entry: CalendarEntry, key: int) -> str:
    """As the cart's line calls it; reads entry.ticket_types."""
    kinds = [ticket_type.name for ticket_type in entry.ticket_types.all() if ticket_type.pk == key]
    return " – ".join([entry.title, *kinds])


def _unpaid_orders(request: HttpRequest) -> list[tuple[object, dict[str, object]]]:
    """The visitor's orders that await payment, and what there is to say of paying them.

    Who comes back from SumUp's page looks for their things here.
    """
    if not isinstance(request.user, User):
        return []
    orders = request.user.orders.awaiting().with_money().order_by("pk")
    return [(order, order.paying(clock.now())) for order in orders]


def _sums(part: Cart | Group) -> dict[str, object]:
    """The summary's fixed names, of the whole cart or of one page's part."""
    nothing = str(Money(Decimal(0), part.currency).amount) if part.currency else "0"
    sums: dict[str, object] = {}
    for kind in LineKind:
        count, amount = part.count_of(kind), part.total_of(kind)
        sums[f"{kind}_count"] = count
        sums[f"{kind}_total"] = str(amount.amount) if amount else (None if count else nothing)
    amount = part.total
    sums["count"] = part.count
    sums["total"] = str(amount.amount) if amount else (None if part.count else nothing)
    return sums | {"currency": part.currency}
