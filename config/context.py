"""What every template may know of the site."""

from django.conf import settings
from django.http import HttpRequest


def site(_request: HttpRequest) -> dict[str, object]:
    return {"debug": settings.DEBUG, "site_url": settings.SITE_URL}
