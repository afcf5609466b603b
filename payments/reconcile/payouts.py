"""SumUp's payouts and fees: read beside its list of transactions, and told in the reports; they decide nothing here."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import Count, DateField, DateTimeField, Exists, F, Func, Max, Min, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Cast

from events.models import Merchant
from ledger.money import PLACES, Money, rounded
from orders.models import OrderLine
from payments.merchants import PATIENT, client_for
from payments.models import Checkout, Payout
from payments.reconcile.round import Round
from payments.sumup import PAYOUT, Client, PayoutAnswer, SumUpProblem, Unreadable
from payments.sumup.payouts import PAYOUTS_MOST

log = logging.getLogger(__name__)

#: What SumUp says of a day may change for so long.
SETTLES_WITHIN = timedelta(days=14)
#: Days a question; fewer where an answer would be too long.
A_QUESTION = timedelta(days=7)
SUCCESSFUL = "SUCCESSFUL"
#: The largest amount that a row can hold.
MOST = Decimal("9999999999.99")


def read_payouts(merchant: Merchant, run: Round) -> None:
    """Take in what SumUp lists as paid out to `merchant` since what we know of may have changed.

    A key may lack the right to ask, and nothing depends on it: no answer is told and counted, and is no fault. What
    was stored stays, and the next run asks again from there.
    """
    client = client_for(merchant, deadline=PATIENT)
    try:
        for first, last in _weeks(merchant, run.clock().date()):
            for answers in _told(client, first, last, lambda: run.pace(merchant.pk)):
                _store(merchant, answers, run)
    except SumUpProblem as problem:
        words = f"{merchant.code}: SumUp does not tell its payouts ({problem})."
        log.warning("%s", words)
        run.count("payouts not told", words)
    if not run.is_dry:
        _link(merchant)


def _weeks(merchant: Merchant, today: date) -> Iterator[tuple[date, date]]:
    """From and to when to ask, oldest first; nothing before there was a payment.

    A day that is to come, which SumUp may name by mistake, is not where to begin.
    """
    known = Payout.objects.filter(merchant=merchant, date__lte=today).aggregate(last=Max("date"))["last"]
    paid = Checkout.objects.filter(merchant=merchant).aggregate(first=Min("paid_at"))["first"]
    if paid is None:
        return
    first = max(known - SETTLES_WITHIN, paid.date()) if known else paid.date()
    while first <= today:
        last = min(first + A_QUESTION - timedelta(days=1), today)
        yield first, last
        first = last + timedelta(days=1)


def _told(client: Client, first: date, last: date, before: Callable[[], None]) -> Iterator[list[PayoutAnswer]]:
    """What SumUp lists of these days, oldest first, in parts that an answer can hold: a row is a sale, tills' too."""
    before()
    try:
        answers = client.list_payouts(first, last)
    except Unreadable:  # too long, perhaps
        if first == last:
            raise
    else:
        if first == last or len(answers) < PAYOUTS_MOST:
            yield answers
            return
    middle = first + (last - first) // 2
    yield from _told(client, first, middle, before)
    yield from _told(client, middle + timedelta(days=1), last, before)


def _store(merchant: Merchant, answers: Sequence[PayoutAnswer], run: Round) -> None:
    """Store what is new, and SumUp's word where it is another; a dry run says how many of each."""
    usable = _storable(merchant, answers, run)
    theirs = Payout.objects.filter(merchant=merchant, payout_id__in=[row.id for row in usable])
    known = dict(theirs.values_list("payout_id", "status"))
    fresh = [row for row in usable if row.id not in known]
    changed = [row for row in usable if known.get(row.id, row.status[:60]) != row.status[:60]]
    run.counts["payouts"] += len(fresh)
    if changed:
        run.counts["payouts changed"] += len(changed)
    if not run.is_dry:
        _write(merchant, fresh, changed, run.clock())
    elif fresh or changed:
        run.told(f"{merchant.code}: {len(fresh)} of SumUp's payouts would be stored and {len(changed)} changed.")


def _write(
    merchant: Merchant, fresh: Collection[PayoutAnswer], changed: Collection[PayoutAnswer], at: datetime
) -> None:
    # Two runs at once meet in the same rows.
    Payout.objects.bulk_create((_row(merchant, row, at) for row in fresh), ignore_conflicts=True)
    for row in changed:
        Payout.objects.filter(merchant=merchant, payout_id=row.id).update(status=row.status[:60])


