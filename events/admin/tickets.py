"""Tickets in the admin: to find, to read and to check in; what else changes them is sold, paid or sent elsewhere."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from events.admin.asking import Question, asked_first
from events.admin.paying_back import pay_back_action, pay_back_address
from events.admin.sold import SoldAdmin
from events.door.desk import Light
from events.door.letting_in import door_of
from events.local_times import told
from events.models import Calendar, CalendarEntry, Page, Ticket
from events.organising.desk import link
from events.organising.telling import ticket_steps
from events.scoping import ScopedFilter
from events.states import TicketState
from ledger import clock
from ledger.telling import Step

MOST_AT_ONCE = 200


@admin.action(description=_("Check in"))
def let_in(model_admin: "TicketAdmin", request: HttpRequest, rows: QuerySet[Ticket]) -> None:
    def one(ticket: Ticket) -> bool:
        answer = door_of(ticket.entry).let_in(ticket.code, who=f"user:{request.user.pk}", at=clock.now())
        return answer.light is Light.GREEN

    model_admin.at_the_door(request, rows, one, gettext("checked in"))


def _undo_question(_desk: Any, _request: HttpRequest, rows: QuerySet[Ticket]) -> Question:
    """So many are let in, and can be let in again afterwards."""
    chosen, inside = rows.count(), rows.filter(state=TicketState.CHECKED_IN).count()
    done = min(inside, MOST_AT_ONCE)
    words = ngettext(
        "%(n)d of %(all)d chosen tickets is checked in. It opens the door once more.",
        "%(n)d of %(all)d chosen tickets are checked in. They open the door once more.",
        inside,
    )
    found = [words % {"n": inside, "all": chosen}]
    if inside > done:
        found.append(gettext("At most %(n)d are undone at once.") % {"n": done})
    return Question(gettext("Undo check-in"), tuple(found), gettext("Undo check-in") if inside else "")


@admin.action(description=_("Undo check-in"))
@asked_first(_undo_question)
def take_back(model_admin: "TicketAdmin", request: HttpRequest, rows: QuerySet[Ticket]) -> None:
    def one(ticket: Ticket) -> bool:
        return door_of(ticket.entry).take_back(ticket.pk, who=f"user:{request.user.pk}")

    inside = rows.filter(state=TicketState.CHECKED_IN)
    model_admin.at_the_door(request, inside, one, gettext("no longer checked in"))


@admin.register(Ticket)
class TicketAdmin(SoldAdmin[Ticket]):
    actions = (let_in, take_back, pay_back_action("ticket"))
    change_form_template = "admin/foyer/sold.html"
    page_path = "entry__calendar__page_id"
    comes_after = (Page, Calendar, CalendarEntry)
    made_at = CalendarEntry
    empty = _("There is no ticket yet. Visitors buy them as soon as an event is published and on sale.")
    list_display = ("short_code", "state", "event", "ticket_type", "buyer", "money", "in_order", "at_door")
    list_filter = ("state", ("entry__calendar__page", ScopedFilter))
    list_select_related = ("entry__calendar__page", "ticket_type", "user", "order")
    extra_lookups = ("entry__id__exact", "order__id__exact")
    title_path = "entry__title"
    search_help_text = _("A ticket's or order's code, the buyer's e-mail address, or the event's title.")
    ordering = ("-id",)
    sortable_by = ("state",)
    fields = (
        "code", "state", "event", "ticket_type", "event_starts", "buyer", "holder", "money", "in_order", "put_in_cart",
        "at_door",
    )  # fmt: skip
    readonly_fields = fields

    def at_the_door(
        self, request: HttpRequest, rows: QuerySet[Ticket], one: Callable[[Ticket], bool], words: str
    ) -> None:
        """Do it to each of `rows`, in their order, and say of how many it was true."""
        done = [one(ticket) for ticket in rows.order_by("pk")[:MOST_AT_ONCE]]
        level = messages.SUCCESS if all(done) else messages.WARNING
        self.message_user(request, f"{sum(done)}/{len(done)}: {words}.", level)

    def zone_of(self, row: Ticket) -> str:
        return row.entry.calendar.page.time_zone

    def context_of(self, request: HttpRequest, row: Ticket) -> dict[str, Any]:
        return {"pay_back": pay_back_address(self, request, "ticket", row)}

    def steps_of(self, request: HttpRequest, row: Ticket) -> list[Step]:  # noqa: ARG002
        return ticket_steps(row)

    @admin.display(description=_("event"))
    def event(self, row: Ticket) -> str:
        return link("events_calendarentry", row.entry_id, row.entry)

    @admin.display(description=_("starts"))
    def event_starts(self, row: Ticket) -> str:
        return told(row.entry.starts_at, row.entry.calendar.page.time_zone)

    @admin.display(description=_("let in"))
    def at_door(self, row: Ticket) -> str:
        return told(row.checked_in_at, row.entry.calendar.page.time_zone)
