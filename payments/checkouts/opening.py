"""From an order to SumUp's hosted page: the intent is committed first, then SumUp is asked, then the answer stored."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from ledger.locking import retried
from ledger.signing import sign
from ledger.tracing import order_id
from orders.models import Order
from orders.states import SUMUP_PAID
from payments.cases import open_merchant_case
from payments.checkouts.evidence import kept
from payments.locks import locked_checkout
from payments.merchants import QUICK, client_for
from payments.models import Checkout
from payments.states import PAYABLE, CheckoutState
from payments.sumup import CheckoutAnswer, Client, DuplicateReference, KeyRefused, NoAnswer, Refusal, SumUpProblem
from payments.transitions import mark_expired, mark_open, mark_refused

#: The page ends this long before the hold, so that no payment can begin that the hold would not see end.
MARGIN = timedelta(minutes=2)


class NotPayable(Exception):
    """The order is paid, cancelled, its hold is over, or money for it has come already: its page tells which."""


class PageUnavailable(Exception):
    """SumUp cannot be asked now; the order is held, and the buyer can try again."""


class PaymentRefused(Exception):
    """SumUp refuses payments of this merchant; the organiser has been told."""


def hosted_page(order: Order, *, at: datetime, attempts: int = 2) -> str:
    """The address of the hosted page on which `order` is paid: the one it has, else of a new checkout.

    Raises NotPayable, PageUnavailable or PaymentRefused. A create whose answer was lost is found by its reference.
    """
    order_id.set(order.pk)
    checkout = retried(lambda: _attempt(order.pk, at))
    if checkout.state == CheckoutState.OPEN:
        return checkout.hosted_url
    client = client_for(checkout.merchant, deadline=QUICK)
    try:
        answer = _create_or_find(client, order, checkout)
    except (KeyRefused, Refusal) as problem:
        _record_refusal(checkout, problem, at=at)
        raise PaymentRefused from problem
    except SumUpProblem as problem:
        raise PageUnavailable from problem
    if answer.hosted_url:
        return _record_open(checkout, answer)
    if _deactivated(client, checkout, answer) and attempts > 1:
        return hosted_page(order, at=at, attempts=attempts - 1)
    raise PageUnavailable


def _attempt(order_pk: int, at: datetime) -> Checkout:
    order = Order.objects.filter(pk=order_pk).select_related("merchant").locked().get()
    attempts = list(Checkout.objects.filter(order=order).select_related("merchant").locked())
    if not any(row.captured is not None or row.sumup_status == SUMUP_PAID for row in attempts):
        order.is_undecided = order.is_confirming = False  # nothing has come about which it could be
    if not order.can_still_pay(at):
        raise NotPayable
    for checkout in attempts:
        if checkout.state in PAYABLE:
            return checkout
    if order.merchant is None:
        raise NotPayable
    return Checkout.objects.create(
        order=order,
        merchant=order.merchant,
        reference=f"{order.code}-{len(attempts) + 1}",
        amount=order.total,
        currency=order.currency,
        created_at=at,
        valid_until=order.hold_until - MARGIN,
    )


def _create_or_find(client: Client, order: Order, checkout: Checkout) -> CheckoutAnswer:
    """Create under our reference; SumUp knows a reference once, so a second POST finds what the first one made."""
    try:
        return client.create_checkout(
            reference=checkout.reference,
            amount=checkout.amount,
            currency=checkout.currency,
            description=f"{order.code} {order.seller}"[:200],
            return_url=settings.SITE_URL + reverse("sumup_webhook"),
            redirect_url=settings.SITE_URL + order.get_absolute_url(),
            valid_until=checkout.valid_until,
        )
    except DuplicateReference as duplicate:
        for answer in client.find_checkouts(checkout.reference):
            if answer.reference == checkout.reference and answer.merchant_code == client.merchant_code:
                return answer if answer.hosted_url else client.read_checkout(answer.id)
        raise NoAnswer("SumUp knows the reference but does not show its checkout.") from duplicate


def _record_open(checkout: Checkout, answer: CheckoutAnswer) -> str:
    with transaction.atomic():
        sign(who="checkout", why="SumUp made the payment page")
        _order, row = locked_checkout(checkout.pk)
        if row.state == CheckoutState.NEW:
            told = kept(answer.raw)
            mark_open(row, sumup_id=answer.id, hosted_url=answer.hosted_url, status=answer.status, answer=told)
            return answer.hosted_url
    # A rival request, or the webhook itself, was quicker than this answer.
    if row.state != CheckoutState.OPEN:
        raise NotPayable
    return row.hosted_url


def _record_refusal(checkout: Checkout, problem: SumUpProblem, *, at: datetime) -> None:
    with transaction.atomic():
        sign(who="checkout", why="SumUp refused the payment")
        _order, row = locked_checkout(checkout.pk)
        if row.state == CheckoutState.NEW:
            mark_refused(row, words=str(problem))
        open_merchant_case(checkout.merchant, words=str(problem), at=at)


def _deactivated(client: Client, checkout: Checkout, answer: CheckoutAnswer) -> bool:
    """A checkout without a page is of no use: end it at SumUp, so that a new one can be made."""
    try:
        ended = client.deactivate_checkout(answer.id)
    except SumUpProblem:
        return False
    if ended.status != "EXPIRED":
        return False
    with transaction.atomic():
        sign(who="checkout", why="SumUp gave no payment page")
        _order, row = locked_checkout(checkout.pk)
        return bool(row.state == CheckoutState.NEW and mark_expired(row, status=ended.status))
