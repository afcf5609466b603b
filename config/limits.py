"""How much a request may send: refused by its Content-Length, before anything reads a byte of it."""

from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve

from accounts.models import User
from events.pictures import pictured_models


class BodyLimitMiddleware:
    """413 for a body of more than BODY_MOST bytes; PICTURE_BODY_MOST where staff may send a picture.

    Stands behind the sessions, which say who asks, and before whatever reads a form. A body whose length is not told
    (chunked) is never read: Django takes it as empty.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = length_of(request)
        if length > settings.BODY_MOST and (length > settings.PICTURE_BODY_MOST or not may_send_picture(request)):
            return render(request, "413.html", status=413)
        return self.get_response(request)


def length_of(request: HttpRequest) -> int:
    """The bytes that Django would read of the body, read from the header as Django does it."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def may_send_picture(request: HttpRequest) -> bool:
    """The address is a form of the admin with a picture in it, and staff asks (found by a query, so asked last)."""
    try:
        match = resolve(request.path_info)
    except Resolver404:
        return False
    if match.view_name not in picture_forms():
        return False
    user = get_user(request)
    return isinstance(user, User) and user.is_active and user.is_staff


@cache
def picture_forms() -> frozenset[str]:
    """The names of the admin's add and change pages of everything that has a picture."""
    return frozenset(
        f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
        for model in pictured_models()
        for page in ("add", "change")
    )
