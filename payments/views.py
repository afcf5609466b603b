"""Checkout, paying, cancelling, the order page's poll, and SumUp's webhook."""

import json
import uuid
from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from accounts.requests import Request, form_of, signed_in
from accounts.visitors import Visitor
from cart.contents import cart_of
from cart.reach import pages_within
from cart.views import context_of
from events.models import Page
from ledger import clock
from ledger.locking import Contention
from orders.models import Order, OrderLine
from orders.paper_views import linked_order
from orders.placing import (
    CartChanged,
    EmptyCart,
    OrderAwaiting,
    OrderRefusal,
    SeveralMerchants,
    ShortLines,
    place,
)
from orders.releasing import request_cancel
from orders.states import OrderState
from orders.views import private
from payments.checkouts.admission import settle_on_hint
from payments.checkouts.ending import Release, release
from payments.checkouts.opening import NotPayable, PageUnavailable, PaymentRefused, hosted_page
from payments.checkouts.settling import Verdict
from payments.jobs import ask_soon
from payments.merchants import QUICK
from payments.models import Checkout
from payments.states import CheckoutState
from payments.sumup.answers import is_id

#: A webhook of SumUp is about a hundred bytes (SumUp: {"event_type", "id"}).
WEBHOOK_MOST = 16 * 1024


@form_of(lambda slug=None: reverse("cart_of_page", args=[slug]) if slug else reverse("cart"))
def checkout(request: HttpRequest, slug: str | None = None) -> HttpResponse:
    """Place the order and go on to SumUp's page; whatever was refused, the cart says why and nothing is claimed."""
    user = request.user
    if not isinstance(user, User):
        return redirect_to_login(reverse("cart_of_page", args=[slug]) if slug else reverse("cart"))
    page = get_object_or_404(_pages_for(user), slug=slug) if slug else None
    pages = [page] if page else _part_of(request, user)
    try:
        token = uuid.UUID(request.POST.get("token", ""))
    except ValueError:
        return _back_to_cart(request, user, page, CartChanged())
    try:
        order = place(user, pages=pages, token=token, seen=request.POST.get("digest", ""), at=clock.now())
    except (OrderRefusal, Contention) as refusal:
        return _back_to_cart(request, user, page, refusal)
    return _to_payment(request, order)


def _pages_for(user: User) -> QuerySet[Page]:
    """Also those of an order of the buyer's: a second click leads to it, though the page was unpublished meanwhile."""
    ordered = OrderLine.objects.filter(order__user=user).values("page")
    return pages_within(Visitor(user=user)) | Page.objects.filter(pk__in=ordered)


def _part_of(request: HttpRequest, user: User) -> list[Page] | None:
    """The pages that the form names: those of one merchant are one payment. None: the whole cart."""
    slugs = {slug for slug in request.POST.getlist("page") if slug}
    pages = list(_pages_for(user).filter(slug__in=slugs)) if slugs else []
    if len(pages) != len(slugs):
        raise Http404
    return pages or None


def _to_payment(request: HttpRequest, order: Order) -> HttpResponse:
    """SumUp's page, or the order's own page with the reason why not."""
    try:
        address = hosted_page(order, at=clock.now())
    except NotPayable:
        _say_why_not(request, order)
        return redirect(order)
    except PageUnavailable:
        messages.warning(
            request,
            _("SumUp does not answer at the moment. Your order is held; please try again in a minute."),
        )
        return redirect(order)
    except PaymentRefused:
        messages.error(
            request,
            _("SumUp does not accept this payment at the moment. You were not charged; the organiser has been told."),
        )
        return redirect(order)
    return HttpResponse(status=HTTPStatus.SEE_OTHER, headers={"Location": address})


def _say_why_not(request: HttpRequest, order: Order) -> None:
    if words := order.paying(clock.now())["too_late"]:
        messages.warning(request, str(words))


def _back_to_cart(request: HttpRequest, user: User, page: Page | None, refusal: Exception) -> HttpResponse:
    contents = cart_of(user, at=clock.now())
    context = context_of(contents.of_page(page) if page else contents)
    context |= {"page": page, "refusal": _words(refusal)}
    if isinstance(refusal, OrderAwaiting):
        context |= {"awaiting": refusal.order, **refusal.order.paying(clock.now())}
    status = HTTPStatus.SERVICE_UNAVAILABLE if isinstance(refusal, Contention) else HTTPStatus.UNPROCESSABLE_ENTITY
    return render(request, "cart/cart.html", context, status=status)


