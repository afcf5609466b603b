"""Money to decide in the admin: what waits for a person, how old it is, how much, and what can be done."""

from collections.abc import Collection
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from events.models import Booking, Page, Ticket
from events.organising.desk import link, moment
from events.scoping import team_of
from events.states import TicketState
from ledger import clock
from ledger.money import Money
from market.models import ProductItem
from payments.admin.decisions import DECISIONS, offered
from payments.admin.orders import DECIDE, MoneyAdmin
from payments.admin.ways_out import ways_out
from payments.models import Case
from payments.reconcile.strays import LinkRefusal
from payments.refunds.debts import SURPLUS, Scope, owed_sums

#: Where what is owed is listed, by kind: the model, and the list's parameter for the state.
LISTS: dict[str, tuple[type[Model], str]] = {
    "ticket": (Ticket, "state__exact"),
    "booking": (Booking, "state"),
    "item": (ProductItem, "state__exact"),
}


class OpenFilter(admin.SimpleListFilter):
    title = _("decided")
    parameter_name = "decided"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        return [("no", _("waits for a person")), ("yes", _("decided"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        return queryset.filter(closed_at__isnull=self.value() == "no") if self.value() in ("no", "yes") else queryset


@admin.register(Case)
class CaseAdmin(MoneyAdmin):
    opened = moment("opened_at", _("opened"))
    closed = moment("closed_at", _("decided"))
    list_display = ("kind", "age", "money", "words", "in_order", "opened", "closed")
    list_filter = (OpenFilter, "kind")
    list_select_related = ("order", "merchant", "checkout")
    search_fields = ("order__code", "order__user__email", "words__finds")
    ordering = ("closed_at", "opened_at")
    sortable_by = ("kind",)
    fields = readonly_fields = (
        "kind", "in_order", "payment", "payee", "money", "words", "opened", "actions_now", "closed", "closed_by",
        "decision",
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.decision)
        return [path("<int:pk>/decide/<slug:name>/", view, name="payments_case_decide"), *super().get_urls()]

    def decision(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Ask for the reason (GET), then do it (POST). Another page's case is not found; who only looks is refused."""
        case = self.get_queryset(request).filter(pk=pk).first()
        decision = DECISIONS.get(name)
        if case is None or decision is None or decision.kind != case.kind:
            raise Http404
        if not self.may_decide(request, case):
            raise PermissionDenied
        form = decision.form(request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                is_done = decision.do(case, who=f"user:{request.user.pk}", data=form.cleaned_data, at=clock.now())
            except LinkRefusal as refusal:
                form.add_error("code", str(refusal))
            else:
                if is_done:
                    messages.success(request, str(decision.done))
                else:
                    messages.error(request, gettext("Nothing was done: this was decided or answered meanwhile."))
                return redirect("admin:payments_case_change", case.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": decision.label,
            "subtitle": str(case),
            "case": case,
            "decision": decision,
            "form": form,
            "opts": self.opts,
        }
        status = 422 if form.is_bound else 200
        return TemplateResponse(request, "admin/foyer/decision.html", context, status=status)

    def may_decide(self, request: HttpRequest, row: Case) -> bool:
        return self.within(request, DECIDE, row)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"owed": self.owed(request), **(extra_context or {})})

    def owed(self, request: HttpRequest) -> list[dict[str, Any]]:
        """What buyers must get back and is not on its way, by kind and currency; with the list, for who may see it."""
        team = team_of(request)
        scope = Scope() if team.is_superuser else Scope(team.pages(self.sees), Q(pk__in=[]))
        return [
            {"kind": row.kind, "count": row.number, "money": row.money, "list": self.list_of(request, row.kind)}
            for row in owed_sums(scope)
            if row.kind != SURPLUS  # each is a case of this very list
        ]

    def list_of(self, request: HttpRequest, kind: str) -> str:
        model, state = LISTS[kind]
        if not self.admin_site.get_model_admin(model).has_view_permission(request):
            return ""
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        return f"{address}?{state}={TicketState.REFUND_DUE}"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            obj.may_decide = self.may_decide(request, obj)
        return super().get_form(request, obj, change, **kwargs)

    @admin.display(description=_("age"))
    def age(self, row: Case) -> str:
        return timesince(row.opened_at, clock.now(), depth=1) if row.closed_at is None else ""

    @admin.display(description=_("what can be done"))
    def actions_now(self, row: Any) -> SafeString | str:
        if not getattr(row, "may_decide", False):
            return ""
        links = [*ways_out(row)]
        links += [(reverse("admin:payments_case_decide", args=[row.pk, one.name]), one.label) for one in offered(row)]
        return format_html("{}", format_html_join(" ", '<a class="button" href="{}">{}</a>', links))

    def scope(self, request: HttpRequest, roles: Collection[str]) -> Q:
        """Those of orders; and those about a merchant, for the pages that it takes money for."""
        whole = super().scope(request, roles)
        if not whole:
            return whole
        pages = Page.objects.filter(pk__in=team_of(request).pages(roles), merchant__isnull=False)
        return Q(whole, order__isnull=False) | Q(order=None, merchant__in=pages.values("merchant_id"))

    @admin.display(description=_("amount"))
    def money(self, row: Case) -> str:
        return str(Money(row.amount, row.currency)) if row.amount is not None and row.currency else ""

    @admin.display(description=_("payment"))
    def payment(self, row: Case) -> str:
        return link("payments_checkout", row.checkout.pk, row.checkout.reference) if row.checkout else ""
