"""SumUp's list of payouts: what it sent to the merchant, less which fee, and what it took off again."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from payments.sumup.answers import amount_of, id_of, text_of
from payments.sumup.problems import Unreadable

PAYOUT = "PAYOUT"
#: SumUp: at most so many rows an answer.
PAYOUTS_MOST = 9999
#: SumUp: an id is an int64.
ID_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class PayoutAnswer:
    """One row (SumUp: FinancialPayout): a payout, or a deduction for a refund or a chargeback; words as told.

    `amount` of a payout is what was sent, net of `fee`; both in major units. `transaction_code` is the payment's, ""
    where SumUp names none.
    """

    id: int
    type: str
    status: str
    amount: Decimal
    fee: Decimal
    currency: str
    date: date
    reference: str
    transaction_code: str


def payouts_from(body: object) -> list[PayoutAnswer]:
    """The rows of a bare JSON array; one that cannot be read makes the whole answer unknown (Unreadable).

    A fee that cannot be read is no fee of 0.
    """
    if not isinstance(body, list):
        raise Unreadable("SumUp's answer is not a list of payouts.")
    return [_payout_from(item) for item in body]


def _payout_from(item: object) -> PayoutAnswer:
    facts = item if isinstance(item, dict) else {}
    number, amount, fee = facts.get("id"), amount_of(facts, "amount"), amount_of(facts, "fee")
    try:
        day = date.fromisoformat(text_of(facts, "date"))
    except ValueError:
        day = None
    if not isinstance(number, Decimal) or not 0 <= number <= ID_MOST or number % 1:
        raise Unreadable("SumUp's answer has a payout without an id.")
    if amount is None or fee is None or day is None:
        raise Unreadable("SumUp's answer has a payout without amount, fee or date.")
    if not all(text_of(facts, name) for name in ("type", "status", "currency")):
        raise Unreadable("SumUp's answer has a payout without type, status or currency.")
    return PayoutAnswer(
        id=int(number),
        type=text_of(facts, "type"),
        status=text_of(facts, "status"),
        amount=amount,
        fee=fee,
        currency=text_of(facts, "currency"),
        date=day,
        reference=text_of(facts, "reference"),
        transaction_code=id_of(facts, "transaction_code"),
    )
