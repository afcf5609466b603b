"""Bookings in the admin: to find and to read, and to make an event of one that is confirmed."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from events.admin.arrows import ARROWS, warnings_of
from events.admin.entries import WhenFilter
from events.admin.entry_forms import check_price
from events.admin.paying_back import pay_back_action, pay_back_address
from events.forms import one_line
from events.local_times import told
from events.models import Booking, Calendar, Page
from events.organising.desk import DeskAdmin, link
from events.organising.telling import booking_steps
from events.rooms.events import NoEvent, make_event
from events.scoping import RUN, SEE_ORDERS, ScopedFilter
from events.states import EntryKind, EntryState
from ledger.telling import Step

#: A booking's states, once it is ordered.
ORDERED = [(state.value, state.label) for state in EntryState if state not in (EntryState.DRAFT, EntryState.PENDING)]


class MakeEventForm(forms.Form):
    title = forms.CharField(label=_("Title"), max_length=160, validators=[one_line])
    ticket_price = forms.DecimalField(
        label=_("Ticket price"), max_digits=10, decimal_places=2, required=False,
        help_text=_("Empty: it sells no tickets, or has ticket types. 0: free tickets."),
    )  # fmt: skip
    capacity = forms.IntegerField(
        label=_("Capacity"), min_value=1, max_value=1_000_000, required=False, help_text=_("Empty: no limit.")
    )
    published = forms.BooleanField(
        label=_("Publish it at once"), required=False, help_text=_("If not, it is a draft that nobody sees.")
    )

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.currency = currency

    def clean_ticket_price(self) -> Decimal | None:
        price: Decimal | None = self.cleaned_data["ticket_price"]
        check_price(price, self.currency)
        return price


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        return ORDERED

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        return queryset.filter(state=self.value()) if self.value() in dict(ORDERED) else queryset


@admin.register(Booking)
class BookingAdmin(DeskAdmin[Booking]):
    """What was ordered; what only lies in a cart is its visitor's own."""

    actions = (pay_back_action("booking"),)
    sees = SEE_ORDERS
    edits = RUN
    page_path = "calendar__page_id"
    comes_after = (Page, Calendar)
    made_at = Calendar
    empty = _("Nothing is booked yet. Visitors book time in a calendar whose page says that they can, with its hours.")
    list_display = ("when", "room_name", "state", "buyer", "money", "in_order", "its_event")
    list_filter = (WhenFilter, StateFilter, ("calendar__page", ScopedFilter), ("calendar", ScopedFilter))
    list_select_related = ("calendar__page", "user", "order", "event")
    extra_lookups = ("order__id__exact",)
    search_fields = ("user__email", "title__finds", "order__code")
    search_help_text = _("The buyer's e-mail address, the room, or the order's code.")
    ordering = ("-starts_at", "-id")
    sortable_by = ("when", "state")
    change_form_template = "admin/foyer/booking.html"
    view_on_site = False
    fields = ("room_name", "when", "until", "blocked", "state", "buyer", "money", "in_order", "its_event")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Booking]:
        return super().get_queryset(request).filter(kind=EntryKind.BOOKING).exclude(state=EntryState.PENDING)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.make_event_view)
        return [path("<int:pk>/event/", view, name="events_booking_event"), *super().get_urls()]

    def make_event_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for what the booking does not know (GET), then make the event (POST)."""
        booking = self.get_queryset(request).filter(pk=pk).first()
        if booking is None:
            raise Http404
        if not self.within(request, self.edits, booking):
            raise PermissionDenied
        data = request.POST if request.method == "POST" else None
        form = MakeEventForm(data, currency=booking.calendar.page.currency)
        if form.is_valid():
            try:
                event = make_event(booking.pk, who=f"user:{request.user.pk}", **form.cleaned_data)
            except NoEvent as refusal:
                messages.error(request, str(refusal))
                return redirect("admin:events_booking_change", booking.pk)
            words = (
                gettext("“%(title)s” is published.")
                if event.state == EntryState.CONFIRMED
                else gettext("“%(title)s” is a draft: nobody sees it yet.")
            )
            messages.success(request, words % {"title": event.title})
            if event.state == EntryState.CONFIRMED:
                for warning in warnings_of(ARROWS["publish"], event):
                    messages.warning(request, warning)
            return redirect("admin:events_calendarentry_change", event.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Make it an event"),
            "booking": booking,
            "when": self.when(booking),
            "until": self.until(booking),
            "form": form,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/foyer/make_event.html", context, status=422 if form.is_bound else 200)

    def zone_of(self, row: Booking) -> str:
        return row.calendar.page.time_zone

    def steps_of(self, request: HttpRequest, row: Booking) -> list[Step]:  # noqa: ARG002
        return booking_steps(row)

    def context_of(self, request: HttpRequest, row: Booking) -> dict[str, Any]:
        free = row.state == EntryState.CONFIRMED and not hasattr(row, "event")
        event = getattr(row, "event", None)
        stays = event is not None and event.state != EntryState.CANCELLED
        return {
            "booking": row,
            "becomes_event": free and self.within(request, self.edits, row),
            "pay_back": "" if stays else pay_back_address(self, request, "booking", row),
        }

    @admin.display(description=_("from"), ordering="starts_at")
    def when(self, row: Booking) -> str:
        return told(row.starts_at, row.calendar.page.time_zone)

    @admin.display(description=_("to"))
    def until(self, row: Booking) -> str:
        return told(row.ends_at, row.calendar.page.time_zone)

    @admin.display(description=_("with set-up and clean-up"))
    def blocked(self, row: Booking) -> str:
        zone = row.calendar.page.time_zone
        return f"{told(row.blocks.lower, zone)} – {told(row.blocks.upper, zone)}" if row.blocks else ""

    @admin.display(description=_("room"))
    def room_name(self, row: Booking) -> str:
        return f"{row.calendar.page.name} · {row.title}"

    @admin.display(description=_("booked by"))
    def buyer(self, row: Booking) -> str:
        return str(row.user)

    @admin.display(description=_("price"))
    def money(self, row: Booking) -> str:
        return row.cost.or_free()

    @admin.display(description=_("order"))
    def in_order(self, row: Booking) -> str:
        return link("orders_order", row.order.pk, row.order.short_code) if row.order else ""

    @admin.display(description=_("its event"))
    def its_event(self, row: Booking) -> str:
        event = getattr(row, "event", None)
        return link("events_calendarentry", event.pk, event.title) if event else ""
