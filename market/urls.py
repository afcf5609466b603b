from django.urls import path

from market.counter import views as counter
from market.shop import views as shop

urlpatterns = [
    path("p/<slug:page_slug>/shop/<slug:slug>/", shop.product, name="product"),
    path("vouchers/<slug:code>/", counter.voucher, name="voucher"),
    path("door/products/<slug:slug>/", counter.counter, name="counter"),
]
