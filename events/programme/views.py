"""The public pages: what is on, an organiser's page, a calendar, an event."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.core.paginator import Paginator
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe

from accounts.visitors import visitor_of
from events.models import Calendar, CalendarEntry, CalendarQuerySet, EntryQuerySet, Page
from events.payees import takes_payments
from events.programme.listing import (
    View,
    Wanted,
    as_listed,
    coming,
    events_context,
    listed,
    month_of,
    past,
    starting_from,
    today_of,
    week_of,
)
from events.programme.paging import Uncounted
from events.rooms import RoomHours
from events.rooms.context import room_context
from events.rooms.showing import RoomWanted
from events.selling import offers_of
from events.tickets.invitations import CONTENT_TYPE, ics
from ledger import clock

EVENTS_A_PAGE = 30
FEED_EVENTS = 2000
#: So many are named on the front page, and of rooms below what a search found.
ORGANISERS = ROOMS = 30


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    now = clock.now()
    pages = Page.objects.published().only("time_zone")
    context = _programme(request, CalendarEntry.objects.all(), Calendar.objects.all(), pages=pages, at=now)
    return render(request, "events/index.html", context | {"organisers": _organisers()})


def _organisers() -> QuerySet[Page]:
    """Who is here, by name, each with its rooms that can be booked: asked for only where they are shown."""
    rooms = Prefetch("calendars", queryset=Calendar.objects.filter(is_bookable=True), to_attr="rooms")
    return Page.objects.published().prefetch_related(rooms).order_by("name", "pk")[:ORGANISERS]


@require_safe
def page(request: HttpRequest, slug: str) -> HttpResponse:
    shown = get_object_or_404(Page.objects.published().prefetch_related("calendars"), slug=slug)
    now = clock.now()
    entries = CalendarEntry.objects.filter(calendar__page=shown)
    context = _programme(request, entries, Calendar.objects.filter(page=shown), pages=[shown], at=now)
    return render(request, "events/page.html", context | {"page": shown})


@require_safe
def calendar(request: HttpRequest, page_slug: str, slug: str) -> HttpResponse:
    shown = get_object_or_404(
        Calendar.objects.select_related("page"), page__slug=page_slug, page__is_published=True, slug=slug
    )
    now = clock.now()
    if shown.is_bookable and "past" not in request.GET:
        hours = RoomHours.of(shown)
        if hours.rules is not None:
            context = room_context(hours, visitor_of(request), RoomWanted.of(request.GET.dict()), at=now)
            return render(request, "events/room.html", context | events_context(shown, at=now))
    entries = CalendarEntry.objects.filter(calendar=shown)
    context = _programme(request, entries, Calendar.objects.none(), pages=[shown.page], at=now)
    return render(request, "events/calendar.html", context | {"calendar": shown, "page": shown.page})


@require_safe
def feed(request: HttpRequest, slug: str | None = None) -> HttpResponse:  # noqa: ARG001  (Django's signature)
    """Events to subscribe to, of all pages or of one: from a month ago on, cancelled ones included."""
    now = clock.now()
    shown = get_object_or_404(Page.objects.published(), slug=slug) if slug else None
    rows = CalendarEntry.objects.public().with_page().filter(ends_at__gt=now - timedelta(days=31))
    entries = (rows.filter(calendar__page=shown) if shown else rows).order_by("starts_at", "pk")[:FEED_EVENTS]
    content = ics(entries, name=shown.name if shown else "Foyer", at=now, is_feed=True)
    return HttpResponse(content, content_type=CONTENT_TYPE, headers={"Cache-Control": "public, max-age=300"})


@require_safe
def entry(request: HttpRequest, pk: int, slug: str) -> HttpResponse | HttpResponsePermanentRedirect:
    shown = get_object_or_404(CalendarEntry.objects.public().with_page().prefetch_related("ticket_types"), pk=pk)
    if slug != shown.slug:
        return redirect(shown, permanent=True)
    return render(request, "events/entry.html", entry_context(shown, at=clock.now()))


def entry_context(shown: CalendarEntry, *, at: datetime, chosen: Mapping[int, int] | None = None) -> dict[str, object]:
    """What templates/events/entry.html and its partial `buy` read; needs calendar, page and ticket types.

    `chosen` is what a refused form asked for (an offer's key -> number), to show it again. The buying view adds
    `added`, how many tickets went into the cart, or `refusal`, the sentence that says why none did.
    """
    offers = offers_of(shown, at=at, payable=takes_payments(shown.calendar.page, shown.currency))
    if chosen is None:  # one kind of ticket is most likely what the visitor came for
        chosen = {offers[0].key: offers[0].minimum} if len(offers) == 1 else {}
    return {
        "entry": shown,
        "calendar": shown.calendar,
        "page": shown.calendar.page,
        "listed": as_listed(shown, offers, at=at),
        "offers": [(offer, chosen.get(offer.key, 0)) for offer in offers],
        "is_on_sale": any(offer.buyable for offer in offers),
        "unpayable": any(offer.unpayable for offer in offers),
        "has_price": any(offer.price.amount for offer in offers),
    }


def _programme(
    request: HttpRequest, entries: EntryQuerySet, rooms: CalendarQuerySet, *, pages: Iterable[Page], at: datetime
) -> dict[str, object]:
    """What templates/events/_programme.html shows: a page of the list, or a month, or a week, of events of `pages`.

    Searched, `rooms` too.
    """
    wanted = Wanted.of(request.GET.dict())
    context: dict[str, object] = {"wanted": wanted}
    is_past = "past" in request.GET
    if wanted.text and not is_past:
        context["rooms_found"] = rooms.rooms_matching(wanted.text).select_related("page")[:ROOMS]
    showing = past(entries, at=at, text=wanted.text) if is_past else coming(entries, at=at, text=wanted.text)
    if wanted.view is View.LIST or is_past:
        if wanted.day and not is_past:
            showing = starting_from(showing, wanted.day)
        paginator = Paginator if wanted.text or is_past else Uncounted
        page_obj = paginator(showing, EVENTS_A_PAGE).get_page(request.GET.get("page"))
        return context | {"page_obj": page_obj, "events": listed(page_obj, at=at), "is_past": is_past}
    today = today_of(pages, at)
    show = month_of if wanted.view is View.MONTH else week_of
    return context | {"period": show(showing, wanted.day or today, today=today, at=at)}
