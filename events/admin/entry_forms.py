"""The forms of events and ticket types: times on the page's clock, places and prices that can be kept."""

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.forms.models import BaseInlineFormSet, ModelForm
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from events.admin.asking import AskingForm, Question, tell_field
from events.local_times import LocalTimeField, told
from events.models import Calendar, CalendarEntry, TicketType
from events.organising.calling_off import Effect, effect_of
from events.organising.desk import link
from events.pictures import PictureForm
from events.rooms.events import RoomTaken, blocked_by, check_room
from events.states import HELD, EntryKind
from events.transitions import was_ordered
from ledger.money import PLACES, rounded


def with_link(taken: RoomTaken) -> str:
    """What it says, and the way to what is there: organisers of the page see both."""
    name = "events_booking" if taken.by.kind == EntryKind.BOOKING else "events_calendarentry"
    return format_html("{} {}", str(taken), link(name, taken.by.pk, gettext("Look at it")))


def check_capacity(capacity: int | None, held: int) -> None:
    """Raise ValidationError when fewer places are wanted than are held."""
    if capacity is not None and capacity < held:
        raise ValidationError(
            ngettext(
                "%(held)d ticket is held: the capacity cannot be lower than that.",
                "%(held)d tickets are held: the capacity cannot be lower than that.",
                held,
            )
            % {"held": held}
        )


def check_price(price: Decimal | None, currency: str) -> None:
    """Raise ValidationError for a price that `currency` does not have."""
    if price is not None and price < 0:
        raise ValidationError(gettext("A price is never below zero."))
    if price is not None and currency in PLACES and price != rounded(price, currency):
        raise ValidationError(gettext("%(currency)s has no such small coins.") % {"currency": currency})


class OnTheClock:
    """For forms with LocalTimeFields: all of them on one clock, and said so."""

    fields: dict[str, forms.Field]

    def set_clock(self, zone: str, note: str) -> None:
        for field in self.fields.values():
            if isinstance(field, LocalTimeField):
                field.zone = ZoneInfo(zone)
                field.help_text = note


def check_window(form: "ModelForm[Any]", start: str, end: str, words: str) -> None:
    starts, ends = form.cleaned_data.get(start), form.cleaned_data.get(end)
    if isinstance(starts, datetime) and isinstance(ends, datetime) and ends <= starts:
        form.add_error(end, words)


#: Fields whose change is told to who has a ticket.
MOVED = {"starts_at", "ends_at", "place"}


def entry_question(entry: CalendarEntry, data: Mapping[str, Any], changed: Collection[str]) -> Question | None:
    """What is asked before `entry` (as it still is) gets `data`: who is told that it moves, and whether to hide it.

    None while no ticket of it is valid or being paid.
    """
    moves, hides = not MOVED.isdisjoint(changed), entry.is_published and not data.get("is_published", True)
    sold = effect_of(entry) if entry.pk and entry.held and (moves or hides) else None
    if sold is None:
        return None
    words, fields = [_sold_words(sold)], {}
    if moves:
        zone, home = entry.calendar.page.time_zone, entry.calendar.page.place
        was = _whereabouts(zone, entry.starts_at, entry.ends_at, entry.place or home)
        will = _whereabouts(zone, data["starts_at"], data["ends_at"], data.get("place") or home)
        words.append(gettext("It was: %(was)s. It will be: %(will)s.") % {"was": was, "will": will})
        if sold.orders:
            words.append(gettext("A mail goes to each buyer, and to whoever got a ticket from one, if you send it."))
            fields["tell"] = tell_field(_("Those who have tickets"))
    if hides:
        words.append(gettext("Hidden, it is seen by no visitor and sells nothing; its tickets stay valid at the door."))
        words.append(gettext("Nobody is told. If it does not take place, call it off instead."))
    return Question(gettext("Before this is saved"), tuple(words), gettext("Save"), fields)


