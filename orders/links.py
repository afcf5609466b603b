"""Links that show one order without signing in: signed, and revoked by raising the order's `link_version`."""

from django.core import signing
from django.db.models import F

from orders.models import Order

SALT = "order-link"


def link_token(order: Order) -> str:
    return signing.dumps([order.pk, order.link_version], salt=SALT)


def order_of_link(token: str) -> Order | None:
    """The order that `token` opens; None when it is forged or was revoked."""
    try:
        pk, version = signing.loads(token, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return Order.objects.filter(pk=pk, link_version=version).first()


def revoke_links(order: Order) -> None:
    """Every link that was sent so far stops working."""
    Order.objects.filter(pk=order.pk).update(link_version=F("link_version") + 1)
