"""What of the shop can be bought, and if not, why: one rule for the product's page, the buy form, cart and claim."""

import enum
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from events.models import Page
from events.payees import is_payable, payee_of
from events.selling import FEW_LEFT
from ledger.money import Money
from market.models import Product


class Obstacle(enum.Enum):
    """Why a product cannot be bought now; the value is the sentence for the buyer."""

    UNPUBLISHED = _("This product is not for sale.")


def obstacle(product: Product) -> Obstacle | None:
    """Why `product` is not for sale; None: it is. Reads product.page.

    Sold out is no obstacle: pieces may come free.
    """
    if not product.is_published or not product.page.is_published:
        return Obstacle.UNPUBLISHED
    return None


@dataclass(frozen=True)
class OnShelf:
    """A product as its page and the organiser's page show it.

    `unpayable`: it costs something, and nobody can take the money now.
    """

    product: Product
    unpayable: bool

    @property
    def price(self) -> Money:
        return self.product.money

    @property
    def free_stock(self) -> int | None:
        return self.product.free_stock

    @property
    def sold_out(self) -> bool:
        return self.free_stock == 0

    @property
    def few_left(self) -> bool:
        return self.free_stock is not None and 0 < self.free_stock <= FEW_LEFT

    @property
    def buyable(self) -> bool:
        """The form shows a button (what is sold out or unpayable shows none, though a POST for it is taken)."""
        return not self.sold_out and not self.unpayable


def on_shelf(product: Product) -> OnShelf:
    """`product` as its own page offers it; its page is at hand."""
    return OnShelf(product, unpayable=not is_payable(product.money, payee_of(product.page)))


def shelf_of(page: Page) -> list[OnShelf]:
    """What `page` has for sale, in the organiser's order."""
    products = list(Product.objects.filter(page=page, is_published=True))
    payee = payee_of(page) if products else None
    return [OnShelf(product, unpayable=not is_payable(product.money, payee)) for product in products]