def _sold_words(sold: Effect) -> str:
    numbers = {"tickets": sold.tickets, "orders": sold.orders, "unpaid": sold.unpaid}
    words = ngettext(
        "Sold: %(tickets)d valid ticket (orders: %(orders)d); being paid: %(unpaid)d.",
        "Sold: %(tickets)d valid tickets (orders: %(orders)d); being paid: %(unpaid)d.",
        sold.tickets,
    )
    return words % numbers


def _whereabouts(zone: str, starts: datetime, ends: datetime, place: str) -> str:
    return ", ".join(filter(None, [f"{told(starts, zone)} – {told(ends, zone)}", place]))


class EntryForm(OnTheClock, AskingForm[CalendarEntry], PictureForm[CalendarEntry]):
    starts_at = LocalTimeField(label=_("Starts"))
    ends_at = LocalTimeField(label=_("Ends"))
    sale_starts_at = LocalTimeField(label=_("Sale starts"), required=False)
    sale_ends_at = LocalTimeField(label=_("Sale ends"), required=False)

    class Meta:
        model = CalendarEntry
        fields = (
            "calendar", "title", "summary", "text", "picture", "picture_alt", "place", "starts_at", "ends_at", "room",
            "ticket_price", "capacity", "sale_starts_at", "sale_ends_at", "max_per_order", "is_published",
        )  # fmt: skip
        labels = {"is_published": _("Shown to the public once published"), "summary": _("In one line")}
        help_texts = {"room": _("Nobody can book the room while the event is on. Empty: it takes up none.")}

    #: The time that the event takes of its room, once the form is clean.
    blocks: DateTimeTZRange | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        calendar = self._calendar()
        self._offer_rooms(calendar)
        choices = self.fields.get("calendar")
        if self.instance.pk and isinstance(choices, forms.ModelChoiceField) and choices.queryset is not None:
            # It stays with its page, in whose currency and name it is sold.
            choices.queryset = choices.queryset.filter(page_id=self.instance.calendar.page_id)
        if calendar is not None:
            self.set_clock(calendar.page.time_zone, gettext("Time in %(zone)s") % {"zone": calendar.page.time_zone})
        elif isinstance(choices, forms.ModelChoiceField) and choices.queryset is not None:
            zones = sorted({row.page.time_zone for row in choices.queryset})
            self.set_clock("UTC", gettext("Time in %(zone)s") % {"zone": zones[0] if zones else "UTC"})
            if len(zones) > 1:
                self.set_clock(
                    "UTC", gettext("On the clock of the calendar's page: %(zones)s") % {"zones": ", ".join(zones)}
                )

    def _offer_rooms(self, calendar: Calendar | None) -> None:
        """Rooms of the same page only; none for what came of a booking, which has the room already."""
        choices = self.fields.get("room")
        if not isinstance(choices, forms.ModelChoiceField) or choices.queryset is None:
            return
        rooms = choices.queryset.filter(is_bookable=True)
        if self.instance.room_id is not None:
            rooms = rooms | choices.queryset.filter(pk=self.instance.room_id)
        if calendar is not None:
            rooms = rooms.filter(page_id=calendar.page_id)
        choices.queryset = rooms.none() if self.instance.booking_id else rooms

    def _check_room(self, data: dict[str, Any]) -> None:
        """Its time in the room is free, when it is new there or holds it; the room was locked before the event."""
        room, starts, ends = data.get("room"), data.get("starts_at"), data.get("ends_at")
        if room is None or starts is None or ends is None or ends <= starts:
            return
        self.blocks = blocked_by(room, starts, ends)
        if self.instance.state not in HELD and not {"room", "starts_at", "ends_at"}.intersection(self.changed_data):
            return
        try:
            check_room(room, self.blocks, but=self.instance.pk)
        except RoomTaken as taken:
            self.add_error("room", with_link(taken))

    def _check_booking(self, data: dict[str, Any]) -> None:
        """What came of a booking stays within the time that was paid for."""
        booking, starts, ends = self.instance.booking, data.get("starts_at"), data.get("ends_at")
        if booking is None:
            return
        words = gettext("It came of a booking from %(start)s to %(end)s and stays within it.") % {
            "start": told(booking.starts_at, booking.calendar.page.time_zone),
            "end": told(booking.ends_at, booking.calendar.page.time_zone),
        }
        if starts is not None and not booking.starts_at <= starts < booking.ends_at:
            self.add_error("starts_at", words)
        elif ends is not None and ends > booking.ends_at:
            self.add_error("ends_at", words)

    def _calendar(self) -> Calendar | None:
        """The calendar of the event: its own, the one that was sent with a new one, or the one offered."""
        if self.instance.pk:
            return self.instance.calendar
        choices = self.fields.get("calendar")
        chosen = self.data.get(self.add_prefix("calendar")) if self.is_bound else self.initial.get("calendar")
        if not isinstance(choices, forms.ModelChoiceField) or not chosen:
            return None
        try:
            found: Calendar | None = choices.clean(chosen)
        except ValidationError:
            return None
        return found

    def clean_capacity(self) -> int | None:
        capacity: int | None = self.cleaned_data["capacity"]
        check_capacity(capacity, self.instance.held)
        return capacity

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        check_window(self, "starts_at", "ends_at", gettext("An event ends after it starts."))
        check_window(self, "sale_starts_at", "sale_ends_at", gettext("The sale ends after it starts."))
        calendar = self._calendar()
        if calendar is not None and "ticket_price" in data:
            try:
                check_price(data["ticket_price"], self.instance.currency or calendar.page.currency)
            except ValidationError as error:
                self.add_error("ticket_price", error)
        if data.get("max_per_order") == 0:
            self.add_error("max_per_order", gettext("At least one."))
        self._check_room(data)
        self._check_booking(data)
        if not self.errors:
            self.ask(entry_question(self.instance, data, self.changed_data))
        return data


