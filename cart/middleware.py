"""The first request after signing in brings along what the browser had put in its cart before."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from accounts.models import User
from accounts.visitors import SESSION_KEY
from cart.adopting import adopt
from ledger import clock


class AdoptionMiddleware:
    """Signing in keeps the session's content, so the cart key is still there: once, then it is taken out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Without the cookie there is no session: nothing is asked of the database for a webhook or a robot.
        if request.session.session_key and SESSION_KEY in request.session and isinstance(request.user, User):
            adopt(request.user, str(request.session[SESSION_KEY]), at=clock.now())
            del request.session[SESSION_KEY]
        return self.get_response(request)
