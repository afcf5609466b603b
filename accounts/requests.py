"""The requests that views get, typed."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods
from django_htmx.middleware import HtmxDetails

from accounts.models import User


class Request(HttpRequest):
    """A request after django-htmx's middleware."""

    htmx: HtmxDetails


View = Callable[..., HttpResponse]
PAGE = "page_of_the_form"


def form_of(page: Callable[..., str]) -> Callable[[View], View]:
    """A view for what a form sends. Whoever opens its address instead is led to the form's own page.

    `page` makes that page's address of the arguments of the view; who may see it, it says itself.
    """

    def decorate(view: View) -> View:
        @require_http_methods(["GET", "HEAD", "POST"])
        @wraps(view)
        def answer(request: HttpRequest, *given: Any, **named: Any) -> HttpResponse:
            address = page(*given, **named)
            if request.method != "POST":
                return redirect(address)
            comes_from(request, address)
            return view(request, *given, **named)

        return answer

    return decorate


def comes_from(request: HttpRequest, page: str) -> None:
    """Tell `here` on which page the form stands that was sent."""
    setattr(request, PAGE, page)


def here(request: HttpRequest) -> str:
    """The address to come back to: of the page that is read, not of what a form on it was sent to."""
    page: str | None = getattr(request, PAGE, None)
    if page is None:
        return request.get_full_path()
    htmx: HtmxDetails | None = getattr(request, "htmx", None)  # none where the answer comes before its middleware
    return (htmx.current_url_abs_path if htmx else None) or page


def signed_in(request: HttpRequest) -> User:
    """The user of a view behind login_required; PermissionDenied should anybody else come this far."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user
