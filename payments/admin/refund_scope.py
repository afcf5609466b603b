"""Who may pay back what: an owner what the own pages sold, finance (or an owner of all its pages) an order whole."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from events.scoping import SEE_ORDERS, team_of
from orders.models import Order, OrderLine
from payments.admin.inlines import as_a_whole
from payments.admin.orders import DECIDE
from payments.models import Checkout
from payments.refunds.rows import SoldRow, rows_of


@dataclass(frozen=True)
class Reach:
    """A payment as far as a user may decide about it: the whole of it, or some of its rows."""

    checkout: Checkout
    whole: bool
    rows: Sequence[SoldRow]

    @property
    def open_rows(self) -> list[SoldRow]:
        """What can be paid back now."""
        return [row for row in self.rows if (row.is_valid or row.is_owed) and not row.pending and row.price > 0]


def reach_of(request: HttpRequest, checkout_pk: int) -> Reach:
    """How far the request's user may decide about a payment; 404 for another page's, 403 for who may only look."""
    checkout = Checkout.objects.select_related("merchant", "order__user").filter(pk=checkout_pk).first()
    if checkout is None:
        raise Http404
    team = team_of(request)
    rows = rows_of(checkout.order) if checkout.is_applied else []
    if team.is_superuser:
        return Reach(checkout, True, rows)
    pages = set(OrderLine.objects.filter(order=checkout.order).values_list("page_id", flat=True))
    if pages.isdisjoint(team.pages(SEE_ORDERS)):
        raise Http404
    whole = Order.objects.filter(as_a_whole(request, DECIDE, "pk"), pk=checkout.order_id).exists()
    own = team.pages(DECIDE)
    if not whole and (pages.isdisjoint(own) or not checkout.is_applied):
        raise PermissionDenied
    return Reach(checkout, whole, rows if whole else [row for row in rows if row.page_id in own])
