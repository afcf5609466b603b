"""The door's plain page: for a phone in the hand or a scanner on the table."""

from collections.abc import Callable
from datetime import timedelta

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.requests import Request, signed_in
from events.door.reading import SHORT, Answer, Found, Light, check_in, counts, undo
from events.models import CalendarEntry, Role, Ticket
from events.scoping import team_of
from events.states import EntryState, TicketState
from events.tickets.views import private
from ledger import clock

AT_THE_DOOR = frozenset({Role.OWNER, Role.ORGANISER, Role.BOX_OFFICE, Role.DOOR})
FOUND = 20


def own_entries(request: HttpRequest) -> QuerySet[CalendarEntry]:
    """Events of the pages on whose door the user stands; PermissionDenied for who stands on none."""
    team = team_of(request)
    rows = CalendarEntry.objects.events().with_page().filter(state__in=[EntryState.CONFIRMED, EntryState.CANCELLED])
    if team.is_superuser:
        return rows
    pages = team.pages(AT_THE_DOOR)
    if not pages:
        raise PermissionDenied
    return rows.filter(calendar__page__in=pages)


@private
@require_safe
def doors(request: HttpRequest) -> HttpResponse:
    """Which event? Those of today and the days around it."""
    if not request.user.is_authenticated:
        return to_login(request)
    now = clock.now()
    near = own_entries(request).filter(
        starts_at__lt=now + timedelta(days=7), ends_at__gt=now - timedelta(hours=12), state=EntryState.CONFIRMED
    )
    return render(request, "events/doors.html", {"entries": near.order_by("starts_at", "pk")[:100]})


@private
@require_http_methods(["GET", "HEAD", "POST"])
def door(request: Request, pk: int) -> HttpResponse:
    """One event's door: a code is checked in, or the last one taken back, or somebody without a ticket looked up."""
    if not request.user.is_authenticated:
        return to_login(request)
    entry = get_object_or_404(own_entries(request), pk=pk)
    who = f"user:{signed_in(request).pk}"
    answer = answered(
        request,
        let_in=lambda code: check_in(entry, code, who=who, at=clock.now()),
        take_back=lambda pk: undone(entry, pk, who),
    )
    inside, valid = counts(entry)
    term = request.GET.get("name", "").strip()[:100]
    context = {
        "entry": entry,
        "answer": answer,
        "inside": inside,
        "valid": valid,
        "term": term,
        "found": found(entry, term) if term else None,
    }
    template = "events/door.html#desk" if request.htmx else "events/door.html"
    return render(request, template, context)


def answered(
    request: HttpRequest, *, let_in: Callable[[str], Answer], take_back: Callable[[int], Answer]
) -> Answer | None:
    """What a POST at a door or a counter leads to: a code is let in, or a row (by `undo`) taken back."""
    if request.method != "POST":
        return None
    taken_back = request.POST.get("undo", "")
    if taken_back.isdecimal() and len(taken_back) < 19:
        return take_back(int(taken_back))
    return let_in(request.POST.get("code", "")[:2000])


def undone(entry: CalendarEntry, pk: int, who: str) -> Answer:
    if undo(entry, pk, who=who):
        return Answer(Light.AMBER, _("Taken back"), _("That ticket is out again and can be let in once more."))
    return Answer(Light.RED, _("Nothing to take back"), _("That ticket is not in."))


def found(entry: CalendarEntry, term: str) -> list[Found]:
    """Valid tickets of people who come without theirs, by name, address, or the beginning of the order's code.

    What the page does not show is answered about as a whole only: a part of it would read out the rest.
    """
    asked = Q(holder__finds=term) | Q(user__email__icontains=term)
    asked |= Q(sent_to__iexact=term) | Q(sent_to__icontains=term, holder="") | in_order(term)
    rows = Ticket.objects.with_page().select_related("user", "order").filter(entry=entry)
    rows = rows.filter(state__in=[TicketState.CONFIRMED, TicketState.CHECKED_IN])
    return [
        Found(
            who=ticket.holder or ticket.sent_to or str(ticket.user),
            what=ticket.ticket_type.name if ticket.ticket_type else "",
            order=ticket.order.short_code if ticket.order else "",
            code=ticket.code,
            is_done=ticket.state == TicketState.CHECKED_IN,
        )
        for ticket in rows.filter(asked).order_by("pk")[:FOUND]
    ]


def in_order(term: str) -> Q:
    """Rows of an order whose code begins with `term`: asked about as many letters as the page shows of it."""
    return Q(order__code__istartswith=term[:SHORT])


def to_login(request: HttpRequest) -> HttpResponse:
    return redirect_to_login(request.get_full_path())
