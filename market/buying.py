"""Putting products in the cart: pending rows that hold nothing; stock is not asked."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.visitors import Visitor, counts_in_cart, rows_in_cart
from events.buying import CART_ROWS, PurchaseRefusal
from market.models import Product, ProductItem
from market.selling import obstacle

counts_in_cart(ProductItem)


def put_items_in_cart(
    visitor: Visitor,
    product: Product,
    number: int,
    *,
    at: datetime,  # noqa: ARG001  (the clock of its siblings: a product has no hours of sale yet)
) -> int:
    """Put `number` pieces of `product` in the cart of `visitor`, all or nothing; answers how many.

    Reads product.page. Raises PurchaseRefusal for what is not for sale or goes beyond a limit.
    """
    if number < 1:
        raise PurchaseRefusal(_("Choose at least one."))
    reason = obstacle(product)
    if reason is not None:
        raise PurchaseRefusal(str(reason.value))
    with transaction.atomic():
        # Two clicks at once must not pass the limits together.
        visitor.lock()
        in_cart = ProductItem.objects.in_cart_of(visitor).filter(product=product).count()
        _check_number(product, number, in_cart)
        if rows_in_cart(visitor) + number > CART_ROWS:
            raise PurchaseRefusal(_("A cart holds at most %(count)s things.") % {"count": CART_ROWS})
        items = [
            ProductItem(product=product, price=product.price, currency=product.currency, **visitor.columns())
            for _each in range(number)
        ]
        return len(ProductItem.objects.bulk_create(items))


def remove_items(visitor: Visitor, product: Product, number: int | None) -> int:
    """Delete `number` (None: all) of the visitor's pending pieces of `product`, newest first; answers how many."""
    rows = ProductItem.objects.in_cart_of(visitor).filter(product=product)
    with transaction.atomic():
        pks = list(rows.locked().values_list("pk", flat=True))
        gone = pks if number is None else pks[len(pks) - min(number, len(pks)) :]
        if gone:
            rows.filter(pk__in=gone).delete()
        return len(gone)


def _check_number(product: Product, number: int, in_cart: int) -> None:
    if number + in_cart <= product.max_per_order:
        return
    words = {"name": product.name, "maximum": product.max_per_order, "count": in_cart}
    if in_cart:
        raise PurchaseRefusal(_("%(name)s: at most %(maximum)s an order; your cart has %(count)s already.") % words)
    raise PurchaseRefusal(_("%(name)s: at most %(maximum)s an order.") % words)
