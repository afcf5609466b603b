"""Events and their ticket types in the admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import Count, IntegerField, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from events.admin.arrows import ACTIONS, ARROWS, STANDING, arrow_view
from events.admin.asking import SEND, TELL, AskingAdmin
from events.admin.entry_forms import EntryForm, TicketTypeForm, TicketTypeFormSet
from events.admin.pictures import PicturedAdmin
from events.local_times import told
from events.models import Calendar, CalendarEntry, Page, Ticket, TicketType
from events.organising.calling_off import tell_holders
from events.organising.desk import DeskAdmin
from events.organising.telling import entry_steps
from events.rooms.events import lock_rooms
from events.scoping import PAY_BACK, RUN, SEE_EVENTS, ScopedFilter, ScopedInline, choices_for, sign_for
from events.states import EntryState, TicketState
from events.transitions import delete_draft, delete_type
from ledger import clock
from ledger.money import Money
from ledger.telling import Step

SOLD = [TicketState.CONFIRMED, TicketState.CHECKED_IN]


def sold_of(key: str) -> Coalesce:
    """Tickets sold (valid or checked in) of each row, `key` being the ticket's foreign key to it."""
    rows = Ticket.objects.filter(**{key: OuterRef("pk")}, state__in=SOLD).order_by().values(key)
    return Coalesce(Subquery(rows.annotate(n=Count("pk")).values("n")), 0, output_field=IntegerField())


#: The rows of a ticket type's form.
TYPE_FIELDS = (
    ("name", "text"),
    ("price", "capacity", "sold", "held_now"),
    ("sale_starts_at", "sale_ends_at"),
    ("min_per_order", "max_per_order", "position"),
)