class TicketTypeFormSet(BaseInlineFormSet[TicketType, CalendarEntry, ModelForm[TicketType]]):
    def clean(self) -> None:
        super().clean()
        for form in self.deleted_forms:
            if form.instance.pk and was_ordered(form.instance):
                words = gettext("“%(name)s” stays: tickets of it were ordered. To sell no more of it, end its sale.")
                raise ValidationError(words % {"name": form.instance})


class TicketTypeForm(OnTheClock, ModelForm[TicketType]):
    """`entry` is set on a subclass for the event at hand."""

    entry: CalendarEntry | None = None
    sale_starts_at = LocalTimeField(label=_("Sale starts"), required=False)
    sale_ends_at = LocalTimeField(label=_("Sale ends"), required=False)

    class Meta:
        model = TicketType
        fields = (
            "name", "text", "price", "capacity", "sale_starts_at", "sale_ends_at", "min_per_order", "max_per_order",
            "position",
        )  # fmt: skip
        labels = {"min_per_order": _("At least, an order"), "max_per_order": _("At most, an order")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.entry is not None:
            zone = self.entry.calendar.page.time_zone
            self.set_clock(zone, gettext("Time in %(zone)s") % {"zone": zone})

    def clean_capacity(self) -> int | None:
        capacity: int | None = self.cleaned_data["capacity"]
        check_capacity(capacity, self.instance.held)
        return capacity

    def clean_price(self) -> Decimal | None:
        price: Decimal | None = self.cleaned_data["price"]
        check_price(price, self.entry.currency if self.entry else "")
        return price

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        check_window(self, "sale_starts_at", "sale_ends_at", gettext("The sale ends after it starts."))
        least, most = data.get("min_per_order"), data.get("max_per_order")
        if least == 0:
            self.add_error("min_per_order", gettext("At least one."))
        elif least is not None and most is not None and most < least:
            self.add_error("max_per_order", gettext("Not below the least."))
        return data
