from django.urls import path

from market import views

urlpatterns = [
    path("p/<slug:page_slug>/shop/<slug:slug>/", views.product, name="product"),
    path("p/<slug:page_slug>/shop/<slug:slug>/buy/", views.buy, name="buy_product"),
]