class WhenFilter(admin.SimpleListFilter):
    title = _("time")
    parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002  (Django's signature)
        return [("coming", _("on now or coming")), ("past", _("over"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        now = clock.now()
        if self.value() == "coming":
            return queryset.filter(ends_at__gt=now)
        return queryset.filter(ends_at__lte=now) if self.value() == "past" else queryset


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        return list(STANDING.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        return queryset.filter(state=self.value()) if self.value() in STANDING else queryset


#: Fields that say which time of which room an event takes.
ROOM_TIME = {"starts_at", "ends_at", "room"}


class Figures:
    """Columns that events and ticket types share: places and money, to be read only."""

    @admin.display(description=_("sold"))
    def sold(self, row: Any) -> int:
        return int(getattr(row, "n_sold", 0))

    @admin.display(description=_("held"))
    def held_now(self, row: Any) -> int:
        """Sold, and in orders that are being paid."""
        return int(row.held or 0)

    @admin.display(description=_("free"))
    def free(self, row: Any) -> str:
        return gettext("no limit") if row.free_places is None else str(row.free_places)

    @admin.display(description=_("capacity"))
    def places(self, row: Any) -> str:
        return gettext("no limit") if row.capacity is None else str(row.capacity)


class TicketTypeInline(Figures, ScopedInline[TicketType, CalendarEntry]):
    model = TicketType
    form = TicketTypeForm
    formset = TicketTypeFormSet
    sees = SEE_EVENTS
    edits = RUN
    template = "admin/edit_inline/stacked.html"  # a table of so many columns fits no screen
    fields = TYPE_FIELDS
    readonly_fields = ("sold", "held_now")
    verbose_name_plural = _("ticket types: with any, the ticket price above is not used")

    def get_queryset(self, request: HttpRequest) -> QuerySet[TicketType]:
        return super().get_queryset(request).annotate(n_sold=sold_of("ticket_type"))

    def get_formset(self, request: HttpRequest, obj: CalendarEntry | None = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        # Django's own look at what hangs on a row counts carts too, and names every ticket by its code.
        own = {"entry": obj, "hand_clean_DELETE": lambda _form: None}
        formset.form = type("PlacedTicketTypeForm", (formset.form,), own)
        return formset


@admin.register(CalendarEntry)
class EntryAdmin(Figures, AskingAdmin[CalendarEntry], PicturedAdmin[CalendarEntry], DeskAdmin[CalendarEntry]):
    form = EntryForm
    sees = SEE_EVENTS
    edits = RUN
    page_path = "calendar__page_id"
    comes_after = (Page, Calendar)
    empty = _("There is no event yet. A new one is a draft that nobody sees, until it is published.")
    list_display = ("title", "when", "page", "calendar_name", "standing", "sold", "held_now", "places", "free")
    list_filter = (WhenFilter, StateFilter, ("calendar__page", ScopedFilter), ("calendar", ScopedFilter))
    list_select_related = ("calendar__page",)
    search_fields = ("title__finds", "summary__finds", "place__finds")
    search_help_text = _("Words of the title, the line below it, or the place.")
    ordering = ("-starts_at", "-id")
    sortable_by = ("title", "when", "standing")
    actions = ACTIONS
    change_form_template = "admin/foyer/entry.html"
    view_on_site = False
    readonly_fields = ("standing", "sold", "held_now", "free")
    fieldsets = (
        (None, {"fields": ("calendar", "title", "summary", ("starts_at", "ends_at"), "place", "room")}),
        (_("Tickets"), {"fields": ("ticket_price", "capacity", ("sale_starts_at", "sale_ends_at"), "max_per_order")}),
        (_("Text and picture"), {"fields": ("text", "picture", "picture_alt")}),
    )
    figures = (_("Where it stands"), {"fields": (("standing", "sold", "held_now", "free"), "is_published")})

    def get_queryset(self, request: HttpRequest) -> QuerySet[CalendarEntry]:
        rows = super().get_queryset(request).filter(kind="event")
        return rows.annotate(n_sold=sold_of("entry"))

    def get_fieldsets(self, request: HttpRequest, obj: CalendarEntry | None = None) -> Any:  # noqa: ARG002
        return (self.fieldsets[0], self.figures, *self.fieldsets[1:]) if obj else self.fieldsets

    def get_inlines(self, request: HttpRequest, obj: CalendarEntry | None) -> list[Any]:  # noqa: ARG002
        """Ticket types are made once the event, and so its page, is known."""
        return [TicketTypeInline] if obj else []

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.within(request, self.edits, None)

    def has_change_permission(self, request: HttpRequest, obj: CalendarEntry | None = None) -> bool:
        return self.within(request, self.edits, obj)

    def has_delete_permission(self, request: HttpRequest, obj: CalendarEntry | None = None) -> bool:
        """Drafts only, one at a time: what was public once stays."""
        return obj is not None and obj.state == EntryState.DRAFT and self.within(request, self.edits, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A draft goes with its ticket types and what carts hold of it (delete_draft)."""
        refused = {str(row) for row in objs if not self.has_delete_permission(request, row)}
        return [str(row) for row in objs], {self.opts.verbose_name_plural: len(objs)}, refused, []

    def delete_model(self, request: HttpRequest, obj: CalendarEntry) -> None:
        sign_for(request, "draft deleted in the admin")
        delete_draft(CalendarEntry.objects.filter(pk=obj.pk).locked().get())

    def delete_row(self, row: Model) -> None:
        """A ticket type goes with what carts hold of it."""
        if isinstance(row, TicketType):
            delete_type(row)
        else:
            super().delete_row(row)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> CalendarEntry | None:
        """As everywhere; before the event its room is locked, the one that it has and the one that was sent."""
        if request.method == "POST" and object_id.isdecimal() and (typed := request.POST.get("room", "")).isascii():
            room = CalendarEntry.objects.filter(pk=object_id).values_list("room_id", flat=True).first()
            self.lock_rooms_of_mine(request, {room, int(typed) if typed.isdecimal() else None})
        return super().get_object(request, object_id, from_field)

    def lock_rooms_of_mine(self, request: HttpRequest, rooms: set[int | None]) -> None:
        mine = choices_for(self.admin_site, CalendarEntry._meta.get_field("room"), request)
        lock_rooms(mine.filter(pk__in=[pk for pk in rooms if pk is not None]).values_list("pk", flat=True))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """In one transaction with the look at the room that it wants to take."""
        with transaction.atomic():
            typed = request.POST.get("room", "")
            self.lock_rooms_of_mine(request, {int(typed) if typed.isascii() and typed.isdecimal() else None})
            return super().add_view(request, form_url, extra_context)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in ("calendar", "room") and field is not None:
            # Without the pencil and the plus: they lead away from a form that is not saved.
            field.widget = getattr(field.widget, "widget", field.widget)
        return field

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Who has one calendar need not choose it."""
        data: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        rows: list[Calendar] = list(
            choices_for(self.admin_site, CalendarEntry._meta.get_field("calendar"), request)[:2]
        )
        if len(rows) == 1:
            data.setdefault("calendar", rows[0].pk)
        return data

    def save_model(self, request: HttpRequest, obj: CalendarEntry, form: forms.Form, change: bool) -> None:
        if not change:
            obj.currency = obj.calendar.page.currency
        if isinstance(form, EntryForm):
            obj.blocks = form.blocks
            if change and ROOM_TIME.intersection(form.changed_data):
                # In one statement: the blocked time holds the event's own at every moment.
                sign_for(request, "changed in the admin")
                obj.save(update_fields=[*sorted(ROOM_TIME), "blocks"])
        super().save_model(request, obj, form, change)
        if isinstance(form, EntryForm) and form.answer.get(TELL) == SEND:
            old = form.initial
            place = old["place"] or obj.calendar.page.place
            if count := tell_holders(obj, starts_at=old["starts_at"], place=place, ends_at=old["ends_at"]):
                words = ngettext("%(n)d buyer is told by mail.", "%(n)d buyers are told by mail.", count)
                self.message_user(request, words % {"n": count})

    def response_add(
        self, request: HttpRequest, obj: CalendarEntry, post_url_continue: str | None = None
    ) -> HttpResponse:
        """On to its own page: a draft wants ticket types and publishing next."""
        if "_addanother" in request.POST or "_popup" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        words = gettext("“%(title)s” is a draft: nobody sees it yet. Add ticket types if it needs any, then publish.")
        self.message_user(request, words % {"title": obj.title})
        return HttpResponseRedirect(reverse("admin:events_calendarentry_change", args=[obj.pk]))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(lambda request, pk, arrow: arrow_view(self, request, pk, arrow))
        return [path("<int:pk>/move/<slug:arrow>/", view, name="events_calendarentry_arrow"), *super().get_urls()]

    def zone_of(self, row: CalendarEntry) -> str:
        return row.calendar.page.time_zone

    def steps_of(self, request: HttpRequest, row: CalendarEntry) -> list[Step]:  # noqa: ARG002
        return entry_steps(row)

    def context_of(self, request: HttpRequest, row: CalendarEntry) -> dict[str, Any]:
        edits = self.has_change_permission(request, row)
        return {
            "entry": row,
            "arrows": [arrow for arrow in ARROWS.values() if edits and arrow.is_open_to(row)],
            "may_pay_back": self.within(request, PAY_BACK, row),
        }

    @admin.display(description=_("starts"), ordering="starts_at")
    def when(self, row: CalendarEntry) -> str:
        return told(row.starts_at, row.calendar.page.time_zone)

    @admin.display(description=_("state"), ordering="state")
    def standing(self, row: CalendarEntry) -> str:
        return str(STANDING[EntryState(row.state)])

    @admin.display(description=_("page"))
    def page(self, row: CalendarEntry) -> str:
        return row.calendar.page.name

    @admin.display(description=_("calendar"))
    def calendar_name(self, row: CalendarEntry) -> str:
        return row.calendar.name


@admin.register(TicketType)
class TicketTypeAdmin(Figures, DeskAdmin[TicketType]):
    """All kinds of ticket in one list; they are made and deleted on their event's page."""

    form = TicketTypeForm
    sees = SEE_EVENTS
    edits = RUN
    page_path = "entry__calendar__page_id"
    comes_after = (Page, Calendar, CalendarEntry)
    made_at = CalendarEntry
    empty = _("There is no ticket type yet. They are made on the page of their event.")
    list_display = ("name", "entry", "when", "money", "sold", "held_now", "places", "free")
    list_filter = (("entry__calendar__page", ScopedFilter),)
    list_select_related = ("entry__calendar__page",)
    search_fields = ("name__finds", "entry__title__finds")
    ordering = ("-entry__starts_at", "position", "id")
    sortable_by = ("name",)
    fields = ("entry", *TYPE_FIELDS)
    readonly_fields = ("entry", "sold", "held_now")

    def get_queryset(self, request: HttpRequest) -> QuerySet[TicketType]:
        return super().get_queryset(request).annotate(n_sold=sold_of("ticket_type"))

    def has_change_permission(self, request: HttpRequest, obj: TicketType | None = None) -> bool:
        return self.within(request, self.edits, obj)

    def get_form(self, request: HttpRequest, obj: TicketType | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type("PlacedTicketTypeForm", (form,), {"entry": obj.entry if obj else None})

    def zone_of(self, row: TicketType) -> str:
        return row.entry.calendar.page.time_zone

    @admin.display(description=_("starts"))
    def when(self, row: TicketType) -> str:
        return told(row.entry.starts_at, row.entry.calendar.page.time_zone)

    @admin.display(description=_("price"))
    def money(self, row: TicketType) -> str:
        return Money(row.price, row.entry.currency).or_free()
