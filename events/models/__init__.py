"""Pages and what is on: merchants, calendars, entries, ticket types, tickets."""

from events.models.entries import Booking, CalendarEntry, EntryQuerySet, TicketType
from events.models.pages import Calendar, CalendarQuerySet, Merchant, Page, PageMember, PageQuerySet, Role
from events.models.rooms import BookingRules, ClosedDays, OpeningHours, PeakPrice, PricePer
from events.models.tickets import Ticket, TicketQuerySet, new_ticket_code

__all__ = [
    "Booking",
    "BookingRules",
    "Calendar",
    "CalendarEntry",
    "CalendarQuerySet",
    "ClosedDays",
    "EntryQuerySet",
    "Merchant",
    "OpeningHours",
    "Page",
    "PageMember",
    "PageQuerySet",
    "PeakPrice",
    "PricePer",
    "Role",
    "Ticket",
    "TicketQuerySet",
    "TicketType",
    "new_ticket_code",
]
