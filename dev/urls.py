"""The demo's and the developers' addresses: the site's own, and the mailbox."""

from django.urls import include, path

from config.urls import handler500
from config.urls import urlpatterns as site

__all__ = ["handler500", "urlpatterns"]

urlpatterns = [path("mail/", include("dev.demo.mailbox_urls")), *site]