def _words(refusal: Exception) -> str:
    match refusal:
        case EmptyCart():
            return _("There is nothing in your cart to pay for.")
        case CartChanged():
            return _("Your cart or a price has changed since you saw it. Nothing was ordered: please look once more.")
        case ShortLines():
            return _("Some of this is no longer available. Nothing was ordered yet: see the marked lines.")
        case OrderAwaiting() if refusal.order.money_came:
            return _("A payment of an order of yours is being looked at: you can order again here when it is settled.")
        case OrderAwaiting() if refusal.order.can_still_pay(clock.now()):
            return _("You have an order here that is not paid yet: go on paying it, or cancel it first.")
        case OrderAwaiting():
            return _("You have an order here that is not paid yet: cancel it first, or wait until its time is over.")
        case SeveralMerchants():
            return _("This takes more than one payment: please pay each part with its own button.")
        case _other:
            return _("So many are buying at this moment that your turn did not come. Please try again.")


@form_of(lambda code: reverse("order", args=[code]))
def pay(request: HttpRequest, code: str) -> HttpResponse:
    """Go (back) to SumUp's page of an order that awaits payment. Signed out: sign in, then its page."""
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("order", args=[code]))
    return _to_payment(request, get_object_or_404(Order, code=code, user=signed_in(request)))


@form_of(lambda token: reverse("order_link", args=[token]))
def pay_by_link(request: HttpRequest, token: str) -> HttpResponse:
    """Go to SumUp's page by the link of a mail, nobody signed in; where nothing is to be paid, back to its page."""
    order = linked_order(token)
    if not order.can_still_pay(clock.now()):
        _say_why_not(request, order)
        return redirect("order_link", token)
    return _to_payment(request, order)


@form_of(lambda code: reverse("order", args=[code]))
def cancel(request: HttpRequest, code: str) -> HttpResponse:
    """Cancel an unpaid order: written down first, ended at SumUp, then the seats are freed."""
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("order", args=[code]))
    order = get_object_or_404(Order, code=code, user=signed_in(request))
    if request_cancel(order, at=clock.now()):
        ending = release(order.pk, who=f"user:{order.user_id}", at=clock.now(), deadline=QUICK)
        if ending is Release.FREED:
            messages.success(request, _("Your order is cancelled and nothing was charged."))
        else:
            messages.info(request, _("Your order is being cancelled: we wait for SumUp to confirm it."))
    elif order.money_came:
        words = _("This order cannot be cancelled now: a payment for it has come and is being looked at.")
        messages.info(request, words)
    return redirect(order)


@private
@require_safe
def status(request: Request, code: str) -> HttpResponse:
    """What an order page polls: asks SumUp when that is due, and shows where the payment stands.

    Without htmx it is a page of its own while the order waits, and leads back to the order's page once it does not.
    """
    orders = Order.objects.select_related("merchant").with_money()
    order = get_object_or_404(orders, code=code)
    if request.user.is_authenticated and order.user_id != request.user.pk:
        raise Http404
    latest = Checkout.objects.filter(order=order).order_by("-pk").first()
    # A mismatch is asked about by the sweep: its page may be open for days.
    waits = latest is not None and order.state == OrderState.AWAITING_PAYMENT
    if latest is not None and waits and latest.state != CheckoutState.MISMATCH:
        settle_on_hint(latest.pk, who="poll", at=clock.now())
        order = orders.get(pk=order.pk)
        latest.refresh_from_db()
    context = {"order": order, "checkout": latest, **order.paying(clock.now())}
    if not request.htmx:
        waits = order.state == OrderState.AWAITING_PAYMENT
        return render(request, "payments/status.html", context) if waits else redirect(order)
    shown = request.GET.get("seen")
    response = render(request, "payments/_status.html", context)
    if shown is not None and shown != order.state and request.user.is_authenticated:
        response["HX-Refresh"] = "true"  # tickets, lines and buttons of the whole page have changed
    return response


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """SumUp's hint that a checkout changed; unsigned, so it only makes us ask about an id that we know.

    204: nothing more to do. 404: no such id of ours (no call is made). 503: SumUp could not be asked now; a job will,
    and SumUp's own retry is welcome. 400: no hint at all. (SumUp: return_url of POST /v0.1/checkouts.)
    """
    checkout_id = _hinted_id(request)
    if checkout_id is None:
        return HttpResponse(status=HTTPStatus.BAD_REQUEST)
    pk = Checkout.objects.filter(sumup_id=checkout_id).values_list("pk", flat=True).first()
    if pk is None:
        return HttpResponse(status=HTTPStatus.NOT_FOUND)
    if settle_on_hint(pk, who="webhook", at=clock.now()) in (Verdict.UNKNOWN, Verdict.BUSY):
        ask_soon(pk)
        return HttpResponse(status=HTTPStatus.SERVICE_UNAVAILABLE)
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _hinted_id(request: HttpRequest) -> str | None:
    length = request.headers.get("Content-Length", "")
    if not length.isdigit() or int(length) > WEBHOOK_MOST:
        return None
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    checkout_id = body.get("id") if isinstance(body, dict) else None
    return checkout_id if is_id(checkout_id) else None
