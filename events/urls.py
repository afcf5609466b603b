from django.urls import path

from events import buy_views, door_views, room_views, ticket_views, views

urlpatterns = [
    path("", views.index, name="index"),
    path("p/<slug:slug>/", views.page, name="page"),
    path("p/<slug:slug>/events.ics", views.feed, name="page_feed"),
    path("p/<slug:page_slug>/<slug:slug>/", views.calendar, name="calendar"),
    path("p/<slug:page_slug>/<slug:slug>/book/", room_views.book, name="book"),
    path("e/<int:pk>-<slug:slug>/", views.entry, name="entry"),
    path("e/<int:pk>/buy/", buy_views.buy, name="buy"),
    path("door/", door_views.doors, name="doors"),
    path("door/<int:pk>/", door_views.door, name="door"),
    path("tickets/", ticket_views.tickets, name="tickets"),
    path("tickets/<slug:code>/", ticket_views.ticket, name="ticket"),
    path("tickets/<slug:code>.pdf", ticket_views.pdf, name="ticket_pdf"),
    path("tickets/<slug:code>.ics", ticket_views.calendar_file, name="ticket_ics"),
    path("tickets/<slug:code>/holder/", ticket_views.holder, name="ticket_holder"),
    path("tickets/<slug:code>/send/", ticket_views.send, name="ticket_send"),
    path("tickets/link/<str:token>/", ticket_views.linked, name="ticket_link"),
    path("tickets/link/<str:token>.pdf", ticket_views.linked_pdf, name="ticket_link_pdf"),
    path("feeds/events.ics", views.feed, name="feed"),
]
