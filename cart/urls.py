from django.urls import path

from cart import adding_views, views

urlpatterns = [
    path("e/<int:pk>/buy/", adding_views.buy, name="buy"),
    path("p/<slug:page_slug>/<slug:slug>/book/", adding_views.book, name="book"),
    path("p/<slug:page_slug>/shop/<slug:slug>/buy/", adding_views.buy_product, name="buy_product"),
    path("cart/", views.cart, name="cart"),
    path("cart/summary.json", views.summary, name="cart_summary"),
    path("cart/line/<int:pk>/<int:key>/", views.line, name="cart_line"),
    path("cart/pieces/<int:pk>/", views.pieces, name="cart_pieces"),
    path("cart/booking/<int:pk>/", views.booking, name="cart_booking"),
    path("cart/<slug:slug>/", views.cart_of_page, name="cart_of_page"),
]
