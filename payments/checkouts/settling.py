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
from django.utils.translation import gettext as _

from ledger.locking import LOST_RACES, retried, sqlstate
from ledger.signing import sign
from ledger.tracing import order_id
from orders.fulfilling import fulfil
from orders.models import Order
from orders.states import OrderState
from payments.balance import is_whole
from payments.cases import close_cases, close_held_cases, open_case, open_merchant_case
from payments.checkouts.backing import backed_by
from payments.checkouts.comparing import compare, money_of, payments_of
from payments.checkouts.evidence import kept
from payments.checkouts.mails import tell_mismatch, tell_surplus
from payments.locks import locked_checkout
from payments.merchants import PATIENT, client_for
from payments.models import Case, Checkout
from payments.states import PAYABLE, CaseKind, CheckoutState
from payments.sumup import CheckoutAnswer, KeyRefused, SumUpProblem, TransactionAnswer, UnknownCheckout
from payments.transitions import mark_expired, mark_mismatch, mark_open, mark_paid

log = logging.getLogger(__name__)

#: One question a checkout in this time, however many ask.
PAUSE = timedelta(seconds=2)
#: States about which SumUp can still tell us of a payment; and of one that it told us of wrongly.
ASKABLE = [*sorted(PAYABLE), CheckoutState.EXPIRED]
ASKED = [*ASKABLE, CheckoutState.MISMATCH]


class Verdict(enum.Enum):
    """What a settle came to."""

    SETTLED = "nothing more to do"
    WAITING = "not paid yet"
    UNKNOWN = "SumUp could not be asked, or says PAID and does not show the payment"
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
        Checkout.objects.filter(pk=checkout_pk, state__in=ASKED)
        .filter(Q(asked_at=None) | Q(asked_at__lt=at - PAUSE))
        .update(asked_at=at)
    )
    checkout = Checkout.objects.select_related("merchant").get(pk=checkout_pk)
    order_id.set(checkout.order_id)
    if checkout.state == CheckoutState.PAID and not checkout.is_applied:
        return retried(lambda: give_unless_gone(checkout, who, at))
    if checkout.state not in ASKABLE and not (claimed and checkout.sumup_status):
        return Verdict.SETTLED  # a mismatch without SumUp's word was written down by a person
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
    order, checkout = locked_checkout(stale.pk)
    if checkout.state == CheckoutState.MISMATCH:
        return _heal(order, checkout, answer, who, at)
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
    else:
        _keep(checkout, answer)
    return Verdict.WAITING


def _keep(checkout: Checkout, answer: CheckoutAnswer) -> None:
    """SumUp's word, where it has changed."""
    if checkout.sumup_answer != (told := kept(answer.raw)):
        Checkout.objects.filter(pk=checkout.pk).update(sumup_status=answer.status, sumup_answer=told)


def _record_payment(order: Order, checkout: Checkout, answer: CheckoutAnswer, at: datetime) -> Verdict:
    own, differences = compare(checkout, answer)
    if own is None:
        log.warning("checkout %s: SumUp says PAID and shows no payment: %s", checkout.pk, kept(answer.raw))
        _keep(checkout, answer)
        return Verdict.UNKNOWN
    rivals = backed_by(checkout.merchant_id, own.id, own.code).exclude(pk=checkout.pk)
    known = list(rivals.values_list("order_id", flat=True))
    if checkout.order_id in known:
        _keep(checkout, answer)  # a person has said already that it paid for this order
        return Verdict.SETTLED
    if known:
        differences.append(f"transaction {own.code} has paid another checkout")
    if differences:
        _record_mismatch(checkout, answer, differences, None if known else own, at)
    else:
        _record_paid(checkout, answer, own, at)
        give(order, checkout, at)
    _record_others(checkout, answer, at)
    return Verdict.SETTLED


def _record_paid(checkout: Checkout, answer: CheckoutAnswer, own: TransactionAnswer, at: datetime) -> None:
    mark_paid(
        checkout,
        sumup_id=checkout.sumup_id or answer.id,
        transaction_id=own.id or answer.transaction_id,
        transaction_code=own.code or answer.transaction_code,
        captured=checkout.amount,
        currency=checkout.currency,
        at=at,
        answer=kept(answer.raw),
    )
    checkout.captured, checkout.captured_currency = checkout.amount, checkout.currency


def _record_mismatch(
    checkout: Checkout, answer: CheckoutAnswer, differences: list[str], own: TransactionAnswer | None, at: datetime
) -> None:
    """`own` is the transaction by which it can be paid back; None when none of its own is known: it took nothing."""
    words = "; ".join(differences)
    captured, currency = money_of(own, answer) if own else (None, "")
    mark_mismatch(
        checkout,
        status=answer.status,
        words=words,
        captured=captured,
        currency=currency,
        transaction_id=own.id if own else "",
        transaction_code=own.code if own else "",
        answer=kept(answer.raw),
    )
    checkout.refresh_from_db()
    if open_case(CaseKind.MISMATCH, checkout, words=words, at=at):
        tell_mismatch.defer(checkout_id=checkout.pk)
    log.error("checkout %s: SumUp's payment is not what was asked for: %s", checkout.pk, words)


def _record_others(checkout: Checkout, answer: CheckoutAnswer, at: datetime) -> None:
    """Each further payment of one checkout is a row of its own with its own transaction: surplus, or to decide.

    While another page of the order can be paid there is no room for one: SumUp's list then shows it as a stray.
    """
    _own, *others = payments_of(checkout, answer)
    for other in others:
        if backed_by(checkout.merchant_id, other.id, other.code).exists() or not (other.id or other.code):
            continue
        order = Order.objects.get(pk=checkout.order_id)
        attempts = Checkout.objects.filter(order=order)
        if attempts.payable().exists():
            return
        captured, currency = money_of(other, answer)
        row = Checkout.objects.create(
            order=order,
            merchant_id=checkout.merchant_id,
            reference=f"{order.code}-{attempts.count() + 1}",
            amount=captured or checkout.amount,
            currency=currency or checkout.currency,
            created_at=at,
            valid_until=at,
        )
        words = _("SumUp reports it beside the payment of %(reference)s") % {"reference": checkout.reference}
        record_by_hand(order, row, captured, currency, (other.id, other.code), words=words, at=at)


