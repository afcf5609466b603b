"""The cart's pages, its lines changed in place, and its summary for programs."""

import uuid

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from accounts.requests import Request
from cart.changing import set_quantity
from cart.contents import Cart, Group, cart_of
from events.buying import PurchaseRefusal
from events.forms import BadQuantity, whole_number
from events.models import CalendarEntry, Page
from ledger.money import Money


@never_cache
@require_safe
def cart(request: HttpRequest) -> HttpResponse:
    return render(request, "cart/cart.html", context_of(_cart_of(request)))


@never_cache
@require_safe
def cart_of_page(request: HttpRequest, slug: str) -> HttpResponse:
    """One page's part of the cart."""
    page = get_object_or_404(Page, slug=slug)
    return render(request, "cart/cart.html", context_of(_cart_of(request).of_page(page)) | {"page": page})


@require_POST
def line(request: Request, pk: int, key: int) -> HttpResponse:
    """Set the number of one line's tickets; 0 removes it. htmx gets the partial `cart`, others the cart again."""
    user = request.user
    if not isinstance(user, User):
        return redirect("cart")
    entry = get_object_or_404(CalendarEntry.objects.events().with_page().prefetch_related("ticket_types"), pk=pk)
    refusal = ""
    try:
        set_quantity(user, entry, key, whole_number(request.POST.get("quantity", "")), at=timezone.now())
    except (PurchaseRefusal, BadQuantity) as error:
        refusal = str(error)
    if not request.htmx and not refusal:
        return redirect("cart")
    template = "cart/cart.html#cart" if request.htmx else "cart/cart.html"
    context = context_of(_cart_of(request)) | {"refusal": refusal}
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
