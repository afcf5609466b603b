from django.urls import path

from market import views, voucher_views

urlpatterns = [
    path("p/<slug:page_slug>/shop/<slug:slug>/", views.product, name="product"),
    path("p/<slug:page_slug>/shop/<slug:slug>/buy/", views.buy, name="buy_product"),
    path("vouchers/<slug:code>/", voucher_views.voucher, name="voucher"),
    path("door/products/<slug:slug>/", voucher_views.counter, name="counter"),
]
