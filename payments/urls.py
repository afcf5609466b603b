from django.urls import path

from payments import views

urlpatterns = [
    path("checkout/", views.checkout, name="checkout"),
    path("checkout/<slug:slug>/", views.checkout, name="checkout_page"),
    path("orders/<slug:code>/pay/", views.pay, name="pay"),
    path("orders/<slug:code>/cancel/", views.cancel, name="cancel_order"),
    path("orders/<slug:code>/status/", views.status, name="order_status"),
    path("orders/link/<str:token>/pay/", views.pay_by_link, name="pay_by_link"),
    path("payments/sumup/webhook/", views.webhook, name="sumup_webhook"),
]
