"""What SumUp says of a payment beside what was asked for: pure, so that each difference can be tried alone."""

from collections.abc import Sequence
from decimal import Decimal

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
        ("reference", checkout.reference, answer.reference),
        ("merchant", checkout.merchant.code, answer.merchant_code),
        ("currency", checkout.currency, answer.currency),
        ("amount", checkout.amount, answer.amount),
    ]
    if checkout.sumup_id:
        pairs.append(("checkout id", checkout.sumup_id, answer.id))
    differences = [f"{name}: {theirs} where {ours} was asked for" for name, ours, theirs in pairs if ours != theirs]
    payments = payments_of(checkout, answer)
    if not payments:
        return None, differences
    own, *others = payments
    differences += _differences(checkout, own)
    if others and not all(row.id or row.code for row in payments):
        differences.append(f"{len(payments)} successful transactions, and not each has a number")
    return own, differences


def _differences(checkout: Checkout, row: TransactionAnswer) -> list[str]:
    pairs = [
        ("transaction amount", checkout.amount, row.amount),
        ("transaction currency", checkout.currency, row.currency),
    ]
    return [f"{name}: {theirs} where {ours} was asked for" for name, ours, theirs in pairs if ours != theirs]


def money_of(row: TransactionAnswer, answer: CheckoutAnswer) -> tuple[Decimal | None, str]:
    """What a transaction brought, as a column of money holds it; (None, "") when that cannot be read or held."""
    for amount, currency in ((row.amount, row.currency), (row.amount, answer.currency)):
        if (found := storable(amount, currency)) is not None:
            return found, currency
    if row.amount is None and (found := storable(answer.amount, answer.currency)) is not None:
        return found, answer.currency
    return None, ""
