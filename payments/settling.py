"""settle(): the one function with which webhook, poll, sweep, reconcile and admin ask SumUp about a checkout.

It claims the question, asks outside any transaction, and applies the answer in one: the capture is recorded first,
then the goods are given in a savepoint, so that money is never forgotten because goods could not be given.
"""

import enum
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Q
from django.db.utils import OperationalError

from ledger.locking import LOST_RACES, retried, sqlstate
from ledger.money import PLACES, rounded
from ledger.signing import sign
from ledger.tracing import order_id
from orders.fulfilling import fulfil
from orders.models import Order
from orders.states import OrderState
from payments.answers import kept
from payments.cases import close_held_cases, open_case, open_merchant_case
from payments.mails import tell_surplus
from payments.merchants import PATIENT, client_for
from payments.models import Case, Checkout
from payments.rows import left_of
from payments.states import PAYABLE, CaseKind, CheckoutState
from payments.sumup import CheckoutAnswer, KeyRefused, SumUpProblem, TransactionAnswer, UnknownCheckout
from payments.transitions import mark_expired, mark_mismatch, mark_open, mark_paid

log = logging.getLogger(__name__)

#: One question a checkout in this time, however many ask.
PAUSE = timedelta(seconds=2)
#: The largest amount that a row can hold.
MOST = Decimal("99999999.99")
#: States about which SumUp can still tell us something new.
ASKABLE = [*sorted(PAYABLE), CheckoutState.EXPIRED]


class Verdict(enum.Enum):
    """What a settle came to."""

    SETTLED = "nothing more to do"
    WAITING = "not paid yet"
    UNKNOWN = "SumUp could not be asked"
    BUSY = "somebody asks at this moment"


def settle(
    checkout_pk: int,
    *,
    who: str,
    at: datetime,
    deadline: float = PATIENT,
    heard: Callable[[SumUpProblem], None] = lambda _problem: None,
) -> Verdict:
    """Ask SumUp about a checkout (within `deadline` seconds) and act on the answer; safe to call at any time.

    Whatever calls it, in whatever order and however often, a payment is recorded once and its goods are given once.
    `heard` is told why there was no answer, when there was none.
    """
    claimed = (
        Checkout.objects.filter(pk=checkout_pk, state__in=ASKABLE)
        .filter(Q(asked_at=None) | Q(asked_at__lt=at - PAUSE))
        .update(asked_at=at)
    )
    checkout = Checkout.objects.select_related("merchant").get(pk=checkout_pk)
    order_id.set(checkout.order_id)
    if checkout.state == CheckoutState.PAID and not checkout.is_applied:
        return retried(lambda: _give_again(checkout, who, at))
    if checkout.state not in ASKABLE:
        return Verdict.SETTLED
    if not claimed:
        return Verdict.BUSY
    try:
        answer = ask(checkout, deadline)
    except KeyRefused as problem:
        open_merchant_case(checkout.merchant, words=str(problem), at=at)
        heard(problem)
        return Verdict.UNKNOWN
    except SumUpProblem as problem:
        log.warning("checkout %s: no answer (%s)", checkout.pk, problem)
        heard(problem)
        return Verdict.UNKNOWN
    return retried(lambda: _apply(checkout, answer, who, at))


def ask(checkout: Checkout, deadline: float = PATIENT) -> CheckoutAnswer:
    """What SumUp says of a checkout now; raises a SumUpProblem. Changes nothing."""
    client = client_for(checkout.merchant, deadline=deadline)
    if checkout.sumup_id:
        return client.read_checkout(checkout.sumup_id)
    # The answer to our create was lost: the reference finds what it made.
    found = [answer for answer in client.find_checkouts(checkout.reference) if answer.reference == checkout.reference]
    if not found:
        raise UnknownCheckout("SumUp does not know this reference.")
    paid = [answer for answer in found if answer.status == "PAID"]
    return (paid or found)[0]


