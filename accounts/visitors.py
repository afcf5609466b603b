"""Who fills a cart: somebody signed in, or a browser whose session keeps a random cart key."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypedDict

from allauth.core import ratelimit
from allauth.core.exceptions import RateLimited
from django.db import connection
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from accounts.models import User

SESSION_KEY = "cart_key"
P = ParamSpec("P")


class Owner(TypedDict):
    """The columns by which a pending row belongs to somebody: exactly one of the two is set."""

    user: User | None
    cart_key: str | None


@dataclass(frozen=True)
class Visitor:
    """One of the two, or neither: a browser that has put nothing in a cart yet."""

    user: User | None = None
    cart_key: str = ""

    @property
    def is_nobody(self) -> bool:
        return self.user is None and not self.cart_key

    def own(self) -> Q:
        """The condition for pending rows of this visitor, in any table with `user` and `cart_key`."""
        if self.user is not None:
            return Q(user=self.user)
        return Q(user=None, cart_key=self.cart_key) if self.cart_key else Q(pk__in=[])

    def columns(self) -> Owner:
        """What a new pending row of this visitor's says. Raises ValueError for a visitor without a cart."""
        if self.user is not None:
            return {"user": self.user, "cart_key": None}
        if not self.cart_key:
            raise ValueError("this visitor has no cart")
        return {"user": None, "cart_key": self.cart_key}

    def lock(self) -> None:
        """Until the transaction ends, what this visitor does in two tabs is done one after the other.

        Somebody signed in has a row to lock; a cart key has none, so its lock is an advisory one on the key.
        """
        if self.user is not None:
            self.user.lock()
        elif self.cart_key:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"cart:{self.cart_key}"])


def visitor_of(request: HttpRequest, *, with_cart: bool = False) -> Visitor:
    """Who sends `request`. `with_cart`: somebody signed out gets a cart key when there is none: see keep_cart.

    Raises RateLimited when too many new ones came from the same address (counted in ACCOUNT_RATE_LIMITS).
    """
    if isinstance(request.user, User):
        return Visitor(user=request.user)
    if not hasattr(request, "session"):  # a page of an error that came before the session did
        return Visitor()
    key = str(request.session.get(SESSION_KEY, ""))
    if with_cart and not key:
        ratelimit.consume(request, action="new_cart", raise_exception=True)
        key = secrets.token_urlsafe(32)
    return Visitor(cart_key=key)


def keep_cart(request: HttpRequest, visitor: Visitor) -> None:
    """Something lies in the cart: the browser's session remembers its key. Before that there need be no session."""
    if visitor.cart_key and request.session.get(SESSION_KEY) != visitor.cart_key:
        request.session[SESSION_KEY] = visitor.cart_key


def opens_carts(view: Callable[P, HttpResponse]) -> Callable[P, HttpResponse]:
    """A view that asks for a visitor `with_cart`: the page 429 when there were too many new ones."""

    @wraps(view)
    def bounded(*args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(*args, **kwargs)
        except RateLimited:
            return HttpResponse(render_to_string("429_carts.html"), status=429, headers={"Retry-After": "60"})

    return bounded
