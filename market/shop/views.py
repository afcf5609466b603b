"""The shop's pages: a product, and its buy form's POST."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.requests import Request, form_of
from accounts.visitors import keep_cart, opens_carts, visitor_of
from events.buying import PurchaseRefusal
from events.forms import BadQuantity, whole_number
from ledger import clock
from market.buying import put_items_in_cart
from market.models import Product
from market.selling import on_shelf


def public_product(page_slug: str, slug: str) -> Product:
    """The product at an address; 404 for one that is not for sale."""
    return get_object_or_404(Product.objects.public().select_related("page"), page__slug=page_slug, slug=slug)


@require_safe
def product(request: HttpRequest, page_slug: str, slug: str) -> HttpResponse:
    return render(request, "market/product.html", context_of(public_product(page_slug, slug)))


@never_cache
@form_of(lambda page_slug, slug: reverse("product", args=[page_slug, slug]))
@opens_carts
def buy(request: Request, page_slug: str, slug: str) -> HttpResponse:
    """Put pieces in the cart. htmx gets the partial `buy`, others a redirect; a refusal is 422 with the reason."""
    shown = public_product(page_slug, slug)
    number = 1
    try:
        number = whole_number(request.POST.get("quantity", ""))
        visitor = visitor_of(request, with_cart=True)
        added = put_items_in_cart(visitor, shown, number, at=clock.now())
    except (PurchaseRefusal, BadQuantity) as refusal:
        template = "market/product.html#buy" if request.htmx else "market/product.html"
        return render(request, template, context_of(shown, number) | {"refusal": str(refusal)}, status=422)
    keep_cart(request, visitor)
    if request.htmx:
        return render(request, "market/product.html#buy", context_of(shown) | {"added": added})
    messages.success(request, _("%(n)s × %(name)s added to cart.") % {"n": added, "name": shown.name})
    return redirect("cart")


def context_of(shown: Product, number: int = 1) -> dict[str, object]:
    """What templates/market/product.html and its partial `buy` read; needs the page at hand.

    `number` is what a refused form asked for, to show it again. The buying view adds `added`, how many went into the
    cart, or `refusal`, the sentence that says why none did.
    """
    return {"product": shown, "page": shown.page, "ware": on_shelf(shown), "number": number}
