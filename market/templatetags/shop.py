"""The shop on pages of events: their templates ask, the room below imports nothing of this one."""

from django import template
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from events.models import Page
from market.counter.views import own_pages
from market.models import Product
from market.selling import OnShelf, shelf_of

register = template.Library()

#: So many products are named below what a search found.
MATCHING = 24


@register.simple_tag
def shop_of(page: Page) -> list[OnShelf]:
    """``{% shop_of page as shelf %}``: the products that `page` has for sale."""
    return shelf_of(page)


@register.simple_tag
def products_matching(text: str, page: Page | str) -> QuerySet[Product]:
    """``{% products_matching text page as products %}``: what is for sale and matches; without a page, of all pages."""
    found = Product.objects.public().matching(text).with_page()
    return (found.filter(page=page) if isinstance(page, Page) else found)[:MATCHING]


@register.simple_tag
def counters_of(request: HttpRequest) -> QuerySet[Page]:
    """``{% counters_of request as counters %}``: pages that sell products and at whose counter the user stands."""
    return own_pages(request).filter(Exists(Product.objects.filter(page=OuterRef("pk")))).order_by("name")
