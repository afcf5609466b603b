"""What every template may know of the site."""

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.requests import here


def site(request: HttpRequest) -> dict[str, object]:
    return {"debug": settings.DEBUG, "site_url": settings.SITE_URL, "here": SimpleLazyObject(lambda: here(request))}
