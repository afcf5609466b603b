"""The list of payouts, made of what the ledger holds: each capture is paid out the next day, less a fee."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from payments.simulator.ledger import Ledger
from payments.simulator.reply import Refused, invalid, told
from payments.simulator.rows import SUCCESSFUL, Merchant, Transaction
from payments.simulator.views import Json, number, shown_refunds

FEE = Decimal("0.025")
LIMIT = 9999
DAY = timedelta(days=1)
DEDUCTIONS = {"REFUND": "REFUND_DEDUCTION", "CHARGE_BACK": "CHARGE_BACK_DEDUCTION"}


def payouts(merchant: Merchant, query: dict[str, list[str]], ledger: Ledger) -> list[Json]:
    """SumUp: GET /v1.0/merchants/{code}/payouts, in JSON only; nothing that is to come."""
    first, last = (_day(query, name) for name in ("start_date", "end_date"))
    if first > last:
        raise Refused(told([{"error_code": "INVALID", "message": "negative date range"}], 400))
    limit, order = (query.get(name, [usual])[0] for name, usual in (("limit", str(LIMIT)), ("order", "asc")))
    if not limit.isdigit() or not 1 <= int(limit) <= LIMIT:
        raise invalid([("limit", "INVALID")])
    if order not in ("asc", "desc"):
        raise invalid([("order", "INVALID")])
    last = min(last, ledger.now().date())
    rows = [row for row in _rows(merchant, ledger) if first <= date.fromisoformat(str(row["date"])) <= last]
    return sorted(rows, key=lambda row: str(row["date"]), reverse=order == "desc")[: int(limit)]


def fee_of(amount: str, currency: str) -> Decimal:
    """SumUp's share of a payment, in major units of its currency."""
    places = Decimal(1) if currency == "CLP" else Decimal("0.01")
    return (Decimal(amount) * FEE).quantize(places, ROUND_HALF_UP)


def _rows(merchant: Merchant, ledger: Ledger) -> Iterator[Json]:
    """Each with a number of its own that stays, whatever comes later."""
    for place, row in enumerate(ledger.transactions.values(), 1):
        if row.merchant_code != merchant.code or row.status != SUCCESSFUL:
            continue
        fee = fee_of(row.amount, row.currency)
        yield _row(row, place * 1000, "PAYOUT", Decimal(row.amount) - fee, fee, row.timestamp)
        shown = {refund.id for refund in shown_refunds(row, ledger)}
        for turn, refund in enumerate(ledger.refunds_of(row.id), 1):
            if refund.id in shown and refund.status != "FAILED":
                amount = Decimal(refund.amount)
                yield _row(row, place * 1000 + turn, DEDUCTIONS[refund.kind], amount, Decimal(0), refund.timestamp)


def _row(row: Transaction, payout: int, kind: str, amount: Decimal, fee: Decimal, moment: str) -> Json:
    day = (datetime.fromisoformat(moment) + DAY).date().isoformat()
    return {
        "id": payout,
        "type": kind,
        "amount": number(amount),
        "date": day,
        "currency": row.currency,
        "fee": number(fee),
        "status": SUCCESSFUL,
        "reference": f"payout-{day}",
        "transaction_code": row.code,
    }


def _day(query: dict[str, list[str]], name: str) -> date:
    try:
        return date.fromisoformat(query.get(name, [""])[0])
    except ValueError:
        raise invalid([(name, "INVALID" if name in query else "MISSING")]) from None
