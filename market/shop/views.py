"""The shop's page of a product."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from market.models import Product
from market.selling import on_shelf


def public_product(page_slug: str, slug: str) -> Product:
    """The product at an address; 404 for one that is not for sale."""
    return get_object_or_404(Product.objects.public().select_related("page"), page__slug=page_slug, slug=slug)


@require_safe
def product(request: HttpRequest, page_slug: str, slug: str) -> HttpResponse:
    return render(request, "market/product.html", product_context(public_product(page_slug, slug)))


def product_context(shown: Product, number: int = 1) -> dict[str, object]:
    """What templates/market/product.html and its partial `buy` read; needs the page at hand.

    `number` is what a refused form asked for, to show it again. The buying view adds `added`, how many went into the
    cart, or `refusal`, the sentence that says why none did.
    """
    return {"product": shown, "page": shown.page, "ware": on_shelf(shown), "number": number}
