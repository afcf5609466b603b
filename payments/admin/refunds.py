"""Refunds in the admin: to find and to read, with what SumUp said, and what a person can do about one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from events.admin.reasons import ReasonForm
from events.organising.desk import link, moment
from ledger import clock
from ledger.locking import Contention
from ledger.telling import Step
from orders.models import OrderLine
from payments.admin.batches import batch_view, start_view, turn_view
from payments.admin.bulk import bulk_view
from payments.admin.orders import DECIDE, MoneyAdmin, PageFilter
from payments.admin.owed import owed_view
from payments.admin.refunding import explain_view, refund_view, row_view
from payments.books.timeline import refund_steps
from payments.models import Refund, SumUpEvent
from payments.refunds.asking import RefundRefused, again, withdraw
from payments.refunds.rows import told_lines
from payments.refunds.sending import follow
from payments.states import RefundOrigin, RefundState


@dataclass(frozen=True)
class Act:
    """Something that a person can do about a refund: in which states, its words, and what it answers."""

    states: frozenset[str]
    label: str | Promise
    question: str | Promise
    do: Callable[[Refund, str, str], str]


def _withdraw(refund: Refund, who: str, reason: str) -> str:
    if not withdraw(refund.pk, reason=reason, who=who, at=clock.now()):
        raise RefundRefused(gettext("It was sent meanwhile."))
    return gettext("The refund is withdrawn; what it was for stays owed.")


def _ask(refund: Refund, who: str, _reason: str) -> str:
    if not follow(refund.pk, who=who, at=clock.now()):
        raise RefundRefused(gettext("SumUp does not say at the moment."))
    refund.refresh_from_db()
    if refund.state == RefundState.UNKNOWN:
        return gettext("SumUp has been asked: its books show nothing of this refund so far.")
    return gettext("SumUp has been asked. The refund: %(state)s.") % {"state": refund.get_state_display()}


def _again(refund: Refund, who: str, reason: str) -> str:
    again(refund.pk, reason=reason, who=who, at=clock.now())
    return gettext("A new refund is on its way.")


SENT = frozenset({RefundState.UNKNOWN, RefundState.SENDING, RefundState.SUCCEEDED})
ACTS = {
    "withdraw": Act(
        frozenset({RefundState.REQUESTED}),
        _("Withdraw"),
        _("It was not sent yet, and will not be. What it was for stays owed to the buyer."),
        _withdraw,
    ),
    "ask": Act(SENT, _("Ask SumUp again"), _("SumUp is asked what it knows of this refund; nothing is sent."), _ask),
    "again": Act(
        frozenset({RefundState.UNKNOWN, RefundState.FAILED}),
        _("Send again"),
        _("SumUp is asked once more first. Only if its books show nothing, the same is sent by a new refund."),
        _again,
    ),
}


@admin.register(Refund)
class RefundAdmin(MoneyAdmin):
    order_path = "checkout__order_id"
    asked_for = moment("requested_at", _("asked for"))
    sent = moment("sent_at", _("sent"))
    finished = moment("finished_at", _("answered"))
    list_display = ("money", "in_order", "origin", "state", "reason", "asked_for", "finished")
    list_filter = ("state", "origin", PageFilter)
    list_select_related = ("checkout__order", "checkout__merchant")
    search_fields = (
        "checkout__order__code",
        "checkout__order__user__email",
        "checkout__transaction_code",
        "reason__finds",
    )
    search_help_text = _("The order's code, the buyer's address, SumUp's transaction code, or the reason.")
    ordering = ("-id",)
    sortable_by = ("state", "origin")
    fields = readonly_fields = (
        "money", "what", "in_order", "payment", "payee", "origin", "state", "words", "reason", "asked_for_by",
        "asked_for", "sent", "finished", "is_rest", "reports", "acts",
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        def of(view: Callable[..., HttpResponse], *, with_desk: bool = True) -> Callable[..., Any]:
            def shown(request: HttpRequest, **named: Any) -> HttpResponse:
                return view(self, request, **named) if with_desk else view(request, **named)

            return self.admin_site.admin_view(shown)

        return [
            path("of/<int:pk>/", of(refund_view), name="payments_refund_of"),
            path("row/<slug:kind>/<int:pk>/", of(row_view, with_desk=False), name="payments_refund_row"),
            path("event/<int:pk>/", of(explain_view), name="payments_refund_explain"),
            path("entry/<int:pk>/", of(start_view), name="payments_batch_start"),
            path("batch/<int:pk>/", of(batch_view), name="payments_batch"),
            path("batch/<int:pk>/<slug:name>/", of(turn_view, with_desk=False), name="payments_batch_turn"),
            path("bulk/", of(bulk_view), name="payments_refund_bulk"),
            path("owed/", of(owed_view), name="payments_owed"),
            path("<int:pk>/do/<slug:name>/", of(act_view), name="payments_refund_act"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super(MoneyAdmin, self).get_queryset(request)
        return rows.prefetch_related(Prefetch("checkout__order__lines", OrderLine.objects.select_related("page")))

    def rows_of(self, pages: Any) -> Q:
        return Q(checkout__order_id__in=OrderLine.objects.filter(page__in=list(pages)).values("order_id"))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            obj.may_decide = self.within(request, DECIDE, obj)
        return super().get_form(request, obj, change, **kwargs)

    def steps_of(self, request: HttpRequest, row: Any) -> list[Step]:  # noqa: ARG002
        return refund_steps(row)

    @admin.display(description=_("amount"))
    def money(self, row: Refund) -> str:
        return str(row.money)

    @admin.display(description=_("what for"))
    def what(self, row: Refund) -> SafeString:
        return format_html_join("", "<div>{}: {}</div>", told_lines(row))

    @admin.display(description=_("payment"))
    def payment(self, row: Refund) -> str:
        return link("payments_checkout", row.checkout_id, row.checkout.reference)

    @admin.display(description=_("paid to"))
    def payee(self, row: Any) -> str:
        return str(row.checkout.merchant)

    @admin.display(description=_("asked for by"))
    def asked_for_by(self, row: Refund) -> str:
        return next((step.who for step in refund_steps(row) if step.who), row.requested_by)

    @admin.display(description=_("SumUp's books show"))
    def reports(self, row: Refund) -> SafeString | str:
        events = [(event.kind, event.amount, event.currency, event.status) for event in row.sumup_events.all()]
        if not events:
            return gettext("nothing of it so far") if row.origin == RefundOrigin.OURS else ""
        return format_html_join("", "<div>{} {} {}: {}</div>", events)

    @admin.display(description=_("what can be done"))
    def acts(self, row: Any) -> SafeString | str:
        if not getattr(row, "may_decide", False):
            return ""
        links = [(reverse("admin:payments_refund_act", args=[row.pk, name]), act.label) for name, act in acts_for(row)]
        return format_html("{}", format_html_join(" ", '<a class="button" href="{}">{}</a>', links))


def acts_for(refund: Refund) -> list[tuple[str, Act]]:
    """What can be done about `refund` now."""
    if refund.origin != RefundOrigin.OURS:
        return []
    return [(name, act) for name, act in ACTS.items() if refund.state in act.states]


def act_view(desk: RefundAdmin, request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """Ask for the reason (GET), then do it (POST). Another page's refund is not found; who may only look is refused."""
    refund = desk.get_queryset(request).filter(pk=pk).first()
    act = ACTS.get(name)
    if refund is None or act is None or refund.origin != RefundOrigin.OURS:
        raise Http404
    if not desk.within(request, DECIDE, refund):
        raise PermissionDenied
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            messages.success(request, act.do(refund, f"user:{request.user.pk}", form.cleaned_data["reason"]))
        except (RefundRefused, Contention) as refusal:
            messages.error(request, str(refusal) or gettext("Please try again."))
        return redirect("admin:payments_refund_change", refund.pk)
    context = {
        **desk.admin_site.each_context(request),
        "title": act.label,
        "subtitle": str(refund),
        "refund": refund,
        "act": act,
        "events": SumUpEvent.objects.filter(checkout=refund.checkout).order_by("happened_at", "pk"),
        "form": form,
        "opts": desk.opts,
    }
    return TemplateResponse(request, "admin/foyer/refund_act.html", context, status=422 if form.is_bound else 200)
