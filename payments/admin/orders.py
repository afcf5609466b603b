"""Orders and their checkouts in the admin: to find and to read."""

import time
from collections.abc import Collection
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import Model, Prefetch, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext, gettext_noop, ngettext
from django.utils.translation import gettext_lazy as _

from events.admin.asking import Asked, Question, asked_first
from events.admin.sold import typed_code
from events.door.reading import SHORT
from events.models import Page, Role, Ticket
from events.organising.desk import DeskAdmin, link, moment
from events.scoping import SEE_MONEY, SEE_ORDERS, team_of
from ledger.telling import Step
from orders.jobs import send_confirmation
from orders.links import revoke_links
from orders.models import Order, OrderLine
from orders.states import OrderState
from payments.admin.inlines import (
    FINANCE,
    BookingInline,
    CheckoutInline,
    ItemInline,
    LineInline,
    TicketInline,
    as_a_whole,
    marked,
)
from payments.admin.proofs import proof_file, proof_page
from payments.admin.reports import report_urls
from payments.books.timeline import order_steps
from payments.models import Checkout

SERVE_BUYERS = SEE_ORDERS - FINANCE
#: Who decides what becomes of money, and pays it back.
DECIDE = frozenset({Role.OWNER, Role.FINANCE})


class OfOrders(DeskAdmin[Any]):
    """Read-only rows that hang on an order; `order_path` leads to its id."""

    order_path = ""
    view_on_site = False

    def rows_of(self, pages: Collection[int]) -> Q:
        lines = OrderLine.objects.filter(page__in=list(pages))
        return Q(**{f"{self.order_path}__in": lines.values("order_id")})

    def pages_of(self, row: Any) -> set[int]:
        order = row.pk if isinstance(row, Order) else row.order_id
        return set(OrderLine.objects.filter(order=order).values_list("page_id", flat=True))

    def order_of(self, row: Any) -> Order | None:
        order: Order | None = row.order
        return order

    def zone_of(self, row: Any) -> str:
        order = self.order_of(row)
        return order.time_zone if order else "UTC"


