"""All that is owed and not sent, in one place: how much, to whom, since when; and one click that sends it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from events.admin.reasons import ReasonForm
from events.local_times import told
from events.scoping import team_of
from orders.models import Order
from payments.admin.inlines import as_a_whole
from payments.admin.orders import DECIDE, MoneyAdmin
from payments.refunds.jobs import send_owed
from payments.refunds.owed import Owed, Scope, owed_rows, sums_in_words

#: Orders that the page lists; the sum counts all, and all are sent.
SHOWN = 200


@dataclass(frozen=True)
class Share:
    """What one order is owed."""

    order: Order
    sums: str
    since: str


def scope_of(request: HttpRequest) -> Scope | None:
    """What the request's user may send; None: nothing."""
    team = team_of(request)
    if team.is_superuser:
        return Scope()
    pages = team.pages(DECIDE)
    return Scope(pages, as_a_whole(request, DECIDE, "order_id")) if pages else None


def owed_view(desk: MoneyAdmin, request: HttpRequest) -> HttpResponse:
    """What is owed (GET); send all that was shown (POST): if it has changed meanwhile, it is shown again instead."""
    scope = scope_of(request)
    if scope is None:
        raise PermissionDenied
    rows = owed_rows(scope)
    seen = _digest(rows)
    form = ReasonForm(request.POST or None, initial={"reason": _("It was owed.")})
    if request.method == "POST" and form.is_valid() and rows:
        if request.POST.get("seen") == seen:
            parts = [(pk, [row.key for row in of]) for pk, of in groupby(rows, lambda row: row.checkout) if pk]
            send_owed.defer(parts=parts, reason=form.cleaned_data["reason"], who=f"user:{request.user.pk}")
            messages.success(request, _("%(sums)s is about to be sent.") % {"sums": sums_in_words(rows)})
            return redirect("admin:payments_refund_changelist")
        messages.error(request, _("What is owed has changed meanwhile. Nothing was sent: look once more."))
    context = {
        **desk.admin_site.each_context(request),
        "title": _("Send what is owed"),
        "opts": desk.opts,
        "shares": _shares(rows),
        "sums": sums_in_words(rows),
        "seen": seen,
        "form": form,
    }
    return TemplateResponse(request, "admin/foyer/owed.html", context, status=422 if request.method == "POST" else 200)


def _digest(rows: Sequence[Owed]) -> str:
    return hashlib.sha256(repr([(row.key, str(row.money)) for row in rows]).encode()).hexdigest()


def _shares(rows: Sequence[Owed]) -> list[Share]:
    """What each order is owed, the first SHOWN of those that wait the longest."""
    by_order: dict[int, list[Owed]] = {}
    for row in sorted(rows, key=_age):
        by_order.setdefault(row.order, []).append(row)
    first = list(by_order)[:SHOWN]
    orders = Order.objects.select_related("user").prefetch_related("lines__page").in_bulk(first)
    return [
        Share(
            orders[pk],
            sums_in_words(by_order[pk]),
            told(by_order[pk][0].since, orders[pk].lines.all()[0].page.time_zone) if by_order[pk][0].since else "",
        )
        for pk in first
    ]


def _age(row: Owed) -> tuple[bool, datetime | None, int]:
    return row.since is None, row.since, row.order
