"""Matching what SumUp lists with what we recorded: payments both ways, refunds and chargebacks, a chunk at a time."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import islice
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.utils.translation import gettext as _

from events.models import Merchant
from ledger.money import MOST, PLACES, rounded, storable
from orders.models import Order
from payments.cases import open_case
from payments.checkouts.backing import is_waited_for, mismatch_of
from payments.checkouts.settling import ASKABLE, Verdict, settle
from payments.contradictions import (
    LIST,
    LISTED_REFUNDS,
    Contradiction,
    of_payment,
    of_refunds,
    put_before_a_person,
)
from payments.merchants import PATIENT, client_for
from payments.models import Case, Checkout, SumUpReport
from payments.reconcile.round import WHO, Round
from payments.reconcile.strays import close_found, open_stray
from payments.refunds.reports_of_sumup import adopt_reports
from payments.states import CaseKind, CheckoutState
from payments.sumup import HistoryItem, SumUpProblem, UnknownTransaction
from payments.sumup.history import CHARGE_BACK, PAYMENT, REFUND

#: What SumUp gets as description begins so (payments.checkouts.opening), whatever it puts before it: the order's code.
SHAPE = re.compile(r"(?<![A-Z0-9])([A-Z2-7]{26})(?![A-Z0-9])")
#: Words of a payment that took no money (SumUp: statuses of the history, and what integrators met beside them).
NOT_TAKEN = {"FAILED", "CANCELLED", "PENDING", "EXPIRED"}
#: So long may a capture take to show in SumUp's list before a person hears of it.
LISTED_WITHIN = timedelta(hours=24)
ITEMS_AT_ONCE = 100


def match_history(merchant: Merchant, since: datetime, run: Round) -> bool:
    """Walk all that SumUp lists of `merchant` as changed since then; True when it was read to the end."""
    client = client_for(merchant, deadline=PATIENT)
    items = client.read_history(
        changes_since=since,
        before_page=lambda: run.pace(merchant.pk),
        waits=lambda problem: run.pace.hold(merchant.pk, problem.retry_after),
    )
    done = 0
    try:
        while chunk := list(islice(items, ITEMS_AT_ONCE)):
            _match(merchant, chunk, run)
            done += len(chunk)
            run.counts["listed by SumUp"] += len(chunk)
            run.progress(f"{merchant.code}: SumUp's list", done, None)
    except SumUpProblem as problem:
        run.heard(problem, merchant.pk)
        run.told(f"{merchant.code}: SumUp's list could not be read to its end ({problem}).")
        return False
    return True


def _match(merchant: Merchant, items: list[HistoryItem], run: Round) -> None:
    known = _Known(merchant, items)
    for item in items:
        if item.type == PAYMENT and item.status not in NOT_TAKEN and known.of(item) is None:
            named = f"SumUp's transaction {item.transaction_code}"
            run.safely(named, lambda: _match_unknown(merchant, item, known, run))  # noqa: B023  (called at once)
    if not run.is_dry:
        unlisted = [row.pk for row in known.checkouts() if row.listed_at is None]
        Checkout.objects.filter(pk__in=unlisted, listed_at=None).update(listed_at=run.clock())
        close_found(known.checkouts(), who=WHO, at=run.clock())
    _match_reports(items, known, run)


class _Known:
    """Our checkouts behind a chunk of items, found in two questions: by transaction, and by the order's code."""

    def __init__(self, merchant: Merchant, items: Iterable[HistoryItem]) -> None:
        self.merchant = merchant
        codes = {item.transaction_code for item in items if item.transaction_code}
        ids = {item.transaction_id for item in items if item.transaction_id}
        self.by_code: dict[str, Checkout] = {}
        self.by_id: dict[str, Checkout] = {}
        for checkout in Checkout.objects.filter(
            Q(transaction_code__in=codes) | Q(transaction_id__in=ids)
        ).select_related("merchant"):
            self.remember(checkout)

    def remember(self, checkout: Checkout) -> None:
        if checkout.merchant_id != self.merchant.pk:
            return
        if checkout.transaction_code:
            self.by_code[checkout.transaction_code] = checkout
        if checkout.transaction_id:
            self.by_id[checkout.transaction_id] = checkout

    def take(self, item: HistoryItem, checkout: Checkout) -> None:
        """It is the payment of `checkout`, which does not name it."""
        self.by_id[item.transaction_id] = checkout

    def of(self, item: HistoryItem) -> Checkout | None:
        return self.by_code.get(item.transaction_code) or self.by_id.get(item.transaction_id)

    def checkouts(self) -> list[Checkout]:
        return list({row.pk: row for row in (*self.by_code.values(), *self.by_id.values())}.values())


def order_code(item: HistoryItem) -> str | None:
    """The order's code in its description; None for what did not come of a shop like ours.

    Its type says nothing: on one payment page people pay by card, bank or wallet, and SumUp adds to its words.
    """
    found = SHAPE.search(item.summary)
    return found[1] if found else None


