"""My orders, and an order's page, which is also where SumUp's page leads back to."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from accounts.requests import form_of, signed_in
from accounts.visitors import visitor_of
from cart.contents import Cart, cart_of
from cart.context_processors import COUNTED
from cart.counting import rows_in_cart
from cart.views import parts_of
from ledger import clock
from orders.holdings import Holdings
from orders.models import Order
from orders.returning import put_back
from orders.states import OrderState

private = cache_control(private=True, no_store=True)


@private
@login_required
@require_safe
def orders(request: HttpRequest) -> HttpResponse:
    rows = Order.objects.of_user(signed_in(request)).with_money().prefetch_related("lines__page")[:200]
    return render(request, "orders/orders.html", {"orders": rows})


@private
@require_safe
def order(request: HttpRequest, code: str) -> HttpResponse:
    """An order. Signed out the code alone shows its state and no more; another user's is not found."""
    shown = get_object_or_404(Order.objects.with_money(), code=code)
    if not request.user.is_authenticated:
        return render(request, "orders/order_signed_out.html", {"order": shown, **shown.paying(clock.now())})
    if shown.user_id != request.user.pk:
        raise Http404
    lines = list(shown.lines.select_related("entry__calendar__page", "page"))
    shown.first_page = lines[0].page
    held = Holdings.of(shown, lines) if shown.state == OrderState.PAID else Holdings(shown)
    context = {"order": shown, "lines": lines, "held": held, **shown.paying(clock.now())}
    if shown.state == OrderState.PAID:
        context |= _still_to_pay(request)
    return render(request, "orders/order.html", context)


def _still_to_pay(request: HttpRequest) -> dict[str, object]:
    """What is left in the cart after a payment: of two sellers it takes two."""
    visitor = visitor_of(request)
    count = rows_in_cart(visitor)
    setattr(request, COUNTED, count)
    rest = cart_of(visitor, at=clock.now()) if count else Cart()
    return {"rest": rest} | parts_of(rest)


@form_of(lambda code: reverse("order", args=[code]))
def again(request: HttpRequest, code: str) -> HttpResponse:
    """Put what an unpaid order took back in the buyer's cart."""
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("order", args=[code]))
    order = get_object_or_404(Order.objects.select_related("user"), code=code, user=signed_in(request))
    if order.money_came:
        messages.info(request, _("A payment for this order has come and is being looked at. Please wait for that."))
        return redirect(order)
    if count := put_back(order, at=clock.now()):
        words = ngettext("%(n)s thing is back in your cart.", "%(n)s things are back in your cart.", count)
        messages.success(request, words % {"n": count})
        return redirect("cart")
    messages.info(request, _("There is nothing to put back: it is in your cart already, or no longer on sale."))
    return redirect(order)
