"""Asking for money to go back: what, how much and why, written down in one transaction with the job that sends it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext as _

from ledger.locking import retried
from ledger.money import PLACES, Money, rounded
from ledger.signing import sign
from payments.balance import left_of
from payments.locks import locked_refund, locked_with_refunds
from payments.models import Case, Checkout, Refund, RefundBatch, RefundLine
from payments.refunds.outcomes import fail, succeed
from payments.refunds.rows import SoldRow, key_of, line_for, owe, rows_of
from payments.refunds.sending import follow, send_refund
from payments.states import CaseKind, CheckoutState, RefundKind, RefundOrigin, RefundState
from payments.transitions import mark_withdrawn


class RefundRefused(Exception):
    """The refund was not asked for; the text tells a person why, and nothing was changed."""


@dataclass(frozen=True)
class Wish:
    """What a person wants to pay back: all that is left of a row, an `amount` of it, or of a surplus (None: all)."""

    kind: RefundKind
    row: str = ""
    amount: Decimal | None = None


def request_refund(
    checkout_pk: int,
    wishes: Collection[Wish],
    *,
    reason: str,
    who: str,
    at: datetime,
    elsewhere: bool = False,
    batch: RefundBatch | None = None,
    seen: Decimal | None = None,
) -> Refund | None:
    """Write down a refund of one checkout and enqueue its sending, in one transaction; raises RefundRefused.

    Valid rows that are wished back whole are cancelled with money back. `elsewhere`: it was paid back in another way
    already, nothing is sent. `seen` is what the person saw as left of the payment: if that has changed, so has what
    the person decided about. Answers None: the rows had nothing left to pay back, and are cancelled.
    """
    return retried(lambda: request_locked(checkout_pk, wishes, reason, who, at, elsewhere, batch, seen))


def request_locked(
    checkout_pk: int,
    wishes: Collection[Wish],
    reason: str,
    who: str,
    at: datetime,
    elsewhere: bool,
    batch: RefundBatch | None,
    seen: Decimal | None = None,
) -> Refund | None:
    """request_refund in the caller's transaction, with the same arguments."""
    checkout, _refunds = locked_with_refunds(checkout_pk)
    sign(who=who, why=reason)
    _check(checkout, elsewhere=elsewhere)
    rows = rows_paid_by(checkout)
    lines = [line_of(wish, rows, checkout) for wish in wishes]
    amount = sum((line.amount for line in lines), Decimal(0))
    whole = [rows[wish.row] for wish in wishes if wish.kind == RefundKind.ROW]
    left = left_of(checkout)
    if seen is not None and seen != left:
        raise RefundRefused(_("Something of this payment was paid back meanwhile. Look once more what is left."))
    if amount > left:
        money = Money(left, checkout.captured_currency)
        raise RefundRefused(_("Only %(money)s of this payment can still be paid back.") % {"money": money})
    owe(whole)
    if not amount:
        return None
    refund = Refund.objects.create(
        checkout=checkout,
        batch=batch,
        origin=RefundOrigin.ELSEWHERE if elsewhere else RefundOrigin.OURS,
        amount=amount,
        currency=checkout.captured_currency,
        reason=reason,
        requested_by=who,
        requested_at=at,
    )
    write_lines(refund, lines)
    if elsewhere:
        succeed(refund, checkout, who=who, at=at)
    else:
        send_refund.configure(queueing_lock=f"refund:{refund.pk}").defer(refund_pk=refund.pk)
    return refund


def rows_paid_by(checkout: Checkout) -> dict[str, SoldRow]:
    """What `checkout` paid for, by key, locked; nothing where another payment brought the order its goods."""
    return {row.key: row for row in rows_of(checkout.order, locked=True)} if checkout.is_applied else {}


def _check(checkout: Checkout, *, elsewhere: bool) -> None:
    if checkout.state not in (CheckoutState.PAID, CheckoutState.MISMATCH) or checkout.captured is None:
        raise RefundRefused(_("Nothing was paid by this payment."))
    if checkout.refunds.unfinished().exists():
        raise RefundRefused(
            _("A refund of this payment is under way already, asked for by you or by somebody else. Wait for its end.")
        )
    if not elsewhere and not checkout.transaction_id:
        raise RefundRefused(_("SumUp's transaction of this payment is not known. Pay it back in SumUp's dashboard."))


def line_of(wish: Wish, rows: dict[str, SoldRow], checkout: Checkout) -> RefundLine:
    """The line for one wish; its amount is 0 for a row of which nothing is left."""
    if wish.kind == RefundKind.SURPLUS:
        if checkout.is_applied:
            raise RefundRefused(_("This payment paid for the order: choose what of it to pay back."))
        return _surplus(wish, checkout)
    row = rows.get(wish.row)
    if row is None:
        raise RefundRefused(_("This is not a part of what the payment paid for."))
    if row.pending or not (row.is_valid or row.is_owed):
        raise RefundRefused(
            _("%(name)s: %(state)s. It cannot be paid back now.") % {"name": row.name, "state": row.word}
        )
    if wish.kind == RefundKind.ROW:
        check_event(row)
    amount = row.rest if wish.kind == RefundKind.ROW else _amount(wish, checkout.captured_currency)
    if wish.kind == RefundKind.GOODWILL and amount > row.rest:
        words = _("%(name)s: only %(money)s of its price is left.")
        raise RefundRefused(words % {"name": row.name, "money": row.rest_money})
    return line_for(row, wish.kind, amount)