def _match_unknown(merchant: Merchant, item: HistoryItem, known: _Known, run: Round) -> None:
    """A payment that we do not know: of a checkout that we think unpaid, of no order here, or none of our business."""
    code = order_code(item)
    if code is None:
        run.counts["not of this shop"] += 1
        return
    order = Order.objects.filter(code=code, merchant=merchant).first()
    unanswered = len(run.unanswered)
    if order is not None and _is_of(order, item, known, run):
        return
    named = (item.transaction_id, item.transaction_code)
    if (mismatch := mismatch_of(merchant, order, named, _taken(item), is_dry=run.is_dry)) is not None:
        known.take(item, mismatch)
        return
    words = _stray_words(item, order, code)
    if run.is_dry:
        run.count("of no order", f"{words} A case would be opened.")
        return
    opened = open_stray(merchant, order, named, _taken(item), words=words, at=run.clock())
    if opened:
        run.count("of no order", words)
    else:
        # A person has the case already: that SumUp does not answer about it keeps no later run from being good.
        del run.unanswered[unanswered:]


def _is_of(order: Order, item: HistoryItem, known: _Known, run: Round) -> bool:
    """Ask about each checkout of `order` that may have been paid by it; True when it is that, or may still be."""
    if is_waited_for(order, *_taken(item)):
        run.counts["paid, not shown yet"] += 1
        return True
    heard = partial(run.heard, merchant_pk=known.merchant.pk)
    for checkout in Checkout.objects.filter(order=order, state__in=ASKABLE).order_by("-pk"):
        if run.is_dry:
            run.count("found paid", f"Order {order.short_code}: SumUp took {_amount(item)}. It would be settled.")
            return True
        run.pace(known.merchant.pk)
        busy = settle(checkout.pk, who=WHO, at=run.clock(), heard=heard) is Verdict.BUSY
        checkout.refresh_from_db()
        known.remember(checkout)
        if known.of(item) is not None:
            if not busy:
                run.count("found paid", f"Order {order.short_code}: SumUp took {_amount(item)}. It is settled.")
            return True
        if busy:  # a webhook or the sweep is asking at this moment: the next run sees what came of it
            run.counts["asked by another"] += 1
            return True
    return False


def _taken(item: HistoryItem) -> tuple[Decimal | None, str]:
    """Amount and currency as a case can hold them."""
    amount = storable(item.amount, item.currency)
    return amount, "" if amount is None else item.currency


def _amount(item: HistoryItem) -> str:
    return _written(item.amount, item.currency)


def _written(amount: Decimal | None, currency: str) -> str:
    """As a person reads it, 12.50 and not 12.5, where the currency is known; ? for what SumUp does not say."""
    if amount is not None and currency in PLACES and abs(amount) <= MOST:
        amount = rounded(amount, currency)
    return f"{'?' if amount is None else amount} {currency or '?'}"


def _stray_words(item: HistoryItem, order: Order | None, code: str) -> str:
    where = (
        f"Its description names order {order.short_code}, but no payment of that order can be it."
        if order
        else f"Its description names an order that is not here: {code[:8]}."
    )
    facts = ", ".join(filter(None, [f"transaction {item.transaction_code}", item.payment_type, item.timestamp[:16]]))
    took = f"SumUp took {_amount(item)} ({facts})."
    return " ".join(filter(None, [took, _gone_words(item), where]))


def _gone_words(item: HistoryItem) -> str:
    """What of a payment went back already, as far as SumUp's list says so; "" for nothing."""
    if item.refunded and item.refunded == item.amount:
        return "All of it went back already."
    if item.refunded:
        return f"{_written(item.refunded, item.currency)} of it went back already."
    return "SumUp says that it went back already, and not how much." if item.status == "REFUNDED" else ""


# --- Refunds and chargebacks


def _match_reports(items: Iterable[HistoryItem], known: _Known, run: Round) -> None:
    """Read those transactions of ours of which SumUp lists a refund or chargeback that is not booked as it stands."""
    listed: dict[int, list[HistoryItem]] = {}
    payments: dict[int, HistoryItem] = {}
    for item in items:
        checkout = known.of(item)
        if checkout is None:
            continue
        if item.type in (REFUND, CHARGE_BACK):
            listed.setdefault(checkout.pk, []).append(item)
        elif item.type == PAYMENT:
            payments[checkout.pk] = item
    booked = _booked(known.checkouts())
    told = _contradicted(known.checkouts())
    for checkout in known.checkouts():
        payment, gone = payments.get(checkout.pk), listed.get(checkout.pk, [])
        if payment is not None and checkout.captured is not None:
            found = of_payment(checkout, LIST, payment.status, payment.amount, payment.currency)
            _tell(checkout, LIST, found, run, is_told=checkout.pk in told)
        refunded = payment.refunded if payment else None
        if _is_booked(gone, refunded, booked.get(checkout.pk, Counter())):
            _tell(checkout, LISTED_REFUNDS, [], run, is_told=checkout.pk in told)
            continue
        if run.is_dry:
            run.count("refunds to book", f"{checkout.reference}: SumUp lists money that went back. It would be booked.")
            continue
        work = partial(_read_reports, checkout, gone, refunded, run)
        run.safely(f"refunds of {checkout.reference}", work)


