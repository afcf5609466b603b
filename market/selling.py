"""What of the shop can be bought, and if not, why: one rule for the product's page, the buy form, cart and claim."""

import enum

from django.utils.translation import gettext_lazy as _

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
