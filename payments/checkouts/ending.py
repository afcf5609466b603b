"""The end of an unpaid order: the payment is made impossible at SumUp first, only then are the seats freed.

No answer keeps the hold: an outage is never read as unpaid.
"""

import enum
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from ledger.locking import retried
from ledger.signing import sign
from ledger.tracing import order_id
from orders.jobs import tell_lapsed
from orders.models import Order
from orders.releasing import ending_of, free
from orders.states import OrderState
from payments.balance import has_gone_back
from payments.cases import close_held_cases, open_case
from payments.checkouts.evidence import kept
from payments.checkouts.settling import settle
from payments.locks import locked_checkout
from payments.merchants import PATIENT, client_for
from payments.models import Case, Checkout
from payments.states import PAYABLE, CaseKind, CheckoutState
from payments.sumup import AlreadyProcessed, SumUpProblem, UnknownCheckout
from payments.transitions import mark_expired

log = logging.getLogger(__name__)

#: So long after the end of a hold without an answer of SumUp, a person is asked.
LONGEST_DOUBT = timedelta(hours=24)


class Release(enum.Enum):
    """What a try to end an unpaid order came to."""

    FREED = "the seats are free"
    NOT_DUE = "there is nothing to end (any more)"
    KEPT = "somebody may still pay: the hold stays"


def release(order_pk: int, *, who: str, at: datetime, deadline: float = PATIENT) -> Release:
    """End an order whose buyer cancelled or whose hold is over; safe at any time, by anyone, twice at once.

    While money for it is undecided nothing of it is freed, and no page of it stays payable. What a person decides ends
    that: accepted, it is paid; paid back whole, it ends as if nothing had come.
    """
    order_id.set(order_pk)
    order = Order.objects.get(pk=order_pk)
    if ending_of(order, at=at) is None and not order.is_undecided:
        return Release.NOT_DUE
    for checkout in Checkout.objects.filter(order=order).payable().select_related("merchant"):
        _end(checkout, who=who, at=at, deadline=deadline)
    return retried(lambda: _free(order_pk, who, at))


def _free(order_pk: int, who: str, at: datetime) -> Release:
    order = Order.objects.filter(pk=order_pk).locked().get()
    ending = ending_of(order, at=at)
    if ending is None:
        return Release.NOT_DUE
    attempts = Checkout.objects.filter(order=order).exclude(state__in=[CheckoutState.EXPIRED, CheckoutState.REFUSED])
    if order.is_undecided or not all(has_gone_back(checkout) for checkout in attempts):
        _doubt(order, at)
        return Release.KEPT
    sign(who=who, why=f"order {ending}: nobody can pay it any more")
    free(order, ending=ending)
    if ending is OrderState.EXPIRED and not attempts:  # SumUp said of each that it is dead: nothing was charged
        tell_lapsed.defer(order_id=order.pk)
    if _is_doubtful(order, at):
        close_held_cases(order, who=who, at=at)
    return Release.FREED


def _is_doubtful(order: Order, at: datetime) -> bool:
    """SumUp has not answered for so long that a person may free the seats all the same."""
    return at >= (order.cancel_requested_at or order.hold_until) + LONGEST_DOUBT


def _doubt(order: Order, at: datetime) -> None:
    if not _is_doubtful(order, at):
        return
    for checkout in Checkout.objects.filter(order=order).payable():
        words = _("SumUp does not say whether this payment can still be made. The seats stay held until it does.")
        open_case(CaseKind.HELD, checkout, words=words, at=at)


def free_anyway(case: Case, *, who: str, reason: str, at: datetime) -> bool:
    """A person decides that nobody paid: the order of a HELD case ends and its seats are free; False if too late.

    Should a payment turn up all the same, it is a late one: SumUp is asked again after an hour, a day and a week.
    """
    with transaction.atomic():
        sign(who=who, why=reason)
        order = Order.objects.filter(cases=case).locked().get()
        checkouts = list(Checkout.objects.filter(order=order).payable().locked())
        ending = ending_of(order, at=at)
        opened = Case.objects.open().filter(pk=case.pk, kind=CaseKind.HELD)
        if ending is None or order.is_undecided or not opened.update(closed_at=at, closed_by=who, decision=reason):
            return False
        for checkout in checkouts:
            mark_expired(checkout, status=checkout.sumup_status)
        free(order, ending=ending)
        return True


def _end(checkout: Checkout, *, who: str, at: datetime, deadline: float) -> None:
    """Make `checkout` unpayable at SumUp, and write it down when SumUp says so."""
    try:
        if checkout.sumup_id:
            answer = client_for(checkout.merchant, deadline=deadline).deactivate_checkout(checkout.sumup_id)
            if answer.status == "EXPIRED":
                _write_expired(checkout, who=who, status=answer.status, answer=kept(answer.raw))
            return
    except AlreadyProcessed:
        pass  # paid (or dead) already: the settle below reads which
    except UnknownCheckout:
        _note_missing(checkout, who=who, at=at)
        return
    except SumUpProblem as problem:
        log.warning("checkout %s could not be deactivated: %s", checkout.pk, problem)
        return
    _settle_or_miss(checkout, who=who, at=at, deadline=deadline)


def _settle_or_miss(checkout: Checkout, *, who: str, at: datetime, deadline: float) -> None:
    if checkout.sumup_id:
        settle(checkout.pk, who=who, at=at, deadline=deadline)
        return
    try:
        found = client_for(checkout.merchant, deadline=deadline).find_checkouts(checkout.reference)
    except SumUpProblem as problem:
        log.warning("checkout %s could not be looked up: %s", checkout.pk, problem)
        return
    if found:
        settle(checkout.pk, who=who, at=at, deadline=deadline)
    else:
        _note_missing(checkout, who=who, at=at)


def _note_missing(checkout: Checkout, *, who: str, at: datetime) -> None:
    """SumUp does not know it: dead when told so twice, the second time after `valid_until` (a create may be late)."""
    if checkout.missing_since is not None and checkout.missing_since < at and at > checkout.valid_until:
        _write_expired(checkout, who=who, status=checkout.sumup_status)
    elif checkout.missing_since is None:
        Checkout.objects.filter(pk=checkout.pk, missing_since=None).update(missing_since=at)


def _write_expired(checkout: Checkout, *, who: str, status: str, answer: Mapping[str, object] | None = None) -> None:
    with transaction.atomic():
        sign(who=who, why="SumUp will not take a payment for it")
        _order, row = locked_checkout(checkout.pk)
        if row.state in PAYABLE:
            mark_expired(row, status=status, answer=answer)