def _is_booked(
    listed: Iterable[HistoryItem], refunded: Decimal | None, ours: Counter[tuple[str, str, Decimal]]
) -> bool:
    """Each listed refund and chargeback is booked as it stands, and what the payment says went back is their sum."""
    sums = [
        sum((key[2] * n for key, n in ours.items() if key[0] in kinds and key[1] != "FAILED"), Decimal(0))
        for kinds in ((REFUND,), (REFUND, CHARGE_BACK))
    ]
    theirs = Counter((item.type, item.status, item.amount or Decimal(0)) for item in listed)
    return theirs <= ours and (refunded is None or refunded in sums)


def _contradicted(checkouts: Iterable[Checkout]) -> set[int]:
    """Those about which a person is asked already because of a contradiction."""
    cases = Case.objects.open().filter(kind=CaseKind.CONTRADICTION, checkout__in=[row.pk for row in checkouts])
    return {pk for pk in cases.values_list("checkout_id", flat=True) if pk is not None}


def _tell(checkout: Checkout, source: str, found: Collection[Contradiction], run: Round, *, is_told: bool) -> None:
    """A case for each contradiction, once; `is_told`: some are open, which may be over by now."""
    if run.is_dry:
        for one in found:
            run.count("contradictions", f"{one.words} A case would be opened.")
    elif found or is_told:
        work = partial(put_before_a_person, checkout.pk, source, found, who=WHO, at=run.clock())
        run.safely(f"contradictions about {checkout.reference}", lambda: _count(run, work(), found))


def _count(run: Round, new: int, found: Collection[Contradiction]) -> None:
    if new:
        run.counts["contradictions"] += new
        for one in found:
            run.told(one.words)


def _booked(checkouts: Iterable[Checkout]) -> dict[int, Counter[tuple[str, str, Decimal]]]:
    found: dict[int, Counter[tuple[str, str, Decimal]]] = {}
    rows = SumUpReport.objects.filter(checkout__in=[row.pk for row in checkouts], kind__in=[REFUND, CHARGE_BACK])
    for pk, kind, status, amount in rows.values_list("checkout_id", "kind", "status", "amount"):
        if pk is not None:
            found.setdefault(pk, Counter())[kind, status, amount or Decimal(0)] += 1
    return found


def _read_reports(checkout: Checkout, listed: list[HistoryItem], refunded: Decimal | None, run: Round) -> None:
    if not checkout.transaction_id:
        run.told(f"{checkout.reference}: SumUp lists money that went back of a payment whose transaction is not known.")
        return
    run.pace(checkout.merchant_id)
    try:
        answer = client_for(checkout.merchant, deadline=PATIENT).read_transaction(checkout.transaction_id)
    except SumUpProblem as problem:
        run.heard(problem, checkout.merchant_id)
        run.told(f"{checkout.reference}: SumUp lists money that went back, but does not show its payment ({problem}).")
        return
    adopt_reports(checkout, answer, at=run.clock(), who=WHO)
    _tell(checkout, LISTED_REFUNDS, of_refunds(checkout, listed, refunded, answer), run, is_told=True)
    run.count("refunds booked", f"{checkout.reference}: what SumUp says of its refunds is booked.")


# --- What SumUp does not list


def unlisted_captures(merchant: Merchant, since: datetime, run: Round) -> Iterator[int]:
    """Payments that we recorded since then and that SumUp's list, now read to its end, has not shown for a day."""
    rows = Checkout.objects.filter(
        merchant=merchant, state=CheckoutState.PAID, listed_at=None, paid_at__gte=since,
        paid_at__lte=run.clock() - LISTED_WITHIN,
    )  # fmt: skip
    yield from rows.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=200)


def _day(checkout: Checkout) -> str:
    """When it was paid, on the clock of what it bought."""
    at = checkout.paid_at
    return f"{at.astimezone(ZoneInfo(checkout.order.time_zone)):%Y-%m-%d}" if at else ""


def look_for(pk: int, run: Round) -> None:
    """Ask SumUp about the transaction itself: its list may lag. What it does not know is for a person."""
    checkout = Checkout.objects.select_related("merchant", "order").get(pk=pk)
    run.pace(checkout.merchant_id)
    try:
        answer = client_for(checkout.merchant, deadline=PATIENT).read_transaction(checkout.transaction_id)
    except UnknownTransaction:
        words = _(
            "We recorded %(amount)s %(currency)s (transaction %(code)s) on %(day)s, and SumUp neither lists it nor"
            " knows it. The tickets are valid."
        ) % {
            "amount": checkout.captured,
            "currency": checkout.captured_currency,
            "code": checkout.transaction_code,
            "day": _day(checkout),
        }
        if run.is_dry:
            run.count("not in SumUp's list", f"{words} A case would be opened.")
        elif open_case(CaseKind.MISSING, checkout, words=words, at=run.clock()):
            run.count("not in SumUp's list", words)
    except SumUpProblem as problem:
        run.heard(problem, checkout.merchant_id)
    else:
        if not run.is_dry:
            Checkout.objects.filter(pk=checkout.pk).update(listed_at=run.clock())
            adopt_reports(checkout, answer, at=run.clock(), who=WHO)
