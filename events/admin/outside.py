"""Bookings that are held while their room is closed, as it was closed afterwards: named, and their holders told."""

import hashlib
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from procrastinate.exceptions import AlreadyEnqueued

from events.admin.asking import Question, question_page
from events.local_times import told
from events.models import Calendar, CalendarEntry
from events.organising.desk import link
from events.organising.mails import tell_about_booking
from events.rooms import RoomHours, Span
from events.scoping import ScopedAdmin
from events.states import HELD
from ledger import clock

#: As many are named at once; the page behind the message has all.
NAMED = 3


def booked_outside(room: Calendar, *, at: datetime) -> list[CalendarEntry]:
    """Those bookings to come that are held while the room is closed."""
    hours = RoomHours.of(room)
    held = CalendarEntry.objects.bookings().filter(room=room, state__in=sorted(HELD), ends_at__gt=at)
    rows = held.with_page().select_related("calendar__page", "user", "order").order_by("starts_at", "pk")
    return [row for row in rows if not hours.is_open(Span(row.starts_at, row.ends_at))]


def warn_of_outside(request: HttpRequest, room: Calendar, *, at: datetime) -> None:
    """Bookings that were made before the hours changed stay valid: who changed them is told which, and decides."""
    outside = booked_outside(room, at=at)
    if not outside:
        return
    words = ngettext(
        "%(n)d booking to come lies outside the opening hours and stays valid:",
        "%(n)d bookings to come lie outside the opening hours and stay valid:",
        len(outside),
    )
    named = format_html_join(", ", "{}", ((_linked(row),) for row in outside[:NAMED]))
    address = reverse("admin:events_calendar_outside", args=[room.pk])
    way = format_html('<a href="{}">{}</a>', address, gettext("Show them, and tell those who booked"))
    more = ", …" if len(outside) > NAMED else "."
    messages.warning(request, format_html("{} {}{} {}.", words % {"n": len(outside)}, named, more, way))


def _linked(row: CalendarEntry) -> str:
    return link("events_booking", row.pk, told(row.starts_at, row.calendar.page.time_zone))


def _question(room: Calendar, rows: list[CalendarEntry]) -> Question:
    valid = sum(row.is_valid for row in rows)
    said = [
        ngettext(
            "%(n)d booking to come in %(room)s lies outside the opening hours and stays valid until it is cancelled.",
            "%(n)d bookings to come in %(room)s lie outside the opening hours and stay valid until they are cancelled.",
            len(rows),
        )
        % {"n": len(rows), "room": room.name}
    ]
    for row in rows:
        order = link("orders_order", row.order.pk, row.order.short_code) if row.order else ""
        who = str(row.user or "")
        said.append(format_html("{}, {}, {}, {}", _linked(row), row.get_state_display(), who, order))
    if not valid:
        return Question(gettext("Outside the opening hours"), tuple(said), "")
    said.append(gettext("Money goes back from the page of the booking, where owner and finance find “Pay back”."))
    words = forms.CharField(
        label=_("What those with a valid booking are told"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4, "cols": 28}),
        help_text=_("It goes out by mail, with the time that was booked and a link to the order."),
    )
    button = ngettext("Send %(n)d mail", "Send %(n)d mails", valid) % {"n": valid}
    return Question(gettext("Outside the opening hours"), tuple(said), button, {"words": words})


def outside_view(desk: ScopedAdmin[Any], request: HttpRequest, pk: int) -> HttpResponse:
    """Show them (GET), and send their holders a mail (POST)."""
    room = desk.get_queryset(request).filter(pk=pk).first()
    if room is None:
        raise Http404
    if not desk.has_change_permission(request, room):
        raise PermissionDenied
    rows = booked_outside(room, at=clock.now())
    question, back = _question(room, rows), reverse("admin:events_calendar_change", args=[room.pk])
    answer = question.answer(request.POST)
    if answer is None:
        return question_page(desk, request, question, back=back, original=room)
    with transaction.atomic():
        count = sum(_tell(row, answer["words"]) for row in rows if row.is_valid)
    words = ngettext("%(n)d buyer is told by mail.", "%(n)d buyers are told by mail.", count)
    messages.success(request, words % {"n": count})
    return redirect(back)


def _tell(row: CalendarEntry, words: str) -> bool:
    """Whether a mail is enqueued; not the same one twice, as by a second click."""
    lock = f"about.{row.pk}.{hashlib.sha256(words.encode()).hexdigest()[:16]}"
    try:
        with transaction.atomic():
            tell_about_booking.configure(queueing_lock=lock).defer(booking_id=row.pk, words=words)
    except AlreadyEnqueued:
        return False
    return True
