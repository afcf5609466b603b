"""Publish, back to draft, call off: an event's arrows as buttons with a page that asks first, and as list actions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from events.admin.asking import Asked, Question, asked_first
from events.admin.calling_off import calling_off_view
from events.admin.entry_forms import with_link
from events.models import CalendarEntry
from events.organising.desk import DeskAdmin
from events.payees import payee_of, unpayable
from events.rooms.events import RoomTaken, hold_room, lock_rooms
from events.scoping import sign_for
from events.states import EntryState
from events.transitions import call_off_event, publish, unpublish, was_ordered
from ledger.arrows import IllegalTransition

#: An event's states in an organiser's words.
STANDING = {
    EntryState.DRAFT: _("draft"),
    EntryState.CONFIRMED: _("published"),
    EntryState.CANCELLED: _("called off"),
}


@dataclass(frozen=True)
class Arrow:
    """A move that an organiser asks for: its name in addresses, its words, from where it goes, and the function."""

    name: str
    label: str | Promise
    question: str | Promise
    done: str | Promise
    source: str
    move: Callable[[CalendarEntry], int]

    def is_open_to(self, entry: CalendarEntry) -> bool:
        """Whether it would work now, so that its button is shown."""
        return entry.state == self.source and not (self.move is unpublish and was_ordered(entry))


class ArrowRefusal(Exception):
    """The event stays as it is; the text tells the organiser why."""


ARROWS = {
    arrow.name: arrow
    for arrow in (
        Arrow(
            "publish",
            _("Publish"),
            _("Visitors will see this event and can buy its tickets."),
            _("“%(title)s” is published."),
            EntryState.DRAFT,
            publish,
        ),
        Arrow(
            "back-to-draft",
            _("Back to draft"),
            _("Visitors no longer see this event. Its tickets in carts cannot be bought until it is published again."),
            _("“%(title)s” is a draft again."),
            EntryState.CONFIRMED,
            unpublish,
        ),
        Arrow(
            "call-off",
            _("Call off"),
            _("The event stays visible as cancelled and sells no more tickets. This cannot be undone."),
            _("“%(title)s” is called off."),
            EntryState.CONFIRMED,
            call_off_event,
        ),
    )
}


def follow(arrow: Arrow, pk: int, request: HttpRequest) -> CalendarEntry:
    """Move one event in a transaction signed by the request's user; the event, or an ArrowRefusal."""
    with transaction.atomic():
        lock_rooms(CalendarEntry.objects.filter(pk=pk).values_list("room_id", flat=True))
        entry = CalendarEntry.objects.events().filter(pk=pk).locked().get()
        sign_for(request, f"{arrow.name} in the admin")
        try:
            if arrow.name == "publish" and entry.state == arrow.source:
                hold_room(entry)
            arrow.move(entry)
        except RoomTaken as error:
            raise ArrowRefusal(with_link(error)) from error
        except IllegalTransition as error:
            raise ArrowRefusal(why_not(arrow, entry)) from error
    return entry


def why_not(arrow: Arrow, entry: CalendarEntry) -> str:
    """Why `entry` (locked, unmoved) does not go along `arrow`."""
    title = {"title": entry.title}
    if entry.state != arrow.source:
        return gettext("“%(title)s” is %(state)s.") % {**title, "state": STANDING.get(EntryState(entry.state), "")}
    if arrow.name == "back-to-draft":
        return gettext("“%(title)s” stays published: tickets of it were ordered. It can only be called off.") % title
    return gettext("“%(title)s” holds tickets.") % title


def arrow_view(model_admin: DeskAdmin[CalendarEntry], request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """Ask (GET), then do (POST). Another page's event is not found; who may only look is refused."""
    entry = model_admin.get_queryset(request).filter(pk=pk).first()
    arrow = ARROWS.get(name)
    if entry is None or arrow is None:
        raise Http404
    if not model_admin.has_change_permission(request, entry):
        raise PermissionDenied
    if arrow.name == "call-off":
        return calling_off_view(model_admin, request, entry)
    if request.method == "POST":
        try:
            follow(arrow, entry.pk, request)
        except ArrowRefusal as refusal:
            messages.error(request, refusal.args[0])
        else:
            messages.success(request, str(arrow.done) % {"title": entry.title})
        return redirect("admin:events_calendarentry_change", entry.pk)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": arrow.label,
        "subtitle": entry.title,
        "entry": entry,
        "arrow": arrow,
        "opts": model_admin.opts,
        "warnings": warnings_of(arrow, entry),
    }
    return TemplateResponse(request, "admin/foyer/arrow.html", context)