def check_event(row: SoldRow) -> None:
    """A booking whose event is not called off stays: the event stands in its room, and sells tickets for it."""
    event = row.event if row.is_valid else None
    if event is not None:
        words = _("%(name)s: “%(title)s” came of it and is not called off. Call that off, or delete its draft, first.")
        raise RefundRefused(words % {"name": row.name, "title": event.title})


def _surplus(wish: Wish, checkout: Checkout) -> RefundLine:
    amount = left_of(checkout) if wish.amount is None else _amount(wish, checkout.captured_currency)
    if amount <= 0:
        raise RefundRefused(_("Nothing of this payment is left to pay back."))
    return RefundLine(kind=RefundKind.SURPLUS, amount=amount, currency=checkout.captured_currency)


def _amount(wish: Wish, currency: str) -> Decimal:
    amount = wish.amount
    if amount is None or not amount.is_finite() or amount <= 0 or amount != rounded(amount, currency):
        words = _("An amount is above 0 and has at most %(places)d decimal places.")
        raise RefundRefused(words % {"places": PLACES[currency]})
    return amount


def write_lines(refund: Refund, lines: Iterable[RefundLine]) -> None:
    for line in lines:
        line.refund = refund
    RefundLine.objects.bulk_create(line for line in lines if line.amount > 0)


def spread(rows: Iterable[SoldRow], amount: Decimal) -> list[Wish]:
    """A goodwill `amount` over `rows`, in their order, each up to what is left of its price; raises RefundRefused."""
    wishes, missing = [], amount
    for row in rows:
        if missing > 0 and row.rest > 0 and not row.pending and (row.is_valid or row.is_owed):
            part = min(row.rest, missing)
            wishes.append(Wish(RefundKind.GOODWILL, row.key, part))
            missing -= part
    if missing > 0 or not wishes:
        raise RefundRefused(_("This is more than what is left of the prices of what was bought."))
    return wishes


def wishes_of(refund: Refund) -> list[Wish]:
    """What `refund` was asked for, to ask for the same again."""
    wishes = []
    for line in refund.lines.order_by("pk"):
        kind = RefundKind(line.kind)
        key = "" if kind == RefundKind.SURPLUS else "{}:{}".format(*key_of(line))
        wishes.append(Wish(kind, key, None if kind == RefundKind.ROW else line.amount))
    return wishes


def owed_wishes(checkout_pk: int, keys: Collection[str]) -> list[Wish]:
    """Wishes to pay back whole each row of `keys` that is owed and not on its way back.

    For a payment beyond its order it is one wish, for all that is left of it.
    """
    checkout = Checkout.objects.select_related("order").get(pk=checkout_pk)
    if not checkout.is_applied:
        return [Wish(RefundKind.SURPLUS)] if left_of(checkout) > 0 else []
    rows = [row for row in rows_of(checkout.order) if row.key in keys]
    return [Wish(RefundKind.ROW, row.key) for row in rows if row.is_owed and not row.pending]


def withdraw(refund_pk: int, *, reason: str, who: str, at: datetime) -> bool:
    """Take a refund back that was not sent yet; its rows stay owed. False: it was sent meanwhile."""
    return retried(lambda: _withdraw(refund_pk, reason, who, at))


def _withdraw(refund_pk: int, reason: str, who: str, at: datetime) -> bool:
    _checkout, refund = locked_refund(refund_pk)
    sign(who=who, why=reason)
    return refund.state == RefundState.REQUESTED and bool(mark_withdrawn(refund, at=at))


def again(refund_pk: int, *, reason: str, who: str, at: datetime) -> Refund | None:
    """A person sends a refund once more that failed, or of which SumUp's reports, read just now, show nothing.

    It is a new refund with the same lines; one of unknown outcome is taken for failed first. Raises RefundRefused.
    """
    refund = Refund.objects.get(pk=refund_pk)
    if refund.state == RefundState.UNKNOWN and not follow(refund_pk, who=who, at=at):
        raise RefundRefused(_("SumUp does not say at the moment whether it was paid back. Nothing was sent."))
    return retried(lambda: _again(refund_pk, reason, who, at))


def _again(refund_pk: int, reason: str, who: str, at: datetime) -> Refund | None:
    checkout, refund = locked_refund(refund_pk)
    sign(who=who, why=reason)
    if refund.state == RefundState.UNKNOWN:
        if Case.objects.open().filter(checkout=checkout, kind=CaseKind.CONTRADICTION).exists():
            raise RefundRefused(_("SumUp's books on this payment contradict each other: decide about that first."))
        fail(refund, checkout, words=_("SumUp shows nothing of it; sent again by a person."), at=at)
    if refund.state != RefundState.FAILED:
        raise RefundRefused(
            _("This refund is %(state)s: there is nothing to send again.") % {"state": refund.get_state_display()}
        )
    return request_locked(checkout.pk, wishes_of(refund), reason, who, at, False, refund.batch)
