"""Sending a refund to SumUp, once, and learning what became of it.

One refund is one request for one checkout. It is marked as being sent, alone, just before the call: what is found so
was perhaps sent, and only SumUp's reports of the transaction, or a person, say what becomes of it. One answer says that
nothing was done, 429: such a refund waits to be sent again, for a day, and the reports are read before each try.
"""

import enum
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Max, QuerySet
from django.utils.translation import gettext as _
from procrastinate.contrib.django import app

from ledger import clock
from ledger.locking import retried
from ledger.signing import sign
from ledger.tracing import order_id
from payments.balance import left_of
from payments.cases import open_merchant_case
from payments.locks import locked_refund
from payments.merchants import PATIENT, client_for
from payments.models import Checkout, Refund
from payments.patience import NotAnswered, Patience
from payments.refunds.outcomes import fail, lose_sight, succeed
from payments.refunds.reports_of_sumup import adopt_reports
from payments.states import RefundOrigin, RefundState
from payments.sumup import (
    CHARGE_BACK,
    REFUND,
    FullTransactionAnswer,
    KeyRefused,
    NoAnswer,
    SumUpProblem,
)
from payments.transitions import mark_put_off, mark_sending

log = logging.getLogger(__name__)

#: A call is over by now, whatever happened: what is still being sent after it was left behind.
LONGEST_CALL = timedelta(minutes=2)
#: Until when a refund that SumUp was too busy for waits, where it does not say; and for how long it is tried.
PUT_OFF, LONGEST_PUT_OFF = timedelta(minutes=2), timedelta(days=1)
TOO_MANY = 429


class Sent(enum.Enum):
    """What a try to send a refund came to."""

    SUCCEEDED = "the money went back"
    FAILED = "SumUp refused it"
    UNKNOWN = "sent, and no answer"
    WAITING = "not sent: SumUp could not be asked before, or was too busy"
    NOT_DUE = "there is nothing to send"


#: What a refund is in after a try to send it, told as the outcome of the try.
OUTCOMES = {
    RefundState.SUCCEEDED: Sent.SUCCEEDED,
    RefundState.FAILED: Sent.FAILED,
    RefundState.REQUESTED: Sent.WAITING,
    RefundState.WITHDRAWN: Sent.NOT_DUE,
}


@app.task(name="payments.refund_jobs.send_refund", queue="payments", retry=Patience(max_attempts=6, exponential_wait=4))
def send_refund(refund_pk: int) -> None:
    """Send one refund; again after a while when SumUp could not be asked what it knows of the payment, or was busy."""
    if send(refund_pk, who="refund", at=clock.now()) is Sent.WAITING:
        raise NotAnswered(pause_of(Refund.objects.filter(pk=refund_pk)))


def pause_of(refunds: QuerySet[Refund]) -> float | None:
    """Seconds until the last of those that wait may be sent; None where SumUp did not ask for a pause."""
    last = refunds.filter(state=RefundState.REQUESTED).aggregate(last=Max("not_before"))["last"]
    return float((last - clock.now()).total_seconds()) if last else None


def send(refund_pk: int, *, who: str, at: datetime, deadline: float = PATIENT) -> Sent:
    """Send a requested refund, once; safe to call at any time, by anyone, twice at once.

    The transaction is read first: what SumUp says of it before the call is what the outcome is measured by. Where it
    cannot be read, nothing is sent.
    """
    refund = Refund.objects.select_related("checkout__merchant").get(pk=refund_pk)
    order_id.set(refund.checkout.order_id)
    if refund.state != RefundState.REQUESTED or refund.origin != RefundOrigin.OURS:
        return Sent.NOT_DUE
    if refund.not_before is not None and at < refund.not_before:
        return Sent.WAITING
    before = _ask(refund.checkout, deadline, at, heard=lambda problem: _note_pause(refund_pk, problem, at))
    if before is None or before.gone(REFUND) is None:
        return Sent.WAITING
    adopt_reports(refund.checkout, before, at=at, who=who)
    if not retried(lambda: _begin(refund_pk, before, who, at)):
        return Sent.NOT_DUE
    refund.refresh_from_db()
    words = _call(refund, deadline, at)
    answer = _ask(refund.checkout, deadline, at) if words is not None else None
    return retried(lambda: _end(refund_pk, words, answer, who, at))


def _note_pause(refund_pk: int, problem: SumUpProblem, at: datetime) -> None:
    """SumUp said how long not to ask: no process sends this refund before."""
    if problem.retry_after:
        until = at + timedelta(seconds=problem.retry_after)
        Refund.objects.filter(pk=refund_pk, state=RefundState.REQUESTED).update(not_before=until)


