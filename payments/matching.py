"""Matching what SumUp lists with what we recorded: payments both ways, refunds and chargebacks, a chunk at a time."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from zoneinfo import ZoneInfo

from django.db.models import Q

from events.models import Merchant
from ledger.money import PLACES, rounded
from orders.models import Order
from payments.adopting import adopt_events
from payments.cases import open_case
from payments.merchants import PATIENT, client_for
from payments.models import Checkout, SumUpEvent
from payments.rounds import WHO, Round
from payments.settling import ASKABLE, MOST, Verdict, settle
from payments.states import CaseKind, CheckoutState
from payments.strays import close_found, open_stray
from payments.sumup import HistoryItem, SumUpProblem, UnknownTransaction
from payments.sumup.history import CHARGE_BACK, ECOM, PAYMENT, REFUND

#: What SumUp gets as description begins so (payments.opening): the order's code.
SHAPE = re.compile(r"([A-Z2-7]{26})(?![A-Z0-9])")
#: Words of a payment that took no money (SumUp: statuses of the history, and what integrators met beside them).
NOT_TAKEN = {"FAILED", "CANCELLED", "PENDING", "EXPIRED"}
#: So long may a capture take to show in SumUp's list before a person hears of it.
LISTED_WITHIN = timedelta(hours=24)
ITEMS_AT_ONCE = 100


def match_history(merchant: Merchant, since: datetime, run: Round) -> bool:
    """Walk all that SumUp lists of `merchant` as changed since then; True when it was read to the end."""
    client = client_for(merchant, deadline=PATIENT)
    items = client.read_history(changes_since=since, before_page=lambda: run.pace(merchant.pk))
    done = 0
    try:
        while chunk := list(islice(items, ITEMS_AT_ONCE)):
            _match(merchant, chunk, run)
            done += len(chunk)
            run.counts["listed by SumUp"] += len(chunk)
            run.progress(f"{merchant.code}: SumUp's list", done, None)
    except SumUpProblem as problem:
        run.heard(problem)
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
    _match_events(items, known, run)


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

    def of(self, item: HistoryItem) -> Checkout | None:
        return self.by_code.get(item.transaction_code) or self.by_id.get(item.transaction_id)

    def checkouts(self) -> list[Checkout]:
        return list({row.pk: row for row in (*self.by_code.values(), *self.by_id.values())}.values())


def order_code(item: HistoryItem) -> str | None:
    """The order's code at the beginning of its description; None for what did not come of a shop like ours."""
    found = SHAPE.match(item.summary)
    return found[1] if found and item.payment_type == ECOM else None


def _match_unknown(merchant: Merchant, item: HistoryItem, known: _Known, run: Round) -> None:
    """A payment that we do not know: of a checkout that we think unpaid, of no order here, or none of our business."""
    code = order_code(item)
    if code is None:
        run.counts["not of this shop"] += 1
        return
    order = Order.objects.filter(code=code, merchant=merchant).first()
    unanswered = len(run.unanswered) + len(run.refused)
    if order is not None:
        for checkout in Checkout.objects.filter(order=order, state__in=ASKABLE).order_by("-pk"):
            if run.is_dry:
                run.count("found paid", f"Order {order.short_code}: SumUp took {_amount(item)}. It would be settled.")
                return
            run.pace(merchant.pk)
            busy = settle(checkout.pk, who=WHO, at=run.clock(), heard=run.heard) is Verdict.BUSY
            checkout.refresh_from_db()
            known.remember(checkout)
            if known.of(item) is not None:
                if not busy:
                    run.count("found paid", f"Order {order.short_code}: SumUp took {_amount(item)}. It is settled.")
                return
            if busy:  # a webhook or the sweep is asking at this moment: the next run sees what came of it
                run.counts["asked by another"] += 1
                return
    words = _stray_words(item, order)
    if run.is_dry:
        run.count("of no order", f"{words} A case would be opened.")
        return
    named = (item.transaction_id, item.transaction_code)
    opened = open_stray(merchant, order, named, _taken(item), words=words, at=run.clock())
    if opened:
        run.count("of no order", words)
    elif len(run.unanswered) + len(run.refused) > unanswered:
        # A person has the case already: that SumUp does not answer about it keeps no later run from being good.
        del run.unanswered[unanswered:]


