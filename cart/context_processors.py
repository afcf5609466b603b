"""The header's mini badge: how many things the visitor's cart holds."""

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.models import User
from events.models import Ticket


class Badge:
    """Counts when a template asks, at most once a request."""

    def __init__(self, request: HttpRequest) -> None:
        user = getattr(request, "user", None)
        self.count = Ticket.objects.pending_for(user).count() if isinstance(user, User) else 0


def cart(request: HttpRequest) -> dict[str, object]:
    return {"cart_badge": SimpleLazyObject(lambda: Badge(request))}
