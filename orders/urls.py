from django.urls import path

from orders import views

urlpatterns = [
    path("", views.orders, name="orders"),
    path("<slug:code>/", views.order, name="order"),
    path("<slug:code>/again/", views.again, name="order_again"),
]
