"""Vouchers: the buyer's own page of one, and the counter where they are handed out."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.requests import Request, signed_in
from events.door.reading import Answer, Found, Light
from events.door.views import AT_THE_DOOR, FOUND, answered, in_order, to_login
from events.models import Page
from events.scoping import team_of
from events.states import TicketState
from events.tickets.views import private
from ledger import clock
from market.counter.handing_out import counts, hand_out, undo
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
    """The pages at whose counter the user stands."""
    team = team_of(request)
    return Page.objects.all() if team.is_superuser else Page.objects.filter(pk__in=team.pages(AT_THE_DOOR))


@private
@require_http_methods(["GET", "HEAD", "POST"])
def counter(request: Request, slug: str) -> HttpResponse:
    """One page's counter: a code is handed out, or the last one taken back, or somebody without it looked up."""
    if not request.user.is_authenticated:
        return to_login(request)
    team = team_of(request)
    if not team.is_superuser and not team.pages(AT_THE_DOOR):
        raise PermissionDenied
    page = get_object_or_404(own_pages(request), slug=slug)
    who = f"user:{signed_in(request).pk}"
    answer = answered(
        request,
        let_in=lambda code: hand_out(page, code, who=who, at=clock.now()),
        take_back=lambda pk: undone(page, pk, who),
    )
    handed_out, valid = counts(page)
    term = request.GET.get("name", "").strip()[:100]
    context = {
        "page": page,
        "answer": answer,
        "handed_out": handed_out,
        "valid": valid,
        "term": term,
        "found": found(page, term) if term else None,
    }
    template = "market/counter.html#desk" if request.htmx else "market/counter.html"
    return render(request, template, context)


def undone(page: Page, pk: int, who: str) -> Answer:
    if undo(page, pk, who=who):
        return Answer(Light.AMBER, _("Taken back"), _("That voucher is valid again and can be handed out once more."))
    return Answer(Light.RED, _("Nothing to take back"), _("That voucher is not handed out."))


def found(page: Page, term: str) -> list[Found]:
    """Valid vouchers of people who come without theirs, by address, or the beginning of the order's code."""
    rows = ProductItem.objects.of_pages([page]).select_related("product", "user", "order")
    rows = rows.filter(state__in=[TicketState.CONFIRMED, TicketState.CHECKED_IN])
    asked = Q(user__email__icontains=term) | in_order(term)
    return [
        Found(
            who=str(item.user),
            what=item.product.name,
            order=item.order.short_code if item.order else "",
            code=item.code,
            is_done=item.state == TicketState.CHECKED_IN,
        )
        for item in rows.filter(asked).order_by("pk")[:FOUND]
    ]
