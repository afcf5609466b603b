from django.urls import path

from events import ticket_views, views

urlpatterns = [
    path("", views.index, name="index"),
    path("p/<slug:slug>/", views.page, name="page"),
    path("p/<slug:page_slug>/<slug:slug>/", views.calendar, name="calendar"),
    path("e/<int:pk>-<slug:slug>/", views.entry, name="entry"),
    path("e/<int:pk>/buy/", ticket_views.buy, name="buy"),
    path("tickets/", ticket_views.tickets, name="tickets"),
    path("tickets/<slug:code>/", ticket_views.ticket, name="ticket"),
]
