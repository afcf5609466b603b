"""A room's page: its free and taken time, and the POST that puts one in the cart."""

from datetime import UTC, datetime, timedelta

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect

from accounts.requests import Request, form_of
from accounts.visitors import Visitor, keep_cart, opens_carts, visitor_of
from events.booking import TimeRefusal, put_booking_in_cart
from events.buying import PurchaseRefusal
from events.models import Calendar, CalendarEntry
from events.programme.listing import events_context
from events.rooms import RoomHours, Span, busy_in
from events.rooms.reading import BadTime, read_time
from events.rooms.showing import Own, RoomWanted, Standing, Time, busy_around, shown
from events.states import HELD, EntryState
from ledger import clock


@form_of(lambda page_slug, slug: reverse("calendar", args=[page_slug, slug]))
@opens_carts
def book(request: Request, page_slug: str, slug: str) -> HttpResponse:
    """Put a time in the cart. htmx gets the partial `room`, others the cart; a refusal is 422 with free times near."""
    calendar = get_object_or_404(
        Calendar.objects.select_related("page"), page__slug=page_slug, page__is_published=True, slug=slug
    )
    hours, now = RoomHours.of(calendar), clock.now()
    wanted = RoomWanted.of(request.GET.dict())
    if hours.rules is None or not hours.calendar.is_bookable:  # switched off while the page was open
        messages.error(request, _("This room cannot be booked here."))
        back = redirect(calendar)
        return HttpResponseClientRedirect(back.url) if request.htmx else back
    visitor = visitor_of(request, with_cart=True)
    try:
        span = read_time(request.POST.get("time", ""))
        booking = put_booking_in_cart(visitor, calendar, span.start, span.end, at=now)
    except (PurchaseRefusal, BadTime) as refusal:
        context = room_context(hours, visitor, wanted, at=now)
        context |= {"refusal": str(refusal), "nearest": _nearest(hours, refusal)}
        if request.htmx:
            return render(request, "events/room.html#room", context, status=422)
        return render(request, "events/room.html", context | events_context(calendar, at=now), status=422)
    keep_cart(request, visitor)
    added = Time(hours, hours.day_of(booking.starts_at), span, Standing.IN_CART)
    if request.htmx:
        wanted = RoomWanted(view=wanted.view, day=wanted.day)  # the start that was chosen is done with
        context = room_context(hours, visitor, wanted, at=now)
        return render(request, "events/room.html#room", context | {"added": added})
    messages.success(request, _("%(room)s, %(when)s: in your cart.") % {"room": calendar.name, "when": added.when})
    return redirect("cart")


def room_context(hours: RoomHours, visitor: Visitor, wanted: RoomWanted, *, at: datetime) -> dict[str, object]:
    """What templates/events/room.html and its partial `room` read, in two queries."""
    first, last = busy_around(wanted, at.astimezone(hours.zone).date())
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=2)
    end = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=4)
    pk = hours.calendar.pk
    busy = busy_in([pk], begin, end)[pk]
    own = list(
        CalendarEntry.objects.own_bookings(visitor)
        .filter(room=pk, ends_at__gt=begin)
        .select_related("order")
        .order_by("starts_at")
    )
    in_cart = {Span(row.starts_at, row.ends_at) for row in own if row.state == EntryState.PENDING}
    ordered = [row for row in own if row.state in HELD]
    for row in ordered:
        row.calendar = hours.calendar
    mine = Own(in_cart, [Span(row.starts_at, row.ends_at) for row in ordered])
    yours = [row for row in ordered if row.ends_at > at]
    return {
        "calendar": hours.calendar,
        "page": hours.page,
        "room": shown(hours, busy, mine, wanted, at=at),
        "wanted": wanted,
        "mine": len(in_cart),
        "yours": yours,
        "access_note": next((row.access_note for row in yours if row.is_valid), ""),
    }


def _nearest(hours: RoomHours, refusal: Exception) -> list[Time]:
    spans = refusal.nearest if isinstance(refusal, TimeRefusal) else []
    return [Time(hours, hours.day_of(span.start), span, Standing.FREE) for span in spans]
