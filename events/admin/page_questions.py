"""What is asked before a page's time zone or place changes, or before it is hidden while something sold is to come."""

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from events.admin.asking import TELL, Question, tell_field
from events.models import CalendarEntry
from events.organising.zones import VALID, PageChange, entries_to_come
from events.states import EntryKind, EntryState

KEEP = "keep"
HOURS, MOMENTS = "hours", "moments"


def page_question(change: PageChange, *, is_hidden: bool) -> Question | None:
    """What has to be answered before `change` is saved; None: nothing of it is noticed by anybody."""
    fields: dict[str, forms.Field] = {}
    words: list[str] = []
    if change.zone != change.page.time_zone and (change.other_hours or change.windows):
        words += _about_zone(change)
        fields[KEEP] = forms.ChoiceField(
            label=_("What stays of all this"),
            choices=[
                (HOURS, _("The hour on the clock: what was to begin at 20:00 begins at 20:00 of the new zone")),
                (MOMENTS, _("The moment: it is told in the hours of the new zone")),
            ],
            widget=forms.RadioSelect,
        )
    if change.holders:
        if change.place != change.page.place:
            words.append(_("The place of the page is where its events and bookings take place that name none."))
        words.append(_holders(change))
        fields[TELL] = tell_field(gettext_lazy("Those who have bought"))
    if is_hidden and (hidden := _about_hiding(change)):
        words += hidden
    return Question(_("Before this is saved"), tuple(words), _("Save"), fields) if words else None


def _about_zone(change: PageChange) -> list[str]:
    rows = change.other_hours
    events = sum(row.kind == EntryKind.EVENT for row in rows)
    carts = sum(row.state == EntryState.PENDING for row in rows)
    bookings = len(rows) - events - carts
    counted = [
        (events, ngettext("%(n)d event", "%(n)d events", events)),
        (bookings, _bookings(bookings)),
        (carts, ngettext("%(n)d booking in a cart", "%(n)d bookings in carts", carts)),
        (change.windows, ngettext("%(n)d sale window", "%(n)d sale windows", change.windows)),
    ]
    named = ", ".join(words % {"n": number} for number, words in counted if number)
    zones = {"old": change.page.time_zone, "new": change.zone, "what": named}
    return [
        _("The clock changes from %(old)s to %(new)s. It shows another hour for what is still to come: %(what)s.")
        % zones,
        _("With the hours kept, each begins at another moment; a booking lasts as long as it was paid for."),
        _("Opening hours, closed days and peak prices stay as they are written, on the new clock."),
        _("What is over stays as it was; lists and reports tell it on the new clock."),
    ]


def _holders(change: PageChange) -> str:
    tickets = ngettext("%(n)d valid ticket", "%(n)d valid tickets", change.tickets) % {"n": change.tickets}
    words = ngettext(
        "Sold of it: %(tickets)s, %(bookings)s. %(n)d buyer would be told by mail.",
        "Sold of it: %(tickets)s, %(bookings)s. %(n)d buyers would be told by mail.",
        change.mails,
    )
    return words % {"tickets": tickets, "bookings": _bookings(change.bookings), "n": change.mails}


def _bookings(number: int) -> str:
    return ngettext("%(n)d booking", "%(n)d bookings", number) % {"n": number}


def _about_hiding(change: PageChange) -> list[str]:
    """What hiding the page does to what was sold."""
    rows = entries_to_come(change.page, change.at)
    sold = rows.filter(tickets__state__in=VALID).distinct().count()
    booked = CalendarEntry.objects.bookings().filter(pk__in=rows.values("pk"), state__in=VALID).count()
    if not sold and not booked:
        return []
    events = ngettext("%(n)d event with sold tickets", "%(n)d events with sold tickets", sold) % {"n": sold}
    return [
        _(
            "Visitors no longer see this page or anything on it, and can buy nothing."
            " Still to come: %(events)s, %(bookings)s."
        )
        % {"events": events, "bookings": _bookings(booked)},
        _("All of that stays valid, and nobody is told. To cancel an event, call it off on its own page."),
    ]
