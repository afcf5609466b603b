from django.urls import path

from orders import paper_views, views

urlpatterns = [
    path("", views.orders, name="orders"),
    path("<slug:code>/", views.order, name="order"),
    path("<slug:code>/again/", views.again, name="order_again"),
    path("<slug:code>/resend/", paper_views.resend, name="order_resend"),
    path("<slug:code>/revoke/", paper_views.revoke, name="order_revoke"),
    path("<slug:code>.pdf", paper_views.pdf, name="order_pdf"),
    path("<slug:code>.ics", paper_views.calendar_file, name="order_ics"),
    path("link/<str:token>/", paper_views.linked, name="order_link"),
    path("link/<str:token>.pdf", paper_views.linked_pdf, name="order_link_pdf"),
]
