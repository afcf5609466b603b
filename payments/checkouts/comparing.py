"""What SumUp says of a payment beside what was asked for: pure, so that each difference can be tried alone."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from django.utils.translation import gettext as _

from ledger.money import storable
from payments.models import Checkout
from payments.sumup import CheckoutAnswer, TransactionAnswer


def payments_of(checkout: Checkout, answer: CheckoutAnswer) -> Sequence[TransactionAnswer]:
    """The successful transactions of an answer, each once: first the one that is likeliest what `checkout` asked for.

    That is one of the very amount, of several the one that SumUp names as the checkout's. None: whatever the status
    says, SumUp has not shown the payment (yet).
    """
    found: dict[object, TransactionAnswer] = {}
    for place, row in enumerate(answer.transactions):
        if row.status == "SUCCESSFUL":
            found.setdefault(row.id or row.code or place, row)
    return sorted(found.values(), key=lambda row: (bool(_differences(checkout, row)), not _is_named(row, answer)))


def _is_named(row: TransactionAnswer, answer: CheckoutAnswer) -> bool:
    return bool(row.id and row.id == answer.transaction_id) or bool(row.code and row.code == answer.transaction_code)


def compare(checkout: Checkout, answer: CheckoutAnswer) -> tuple[TransactionAnswer | None, list[str]]:
    """The payment of a PAID answer, None when it shows none; and what differs from `checkout`, for a person."""
    pairs = [
        (_("reference"), checkout.reference, answer.reference),
        (_("merchant"), checkout.merchant.code, answer.merchant_code),
        (_("currency"), checkout.currency, answer.currency),
        (_("amount"), checkout.amount, answer.amount),
    ]
    if checkout.sumup_id:
        pairs.append((_("checkout id"), checkout.sumup_id, answer.id))
    differences = _differing(pairs)
    payments = payments_of(checkout, answer)
    if not payments:
        return None, differences
    own, *others = payments
    differences += _differences(checkout, own)
    if others and not all(row.id or row.code for row in payments):
        words = _("%(count)d successful transactions, and not each has a number")
        differences.append(words % {"count": len(payments)})
    return own, differences


def _differences(checkout: Checkout, row: TransactionAnswer) -> list[str]:
    return _differing(
        [
            (_("transaction amount"), checkout.amount, row.amount),
            (_("transaction currency"), checkout.currency, row.currency),
        ]
    )


def _differing(pairs: Iterable[tuple[str, object, object]]) -> list[str]:
    """In words each of (name, ours, theirs) where theirs is another."""
    words = _("%(name)s: %(theirs)s where %(ours)s was asked for")
    return [words % {"name": name, "theirs": theirs, "ours": ours} for name, ours, theirs in pairs if ours != theirs]


def money_of(row: TransactionAnswer, answer: CheckoutAnswer) -> tuple[Decimal | None, str]:
    """What a transaction brought, as a column of money holds it; (None, "") when that cannot be read or held."""
    for amount, currency in ((row.amount, row.currency), (row.amount, answer.currency)):
        if (found := storable(amount, currency)) is not None:
            return found, currency
    if row.amount is None and (found := storable(answer.amount, answer.currency)) is not None:
        return found, answer.currency
    return None, ""
