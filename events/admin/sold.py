"""What the lists of sold things (tickets, pieces of products) share: codes, buyers, orders, and the search for them."""

import re
from typing import Any, TypeVar

from django.contrib import admin
from django.db import models
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet, Value
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from events.local_times import told
from events.organising.desk import DeskAdmin, link
from events.scoping import SEE_EVENTS, SEE_ORDERS

Row = TypeVar("Row", bound=models.Model)

#: A code, or the beginning of one, as people type it: base32, with blanks or dashes, in any case.
CODE = re.compile(r"[A-Z2-7]{6,32}")


def typed_code(term: str) -> str:
    """`term` as a code would be written, "" when it cannot be (the beginning of) one."""
    code = re.sub(r"[\s\-]", "", term).upper()
    return code if CODE.fullmatch(code) else ""


class SoldAdmin(DeskAdmin[Row]):
    """Rows with a code, a buyer and an order, to be read only; `title_path` leads to the name of what was sold."""

    sees = SEE_EVENTS
    title_path: str = ""
    search_fields = ("code",)
    view_on_site = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Row]:
        opens = self.scope(request, SEE_ORDERS)
        mark = ExpressionWrapper(opens, output_field=BooleanField()) if opens else Value(True)
        rows: QuerySet[Any] = super().get_queryset(request).annotate(opens_order=mark)
        return rows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Row], search_term: str
    ) -> tuple[QuerySet[Row], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        sees_orders = self.scope(request, SEE_ORDERS)
        if code := typed_code(term):
            coded = queryset.filter(Q(code__startswith=code) | Q(sees_orders, order__code__startswith=code))
            if coded.exists():
                return coded, False
        named = Q(**{f"{self.title_path}__finds": term})
        return queryset.filter(Q(user__email__icontains=term) | named), False

    @admin.display(description=_("code"))
    def short_code(self, row: Any) -> str:
        return f"{row.code[:4]} {row.code[4:8]} …"

    @admin.display(description=_("buyer"))
    def buyer(self, row: Any) -> str:
        return str(row.user or _("not signed in"))

    @admin.display(description=_("price"))
    def money(self, row: Any) -> str:
        return str(row.cost.or_free())

    @admin.display(description=_("order"))
    def in_order(self, row: Any) -> str:
        if row.order is None:
            return ""
        opens = getattr(row, "opens_order", False)  # annotated: the door sees tickets, not orders
        return link("orders_order", row.order.pk, row.order.short_code) if opens else str(row.order.short_code)

    @admin.display(description=_("put in the cart"))
    def put_in_cart(self, row: Any) -> str:
        return told(row.created_at, self.zone_of(row))