def _storable(merchant: Merchant, answers: Sequence[PayoutAnswer], run: Round) -> list[PayoutAnswer]:
    """Those that the table can hold; that there are others is told."""
    usable = [row for row in answers if row.currency in PLACES and max(abs(row.amount), abs(row.fee)) <= MOST]
    if left_out := len(answers) - len(usable):
        words = f"{merchant.code}: {left_out} of SumUp's payouts cannot be stored (amount or currency)."
        log.warning("%s", words)
        run.told(words)
        run.counts["payouts left out"] += left_out
    return usable


def _row(merchant: Merchant, answer: PayoutAnswer, at: datetime) -> Payout:
    return Payout(
        merchant=merchant,
        payout_id=answer.id,
        kind=answer.type[:60],
        status=answer.status[:60],
        amount=rounded(answer.amount, answer.currency),
        fee=rounded(answer.fee, answer.currency),
        currency=answer.currency,
        date=answer.date,
        reference=answer.reference[:255],
        transaction_code=answer.transaction_code[:255],
        first_seen_at=at,
    )


def _link(merchant: Merchant) -> None:
    """Payouts to their payments, one statement for all: a payment may be known to us only after its payout."""
    paid = Checkout.objects.filter(merchant=merchant, transaction_code=OuterRef("transaction_code")).values("pk")
    unlinked = Payout.objects.filter(Exists(paid), merchant=merchant, checkout=None).exclude(transaction_code="")
    unlinked.update(checkout=Subquery(paid))


def _day_of_payment() -> Cast:
    """The day of a payment on the clock of the (first) page that it was for, as the reports beside it count."""
    zone = OrderLine.objects.filter(order=OuterRef("order")).order_by("pk").values("page__time_zone")[:1]
    clock = Func(Subquery(zone), F("paid_at"), function="timezone", output_field=DateTimeField())
    return Cast(clock, DateField())


@dataclass(frozen=True)
class PaidOut:
    """What SumUp paid out to a merchant in one currency in some time, less which fees, and what it took off again.

    It is the sum of `lines` of SumUp's list. Of `payments` of that time SumUp has told the fee of `told`.
    """

    merchant: str
    paid_out: Money
    fees: Money
    deducted: Money
    lines: int
    payments: int
    told: int


def paid_out(
    merchants: Collection[int] | None, *, first: date | None = None, last: date | None = None
) -> list[PaidOut]:
    """By merchant (None: all) and currency, for payouts from `first` to `last`, both included; no failed ones.

    A merchant with payments in that time, of which SumUp has told no payout, has a line of zeros.
    """
    rows = Payout.objects.filter(status=SUCCESSFUL)
    payments = Checkout.objects.exclude(captured=None).annotate(day=_day_of_payment())
    if merchants is not None:
        rows, payments = rows.filter(merchant__in=merchants), payments.filter(merchant__in=merchants)
    if first is not None:
        rows, payments = rows.filter(date__gte=first), payments.filter(day__gte=first)
    if last is not None:
        rows, payments = rows.filter(date__lte=last), payments.filter(day__lte=last)
    counted = {
        row["merchant"]: row
        for row in payments.order_by()
        .values("merchant", "merchant__name", "merchant__currency")
        .annotate(number=Count("pk", distinct=True), told=Count("pk", distinct=True, filter=Q(payouts__kind=PAYOUT)))
    }
    sums = rows.order_by("merchant", "currency").values("merchant", "merchant__name", "currency")
    found, silent = [], set(counted)
    for row in sums.annotate(
        lines=Count("pk"), out=Sum("amount", filter=Q(kind=PAYOUT)), fees=Sum("fee"),
        off=Sum("amount", filter=~Q(kind=PAYOUT)),
    ):  # fmt: skip
        out, fees, off = (Money(row[name] or Decimal(0), row["currency"]) for name in ("out", "fees", "off"))
        count = counted.get(row["merchant"], {"number": 0, "told": 0})
        found.append(PaidOut(row["merchant__name"], out, fees, off, row["lines"], count["number"], count["told"]))
        silent.discard(row["merchant"])
    for merchant in silent:
        count = counted[merchant]
        none = Money(Decimal(0), count["merchant__currency"])
        found.append(PaidOut(count["merchant__name"], none, none, none, 0, count["number"], count["told"]))
    return sorted(found, key=lambda row: (row.merchant, row.paid_out.currency))
