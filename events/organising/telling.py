"""What happened to events, ticket types and tickets, in plain words."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial

from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import User
from events.local_times import told
from events.models import CalendarEntry, Page, Ticket
from ledger.models import History
from ledger.telling import Sentence, Step, Words, steps, user_ids

TICKETS = {
    "reserved": Sentence(
        "Ticket %(names)s is held for the order.", "%(count)d tickets are held for the order: %(names)s."
    ),
    "confirmed": Sentence("Ticket %(names)s is valid.", "%(count)d tickets are valid: %(names)s."),
    "checked_in": Sentence("Ticket %(names)s was let in.", "%(count)d tickets were let in: %(names)s."),
    "cancelled": Sentence(
        "Ticket %(names)s was cancelled and its seat is free.",
        "%(count)d tickets were cancelled and their seats are free: %(names)s.",
    ),
    "refund_due": Sentence(
        "The money for ticket %(names)s is owed to the buyer.",
        "The money for %(count)d tickets is owed to the buyer: %(names)s.",
    ),
    "refunded": Sentence("Ticket %(names)s was paid back.", "%(count)d tickets were paid back: %(names)s."),
}
EVENTS = {
    "draft": Sentence("The event went back to draft.", "%(count)d events went back to draft."),
    "confirmed": Sentence("The event was published.", "%(count)d events were published."),
    "cancelled": Sentence("The event was cancelled.", "%(count)d events were cancelled."),
}
BOOKINGS = {
    "reserved": Sentence("The time is held for the order.", "%(count)d times are held for the order."),
    "confirmed": Sentence("The booking is valid.", "%(count)d bookings are valid."),
    "checked_in": Sentence("The booking was checked in.", "%(count)d bookings were checked in."),
    "cancelled": Sentence("The booking was cancelled and its time is free.", "%(count)d bookings were cancelled."),
    "refund_due": Sentence("Its money is owed to the buyer.", "The money for %(count)d bookings is owed."),
    "refunded": Sentence("It was paid back.", "%(count)d bookings were paid back."),
}
SENTENCES: Mapping[tuple[str, str, str], Sentence] = {
    **{("ticket", "state", state): sentence for state, sentence in TICKETS.items()},
    **{("calendarentry", "state", state): sentence for state, sentence in EVENTS.items()},
}


def clock_of(page: Page) -> Callable[[datetime], str]:
    """How moments are told on the clock of `page`."""
    return partial(told, zone=page.time_zone)


def people_of(rows: Iterable[History]) -> dict[int, str]:
    """Those who act in `rows`, by user id: their names, else their addresses."""
    return {user.pk: user.get_full_name() for user in User.objects.filter(pk__in=user_ids(rows))}


def subjects() -> dict[str, str]:
    return {"ticket": _("Ticket"), "calendarentry": _("Event"), "tickettype": _("Ticket type")}


def fields() -> dict[tuple[str, str], str]:
    price, capacity = _("price"), _("capacity")
    moments = {"starts_at": _("start"), "ends_at": _("end"), "sale_starts_at": _("start of the sale")}
    moments |= {"sale_ends_at": _("end of the sale")}
    subjects = ("calendarentry", "tickettype", "booking")
    return {
        **{(subject, name): label for subject in subjects for name, label in moments.items()},
        ("calendarentry", "ticket_price"): price,
        ("calendarentry", "capacity"): capacity,
        ("tickettype", "price"): price,
        ("tickettype", "capacity"): capacity,
        ("ticket", "price"): price,
    }


def ticket_steps(ticket: Ticket) -> list[Step]:
    """A ticket's life, oldest first."""
    rows = list(History.objects.of(ticket))
    clock = clock_of(ticket.entry.calendar.page)
    words = Words(SENTENCES, {("ticket", ticket.pk): ticket.code}, people_of(rows), subjects(), fields(), clock=clock)
    return [Step(ticket.created_at, _("Put in the cart."), str(ticket.user)), *steps(rows, words)]


def entry_steps(entry: CalendarEntry) -> list[Step]:
    """What was done to an event and its ticket types, oldest first."""
    types = {("tickettype", row.pk): row.name for row in entry.ticket_types.all()}
    of_types = Q(subject="tickettype", subject_id__in=[pk for _subject, pk in types])
    rows = list(History.objects.filter(Q(subject="calendarentry", subject_id=entry.pk) | of_types).order_by("id"))
    names = {("calendarentry", entry.pk): entry.title, **types}
    words = Words(SENTENCES, names, people_of(rows), subjects(), fields(), clock=clock_of(entry.calendar.page))
    return [Step(entry.created_at, _("The event was made, as a draft.")), *steps(rows, words)]


def booking_steps(booking: CalendarEntry) -> list[Step]:
    """A booking's life, oldest first."""
    rows = list(History.objects.filter(subject="calendarentry", subject_id=booking.pk).order_by("id"))
    sentences = {("calendarentry", "state", state): sentence for state, sentence in BOOKINGS.items()}
    names = {("calendarentry", booking.pk): booking.title}
    called, clock = {"calendarentry": _("Booking")}, clock_of(booking.calendar.page)
    words = Words(sentences, names, people_of(rows), called, fields(), clock=clock)
    return [Step(booking.created_at, _("Put in the cart."), str(booking.user)), *steps(rows, words)]
