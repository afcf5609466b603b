"""Vouchers: the buyer's own page of one, and the counter where they are handed out."""

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts.requests import Request, signed_in
from events.door.views import desk_page, where_on_duty
from events.models import Page
from events.states import TicketState
from events.tickets.views import private
from market.counter.handing_out import counter_of
from market.models import ProductItem


@private
@login_required
@require_safe
def voucher(request: HttpRequest, code: str) -> HttpResponse:
    """One voucher with its QR code; 404 for another's, and for one that was never ordered."""
    own = ProductItem.objects.filter(user=signed_in(request)).exclude(state=TicketState.PENDING)
    item = get_object_or_404(own.with_page().select_related("order"), code=code)
    context = {"item": item, "product": item.product, "page": item.product.page}
    return render(request, "market/voucher.html", context)


def own_pages(request: HttpRequest) -> QuerySet[Page]:
    """The pages at whose counter the user stands; PermissionDenied for who stands at none."""
    return where_on_duty(request, Page.objects.all(), "pk")


@private
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def counter(request: Request, slug: str) -> HttpResponse:
    """One page's counter."""
    return desk_page(request, counter_of(get_object_or_404(own_pages(request), slug=slug)))
