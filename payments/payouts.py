"""SumUp's payouts and fees: read beside its list of transactions, and told in the reports; they decide nothing here."""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Count, Max, Min, Q, Sum

from events.models import Merchant
from ledger.money import PLACES, Money, rounded
from payments.merchants import PATIENT, client_for
from payments.models import Checkout, Payout
from payments.rounds import Round
from payments.sumup import PAYOUT, PayoutAnswer, SumUpProblem

log = logging.getLogger(__name__)

#: What SumUp says of a day may change for so long.
SETTLES_WITHIN = timedelta(days=14)
#: Days a question: an answer has at most 9999 rows.
A_QUESTION = timedelta(days=7)
SUCCESSFUL = "SUCCESSFUL"
#: The largest amount that a row can hold.
MOST = Decimal("9999999999.99")


def read_payouts(merchant: Merchant, run: Round) -> None:
    """Take in what SumUp lists as paid out to `merchant` since what we know of may have changed.

    A key may lack the right to ask, and nothing depends on it: no answer is told and counted, and is no fault.
    """
    client = client_for(merchant, deadline=PATIENT)
    try:
        for first, last in _weeks(merchant, run.clock().date()):
            run.pace(merchant.pk)
            _store(merchant, client.list_payouts(first, last), run)
    except SumUpProblem as problem:
        run.count("payouts not told", f"{merchant.code}: SumUp does not tell its payouts ({problem}).")


def _weeks(merchant: Merchant, today: date) -> Iterator[tuple[date, date]]:
    """From and to when to ask, oldest first; nothing before there was a payment."""
    known = Payout.objects.filter(merchant=merchant).aggregate(last=Max("date"))["last"]
    paid = Checkout.objects.filter(merchant=merchant).aggregate(first=Min("paid_at"))["first"]
    if paid is None:
        return
    first = max(known - SETTLES_WITHIN, paid.date()) if known else paid.date()
    while first <= today:
        last = min(first + A_QUESTION - timedelta(days=1), today)
        yield first, last
        first = last + timedelta(days=1)


def _store(merchant: Merchant, answers: Sequence[PayoutAnswer], run: Round) -> None:
    usable = [row for row in answers if row.currency in PLACES and max(abs(row.amount), abs(row.fee)) <= MOST]
    known = {
        row.payout_id: row for row in Payout.objects.filter(merchant=merchant, payout_id__in=[r.id for r in usable])
    }
    fresh = [row for row in usable if row.id not in known]
    run.counts["payouts"] += len(fresh)
    if run.is_dry:
        return
    codes = {row.transaction_code for row in fresh} - {""}
    rows = Checkout.objects.filter(merchant=merchant, transaction_code__in=codes).values_list("transaction_code", "pk")
    checkouts = dict(rows)
    Payout.objects.bulk_create(
        [
            Payout(
                merchant=merchant,
                payout_id=row.id,
                kind=row.type[:60],
                status=row.status[:60],
                amount=rounded(row.amount, row.currency),
                fee=rounded(row.fee, row.currency),
                currency=row.currency,
                date=row.date,
                reference=row.reference[:255],
                transaction_code=row.transaction_code[:255],
                checkout_id=checkouts.get(row.transaction_code),
                first_seen_at=run.clock(),
            )
            for row in fresh
        ],
        ignore_conflicts=True,  # two runs at once
    )
    for row in usable:
        before = known.get(row.id)
        if before is not None and before.status != row.status[:60]:
            Payout.objects.filter(pk=before.pk).update(status=row.status[:60])


@dataclass(frozen=True)
class PaidOut:
    """What SumUp paid out to a merchant in one currency in some time, less which fees, and what it took off again.

    Of `payments` of that time SumUp has told the fee of `told`.
    """

    merchant: str
    paid_out: Money
    fees: Money
    deducted: Money
    payments: int
    told: int


def paid_out(
    merchants: Collection[int] | None, *, first: date | None = None, last: date | None = None
) -> list[PaidOut]:
    """By merchant (None: all) and currency, for payouts from `first` to `last`, both included."""
    rows = Payout.objects.filter(status=SUCCESSFUL)
    payments = Checkout.objects.exclude(captured=None)
    if merchants is not None:
        rows, payments = rows.filter(merchant__in=merchants), payments.filter(merchant__in=merchants)
    if first is not None:
        rows, payments = rows.filter(date__gte=first), payments.filter(paid_at__date__gte=first)
    if last is not None:
        rows, payments = rows.filter(date__lte=last), payments.filter(paid_at__date__lte=last)
    counted = {
        row["merchant"]: row
        for row in payments.order_by()
        .values("merchant")
        .annotate(number=Count("pk", distinct=True), told=Count("pk", distinct=True, filter=Q(payouts__kind=PAYOUT)))
    }
    sums = rows.order_by("merchant__name", "merchant", "currency").values("merchant", "merchant__name", "currency")
    found = []
    for row in sums.annotate(
        out=Sum("amount", filter=Q(kind=PAYOUT)), fees=Sum("fee"), off=Sum("amount", filter=~Q(kind=PAYOUT))
    ):
        out, fees, off = (Money(row[name] or Decimal(0), row["currency"]) for name in ("out", "fees", "off"))
        count = counted.get(row["merchant"], {"number": 0, "told": 0})
        found.append(PaidOut(row["merchant__name"], out, fees, off, count["number"], count["told"]))
    return found
