"""Tickets in the admin: to find, to read and to check in; what else changes them is sold, paid or sent elsewhere."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet, Value
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from events.desk import DeskAdmin, link
from events.door import Light, check_in, undo
from events.local_times import told
from events.models import Role, Ticket
from events.scoping import SEE_EVENTS, SEE_ORDERS, ScopedFilter
from events.telling import ticket_steps
from ledger.telling import Step

#: A code, or the beginning of one, as people type it: base32, with blanks or dashes, in any case.
CODE = re.compile(r"[A-Z2-7]{6,32}")
MOST_AT_ONCE = 200
#: Who is led to the page that pays a ticket back (it asks again, and belongs to payments).
PAY_BACK = frozenset({Role.OWNER, Role.FINANCE})


def typed_code(term: str) -> str:
    """`term` as a code would be written, "" when it cannot be (the beginning of) one."""
    code = re.sub(r"[\s\-]", "", term).upper()
    return code if CODE.fullmatch(code) else ""


@admin.action(description=_("Check in"))
def let_in(model_admin: "TicketAdmin", request: HttpRequest, rows: QuerySet[Ticket]) -> None:
    def one(ticket: Ticket) -> bool:
        answer = check_in(ticket.entry, ticket.code, who=f"user:{request.user.pk}", at=timezone.now())
        return answer.light is Light.GREEN

    model_admin.at_the_door(request, rows, one, gettext("checked in"))


@admin.action(description=_("Undo check-in"))
def take_back(model_admin: "TicketAdmin", request: HttpRequest, rows: QuerySet[Ticket]) -> None:
    def one(ticket: Ticket) -> bool:
        return undo(ticket.entry, ticket.pk, who=f"user:{request.user.pk}")

    model_admin.at_the_door(request, rows, one, gettext("no longer checked in"))


@admin.action(description=_("Pay back"))
def pay_back(model_admin: "TicketAdmin", request: HttpRequest, rows: QuerySet[Ticket]) -> HttpResponse:  # noqa: ARG001
    query = urlencode([("row", f"ticket:{pk}") for pk in rows.order_by("pk").values_list("pk", flat=True)])
    return redirect(f"{reverse('admin:payments_refund_bulk')}?{query}")


@admin.register(Ticket)
class TicketAdmin(DeskAdmin[Ticket]):
    sees = SEE_EVENTS
    actions = (let_in, take_back, pay_back)
    change_form_template = "admin/foyer/ticket.html"
    page_path = "entry__calendar__page_id"
    list_display = ("short_code", "state", "event", "ticket_type", "buyer", "money", "in_order", "at_door")
    list_filter = ("state", ("entry__calendar__page", ScopedFilter))
    list_select_related = ("entry__calendar__page", "ticket_type", "user", "order")
    extra_lookups = ("entry__id__exact", "order__id__exact")
    search_fields = ("code",)
    search_help_text = _("A ticket's or order's code, the buyer's e-mail address, or the event's title.")
    ordering = ("-id",)
    sortable_by = ("state",)
    view_on_site = False
    fields = (
        "code", "state", "event", "ticket_type", "event_starts", "buyer", "holder", "money", "in_order", "put_in_cart",
        "at_door",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ticket]:
        opens = self.scope(request, SEE_ORDERS)
        mark = ExpressionWrapper(opens, output_field=BooleanField()) if opens else Value(True)
        return super().get_queryset(request).annotate(opens_order=mark)

    def at_the_door(
        self, request: HttpRequest, rows: QuerySet[Ticket], one: Callable[[Ticket], bool], words: str
    ) -> None:
        """Do it to each of `rows`, in their order, and say of how many it was true."""
        done = [one(ticket) for ticket in rows.order_by("pk")[:MOST_AT_ONCE]]
        level = messages.SUCCESS if all(done) else messages.WARNING
        self.message_user(request, f"{sum(done)}/{len(done)}: {words}.", level)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Ticket], search_term: str
    ) -> tuple[QuerySet[Ticket], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        sees_orders = self.scope(request, SEE_ORDERS)
        if code := typed_code(term):
            coded = queryset.filter(Q(code__startswith=code) | Q(sees_orders, order__code__startswith=code))
            if coded.exists():
                return coded, False
        return queryset.filter(Q(user__email__icontains=term) | Q(entry__title__icontains=term)), False

    def zone_of(self, row: Ticket) -> str:
        return row.entry.calendar.page.time_zone

    def context_of(self, request: HttpRequest, row: Ticket) -> dict[str, Any]:
        goes_back = (row.is_valid or row.is_owed) and row.price > 0
        return {"may_pay_back": goes_back and self.within(request, PAY_BACK, row)}

    def steps_of(self, request: HttpRequest, row: Ticket) -> list[Step]:  # noqa: ARG002
        return ticket_steps(row)

    @admin.display(description=_("code"))
    def short_code(self, row: Ticket) -> str:
        return f"{row.code[:4]} {row.code[4:8]} …"

    @admin.display(description=_("event"))
    def event(self, row: Ticket) -> str:
        return link("events_calendarentry", row.entry_id, row.entry)

    @admin.display(description=_("starts"))
    def event_starts(self, row: Ticket) -> str:
        return told(row.entry.starts_at, row.entry.calendar.page.time_zone)

    @admin.display(description=_("buyer"))
    def buyer(self, row: Ticket) -> str:
        return str(row.user)

    @admin.display(description=_("price"))
    def money(self, row: Ticket) -> str:
        return row.cost.or_free()

    @admin.display(description=_("order"))
    def in_order(self, row: Ticket) -> str:
        if row.order is None:
            return ""
        opens = getattr(row, "opens_order", False)  # annotated: the door sees tickets, not orders
        return link("orders_order", row.order.pk, row.order.short_code) if opens else row.order.short_code

    @admin.display(description=_("put in the cart"))
    def put_in_cart(self, row: Ticket) -> str:
        return told(row.created_at, row.entry.calendar.page.time_zone)

    @admin.display(description=_("let in"))
    def at_door(self, row: Ticket) -> str:
        return told(row.checked_in_at, row.entry.calendar.page.time_zone)