def _apply(stale: Checkout, answer: CheckoutAnswer, who: str, at: datetime) -> Verdict:
    sign(who=who, why=f"SumUp says {answer.status}")
    order = Order.objects.filter(pk=stale.order_id).locked().get()
    checkout = Checkout.objects.filter(pk=stale.pk).select_related("merchant").locked().get()
    if checkout.state not in ASKABLE:
        return give(order, checkout, at) if checkout.state == CheckoutState.PAID else Verdict.SETTLED
    if answer.status == "PAID":
        return _record_payment(order, checkout, answer, at)
    if answer.status == "EXPIRED":
        if checkout.state in PAYABLE:
            mark_expired(checkout, status=answer.status, answer=kept(answer.raw))
        return Verdict.SETTLED
    if checkout.state == CheckoutState.NEW and answer.hosted_url:
        mark_open(
            checkout, sumup_id=answer.id, hosted_url=answer.hosted_url, status=answer.status, answer=kept(answer.raw)
        )
    elif checkout.sumup_answer != (told := kept(answer.raw)):
        Checkout.objects.filter(pk=checkout.pk).update(sumup_status=answer.status, sumup_answer=told)
    return Verdict.WAITING


def _record_payment(order: Order, checkout: Checkout, answer: CheckoutAnswer, at: datetime) -> Verdict:
    capture, differences = compare(checkout, answer)
    if capture and Checkout.objects.filter(transaction_code=capture.code).exclude(pk=checkout.pk).exists():
        differences.append(f"transaction {capture.code} has paid another checkout")
    if capture is None or differences:
        words = "; ".join(differences)
        captured, currency = _told_capture(checkout, answer)
        mark_mismatch(
            checkout,
            status=answer.status,
            words=words,
            captured=captured,
            currency=currency,
            transaction_id=_refundable_transaction(checkout, answer),
            answer=kept(answer.raw),
        )
        checkout.refresh_from_db()
        open_case(CaseKind.MISMATCH, checkout, words=words, at=at)
        log.error("checkout %s: SumUp's payment is not what was asked for: %s", checkout.pk, words)
        return Verdict.SETTLED
    mark_paid(
        checkout,
        sumup_id=answer.id,
        transaction_id=capture.id or answer.transaction_id,
        transaction_code=capture.code or answer.transaction_code,
        captured=checkout.amount,
        currency=checkout.currency,
        at=at,
        answer=kept(answer.raw),
    )
    return give(order, checkout, at)


def _refundable_transaction(checkout: Checkout, answer: CheckoutAnswer) -> str:
    """The transaction by which a mismatch can be paid back; "" when it is not known, or another checkout's."""
    found = [row for row in answer.transactions if row.status == "SUCCESSFUL"]
    known = found[0].id if len(found) == 1 else ""
    others = Checkout.objects.filter(transaction_id=known).exclude(pk=checkout.pk)
    return "" if known and others.exists() else known


def _told_capture(checkout: Checkout, answer: CheckoutAnswer) -> tuple[Decimal, str]:
    """What SumUp says came in, as far as an amount can be read from a payment that is not what was asked for."""
    sums = [row.amount for row in answer.transactions if row.status == "SUCCESSFUL" and row.amount is not None]
    amount = sum(sums, Decimal(0)) if sums else answer.amount
    if amount is None or not 0 < amount <= MOST or answer.currency not in PLACES:
        return checkout.amount, checkout.currency
    return rounded(amount, answer.currency), answer.currency


def compare(checkout: Checkout, answer: CheckoutAnswer) -> tuple[TransactionAnswer | None, list[str]]:
    """The one successful transaction of a PAID answer, and what differs from `checkout` in words for a person."""
    pairs = [
        ("reference", checkout.reference, answer.reference),
        ("merchant", checkout.merchant.code, answer.merchant_code),
        ("currency", checkout.currency, answer.currency),
        ("amount", checkout.amount, answer.amount),
    ]
    if checkout.sumup_id:
        pairs.append(("checkout id", checkout.sumup_id, answer.id))
    differences = [f"{name}: {theirs} where {ours} was asked for" for name, ours, theirs in pairs if ours != theirs]
    captures = [transaction for transaction in answer.transactions if transaction.status == "SUCCESSFUL"]
    if len(captures) != 1:
        return None, [*differences, f"{len(captures)} successful transactions where one was expected"]
    capture = captures[0]
    if capture.amount != checkout.amount:
        differences.append(f"transaction amount: {capture.amount} where {checkout.amount} was asked for")
    if capture.currency != checkout.currency:
        differences.append(f"transaction currency: {capture.currency} where {checkout.currency} was asked for")
    return capture, differences


