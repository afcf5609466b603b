from django.urls import path

from cart import views

urlpatterns = [
    path("", views.cart, name="cart"),
    path("summary.json", views.summary, name="cart_summary"),
    path("line/<int:pk>/<int:key>/", views.line, name="cart_line"),
    path("pieces/<int:pk>/", views.pieces, name="cart_pieces"),
    path("booking/<int:pk>/", views.booking, name="cart_booking"),
    path("<slug:slug>/", views.cart_of_page, name="cart_of_page"),
]