def _ask(
    checkout: Checkout,
    deadline: float,
    at: datetime,
    heard: Callable[[SumUpProblem], None] = lambda _problem: None,
) -> FullTransactionAnswer | None:
    """The transaction as SumUp tells it; None when it does not, and why not is `heard`."""
    try:
        return client_for(checkout.merchant, deadline=deadline).read_transaction(checkout.transaction_id)
    except KeyRefused as problem:
        open_merchant_case(checkout.merchant, words=str(problem), at=at)
    except SumUpProblem as problem:
        log.warning("checkout %s: its transaction was not told (%s)", checkout.pk, problem)
        heard(problem)
    return None


def _begin(refund_pk: int, before: FullTransactionAnswer, who: str, at: datetime) -> bool:
    checkout, refund = locked_refund(refund_pk)
    sign(who=who, why="about to be sent to SumUp")
    if refund.state != RefundState.REQUESTED:
        return False
    gone = before.gone(REFUND) or Decimal(0)
    theirs = (before.amount or Decimal(0)) - (before.gone(REFUND, CHARGE_BACK) or Decimal(0))
    # Without an amount SumUp pays back all that is left: only where its books and ours say that this is the amount.
    is_rest = theirs == refund.amount and left_of(checkout) == 0
    return bool(mark_sending(refund, events_before=gone, is_rest=is_rest, at=at))


@dataclass(frozen=True)
class _Words:
    """What came instead of a yes: SumUp's words, whether they are a no, and after what pause it may be sent again."""

    text: str
    is_refusal: bool
    pause: timedelta | None = None


def _call(refund: Refund, deadline: float, at: datetime) -> _Words | None:
    """Ask SumUp to pay `refund` back; None where it said yes."""
    checkout = refund.checkout
    client = client_for(checkout.merchant, deadline=deadline)
    try:
        client.refund(checkout.transaction_id, None if refund.is_rest else refund.amount)
    except KeyRefused as problem:
        open_merchant_case(checkout.merchant, words=str(problem), at=at)
        return _Words(str(problem), is_refusal=True)
    except NoAnswer as problem:
        # 429 is the one of these that says that nothing was done.
        pause = timedelta(seconds=problem.retry_after) if problem.retry_after else PUT_OFF
        return _Words(str(problem), is_refusal=problem.status == TOO_MANY, pause=pause)
    except SumUpProblem as problem:
        return _Words(str(problem), is_refusal=True)
    return None


def _end(refund_pk: int, words: _Words | None, answer: FullTransactionAnswer | None, who: str, at: datetime) -> Sent:
    """Write the outcome down; whatever SumUp answered, what its transaction shows is believed."""
    checkout, refund = locked_refund(refund_pk)
    sign(who=who, why=words.text if words else "SumUp took it")
    if refund.state in (RefundState.SENDING, RefundState.UNKNOWN):
        if words is None:
            succeed(refund, checkout, who=who, at=at)
        elif words.is_refusal and not _shows(refund, answer):
            if not _put_off(refund, words, at):
                fail(refund, checkout, words=words.text, at=at)
        elif refund.state == RefundState.SENDING:
            lose_sight(refund, words=words.text)
    if answer is not None:
        adopt_reports(checkout, answer, at=at, who=who)
    refund.refresh_from_db()
    return OUTCOMES.get(RefundState(refund.state), Sent.UNKNOWN)


def _put_off(refund: Refund, words: _Words, at: datetime) -> bool:
    """Whether it waits to be sent again; not for longer than LONGEST_PUT_OFF since it was asked for."""
    if words.pause is None or refund.state != RefundState.SENDING or at > refund.requested_at + LONGEST_PUT_OFF:
        return False
    return bool(mark_put_off(refund, words=words.text, until=at + words.pause))


def _shows(refund: Refund, answer: FullTransactionAnswer | None) -> bool:
    """The transaction's refunds have grown by this one's amount since it was sent."""
    gone = answer.gone(REFUND) if answer is not None else None
    return gone is not None and refund.events_before is not None and refund.events_before + refund.amount <= gone


# --- What became of it


def follow(refund_pk: int, *, who: str, at: datetime, deadline: float = PATIENT) -> bool:
    """Ask SumUp what became of a refund that was sent; its reports decide. False: SumUp did not say."""
    refund = Refund.objects.select_related("checkout__merchant").get(pk=refund_pk)
    order_id.set(refund.checkout.order_id)
    Refund.objects.filter(pk=refund_pk).update(asked_at=at)
    if refund.state == RefundState.SENDING and refund.sent_at is not None and refund.sent_at <= at - LONGEST_CALL:
        retried(lambda: _leave_behind(refund_pk, who))
    answer = _ask(refund.checkout, deadline, at)
    if answer is None or answer.events is None:
        return False
    adopt_reports(refund.checkout, answer, at=at, who=who)
    return True


def _leave_behind(refund_pk: int, who: str) -> None:
    """Whoever was sending it is gone: it may have been sent, or not."""
    _checkout, refund = locked_refund(refund_pk)
    sign(who=who, why="found half sent")
    if refund.state == RefundState.SENDING:
        lose_sight(refund, words=_("The answer was never written down."))