def _taken(item: HistoryItem) -> tuple[Decimal | None, str]:
    """Amount and currency as a case can hold them."""
    if item.amount is None or not 0 < item.amount <= MOST or item.currency not in PLACES:
        return None, ""
    return rounded(item.amount, item.currency), item.currency


def _amount(item: HistoryItem) -> str:
    return f"{item.amount} {item.currency}"


def _stray_words(item: HistoryItem, order: Order | None) -> str:
    where = (
        f"Its description names order {order.short_code}, but no payment of that order can be it."
        if order
        else f"Its description names an order that is not here: {item.summary[:8]}."
    )
    return f"SumUp took {_amount(item)} (transaction {item.transaction_code}, {item.timestamp[:16]}). {where}"


# --- Refunds and chargebacks


def _match_events(items: Iterable[HistoryItem], known: _Known, run: Round) -> None:
    """Read those transactions of ours of which SumUp lists a refund or chargeback that is not booked as it stands."""
    listed: dict[int, Counter[tuple[str, str, Decimal]]] = {}
    told: dict[int, Decimal] = {}
    for item in items:
        checkout = known.of(item)
        if checkout is None:
            continue
        if item.type in (REFUND, CHARGE_BACK):
            listed.setdefault(checkout.pk, Counter())[item.type, item.status, item.amount or Decimal(0)] += 1
        elif item.type == PAYMENT and item.refunded is not None:
            told[checkout.pk] = item.refunded
    booked = _booked(known.checkouts())
    for checkout in known.checkouts():
        ours = booked.get(checkout.pk, Counter())
        sums = [
            sum((key[2] * n for key, n in ours.items() if key[0] in kinds and key[1] != "FAILED"), Decimal(0))
            for kinds in ((REFUND,), (REFUND, CHARGE_BACK))
        ]
        if listed.get(checkout.pk, Counter()) <= ours and told.get(checkout.pk, sums[0]) in sums:
            continue
        if run.is_dry:
            run.count("refunds to book", f"{checkout.reference}: SumUp lists money that went back. It would be booked.")
            continue
        run.safely(f"refunds of {checkout.reference}", lambda: _read_events(checkout, run))  # noqa: B023


def _booked(checkouts: Iterable[Checkout]) -> dict[int, Counter[tuple[str, str, Decimal]]]:
    found: dict[int, Counter[tuple[str, str, Decimal]]] = {}
    rows = SumUpEvent.objects.filter(checkout__in=[row.pk for row in checkouts], kind__in=[REFUND, CHARGE_BACK])
    for pk, kind, status, amount in rows.values_list("checkout_id", "kind", "status", "amount"):
        if pk is not None:
            found.setdefault(pk, Counter())[kind, status, amount or Decimal(0)] += 1
    return found


def _read_events(checkout: Checkout, run: Round) -> None:
    run.pace(checkout.merchant_id)
    try:
        answer = client_for(checkout.merchant, deadline=PATIENT).read_transaction(checkout.transaction_id)
    except SumUpProblem as problem:
        run.heard(problem)
        run.told(f"{checkout.reference}: SumUp lists money that went back, but does not show its payment ({problem}).")
        return
    adopt_events(checkout, answer, at=run.clock(), who=WHO)
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
        words = (
            f"We recorded {checkout.captured} {checkout.captured_currency} (transaction {checkout.transaction_code})"
            f" on {_day(checkout)}, and SumUp neither lists it nor knows it. The tickets are valid."
        )
        if run.is_dry:
            run.count("not in SumUp's list", f"{words} A case would be opened.")
        elif open_case(CaseKind.MISSING, checkout, words=words, at=run.clock()):
            run.count("not in SumUp's list", words)
    except SumUpProblem as problem:
        run.heard(problem)
    else:
        if not run.is_dry:
            Checkout.objects.filter(pk=checkout.pk).update(listed_at=run.clock())
            adopt_events(checkout, answer, at=run.clock(), who=WHO)
