"""From the lists and pages of what was sold to the pages that pay it back: they ask again, and belong to payments."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from events.models import CalendarEntry, Ticket
from events.scoping import PAY_BACK, ScopedAdmin


def pay_back_action(kind: str) -> Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse]:
    """The action of a list: what is chosen, each a `kind` as refunds name it, to be paid back together."""

    @admin.action(description=_("Pay back"), permissions=["pay_back"])
    def pay_back(model_admin: Any, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse:  # noqa: ARG001
        query = urlencode([("row", f"{kind}:{pk}") for pk in rows.order_by("pk").values_list("pk", flat=True)])
        return redirect(f"{reverse('admin:payments_refund_bulk')}?{query}")

    return pay_back


def pay_back_address(desk: ScopedAdmin[Any], request: HttpRequest, kind: str, row: Any) -> str:
    """Where `row` (ticket, booking or item) is paid back; "" for who may not, or if nothing can be."""
    sold: Ticket | CalendarEntry = row
    if not (sold.is_valid or sold.is_owed) or not sold.cost.amount or not desk.within(request, PAY_BACK, row):
        return ""
    return reverse("admin:payments_refund_row", args=[kind, sold.pk])
