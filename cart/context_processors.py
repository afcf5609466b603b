"""The header's mini badge: how many things the visitor's cart holds, of all kinds."""

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.visitors import visitor_of
from cart.counting import rows_in_cart

#: What a view that has read the cart anyway leaves on the request, so that the badge need not count again.
COUNTED = "_cart_count"


class Badge:
    """Counts when a template asks, at most once a request."""

    def __init__(self, request: HttpRequest) -> None:
        known = getattr(request, COUNTED, None)
        self.count = int(known) if known is not None else rows_in_cart(visitor_of(request))


def cart(request: HttpRequest) -> dict[str, object]:
    return {"cart_badge": SimpleLazyObject(lambda: Badge(request))}
