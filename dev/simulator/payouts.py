"""The list of payouts, made of what the ledger holds: each capture is paid out the next day, less a fee."""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from dev.simulator.checks import day_from, places_of
from dev.simulator.ledger import Ledger
from dev.simulator.reply import Refused, Reply, invalid, told
from dev.simulator.rows import SUCCESSFUL, Merchant, Transaction
from dev.simulator.views import Json, number, shown_refunds

FEE = Decimal("0.025")
LIMIT = 9999
DAY = timedelta(days=1)
COLUMNS = ("id", "type", "amount", "date", "currency", "fee", "status", "reference", "transaction_code")
FORMATS = frozenset({"json", "csv"})
ORDERS = frozenset({"asc", "desc"})
DEDUCTIONS = {"REFUND": "REFUND_DEDUCTION", "CHARGE_BACK": "CHARGE_BACK_DEDUCTION"}


def payouts(merchant: Merchant, query: dict[str, list[str]], ledger: Ledger) -> Reply:
    """SumUp: GET /v1.0/merchants/{code}/payouts, in JSON or CSV; nothing that is to come."""
    first, last = _days(query)
    limit = query.get("limit", [str(LIMIT)])[0]
    order, form = query.get("order", ["asc"])[0], query.get("format", ["json"])[0]
    bad = {
        "limit": not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= LIMIT),
        "order": order not in ORDERS,
        "format": form not in FORMATS,
    }
    if any(bad.values()):
        raise invalid([(name, "INVALID") for name, is_bad in bad.items() if is_bad])
    last = min(last, ledger.now().date())
    rows = [row for row in _rows(merchant, ledger) if first <= date.fromisoformat(str(row["date"])) <= last]
    rows = sorted(rows, key=lambda row: str(row["date"]), reverse=order == "desc")[: int(limit)]
    return told(rows) if form == "json" else Reply(200, _csv(rows).encode(), "text/plain; charset=utf-8")


def _days(query: dict[str, list[str]]) -> tuple[date, date]:
    """The first and the last day that are asked for; raises Refused."""
    names = ("start_date", "end_date")
    if missing := [(name, "MISSING") for name in names if name not in query]:
        raise invalid(missing, "Validation error: required")
    first, last = (day_from(query[name][0]) for name in names)
    if first is None or last is None:
        raise invalid([(name, "INVALID") for name in names if day_from(query[name][0]) is None])
    if first > last:
        raise Refused(400, "INVALID", "negative date range")
    return first, last


def _csv(rows: Sequence[Json]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def fee_of(amount: str, currency: str) -> Decimal:
    """SumUp's share of a payment, in major units of its currency."""
    return (Decimal(amount) * FEE).quantize(Decimal(1).scaleb(-places_of(currency)), ROUND_HALF_UP)


def _rows(merchant: Merchant, ledger: Ledger) -> Iterator[Json]:
    """Each with a number of its own that stays, whatever comes later."""
    for place, row in enumerate(ledger.transactions.values(), 1):
        if row.merchant_code != merchant.code or row.status != SUCCESSFUL or row.payment_type == "CASH":
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
