from django.urls import path

from events.door import views as door
from events.programme import views as programme
from events.tickets import views as tickets

urlpatterns = [
    path("", programme.index, name="index"),
    path("p/<slug:slug>/", programme.page, name="page"),
    path("p/<slug:slug>/events.ics", programme.feed, name="page_feed"),
    path("p/<slug:page_slug>/<slug:slug>/", programme.calendar, name="calendar"),
    path("e/<int:pk>-<slug:slug>/", programme.entry, name="entry"),
    path("door/", door.doors, name="doors"),
    path("door/<int:pk>/", door.door, name="door"),
    path("tickets/", tickets.tickets, name="tickets"),
    path("tickets/<slug:code>/", tickets.ticket, name="ticket"),
    path("tickets/<slug:code>.pdf", tickets.pdf, name="ticket_pdf"),
    path("tickets/<slug:code>.ics", tickets.calendar_file, name="ticket_ics"),
    path("tickets/<slug:code>/holder/", tickets.holder, name="ticket_holder"),
    path("tickets/<slug:code>/send/", tickets.send, name="ticket_send"),
    path("tickets/link/<str:token>/", tickets.linked, name="ticket_link"),
    path("tickets/link/<str:token>.pdf", tickets.linked_pdf, name="ticket_link_pdf"),
    path("feeds/events.ics", programme.feed, name="feed"),
]
