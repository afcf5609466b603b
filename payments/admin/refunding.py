"""Paying back in the admin: choose what, see what it comes to, confirm. Each page works without JavaScript."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ledger import clock
from ledger.locking import Contention
from ledger.money import Money, total
from payments.admin.orders import MoneyAdmin
from payments.admin.refund_forms import ELSEWHERE, GIVE, KEEP, ExplainForm, RefundForm, SurplusForm
from payments.admin.refund_scope import Reach, reach_of
from payments.balance import left_of, unexplained
from payments.models import Checkout, SumUpReport
from payments.refunds.asking import RefundRefused, Wish, request_refund
from payments.refunds.explaining import explain
from payments.refunds.remedies import give_after_all, keep
from payments.refunds.rows import TABLES
from payments.states import RefundKind

BUSY = gettext_lazy("So much happens to this order at this moment that your turn did not come. Please try again.")


def refund_view(desk: MoneyAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """What to do with the money of one payment: the form (GET), what it comes to (POST), and doing it (confirmed)."""
    reach = reach_of(request, pk)
    checkout = reach.checkout
    kind = RefundForm if checkout.is_applied else SurplusForm
    data = request.POST if request.method == "POST" else None
    form = kind(data, rows=reach.open_rows, initial={"rows": request.GET.getlist("row")})
    left = left_of(checkout)
    context: dict[str, Any] = {"refusal": "", "sum": None, "left": left, **_facts(reach)}
    status = 200
    if data is not None:
        status = 422
        if form.is_valid():
            try:
                return _acted(request, reach, form) if "confirmed" in data else _preview(desk, request, form, context)
            except (RefundRefused, Contention) as refusal:
                context["refusal"] = str(refusal) or str(BUSY)
    return _page(desk, request, "refund.html", {**context, "form": form}, status)


def _facts(reach: Reach) -> dict[str, Any]:
    """What the page shows of a payment: amounts of the whole only to whom the whole is open."""
    checkout = reach.checkout
    currency = checkout.captured_currency or checkout.currency
    shown: dict[str, Any] = {"checkout": checkout, "order": checkout.order, "reach": reach}
    if reach.whole:
        shown |= {
            "captured": Money(checkout.captured or Decimal(0), currency),
            "left_money": Money(left_of(checkout), currency),
            "refunds": checkout.refunds.order_by("pk"),
        }
    return shown


def _preview(desk: MoneyAdmin, request: HttpRequest, form: RefundForm, context: dict[str, Any]) -> HttpResponse:
    """The page that asks to confirm what was chosen, with what it comes to; raises RefundRefused."""
    cleaned, checkout = form.cleaned_data, context["checkout"]
    keys = cleaned.get("rows", [])
    names = [form.sold[key].name for key in keys]
    currency = checkout.captured_currency
    if cleaned["how"] in (KEEP, GIVE):
        money = total((form.sold[key].rest_money for key in keys), currency)
    else:
        parts = [_worth(wish, form, checkout) for wish in form.wishes()]
        money = total(parts, currency)
        if money.amount > context["left"]:
            left = Money(context["left"], currency)
            raise RefundRefused(_("Only %(money)s of this payment can still be paid back.") % {"money": left})
    label = dict(form.ways)[cleaned["how"]]
    given = [(name, value) for name, values in request.POST.lists() for value in values]
    given = [(name, value) for name, value in given if name not in ("csrfmiddlewaretoken", "seen", "confirmed")]
    extra = {
        "sum": money,
        "names": names,
        "label": label,
        "given": given,
        "elsewhere": cleaned["way"] == ELSEWHERE and cleaned["how"] not in (KEEP, GIVE),
        "reason": cleaned["reason"],
        "moves_money": cleaned["how"] not in (KEEP, GIVE),
    }
    return _page(desk, request, "refund_confirm.html", {**context, **extra, "form": form}, 200)


def _worth(wish: Wish, form: RefundForm, checkout: Checkout) -> Money:
    currency = checkout.captured_currency
    if wish.kind == RefundKind.ROW:
        return form.sold[wish.row].rest_money
    return Money(left_of(checkout) if wish.amount is None else wish.amount, currency)


def _acted(request: HttpRequest, reach: Reach, form: RefundForm) -> HttpResponse:
    """Do it, and say what was done; raises RefundRefused."""
    cleaned, checkout, now = form.cleaned_data, reach.checkout, clock.now()
    who, reason = f"user:{request.user.pk}", cleaned["reason"]
    if cleaned["how"] == KEEP:
        keep(checkout.order_id, cleaned["rows"], reason=reason, who=who)
        words = _("The money is kept, and nothing of it is owed any more.")
    elif cleaned["how"] == GIVE:
        give_after_all(checkout.order_id, cleaned["rows"], reason=reason, who=who, at=now)
        words = _("Given after all: it is valid again.")
    else:
        elsewhere = cleaned["way"] == ELSEWHERE
        seen = _seen(request)
        refund = request_refund(
            checkout.pk, form.wishes(), reason=reason, who=who, at=now, elsewhere=elsewhere, seen=seen
        )
        if refund is None:
            words = _("Cancelled: nothing was left to pay back.")
        elif elsewhere:
            words = _("%(money)s is written down as paid back.") % {"money": refund.money}
        else:
            words = _("%(money)s is on its way back. This page says what SumUp answers.") % {"money": refund.money}
        if refund is not None and reach.whole:
            messages.success(request, words)
            return redirect("admin:payments_refund_change", refund.pk)
    messages.success(request, words)
    return redirect("admin:orders_order_change", checkout.order_id)


def _seen(request: HttpRequest) -> Decimal:
    """What was left of the payment when the page was made: a second click on an old page must not pay twice."""
    try:
        return Decimal(request.POST.get("seen", ""))
    except InvalidOperation as wrong:
        raise RefundRefused(_("Look once more what is left, and confirm it.")) from wrong


def row_view(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """From a ticket, a booking or an item to the page of its payment, chosen there already."""
    table = TABLES.get(kind)
    order = table._default_manager.filter(pk=pk).values_list("order_id", flat=True).first() if table else None
    checkout = Checkout.objects.filter(order=order, is_applied=True).first() if order else None
    if checkout is None:
        raise Http404
    reach = reach_of(request, checkout.pk)
    key = f"{kind}:{pk}"
    if key not in {row.key for row in reach.rows}:
        raise Http404
    return redirect(f"{reverse('admin:payments_refund_of', args=[checkout.pk])}?row={key}")


def explain_view(desk: MoneyAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Say what a refund or chargeback from outside was for."""
    report = SumUpReport.objects.filter(pk=pk, checkout__isnull=False).first()
    if report is None or report.checkout_id is None:
        raise Http404
    reach = reach_of(request, report.checkout_id)
    if not reach.whole:
        raise PermissionDenied
    if not unexplained(reach.checkout).filter(pk=pk).exists():
        messages.info(request, _("Somebody has said meanwhile what this was for."))
        return redirect("admin:orders_order_change", reach.checkout.order_id)
    form = ExplainForm(request.POST if request.method == "POST" else None, rows=reach.open_rows)
    amount = report.amount or Decimal(0)
    context: dict[str, Any] = {"refusal": "", "report": report, **_facts(reach)}
    context["report_money"] = Money(amount, report.currency)
    if form.is_bound and form.is_valid():
        try:
            wishes = form.wishes(amount)
            who, reason = f"user:{request.user.pk}", form.cleaned_data["reason"]
            refund = explain(report.pk, wishes, reason=reason, who=who, at=clock.now())
        except (RefundRefused, Contention) as refusal:
            context["refusal"] = str(refusal) or str(BUSY)
        else:
            messages.success(request, _("%(money)s is in the books.") % {"money": refund.money})
            return redirect("admin:payments_refund_change", refund.pk)
    return _page(desk, request, "explain.html", {**context, "form": form}, 422 if form.is_bound else 200)


def _page(desk: MoneyAdmin, request: HttpRequest, name: str, context: dict[str, Any], status: int) -> HttpResponse:
    shared = {**desk.admin_site.each_context(request), "title": _("Pay back"), "opts": desk.opts}
    shared["subtitle"] = context["order"].short_code
    return TemplateResponse(request, f"admin/foyer/{name}", {**shared, **context}, status=status)
