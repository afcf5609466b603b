"""What happened to products and their pieces, in plain words."""

from collections.abc import Mapping

from django.utils.translation import gettext as _

from events.organising.telling import people_of
from ledger.models import History
from ledger.telling import Sentence, Step, Words, steps
from market.models import Product, ProductItem

ITEMS = {
    "reserved": Sentence(
        "Voucher %(names)s is held for the order.", "%(count)d vouchers are held for the order: %(names)s."
    ),
    "confirmed": Sentence("Voucher %(names)s is valid.", "%(count)d vouchers are valid: %(names)s."),
    "checked_in": Sentence(
        "What voucher %(names)s stands for was handed out.", "For %(count)d vouchers it was handed out: %(names)s."
    ),
    "cancelled": Sentence(
        "Voucher %(names)s was cancelled and its piece is back in stock.",
        "%(count)d vouchers were cancelled and their pieces are back in stock: %(names)s.",
    ),
    "refund_due": Sentence(
        "The money for voucher %(names)s is owed to the buyer.",
        "The money for %(count)d vouchers is owed to the buyer: %(names)s.",
    ),
    "refunded": Sentence("Voucher %(names)s was paid back.", "%(count)d vouchers were paid back: %(names)s."),
}
SENTENCES: Mapping[tuple[str, str, str], Sentence] = {
    ("productitem", "state", state): sentence for state, sentence in ITEMS.items()
}


def subjects() -> dict[str, str]:
    return {"product": _("Product"), "productitem": _("Voucher")}


def fields() -> dict[tuple[str, str], str]:
    price = _("price")
    return {("product", "price"): price, ("product", "stock"): _("stock"), ("productitem", "price"): price}


def item_steps(item: ProductItem) -> list[Step]:
    """A piece's life, oldest first."""
    rows = list(History.objects.of(item))
    words = Words(SENTENCES, {("productitem", item.pk): item.code}, people_of(rows), subjects(), fields())
    return [Step(item.created_at, _("Put in the cart."), str(item.user or "")), *steps(rows, words)]


def product_steps(product: Product) -> list[Step]:
    """What was changed of a product, oldest first."""
    rows = list(History.objects.of(product))
    words = Words(SENTENCES, {("product", product.pk): product.name}, people_of(rows), subjects(), fields())
    return [Step(product.created_at, _("The product was made.")), *steps(rows, words)]
