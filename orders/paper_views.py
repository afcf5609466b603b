"""An order in hand: on paper, in the calendar, sent once more, and by the link of its mail."""

import time

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.requests import form_of, signed_in
from events.tickets.invitations import CONTENT_TYPE
from events.tickets.views import as_file, link_ended, private
from ledger import clock
from orders.documents import order_ics, order_pdf
from orders.holdings import Holdings
from orders.jobs import send_confirmation
from orders.links import has_ended, order_of_link, revoke_links
from orders.models import Order
from orders.states import OrderState

#: A buyer asks for the mail again at most so often, in seconds.
RESEND_PAUSE = 300


def own_order(request: HttpRequest, code: str) -> Order:
    return get_object_or_404(Order, code=code, user=signed_in(request), state=OrderState.PAID)


@private
@login_required
@require_safe
def pdf(request: HttpRequest, code: str) -> HttpResponse:
    return pdf_of(own_order(request, code))


def held_of(order: Order) -> Holdings:
    return Holdings.of(order, list(order.lines.all()))


def pdf_of(order: Order) -> HttpResponse:
    return as_file(order_pdf(held_of(order)), f"order-{order.short_code}.pdf", "application/pdf")


@private
@login_required
@require_safe
def calendar_file(request: HttpRequest, code: str) -> HttpResponse:
    order = own_order(request, code)
    content = order_ics(held_of(order), at=clock.now())
    return as_file(content, f"order-{order.short_code}.ics", CONTENT_TYPE)


@form_of(lambda code: reverse("order", args=[code]))
@login_required
def resend(request: HttpRequest, code: str) -> HttpResponse:
    """The confirmation once more, to the buyer's own address."""
    order = own_order(request, code)
    if cache.add(f"resend:{order.pk}", 1, RESEND_PAUSE):
        send_confirmation.defer(order_id=order.pk, copy=int(time.time()))
        messages.success(request, _("It is on its way to %(email)s.") % {"email": signed_in(request).email})
    else:
        messages.info(request, _("It was sent a moment ago. Please look into your mail, also among the unwanted."))
    return redirect(order)


@form_of(lambda code: reverse("order", args=[code]))
@login_required
def revoke(request: HttpRequest, code: str) -> HttpResponse:
    order = own_order(request, code)
    revoke_links(order)
    messages.success(request, _("The links in the mails about this order no longer work. Its tickets stay valid."))
    return redirect(order)


def linked_order(token: str) -> Order:
    order = order_of_link(token)
    if order is None:
        raise Http404
    return order


@private
@require_safe
def linked(request: HttpRequest, token: str) -> HttpResponse:
    """What an order holds, by the link in its mail, nobody signed in: to show at the door, nothing to change.

    As long as it is not paid: what is in it, until when, and the way to pay.
    """
    order, now = linked_order(token), clock.now()
    if has_ended(order, at=now):
        return link_ended(request, order.get_absolute_url())
    if order.state != OrderState.PAID:
        context = {"order": order, "token": token, "lines": order.lines.all(), **order.paying(now)}
        return _for_the_link(render(request, "orders/order_linked_unpaid.html", context))
    held = held_of(order)
    tickets = held.valid_tickets
    strip = zip([None, *tickets], tickets, [*tickets[1:], None], strict=False)  # each between its neighbours
    context = {"order": order, "held": held, "strip": list(strip), "token": token}
    return _for_the_link(render(request, "orders/order_linked.html", context))


def _for_the_link(response: HttpResponse) -> HttpResponse:
    """Whoever has its address has what it opens: no other page is told it."""
    response["Referrer-Policy"] = "no-referrer"
    return response


@private
@require_safe
def linked_pdf(request: HttpRequest, token: str) -> HttpResponse:
    order = linked_order(token)
    if order.state != OrderState.PAID:
        raise Http404
    return link_ended(request, order.get_absolute_url()) if has_ended(order, at=clock.now()) else pdf_of(order)
