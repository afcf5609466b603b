"""My orders, and an order's page, which is also where SumUp's page leads back to."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from accounts.requests import signed_in
from events.models import Ticket
from orders.models import Order

private = cache_control(private=True, no_store=True)


@private
@login_required
@require_safe
def orders(request: HttpRequest) -> HttpResponse:
    rows = Order.objects.of_user(signed_in(request)).prefetch_related("lines__page")[:200]
    return render(request, "orders/orders.html", {"orders": rows})


@private
@require_safe
def order(request: HttpRequest, code: str) -> HttpResponse:
    """An order. Signed out the code alone shows its state and no more; another user's is not found."""
    shown = get_object_or_404(Order, code=code)
    if not request.user.is_authenticated:
        return render(request, "orders/order_signed_out.html", {"order": shown})
    if shown.user_id != request.user.pk:
        raise Http404
    lines = list(shown.lines.select_related("entry", "page"))
    shown.first_page = lines[0].page
    context = {
        "order": shown,
        "lines": lines,
        "tickets": Ticket.objects.filter(order=shown).with_page().order_by("pk"),
        "can_pay": shown.can_still_pay(timezone.now()),
    }
    return render(request, "orders/order.html", context)
