"""Where SumUp's books contradict themselves or ours: each contradiction is a case, once, with both figures.

Nothing is booked on the ground of one: which side is right only a person can find out. What the next reading no longer
shows closes by itself.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Q
from django.utils.translation import gettext as _

from ledger.locking import retried
from payments.cases import write_case
from payments.locks import locked_checkout
from payments.models import Case, Checkout
from payments.states import CaseKind
from payments.sumup import CHARGE_BACK, REFUND, EventAnswer, FullTransactionAnswer, HistoryItem

#: Words of SumUp for a payment whose money was not taken, or was let go.
UNDONE = {"CANCELLED", "FAILED"}
#: What a contradiction is read from: the list of payments, the list of refunds, the transaction itself.
LIST, LISTED_REFUNDS, TRANSACTION = "list", "refunds", "transaction"


@dataclass(frozen=True)
class Contradiction:
    """Something that is told in two ways; `key` names it with both figures, `words` tell a person."""

    key: str
    words: str


def of_payment(
    checkout: Checkout, source: str, status: str, amount: Decimal | None, currency: str
) -> list[Contradiction]:
    """Where what SumUp says of a payment, in its list or of the transaction itself, is not what we recorded."""
    ours = f"{checkout.captured} {checkout.captured_currency}"
    name = checkout.transaction_code or checkout.transaction_id
    theirs = f"{'?' if amount is None else amount} {currency or '?'}"
    told = {"name": name, "ours": ours, "theirs": theirs, "status": status}
    found = []
    if status in UNDONE:
        words = _("We recorded %(ours)s (transaction %(name)s), and SumUp calls this payment of %(theirs)s %(status)s.")
        found.append(Contradiction(f"{source} status {status}", words % told))
    if currency and currency != checkout.captured_currency:
        words = _("We recorded %(ours)s (transaction %(name)s), and SumUp says that it was %(theirs)s.")
        found.append(Contradiction(f"{source} currency {ours} {theirs}", words % told))
    elif amount is not None and amount != checkout.captured:
        words = _("We recorded %(ours)s (transaction %(name)s), and SumUp says that it was %(theirs)s.")
        found.append(Contradiction(f"{source} amount {ours} {theirs}", words % told))
    return found


def of_transaction(checkout: Checkout, answer: FullTransactionAnswer) -> list[Contradiction]:
    """Where a transaction says something else than we recorded, or its two lists of reports do not agree."""
    found = of_payment(checkout, TRANSACTION, answer.status, answer.amount, answer.currency)
    name, currency = answer.code or answer.id, answer.currency or checkout.captured_currency
    if answer.only_in_one:
        compact, detailed = (_sum_told(reports) for reports in (answer.events or (), answer.other_events))
        words = _(
            "Of transaction %(name)s SumUp's short list of reports says that %(one)s %(currency)s went back, its"
            " detailed list says %(other)s %(currency)s. The short list is what is booked."
        ) % {"name": name, "one": compact, "other": detailed, "currency": currency}
        found.append(Contradiction(f"{TRANSACTION} events {compact} {detailed}", words))
    for report in answer.events or ():
        if report.kind in (REFUND, CHARGE_BACK) and report.counts and not report.is_readable:
            words = _(
                "SumUp reports that something went back of transaction %(name)s (%(ours)s), with an amount that nobody"
                " can book: %(theirs)s."
            )
            theirs = "?" if report.amount is None else report.amount
            told = {"name": name, "ours": f"{checkout.captured} {currency}", "theirs": theirs}
            found.append(Contradiction(f"{TRANSACTION} event {report.id} {report.amount}", words % told))
    return found


def of_refunds(
    checkout: Checkout, items: Iterable[HistoryItem], refunded: Decimal | None, answer: FullTransactionAnswer
) -> list[Contradiction]:
    """What SumUp lists as gone back and the transaction, read just now, does not show; or the other way round."""
    shown = Counter((report.kind, report.amount) for report in (*(answer.events or ()), *answer.other_events))
    listed = Counter((item.type, item.amount) for item in items)
    missing = listed - shown
    sums = answer.gone(REFUND), answer.gone(REFUND, CHARGE_BACK)
    if answer.events is None or (not missing and (refunded is None or refunded in sums)):
        return []
    in_list = sum(((amount or Decimal(0)) * n for (_kind, amount), n in listed.items()), Decimal(0))
    told = max(in_list, refunded or Decimal(0))
    words = _(
        "SumUp lists that %(theirs)s %(currency)s of payment %(name)s went back; the transaction itself shows"
        " %(ours)s %(currency)s."
    ) % {
        "name": checkout.transaction_code or checkout.transaction_id,
        "ours": sums[1],
        "theirs": told,
        "currency": checkout.captured_currency,
    }
    return [Contradiction(f"{LISTED_REFUNDS} {told} {sums[1]}", words)]


def _sum_told(reports: Iterable[EventAnswer]) -> Decimal:
    rows = [report for report in reports if report.kind in (REFUND, CHARGE_BACK) and report.counts]
    return sum((report.amount or Decimal(0) for report in rows), Decimal(0))


def put_before_a_person(
    checkout_pk: int, source: str, found: Collection[Contradiction], *, who: str, at: datetime
) -> int:
    """Open a case for each that has none, close those of `source` that are gone; answers how many are new."""
    return retried(lambda: _put(checkout_pk, source, found, who, at))


def _put(checkout_pk: int, source: str, found: Collection[Contradiction], who: str, at: datetime) -> int:
    _order, checkout = locked_checkout(checkout_pk)
    return put_locked(checkout, source, found, who=who, at=at)


def put_locked(checkout: Checkout, source: str, found: Collection[Contradiction], *, who: str, at: datetime) -> int:
    """The same in the caller's transaction, which has locked the checkout."""
    cases = Case.objects.filter(checkout=checkout, kind=CaseKind.CONTRADICTION, about__startswith=f"{source} ")
    # What a person has decided is not asked again; what closed by itself may come back.
    known = set(cases.filter(Q(closed_at=None) | Q(closed_by__startswith="user:")).values_list("about", flat=True))
    new = {row.key[:200]: row for row in found if row.key[:200] not in known}
    gone = cases.open().exclude(about__in=[row.key[:200] for row in found])
    gone.update(closed_at=at, closed_by=who, decision=_("SumUp does not say so any more."))
    for key, row in new.items():
        write_case(CaseKind.CONTRADICTION, checkout, words=row.words, at=at, amount=checkout.captured, about=key)
    return len(new)
