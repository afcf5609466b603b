"""The organiser's desk: pages, calendars, events, ticket types, tickets."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from events.admin.bookings import BookingAdmin
from events.admin.entries import EntryAdmin, TicketTypeAdmin
from events.admin.pages import CalendarAdmin, PageAdmin
from events.admin.tickets import TicketAdmin

__all__ = ["BookingAdmin", "CalendarAdmin", "EntryAdmin", "PageAdmin", "TicketAdmin", "TicketTypeAdmin"]

admin.site.site_header = _("Foyer box office")
admin.site.site_title = _("Foyer box office")
admin.site.index_title = _("Box office")