def record_by_hand(
    order: Order,
    checkout: Checkout,
    captured: Decimal | None,
    currency: str,
    transaction: tuple[str, str],
    *,
    words: str,
    at: datetime,
) -> None:
    """A payment that no answer of SumUp about `checkout` (new) told of, known by its `transaction` (id, code).

    The order's very amount is taken for any payment of it, and so is whatever comes beside one that gave the goods:
    surplus. Anything else is for a person.
    """
    is_extra = order.state == OrderState.PAID
    transaction_id, code = transaction
    if captured is not None and (is_extra or (captured, currency) == (order.total, order.currency)):
        mark_paid(
            checkout, sumup_id=None, transaction_id=transaction_id, transaction_code=code, captured=captured,
            currency=currency, at=at,
        )  # fmt: skip
        checkout.refresh_from_db()
        give(order, checkout, at)
        return
    mark_mismatch(
        checkout, status="", words=words, captured=captured, currency=currency, transaction_id=transaction_id,
        transaction_code=code,
    )  # fmt: skip
    checkout.refresh_from_db()
    if open_case(CaseKind.MISMATCH, checkout, words=words, at=at):
        tell_mismatch.defer(checkout_id=checkout.pk)


def _heal(order: Order, checkout: Checkout, answer: CheckoutAnswer, who: str, at: datetime) -> Verdict:
    """A mismatch about which nobody has decided becomes the payment when SumUp's answer has become whole."""
    waits = Case.objects.open().filter(checkout=checkout, kind=CaseKind.MISMATCH).exists()
    if not waits or (checkout.captured is not None and not is_whole(checkout)):
        return Verdict.SETTLED
    own, differences = compare(checkout, answer)
    if answer.status != "PAID" or own is None or _is_taken(checkout, own):
        _keep(checkout, answer)
        return Verdict.SETTLED
    if differences:
        _correct(checkout, answer, own, differences, at)
        return Verdict.SETTLED
    sign(who=who, why="SumUp's answer became whole")
    _record_paid(checkout, answer, own, at)
    close_cases(checkout, CaseKind.MISMATCH, who=who, at=at, decision=_("SumUp's answer became whole."))
    checkout.refresh_from_db()
    give(order, checkout, at)
    _record_others(checkout, answer, at)
    return Verdict.SETTLED


def _correct(
    checkout: Checkout, answer: CheckoutAnswer, own: TransactionAnswer, differences: list[str], at: datetime
) -> None:
    """What SumUp says now of a mismatch that stays one: its money, and the transaction by which it can go back."""
    _keep(checkout, answer)
    words, (captured, currency) = "; ".join(differences), money_of(own, answer)
    stands = (checkout.captured, checkout.captured_currency, checkout.transaction_id, checkout.transaction_code)
    if (*stands, checkout.problem) != (captured, currency, own.id, own.code or None, words[:400]):
        Checkout.objects.filter(pk=checkout.pk).update(
            captured=captured,
            captured_currency=currency,
            transaction_id=own.id,
            transaction_code=own.code or None,
            problem=words[:400],
        )
        Case.objects.open().filter(checkout=checkout, kind=CaseKind.MISMATCH).update(
            amount=captured, currency=currency or checkout.currency, words=words
        )
    _record_others(checkout, answer, at)


def _is_taken(checkout: Checkout, own: TransactionAnswer) -> bool:
    return backed_by(checkout.merchant_id, own.id, own.code).exclude(pk=checkout.pk).exists()


def give_unless_gone(stale: Checkout, who: str, at: datetime, why: str = "paid, goods not given yet") -> Verdict:
    """Try once more to give the goods of a payment that was recorded, unless some of its money has gone back."""
    sign(who=who, why=why)
    order, checkout = locked_checkout(stale.pk)
    if order.state != OrderState.PAID and not is_whole(checkout):
        return Verdict.SETTLED  # a person gives the rest of the money back
    verdict = give(order, checkout, at)
    if Checkout.objects.filter(pk=checkout.pk, is_applied=True).exists():
        Case.objects.open().filter(checkout=checkout, kind=CaseKind.GOODS).update(
            closed_at=at, closed_by=who, decision=_("The goods were given on a later try.")
        )
    return verdict


def give(order: Order, checkout: Checkout, at: datetime) -> Verdict:
    """Give the order's goods for a recorded capture; what cannot be given waits for a person, the capture stays."""
    if checkout.is_applied:
        return Verdict.SETTLED
    # An order awaiting payment has no applied checkout: they change together.
    if order.state == OrderState.PAID or not _is_the_price(order, checkout):
        if open_case(CaseKind.SURPLUS, checkout, words=_("The order was paid by another checkout already."), at=at):
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


def _is_the_price(order: Order, checkout: Checkout) -> bool:
    return (checkout.captured, checkout.captured_currency) == (order.total, order.currency)


def _leave_to_a_person(order: Order, checkout: Checkout, error: Exception, at: datetime) -> None:
    log.exception("order %s: paid, but its goods could not be given", order.pk)
    words = _("The order is %(state)s. %(fault)s: %(words)s")
    told = {"state": OrderState(order.state).label, "fault": type(error).__name__, "words": error}
    open_case(CaseKind.GOODS, checkout, words=words % told, at=at)
