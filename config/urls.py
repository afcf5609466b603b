"""All addresses: each room's own table."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from accounts.views import admin_login
from config import views

handler500 = "config.views.server_error"

urlpatterns = [
    path("accounts/", include("accounts.urls")),
    # Passwords are asked for on the site's own pages only: one form, one set of limits.
    path("admin/login/", admin_login),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    # Django's short cut from any row's number to its address asks for no permission; a ticket's address is a secret.
    path("admin/r/<path:row>", views.not_found),
    path("admin/", admin.site.urls),
    path("healthz", views.healthz),
    path("readyz", views.readyz),
    path("orders/", include("orders.urls")),
    path("", include("payments.urls")),
    path("", include("market.urls")),
    path("", include("cart.urls")),
    path("", include("events.urls")),
    re_path(r"^media/(?P<path>.+)$", views.media),
]
