"""Paying back many orders or sold things at once: one refund for each payment, each with its own result."""

from collections.abc import Collection
from dataclasses import dataclass

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from events.admin.reasons import ReasonForm
from ledger import clock
from ledger.locking import Contention
from ledger.money import Money, total
from payments.admin.orders import MoneyAdmin
from payments.admin.refund_scope import Reach, reach_of
from payments.balance import left_of
from payments.models import Checkout
from payments.refunds.asking import RefundRefused, Wish, request_refund
from payments.refunds.debts import by_currency
from payments.refunds.rows import TABLES, SoldRow
from payments.states import RefundKind

MOST = 100


@dataclass
class Part:
    """What goes back of one payment, and what became of it."""

    reach: Reach
    rows: list[SoldRow]
    outcome: str = ""
    done: bool = False

    @property
    def money(self) -> Money:
        return total((row.rest_money for row in self.rows), self.reach.checkout.captured_currency)


def bulk_view(desk: MoneyAdmin, request: HttpRequest) -> HttpResponse:
    """What is chosen in a list (`order` and `row` in the address): who, what, how much; with a reason it is begun.

    Each payment is written down by itself. What the user may not pay back is not among it, and the page says how much
    that is.
    """
    parts, left_out = _parts(request)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    status = 422 if form.is_bound else 200
    if form.is_bound and form.is_valid() and parts:
        for part in parts:
            _do(part, f"user:{request.user.pk}", form.cleaned_data["reason"])
        done = sum(part.done for part in parts)
        level = messages.SUCCESS if done == len(parts) else messages.WARNING
        words = ngettext(
            "%(done)d of %(all)d refund is on its way.", "%(done)d of %(all)d refunds are on their way.", len(parts)
        )
        messages.add_message(request, level, words % {"done": done, "all": len(parts)})
        for part in parts:
            if not part.done:
                messages.error(request, f"{part.reach.checkout.order.short_code}: {part.outcome}")
        return redirect("admin:payments_refund_changelist")
    context = {
        **desk.admin_site.each_context(request),
        "title": _("Pay back"),
        "opts": desk.opts,
        "parts": parts,
        "sums": by_currency(parts),
        "left_out": left_out,
        "form": form,
    }
    return TemplateResponse(request, "admin/foyer/refund_bulk.html", context, status=status)


def _parts(request: HttpRequest) -> tuple[list[Part], int]:
    """The payments of what was chosen, with its rows; and how many of what was chosen cannot be paid back."""
    orders = {int(pk) for pk in request.GET.getlist("order")[:MOST] if _is_pk(pk)}
    chosen = set(filter(_named, request.GET.getlist("row")[: 5 * MOST]))
    paid = Checkout.objects.filter(order__in=orders | _orders_of(chosen), is_applied=True).order_by("pk")
    parts, seen = [], set[int | str]()
    for pk, order in paid.values_list("pk", "order_id")[:MOST]:
        try:
            reach = reach_of(request, pk)
        except (Http404, PermissionDenied):
            continue
        rows = [row for row in reach.open_rows if order in orders or row.key in chosen]
        if rows:
            parts.append(Part(reach, rows))
            seen |= {order} if order in orders else {row.key for row in rows}
    return parts, max(0, len(orders) + len(chosen) - len(seen))


def _named(key: str) -> tuple[str, int] | None:
    """The kind and the primary key that `key` names, as ``ticket:7``; None for anything else."""
    kind, _colon, pk = key.partition(":")
    return (kind, int(pk)) if kind in TABLES and _is_pk(pk) else None


def _is_pk(text: str) -> bool:
    return text.isdecimal() and len(text) < 18


def _orders_of(keys: Collection[str]) -> set[int]:
    """The orders that took what `keys` name."""
    orders = set[int]()
    named = [one for one in map(_named, keys) if one]
    for kind, table in TABLES.items():
        pks = [pk for of, pk in named if of == kind]
        if pks:
            rows = table._default_manager.filter(pk__in=pks).exclude(order=None)
            orders |= set(rows.values_list("order_id", flat=True))
    return orders


def _do(part: Part, who: str, reason: str) -> None:
    checkout = part.reach.checkout
    wishes = [Wish(RefundKind.ROW, row.key) for row in part.rows]
    try:
        request_refund(checkout.pk, wishes, reason=reason, who=who, at=clock.now(), seen=left_of(checkout))
    except (RefundRefused, Contention) as refusal:
        part.outcome = str(refusal) or _("Please try again.")
    else:
        part.done = True
