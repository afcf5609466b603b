"""What of SumUp's word on a checkout is kept as proof: the payment's own facts, nothing about a person or a card.

It is written with the change that it led to; a trigger of the checkout then keeps each answer that differs.
"""

from collections.abc import Mapping
from decimal import Decimal

#: What is kept; whatever else SumUp tells (addresses, names, cards) is not.
FACTS = (
    "id", "checkout_reference", "amount", "currency", "merchant_code", "status", "date", "valid_until",
    "transaction_id", "transaction_code",
)  # fmt: skip
ATTEMPT_FACTS = ("id", "transaction_code", "amount", "currency", "status", "timestamp", "payment_type", "entry_mode")
#: Of each text, and of the attempts to pay: the last ones.
TEXT_MOST, ATTEMPTS_MOST = 255, 20


def kept(raw: Mapping[str, object]) -> dict[str, object]:
    """The facts of an answer that are kept, as plain JSON; amounts as text, in one spelling."""
    body = _facts(raw, FACTS)
    attempts = raw.get("transactions")
    if isinstance(attempts, list):
        body["transactions"] = [
            _facts(attempt, ATTEMPT_FACTS) for attempt in attempts[-ATTEMPTS_MOST:] if isinstance(attempt, dict)
        ]
    return body


def _facts(raw: Mapping[str, object], names: tuple[str, ...]) -> dict[str, object]:
    return {name: _plain(raw[name]) for name in names if name in raw}


def _plain(value: object) -> object:
    match value:
        case Decimal() if value.is_finite() and abs(value.adjusted()) < 20:
            return format(value.normalize(), "f")
        case str():
            return value[:TEXT_MOST]
        case bool() | None:
            return value
    return f"({type(value).__name__})"