class PageFilter(admin.SimpleListFilter):
    title = _("page")
    parameter_name = "page"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: type[Model], desk: "OfOrders") -> None:
        super().__init__(request, params, model, desk)
        self.order_path = desk.order_path

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        team = team_of(request)
        pages = Page.objects.all() if team.is_superuser else Page.objects.filter(pk__in=team.pages(model_admin.sees))
        return [(str(pk), name) for pk, name in pages.values_list("pk", "name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Of a page that is offered: any other would tell which orders go to a house that is not the user's."""
        chosen = next((pk for pk, _name in self.lookup_choices if str(pk) == self.value()), None)
        if chosen is None:
            return queryset
        lines = OrderLine.objects.filter(page=int(chosen))
        return queryset.filter(**{f"{self.order_path}__in": lines.values("order_id")})


def _of_paid(words: str, more: str, button: str) -> Asked:
    """A question that counts the paid orders of the chosen ones, which are hit, and the others, which are not."""

    def question(desk: "OrderAdmin", request: HttpRequest, rows: QuerySet[Order]) -> Question:
        hit, chosen = desk.handled(request, rows).count(), rows.count()
        said = [gettext(words) % {"n": hit}, gettext(more)]
        if chosen > hit:
            left = ngettext(
                "%(n)d more that you chose is not paid, or not yours to handle: it is left out.",
                "%(n)d more that you chose are not paid, or not yours to handle: they are left out.",
                chosen - hit,
            )
            said.append(left % {"n": chosen - hit})
        return Question(gettext(button), tuple(said), gettext(button) if hit else "")

    return question


@admin.action(description=_("Send the confirmation with its tickets again"), permissions=["serve"])
@asked_first(
    _of_paid(
        gettext_noop("Mails that go out, one for each paid order: %(n)d."),
        gettext_noop("Each has all valid tickets of its order, with their codes. What was sent before stays good."),
        gettext_noop("Send again"),
    )
)
def resend(model_admin: "OrderAdmin", request: HttpRequest, rows: QuerySet[Order]) -> None:
    paid = list(model_admin.handled(request, rows).values_list("pk", flat=True))
    for pk in paid:
        send_confirmation.defer(order_id=pk, copy=int(time.time()))
    model_admin.tell(request, rows, len(paid), gettext("on their way to their buyers"))


@admin.action(description=_("Revoke the links sent by mail"), permissions=["serve"])
@asked_first(
    _of_paid(
        gettext_noop("Paid orders whose links in mails open nothing any more: %(n)d."),
        gettext_noop(
            "This cannot be undone, and nobody is told. Buyers still see their orders signed in; the confirmation sent"
            " again has a new link."
        ),
        gettext_noop("Revoke the links"),
    )
)
def revoke(model_admin: "OrderAdmin", request: HttpRequest, rows: QuerySet[Order]) -> None:
    paid = list(model_admin.handled(request, rows))
    for order in paid:
        revoke_links(order)
    model_admin.tell(request, rows, len(paid), gettext("no longer shown by the links in their mails"))


@admin.action(description=_("Pay back whole"), permissions=["pay_back"])
def pay_back(model_admin: "OrderAdmin", request: HttpRequest, rows: QuerySet[Order]) -> HttpResponse:  # noqa: ARG001
    query = urlencode([("order", pk) for pk in rows.order_by("pk").values_list("pk", flat=True)])
    return redirect(f"{reverse('admin:payments_refund_bulk')}?{query}")


@admin.register(Order)
class OrderAdmin(OfOrders):
    sees = SEE_ORDERS
    empty = _("There is no order yet. Each cart that is checked out becomes one.")
    actions = (resend, revoke, pay_back)
    change_form_template = "admin/foyer/order.html"
    order_path = "pk"
    placed = moment("placed_at", _("placed"))
    held_until = moment("hold_until", _("held until"))
    paid = moment("paid_at", _("paid"))
    cancel_asked = moment("cancel_requested_at", _("buyer asked to cancel"))
    inlines = (LineInline, TicketInline, BookingInline, ItemInline, CheckoutInline)
    list_display = ("short_code", "buyer", "what", "state", "money", "placed")
    list_filter = ("state", PageFilter)
    list_select_related = ("user",)
    search_fields = ("code",)
    search_help_text = _("The order's code, a ticket's code, the buyer's e-mail address, or what was ordered.")
    ordering = ("-placed_at", "-id")
    sortable_by = ("state",)
    fields = readonly_fields = (
        "code", "state", "buyer", "money", "payee", "placed", "held_until", "paid", "cancel_asked",
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.proof)
        proof = path("<int:pk>/proof/<slug:form>/", view, name="orders_order_proof")
        return [proof, *report_urls(self.admin_site), *super().get_urls()]

    def proof(self, request: HttpRequest, pk: int, form: str) -> HttpResponse:
        """The page, or the file, for those who see the money of the order whole; else there is no such thing."""
        order = self.get_queryset(request).select_related("user", "merchant").filter(pk=pk).first()
        if order is None or not order.has_proof:
            raise Http404
        if form == "json":
            return proof_file(order)
        team = team_of(request)
        pages = None if team.is_superuser else team.pages(self.sees)
        frame = {**self.admin_site.each_context(request), "opts": self.opts}
        return proof_page(request, order, pages=pages, zone=self.zone_of(order), frame=frame)

    def has_serve_permission(self, request: HttpRequest) -> bool:
        """For actions that serve buyers, on any page."""
        return self.within(request, SERVE_BUYERS, None)

    def handled(self, request: HttpRequest, rows: QuerySet[Order]) -> QuerySet[Order]:
        """Paid ones of `rows` that the user may handle: who only sees the money does not send tickets."""
        return rows.filter(self.scope(request, SERVE_BUYERS), state=OrderState.PAID)

    def tell(self, request: HttpRequest, rows: QuerySet[Order], done: int, words: str) -> None:
        total = rows.count()
        self.message_user(request, f"{done}/{total}: {words}.", messages.SUCCESS if done == total else messages.WARNING)

    def own_lines(self, request: HttpRequest) -> QuerySet[OrderLine]:
        team = team_of(request)
        lines = OrderLine.objects.select_related("page")
        return lines if team.is_superuser else lines.filter(page__in=team.pages(self.sees))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).select_related("merchant")
        rows = marked(rows, "is_whole", as_a_whole(request, self.sees, "pk"))
        # Who sees both pages' lines, but the money of one only, does not see what was paid for both.
        rows = marked(rows, "has_proof", as_a_whole(request, SEE_MONEY, "pk"))
        rows = marked(rows, "decides_whole", as_a_whole(request, DECIDE, "pk"))
        return rows.prefetch_related(Prefetch("lines", self.own_lines(request), to_attr="own_lines"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        lines = self.own_lines(request)
        tickets = Ticket.objects.filter(entry__calendar__page__in=lines.values("page_id"))
        if code := typed_code(term):
            # Of a ticket finance sees the first letters: an answer about more of them would read out the rest.
            coded = tickets.filter(code__startswith=code[:SHORT]).values("order_id")
            found = queryset.filter(Q(code__startswith=code) | Q(pk__in=coded))
            if found.exists():
                return found, False
        named = lines.filter(name__finds=term).values("order_id")
        return queryset.filter(Q(user__email__icontains=term) | Q(pk__in=named)), False

    def order_of(self, row: Any) -> Order | None:
        return row if isinstance(row, Order) else None

    def zone_of(self, row: Any) -> str:
        lines: list[OrderLine] = row.own_lines
        return lines[0].page.time_zone if lines else "UTC"

    def steps_of(self, request: HttpRequest, row: Any) -> list[Step]:
        team = team_of(request)
        return order_steps(row, pages=None if team.is_superuser else team.pages(self.sees), whole=row.is_whole)

    def context_of(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """The payments that the user may pay back from, which of them went beyond the order, and its proof."""
        if not self.within(request, DECIDE, row):
            return {"has_proof": row.has_proof}
        paid = Checkout.objects.filter(order=row, captured__isnull=False).order_by("-is_applied", "pk")
        return {"payments": paid if row.decides_whole else paid.filter(is_applied=True), "has_proof": row.has_proof}

    @admin.display(description=_("order"))
    def short_code(self, row: Order) -> str:
        return row.short_code

    @admin.display(description=_("buyer"))
    def buyer(self, row: Order) -> str:
        return str(row.user)

    @admin.display(description=_("what"))
    def what(self, row: Any) -> str:
        return ", ".join(str(line) for line in row.own_lines)

    @admin.display(description=_("total"))
    def money(self, row: Any) -> str:
        return row.money.or_free() if row.is_whole else gettext("with another page's")

    @admin.display(description=_("paid to"))
    def payee(self, row: Any) -> str:
        return str(row.merchant.name) if row.merchant and row.is_whole else ""


class MoneyAdmin(OfOrders):
    """Rows that name the whole order's amount: seen only by those who may see the order whole."""

    sees = SEE_MONEY
    order_path = "order_id"
    list_select_related: ClassVar[tuple[str, ...]] = ("order", "merchant")

    def scope(self, request: HttpRequest, roles: Collection[str]) -> Q:
        return as_a_whole(request, roles, self.order_path)

    def within(self, request: HttpRequest, roles: Collection[str], row: Any | None) -> bool:
        team = team_of(request)
        if row is None or team.is_superuser:
            return super().within(request, roles, row)
        rows = self.model._default_manager.filter(pk=row.pk)
        return bool(rows.filter(self.scope(request, roles)).exists())

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        lines = Prefetch("order__lines", OrderLine.objects.select_related("page"))
        return super().get_queryset(request).prefetch_related(lines)

    def zone_of(self, row: Any) -> str:
        lines = list(row.order.lines.all()) if row.order else []
        return lines[0].page.time_zone if lines else "UTC"

    @admin.display(description=_("paid to"))
    def payee(self, row: Any) -> str:
        return str(row.merchant) if row.merchant else ""

    @admin.display(description=_("order"))
    def in_order(self, row: Any) -> str:
        return link("orders_order", row.order.pk, row.order.short_code) if row.order else ""


@admin.register(Checkout)
class CheckoutAdmin(MoneyAdmin):
    made = moment("created_at", _("made"))
    payable_until = moment("valid_until", _("payable until"))
    asked = moment("asked_at", _("SumUp last asked"))
    paid = moment("paid_at", _("paid"))
    list_display = ("reference", "in_order", "state", "sumup_status", "money", "transaction_code", "is_applied", "made")
    list_filter = ("state", "is_applied")
    search_fields = ("reference", "transaction_code", "sumup_id", "order__code", "order__user__email")
    search_help_text = _("SumUp's transaction code or id, our reference, the order's code, or the buyer's address.")
    ordering = ("-id",)
    sortable_by = ("state",)
    fields = readonly_fields = (
        "reference", "in_order", "payee", "state", "sumup_status", "problem", "money", "made", "payable_until",
        "asked", "sumup_id", "transaction_code", "taken", "paid", "is_applied",
    )  # fmt: skip

    @admin.display(description=_("amount"))
    def money(self, row: Checkout) -> str:
        return str(row.money)

    @admin.display(description=_("taken by SumUp"))
    def taken(self, row: Checkout) -> str:
        return "" if row.captured is None else f"{row.captured_currency} {row.captured}"
