"""Links that show one order without signing in: signed, revoked by raising the order's `link_version`, and ending.

They end 30 days after the last event or booking of the order. Goods have no day: a voucher is a present, opened at
Christmas and used in summer, so a link to goods ends a year after they were paid. What was printed or saved from the
mail is good as before, and signing in shows the order for ever.
"""

from datetime import datetime, timedelta

from django.core import signing
from django.db.models import Count, F, Max, Q

from events.tickets.links import AFTER_THE_EVENT
from orders.models import Order

SALT = "order-link"
GOODS = timedelta(days=365)


def link_token(order: Order) -> str:
    return signing.dumps([order.pk, order.link_version], salt=SALT)


def order_of_link(token: str) -> Order | None:
    """The order that `token` opens; None when it is forged or was revoked."""
    try:
        pk, version = signing.loads(token, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return Order.objects.filter(pk=pk, link_version=version).first()


def has_ended(order: Order, *, at: datetime) -> bool:
    """Whether the links of `order`, which is paid, open nothing any more."""
    told = order.lines.aggregate(last=Max("entry__ends_at"), goods=Count("pk", filter=Q(product__isnull=False)))
    ends: list[datetime] = [told["last"] + AFTER_THE_EVENT] if told["last"] else []
    if told["goods"]:
        ends.append((order.paid_at or order.placed_at) + GOODS)
    return at > max(ends)


def revoke_links(order: Order) -> None:
    """Every link that was sent so far stops working."""
    Order.objects.filter(pk=order.pk).update(link_version=F("link_version") + 1)
