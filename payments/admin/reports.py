"""Reports, on screen and in files: sales by day, event, product, merchant; one event's sales and guests."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, timedelta

from django import forms
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from events.local_times import told
from events.models import CalendarEntry, Merchant, Page, Role, Ticket
from events.payees import payee_of, payees_of
from events.scoping import SEE_EVENTS, team_of
from events.states import EntryKind
from orders.models import OrderLine
from payments.books.reports import KINDS, Line, Span, report, sales_of, total
from payments.books.sheets import table_response
from payments.reconcile.payouts import PaidOut, paid_out

#: Who sees sums of money of a page; who sees the names of an event's guests.
SEE_SUMS = frozenset({Role.OWNER, Role.FINANCE})
SEE_GUESTS = SEE_EVENTS
#: Of a plot, in its own units: one day is a bar.
HEIGHT, WIDTH, MOST_BARS = 120, 600, 120


def report_urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of the reports, below those of orders."""

    def shown(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        return site.admin_view(require_safe(lambda request, **named: view(site, request, **named)))

    pages = [
        path("reports/", shown(reports_view), name="payments_reports"),
        path("reports/event/<int:pk>/", shown(event_view), name="payments_report_event"),
    ]
    tables: list[tuple[str, Callable[..., HttpResponse], str]] = [
        ("reports/payouts", payouts_file, "payments_payouts"),
        ("reports/<slug:kind>", report_file, "payments_report"),
        ("reports/event/<int:pk>/guests", guests_file, "payments_guests"),
    ]
    return pages + [
        path(f"{address}.{form}", shown(view), {"form": form}, name=f"{name}_{form}")
        for address, view, name in tables
        for form in ("csv", "xlsx")
    ]


class ReportForm(forms.Form):
    """What to report on; only the user's own pages are a choice."""

    kind = forms.ChoiceField(
        label=gettext_lazy("Report"), choices=[(name, kind.label) for name, kind in KINDS.items()], required=False
    )
    page = forms.ModelChoiceField(
        label=gettext_lazy("Page"), queryset=Page.objects.none(), required=False, empty_label=gettext_lazy("all")
    )
    first = forms.DateField(
        label=gettext_lazy("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    last = forms.DateField(
        label=gettext_lazy("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.GET)
        field = self.fields["page"]
        if isinstance(field, forms.ModelChoiceField):
            own = pages_of(request, SEE_SUMS)
            field.queryset = Page.objects.order_by("name") if own is None else Page.objects.filter(pk__in=own)


def pages_of(request: HttpRequest, roles: Collection[str]) -> set[int] | None:
    """The pages that the user has one of `roles` on; None: all."""
    team = team_of(request)
    return None if team.is_superuser else team.pages(roles)


def _lines(request: HttpRequest, form: ReportForm, kind: str) -> list[Line]:
    own = pages_of(request, SEE_SUMS)
    page = form.cleaned_data.get("page")
    pages = [page.pk] if page else own
    return report(kind, pages=pages, span=Span(form.cleaned_data.get("first"), form.cleaned_data.get("last")))


def merchants_of(request: HttpRequest) -> set[int] | None:
    """The merchants whose every page is the user's: a payout is of a payment, which may be of several pages. None: all.

    A page without a merchant of its own sells through the site's. One that was paid through a merchant before it got
    another counts too: its payments are in that account still.
    """
    own = pages_of(request, SEE_SUMS)
    if own is None:
        return None
    pages: dict[int, set[int]] = {}
    for pk, merchant in payees_of(Page.objects.select_related("merchant").only("merchant__code")).items():
        if merchant is not None:
            pages.setdefault(merchant.pk, set()).add(pk)
    now = [merchant for merchant, theirs in pages.items() if theirs <= own]
    others = OrderLine.objects.filter(order__merchant=OuterRef("pk"), order__checkouts__captured__isnull=False).exclude(
        page__in=own
    )
    return set(Merchant.objects.filter(~Exists(others), pk__in=now).values_list("pk", flat=True))


def _merchants(request: HttpRequest, form: ReportForm) -> set[int] | None:
    """Those that the user sees whole; of a chosen page its own. None: all."""
    seen = merchants_of(request)
    page = form.cleaned_data.get("page")
    if page is None:
        return seen
    merchant = payee_of(page)
    takes = set() if merchant is None else {merchant.pk}
    return takes if seen is None else takes & seen


def _paid_out(merchants: set[int] | None, form: ReportForm) -> list[PaidOut]:
    return paid_out(merchants, first=form.cleaned_data.get("first"), last=form.cleaned_data.get("last"))


def _allowed(request: HttpRequest) -> None:
    own = pages_of(request, SEE_SUMS)
    if own is not None and not own:
        raise PermissionDenied


def reports_view(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """One report as a table, with its totals and the way to its file."""
    _allowed(request)
    form = ReportForm(request)
    lines: list[Line] = []
    payouts: list[PaidOut] = []
    sees_payouts = True
    kind = "day"
    if form.is_valid():
        kind = form.cleaned_data["kind"] or kind
        lines = _lines(request, form, kind)
        merchants = _merchants(request, form)
        sees_payouts = merchants != set() or team_of(request).is_superuser
        payouts = _paid_out(merchants, form)
    context = {
        **site.each_context(request),
        "title": _("Reports"),
        "form": form,
        "kind": kind,
        "lines": lines,
        "totals": total(lines),
        "payouts": payouts if any(row.lines for row in payouts) else [],
        "sees_payouts": sees_payouts,
        "query": request.GET.urlencode(),
    }
    return TemplateResponse(request, "admin/foyer/reports.html", context, status=200 if form.is_valid() else 422)


def report_file(_site: AdminSite, request: HttpRequest, kind: str, form: str) -> HttpResponse:
    _allowed(request)
    asked = ReportForm(request)
    if kind not in KINDS or not asked.is_valid():
        raise Http404
    header = ["key", "name", "currency", "number", "sold", "refunded", "owed", "kept", "fulfilled"]
    rows = [
        [*_named(kind, line), line.currency, line.number, *(money.amount for money in line.amounts)]
        for line in _lines(request, asked, kind)
    ]
    return table_response(form, f"report-{kind}", header, rows)


def _named(kind: str, line: Line) -> list[object]:
    names = [line.key, line.name]
    return [date.fromisoformat(name) for name in names] if kind == "day" else list(names)


def payouts_file(_site: AdminSite, request: HttpRequest, form: str) -> HttpResponse:
    _allowed(request)
    asked = ReportForm(request)
    if not asked.is_valid():
        raise Http404
    header = ["merchant", "currency", "paid out", "fees", "deducted", "payments", "payments whose fee is known"]
    rows = [
        [row.merchant, row.paid_out.currency, row.paid_out.amount, row.fees.amount, row.deducted.amount, row.payments,
         row.told]
        for row in _paid_out(_merchants(request, asked), asked)
    ]  # fmt: skip
    return table_response(form, "payouts", header, rows)


# --- One event


@dataclass(frozen=True)
class Bar:
    """A day of a plot: what was sold on it, and where its bar is."""

    day: date
    number: int
    x: float
    y: float
    width: float
    height: float


def bars_of(sales: list[tuple[date, int]]) -> list[Bar]:
    """A bar for each day from the first sale to the last, the latest MOST_BARS of them; empty days have none."""
    if not sales:
        return []
    last = sales[-1][0]
    first = max(sales[0][0], last - timedelta(days=MOST_BARS - 1))
    shown = [(day, number) for day, number in sales if day >= first]
    width = WIDTH / ((last - first).days + 1)
    most = max(number for _day, number in shown)
    return [
        Bar(
            day, number, round((day - first).days * width, 2), round(HEIGHT - number * HEIGHT / most, 2),
            round(min(width * 0.8, 40), 2), round(number * HEIGHT / most, 2),
        )
        for day, number in shown
    ]  # fmt: skip


def _sold(request: HttpRequest, pk: int, roles: Collection[str]) -> CalendarEntry:
    """An event or a booking of the user's pages."""
    rows = CalendarEntry.objects.select_related("calendar__page")
    own = pages_of(request, roles)
    entry = (rows if own is None else rows.filter(calendar__page__in=own)).filter(pk=pk).first()
    if entry is None:
        raise Http404
    return entry


def _event(request: HttpRequest, pk: int, roles: Collection[str]) -> CalendarEntry:
    entry = _sold(request, pk, roles)
    if entry.kind != EntryKind.EVENT:
        raise Http404
    return entry


def guests_of(entry: CalendarEntry) -> list[Ticket]:
    """The valid tickets of an event, by the buyer's address."""
    rows = Ticket.objects.filter(entry=entry, state__in=["confirmed", "checked_in"])
    return list(rows.select_related("user", "ticket_type", "order").order_by("user__email", "pk"))


def event_view(site: AdminSite, request: HttpRequest, pk: int) -> HttpResponse:
    """An event's sales over time, as a picture and as a table, and its guests; a booking has a page of its own."""
    entry = _sold(request, pk, SEE_GUESTS | SEE_SUMS)
    if entry.kind == EntryKind.BOOKING:
        return redirect("admin:events_booking_change", entry.pk)
    sales = sales_of(entry.pk)
    own = pages_of(request, SEE_GUESTS)
    sees_guests = own is None or entry.calendar.page_id in own
    context = {
        **site.each_context(request),
        "title": entry.title,
        "entry": entry,
        "when": told(entry.starts_at, entry.calendar.page.time_zone),
        "sales": sales,
        "sold": sum(number for _day, number in sales),
        "bars": bars_of(sales),
        "height": HEIGHT,
        "width": WIDTH,
        "sees_guests": sees_guests,
        "guests": guests_of(entry) if sees_guests else [],
    }
    return TemplateResponse(request, "admin/foyer/report_event.html", context)


def guests_file(_site: AdminSite, request: HttpRequest, pk: int, form: str) -> HttpResponse:
    entry = _event(request, pk, SEE_GUESTS)
    header = ["buyer", "name on the ticket", "type", "state", "order", "checked in at"]
    rows = [
        [
            row.user.email, row.holder, row.ticket_type.name if row.ticket_type else "", row.get_state_display(),
            row.order.short_code if row.order else "",
            row.checked_in_at.astimezone(entry.calendar.page.zone()) if row.checked_in_at else "",
        ]
        for row in guests_of(entry)
    ]  # fmt: skip
    return table_response(form, f"guests-{entry.pk}", header, rows)
