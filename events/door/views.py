"""The door's plain page, and a counter's: for a phone in the hand or a scanner on the table."""

from datetime import timedelta
from typing import Any, TypeVar

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.requests import Request, signed_in
from events.door.desk import Answer, Desk, Light
from events.door.letting_in import door_of
from events.models import CalendarEntry, Role
from events.scoping import team_of
from events.states import EntryState
from events.tickets.views import private
from ledger import clock

AT_THE_DOOR = frozenset({Role.OWNER, Role.ORGANISER, Role.BOX_OFFICE, Role.DOOR})

Place = TypeVar("Place", bound=Model)


def where_on_duty(request: HttpRequest, places: QuerySet[Place], page: str) -> QuerySet[Place]:
    """Those of `places` on whose `page` the user lets people in; PermissionDenied for who does so on none."""
    team = team_of(request)
    if team.is_superuser:
        return places
    pages = team.pages(AT_THE_DOOR)
    if not pages:
        raise PermissionDenied
    return places.filter(**{f"{page}__in": pages})


def own_entries(request: HttpRequest) -> QuerySet[CalendarEntry]:
    """Events of the pages on whose door the user stands; PermissionDenied for who stands on none."""
    rows = CalendarEntry.objects.events().with_page().filter(state__in=[EntryState.CONFIRMED, EntryState.CANCELLED])
    return where_on_duty(request, rows, "calendar__page")


@private
@require_safe
@login_required
def doors(request: HttpRequest) -> HttpResponse:
    """Which event? Those of today and the days around it."""
    now = clock.now()
    near = own_entries(request).filter(
        starts_at__lt=now + timedelta(days=7), ends_at__gt=now - timedelta(hours=12), state=EntryState.CONFIRMED
    )
    return render(request, "events/doors.html", {"entries": near.order_by("starts_at", "pk")[:100]})


@private
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def door(request: Request, pk: int) -> HttpResponse:
    """One event's door."""
    return desk_page(request, door_of(get_object_or_404(own_entries(request), pk=pk)))


def desk_page(request: Request, desk: Desk[Any]) -> HttpResponse:
    """A door or a counter: a code is let in, or the last one taken back, or somebody without it looked up."""
    answer = _answer(request, desk) if request.method == "POST" else None
    done, valid = desk.counts()
    term = request.GET.get("name", "").strip()[:100]
    context = {
        "desk": desk,
        "count": desk.count % {"done": done, "valid": valid},
        "answer": answer,
        "term": term,
        "matches": desk.matches(term) if term else None,
    }
    return render(request, "events/desk.html#desk" if request.htmx else "events/desk.html", context)


def _answer(request: Request, desk: Desk[Any]) -> Answer:
    who, taken_back = f"user:{signed_in(request).pk}", request.POST.get("undo", "")
    if not taken_back.isdecimal() or len(taken_back) >= 19:
        return desk.let_in(request.POST.get("code", "")[:2000], who=who, at=clock.now())
    if desk.take_back(int(taken_back), who=who):
        return Answer(Light.AMBER, _("Taken back"), desk.taken_back)
    return Answer(Light.RED, _("Nothing to take back"), desk.not_done)