def _give_again(stale: Checkout, who: str, at: datetime, why: str = "paid, goods not given yet") -> Verdict:
    sign(who=who, why=why)
    order = Order.objects.filter(pk=stale.order_id).locked().get()
    checkout = Checkout.objects.filter(pk=stale.pk).locked().get()
    if order.state != OrderState.PAID and not is_whole(checkout):
        return Verdict.SETTLED  # a person gives the rest of the money back
    verdict = give(order, checkout, at)
    given = Checkout.objects.filter(pk=checkout.pk, is_applied=True)
    Case.objects.open().filter(checkout__in=given, kind=CaseKind.GOODS).update(
        closed_at=at, closed_by=who, decision="The goods were given on a later try."
    )
    return verdict


def give_again(case: Case, *, who: str, reason: str, at: datetime) -> bool:
    """A person asks to try once more to give the goods of a GOODS case; False when it did not work (again)."""
    checkout = Checkout.objects.get(cases=case)
    retried(lambda: _give_again(checkout, who, at, why=reason))
    return Checkout.objects.filter(pk=checkout.pk, is_applied=True).exists()


def give(order: Order, checkout: Checkout, at: datetime) -> Verdict:
    """Give the order's goods for a recorded capture; what cannot be given waits for a person, the capture stays."""
    if checkout.is_applied:
        return Verdict.SETTLED
    if order.state == OrderState.PAID:  # an order awaiting payment has no applied checkout: they change together
        if open_case(CaseKind.SURPLUS, checkout, words="The order was paid by another checkout already.", at=at):
            tell_surplus.defer(checkout_id=checkout.pk)
        return Verdict.SETTLED
    try:
        with transaction.atomic():
            fulfil(order, at=at)
            Checkout.objects.filter(pk=checkout.pk).update(is_applied=True)
            if at >= order.hold_until:
                close_held_cases(order, who="settle", at=at)
    except OperationalError as error:
        if sqlstate(error) in LOST_RACES:
            raise
        _leave_to_a_person(order, checkout, error, at)
    except Exception as error:  # the capture must stay whatever goes wrong with the goods
        _leave_to_a_person(order, checkout, error, at)
    return Verdict.SETTLED


def accept_mismatch(case: Case, *, who: str, reason: str, at: datetime) -> bool:
    """A person takes a payment for what was asked for: it is recorded and its goods are given; False if too late.

    Only a payment of the order's very amount can be taken so: what is more or less must go back.
    """
    return retried(lambda: _accept_mismatch(case, who, reason, at))


def _accept_mismatch(case: Case, who: str, reason: str, at: datetime) -> bool:
    sign(who=who, why=reason)
    order = Order.objects.filter(cases=case).locked().get()
    checkout = Checkout.objects.filter(cases=case).locked().get()
    opened = Case.objects.open().filter(pk=case.pk, kind=CaseKind.MISMATCH)
    if not can_accept(checkout) or not opened.update(closed_at=at, closed_by=who, decision=reason):
        return False
    mark_paid(
        checkout,
        sumup_id=checkout.sumup_id,
        transaction_id=checkout.transaction_id,
        transaction_code=checkout.transaction_code or "",
        captured=checkout.amount,
        currency=checkout.currency,
        at=at,
    )
    checkout.refresh_from_db()
    give(order, checkout, at)
    return True


def can_accept(checkout: Checkout) -> bool:
    """Whether a person may take this mismatch for the payment: it brought what was asked for, and all of it is here."""
    asked, came = (checkout.amount, checkout.currency), (checkout.captured, checkout.captured_currency)
    return checkout.state == CheckoutState.MISMATCH and asked == came and is_whole(checkout)


def is_whole(checkout: Checkout) -> bool:
    """Nothing of what was captured went back, or is about to: goods may be given for it."""
    return left_of(checkout) == checkout.captured


def _leave_to_a_person(order: Order, checkout: Checkout, error: Exception, at: datetime) -> None:
    log.exception("order %s: paid, but its goods could not be given", order.pk)
    words = f"The order is {OrderState(order.state).label}. {type(error).__name__}: {error}"
    open_case(CaseKind.GOODS, checkout, words=words, at=at)
