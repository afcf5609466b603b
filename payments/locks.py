"""The rows of one payment, locked in the one order (ledger.locking.ORDER) until the transaction ends.

Its merchant is read and never locked: that row would queue all payments of a venue.
"""

from ledger.tracing import order_id
from orders.models import Order
from payments.models import Checkout, Refund


def locked_checkout(pk: int) -> tuple[Order, Checkout]:
    """The order of a checkout and the checkout, each at the other's hand."""
    order = Order.objects.filter(checkouts=pk).locked().get()
    order_id.set(order.pk)
    checkout = Checkout.objects.filter(pk=pk).select_related("merchant").locked().get()
    checkout.order = order
    return order, checkout


def locked_with_refunds(checkout_pk: int) -> tuple[Checkout, list[Refund]]:
    """A checkout, its order at hand, and its refunds, by primary key."""
    _order, checkout = locked_checkout(checkout_pk)
    return checkout, list(checkout.refunds.locked())


def locked_refund(pk: int) -> tuple[Checkout, Refund]:
    """The checkout of a refund, its order at hand, and the refund as it stands now."""
    checkout, refunds = locked_with_refunds(Refund.objects.values_list("checkout_id", flat=True).get(pk=pk))
    refund = next(row for row in refunds if row.pk == pk)
    refund.checkout = checkout
    return checkout, refund
