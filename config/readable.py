"""What no view could read is answered here, once for all addresses: 400; and a wrong method with a page."""

import codecs
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from django.core.exceptions import BadRequest, FieldDoesNotExist
from django.db import DataError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.loader import render_to_string
from django.utils.http import parse_header_parameters

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Python knows more names (hex, idna, utf-7), but no browser writes its text so.
CHARSETS = frozenset({"utf-8", "ascii", "iso8859-1", "cp1252"})

Next = Callable[[HttpRequest], HttpResponse]


def of_known_charset(application: "WSGIApplication") -> "WSGIApplication":
    """`application`, which gets no request in a charset that is none of text: 400.

    Django reads the query in the charset that Content-Type names while it makes the request, before any middleware.
    """

    def refusing(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        _kind, given = parse_header_parameters(environ.get("CONTENT_TYPE", ""))
        if _is_text(given.get("charset", "utf-8")):
            return application(environ, start_response)
        start_response("400 Bad Request", [("Content-Type", "text/html; charset=utf-8")])
        return [render_to_string("400.html").encode()]

    return refusing


def _is_text(charset: str) -> bool:
    """One that Python does not know is Django's to ignore."""
    try:
        return codecs.lookup(charset).name in CHARSETS
    except LookupError:
        return True
    except ValueError:  # a NUL in it
        return False


class ReadableMiddleware:
    """PostgreSQL keeps no NUL, so a text with one can name nothing and be stored nowhere: such an address is refused.

    A cookie is not what somebody has sent just now, and would shut its browser out for as long as it lasts: one with a
    NUL is as none. Lone surrogates cannot come in: Django reads bytes that are no text as U+FFFD.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        _refuse_nul([request.path_info])
        _refuse_nul(_texts(request.GET.lists()))
        for name in [name for name, value in request.COOKIES.items() if "\0" in value]:
            del request.COOKIES[name]
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed) and not response.content:
            response.content = render_to_string("405.html")
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> None:
        """Asked for a value that its column cannot hold, or for a field that the admin does not have.

        While reading only: of what is written, a form should have said so, and that is a fault of ours.
        """
        asked_in_vain = isinstance(error, DataError) and request.method in ("GET", "HEAD")
        match = request.resolver_match
        if asked_in_vain or (isinstance(error, FieldDoesNotExist) and match is not None and match.app_name == "admin"):
            raise BadRequest(f"{type(error).__name__}: what was asked for cannot be.") from error


class ReadableFormMiddleware:
    """The same of a form. It stands behind the check of CSRF, which has read the form: nothing more is read here."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: object, *_given: object) -> None:
        if request.method == "POST" and not getattr(view, "csrf_exempt", False):
            _refuse_nul(_texts(request.POST.lists()))


def _texts(pairs: Iterable[tuple[str, Iterable[str]]]) -> Iterable[str]:
    for name, values in pairs:
        yield name
        yield from values


def _refuse_nul(texts: Iterable[str]) -> None:
    if any("\0" in text for text in texts):
        raise BadRequest("There is a NUL in what was sent.")
