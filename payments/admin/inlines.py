"""What stands on an order's page in the admin: its lines, what it holds, its payments; and who may see which of it."""

from collections.abc import Collection
from typing import Any

from django.contrib import admin
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet, Value
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from events.local_times import told
from events.models import Booking, Role, Ticket
from events.organising.desk import link
from events.scoping import SEE_EVENTS, SEE_MONEY, SEE_ORDERS, ScopedInline, team_of
from market.models import ProductItem
from orders.models import Order, OrderLine
from payments.models import Checkout

FINANCE = frozenset({Role.FINANCE})


def as_a_whole(request: HttpRequest, roles: Collection[str], order: str) -> Q:
    """Rows whose order (at the lookup `order`, its id) the user may see whole.

    An order with lines of foreign pages says what was spent there: only finance sees it whole, or who has one of
    `roles` on all of its pages.
    """
    team = team_of(request)
    if team.is_superuser:
        return Q()
    lines = OrderLine.objects.filter(order=OuterRef(order))
    own = team.pages(roles)
    return Q(Exists(lines.filter(page__in=team.pages(FINANCE)))) | Q(
        Exists(lines.filter(page__in=own)), ~Exists(lines.exclude(page__in=own))
    )


def marked(rows: QuerySet[Any], name: str, condition: Q) -> QuerySet[Any]:
    """`rows` with the truth of `condition` as the attribute `name`."""
    truth = ExpressionWrapper(condition, output_field=BooleanField()) if condition else Value(True)
    answer: QuerySet[Any] = rows.annotate(**{name: truth})
    return answer


class OrderInline(ScopedInline[Any, Order]):
    """Rows of an order that belong to the user's own pages; `page_path` leads from a row to its page's id."""

    sees = SEE_ORDERS
    page_path = ""
    max_num = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        team = team_of(request)
        rows: QuerySet[Any] = super().get_queryset(request)
        own: dict[str, Any] = {f"{self.page_path}__in": team.pages(self.sees)}
        return rows if team.is_superuser else rows.filter(**own)


class LineInline(OrderInline):
    model = OrderLine
    page_path = "page_id"
    fields = readonly_fields = ("page_name", "name", "price", "quantity", "amount")
    verbose_name_plural = _("what was ordered")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("page")

    @admin.display(description=_("page"))
    def page_name(self, row: OrderLine) -> str:
        return row.page.name

    @admin.display(description=_("unit price"))
    def price(self, row: OrderLine) -> str:
        return row.price.or_free()

    @admin.display(description=_("amount"))
    def amount(self, row: OrderLine) -> str:
        return row.amount.or_free()


class TicketInline(OrderInline):
    model = Ticket
    page_path = "entry__calendar__page_id"
    fields = readonly_fields = ("ticket", "event", "kind", "state", "money", "holder")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        team = team_of(request)
        rows = super().get_queryset(request).select_related("entry__calendar__page", "ticket_type")
        opens = Q() if team.is_superuser else Q(entry__calendar__page_id__in=team.pages(SEE_EVENTS))
        return marked(rows, "opens", opens)

    @admin.display(description=_("code"))
    def ticket(self, row: Ticket) -> str:
        code = f"{row.code[:4]} {row.code[4:8]} …"
        return link("events_ticket", row.pk, code) if getattr(row, "opens", False) else code

    @admin.display(description=_("type"))
    def kind(self, row: Ticket) -> str:
        return row.ticket_type.name if row.ticket_type else ""

    @admin.display(description=_("event"))
    def event(self, row: Ticket) -> str:
        starts = told(row.entry.starts_at, row.entry.calendar.page.time_zone)
        return f"{row.entry.title}, {starts}"

    @admin.display(description=_("price"))
    def money(self, row: Ticket) -> str:
        return row.cost.or_free()


class BookingInline(OrderInline):
    model = Booking
    page_path = "calendar__page_id"
    fields = readonly_fields = ("room_time", "state", "money")  # `booking` is a field of the row: what it came of
    verbose_name_plural = _("bookings")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("calendar__page").order_by("starts_at", "pk")

    @admin.display(description=_("booking"))
    def room_time(self, row: Booking) -> str:
        return link("events_booking", row.pk, row.what)

    @admin.display(description=_("price"))
    def money(self, row: Booking) -> str:
        return row.cost.or_free()


class ItemInline(OrderInline):
    model = ProductItem
    page_path = "product__page_id"
    fields = readonly_fields = ("voucher", "product", "state", "money")
    verbose_name_plural = _("products")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        team = team_of(request)
        rows = super().get_queryset(request).select_related("product__page")
        opens = Q() if team.is_superuser else Q(product__page_id__in=team.pages(SEE_EVENTS))
        return marked(rows, "opens", opens)

    @admin.display(description=_("code"))
    def voucher(self, row: ProductItem) -> str:
        code = f"{row.code[:4]} {row.code[4:8]} …"
        return link("market_productitem", row.pk, code) if getattr(row, "opens", False) else code

    @admin.display(description=_("price"))
    def money(self, row: ProductItem) -> str:
        return row.cost.or_free()


class CheckoutInline(ScopedInline[Checkout, Order]):
    """The payments of an order, for those who may see the order whole."""

    model = Checkout
    sees = SEE_MONEY
    max_num = 0
    can_delete = False
    fields = readonly_fields = ("payment", "state", "sumup_status", "money", "transaction_code", "is_applied")
    verbose_name_plural = _("payments at SumUp")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Checkout]:
        return super().get_queryset(request).filter(as_a_whole(request, SEE_MONEY, "order_id"))

    @admin.display(description=_("reference"))
    def payment(self, row: Checkout) -> str:
        return link("payments_checkout", row.pk, row.reference)

    @admin.display(description=_("amount"))
    def money(self, row: Checkout) -> str:
        return str(row.money)
