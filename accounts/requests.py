"""The requests that views get, typed."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from accounts.models import User


class Request(HttpRequest):
    """A request after django-htmx's middleware."""

    htmx: HtmxDetails


def signed_in(request: HttpRequest) -> User:
    """The user of a view behind login_required; PermissionDenied should anybody else come this far."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user
