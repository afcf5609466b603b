"""Vouchers on paper: a page for each piece, with the code for which it is handed out."""

from collections.abc import Iterable

from django.utils.translation import gettext as _

from events.tickets.paper import Paper
from market.models import ProductItem


def voucher_pages(paper: Paper, items: Iterable[ProductItem]) -> None:
    """Add a page to `paper` for each of `items` (with product, page and order at hand)."""
    for item in items:
        _voucher_page(paper, item)


def _voucher_page(paper: Paper, item: ProductItem) -> None:
    product, page = item.product, item.product.page
    paper.add_page()
    paper.say(page.name, size=10, grey=True)
    paper.ln(2)
    paper.say(product.name, size=22, bold=True)
    if product.summary:
        paper.say(product.summary, size=11, grey=True)
    paper.fact(_("Voucher"), _("One piece · %(price)s") % {"price": item.cost.or_free()})
    paper.fact(_("Handed out at"), page.place)
    words = _("Show this code where it is handed out, on paper or on the phone. It is good for one piece, once.")
    paper.stub(item.code, words, order=item.order.code if item.order else "")