def warnings_of(arrow: Arrow, entry: CalendarEntry) -> list[str]:
    """What an organiser should know before publishing."""
    if arrow.name != "publish":
        return []
    found = []
    if entry.ticket_price is None and not entry.ticket_types.exists():
        found.append(gettext("It has neither ticket types nor a ticket price: it will sell no tickets."))
    if costs_something(entry) and (why := unpayable(payee_of(entry.calendar.page), entry.currency)):
        words = gettext("Nobody can pay for its tickets, so none that costs something can be sold: %(why)s")
        found.append(words % {"why": why.value})
    if entry.capacity is None and entry.ticket_types.filter(capacity=None).exists():
        found.append(gettext("It has no capacity: any number of tickets can be sold."))
    if not entry.is_published or not entry.calendar.page.is_published:
        found.append(gettext("“Shown to the public” is off for the event or its page: visitors will not see it."))
    return found


def costs_something(entry: CalendarEntry) -> bool:
    """It has a kind of ticket that is not free, or without kinds a price."""
    prices = list(entry.ticket_types.values_list("price", flat=True))
    return any(prices) if prices else bool(entry.ticket_price)


def _follow_all(
    arrow: Arrow, model_admin: DeskAdmin[CalendarEntry], request: HttpRequest, rows: QuerySet[CalendarEntry]
) -> None:
    done = 0
    # The list shows what one may see; the actions are for what one may change.
    allowed = rows.filter(model_admin.scope(request, model_admin.edits)).order_by("pk")
    for pk in list(allowed.values_list("pk", flat=True)):
        try:
            follow(arrow, pk, request)
            done += 1
        except ArrowRefusal as refusal:
            messages.error(request, refusal.args[0])
    if left := rows.count() - allowed.count():
        words = ngettext("%(n)d event is not yours to change.", "%(n)d events are not yours to change.", left)
        messages.error(request, words % {"n": left})
    if done:
        words = ngettext("%(label)s: %(n)d event.", "%(label)s: %(n)d events.", done)
        messages.success(request, words % {"label": arrow.label, "n": done})


def _to_be_moved(
    arrow: Arrow, desk: DeskAdmin[CalendarEntry], request: HttpRequest, rows: QuerySet[Any]
) -> list[CalendarEntry]:
    """Those of `rows` that would go along `arrow` now."""
    mine = rows.filter(desk.scope(request, desk.edits), state=arrow.source).select_related("calendar__page")
    return [row for row in mine.order_by("pk") if arrow.is_open_to(row)]


def _question_of(arrow: Arrow) -> Asked:
    def question(desk: DeskAdmin[CalendarEntry], request: HttpRequest, rows: QuerySet[Any]) -> Question:
        found = _to_be_moved(arrow, desk, request, rows)
        words = ngettext("%(n)d of %(all)d chosen events.", "%(n)d of %(all)d chosen events.", len(found))
        said = [words % {"n": len(found), "all": rows.count()}, str(arrow.question)]
        said += [f"“{row.title}”: {warning}" for row in found for warning in warnings_of(arrow, row)]
        return Question(str(arrow.label), tuple(said), str(arrow.label) if found else "")

    return question


@admin.action(description=_("Publish the selected drafts"), permissions=["change"])
@asked_first(_question_of(ARROWS["publish"]))
def publish_all(model_admin: DeskAdmin[CalendarEntry], request: HttpRequest, rows: QuerySet[Any]) -> None:
    _follow_all(ARROWS["publish"], model_admin, request, rows)


@admin.action(description=_("Send the selected events back to draft"), permissions=["change"])
@asked_first(_question_of(ARROWS["back-to-draft"]))
def unpublish_all(model_admin: DeskAdmin[CalendarEntry], request: HttpRequest, rows: QuerySet[Any]) -> None:
    _follow_all(ARROWS["back-to-draft"], model_admin, request, rows)


ACTIONS = [publish_all, unpublish_all]
