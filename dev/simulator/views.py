"""The simulator's rows as SumUp's JSON, with its inconsistent numbers and fields that no document names."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dev.simulator.ledger import Ledger
from dev.simulator.rows import PAID, SUCCESSFUL, Checkout, Merchant, Refund, Transaction

Json = dict[str, object]

#: What a person paid by card, at a till or on a page; the others have no card to tell of.
BY_CARD = frozenset({"ECOM", "POS", "MOTO", "RECURRING"})

_turn = itertools.count()


def number(amount: str | Decimal) -> int | float:
    """A JSON number; whole ones are 10 and 10.0 by turns, as they are at SumUp."""
    value = Decimal(amount)
    if value == value.to_integral_value() and next(_turn) % 2:
        return int(value)
    return float(value)


def checkout_json(checkout: Checkout, merchant: Merchant, ledger: Ledger, page: str) -> Json:
    attempts = [ledger.transactions[transaction_id] for transaction_id in checkout.transactions]
    shown: Json = {
        "id": checkout.id,
        "checkout_reference": checkout.reference,
        "amount": number(checkout.amount),
        "currency": checkout.currency,
        "merchant_code": checkout.merchant_code,
        "merchant_name": merchant.name,
        "merchant_country": "DE",
        "merchant_sandbox": True,
        "pay_to_email": "merchant@example.org",
        "status": checkout.status,
        "date": checkout.created,
        "valid_until": checkout.valid_until or None,
        "purpose": "CHECKOUT",
        "checkout_type": "checkout",
        "x_not_documented": {"simulator": True},
        "transactions": [_attempt(row) for row in attempts],
    }
    # What was not asked for is left out: an empty address is none.
    names = ("description", "return_url", "redirect_url")
    shown |= {name: getattr(checkout, name) for name in names if getattr(checkout, name)}
    if checkout.hosted:
        shown |= {"hosted_checkout": {"enabled": True}, "hosted_checkout_url": page}
    if checkout.status == PAID:
        paid = next(row for row in attempts if row.status == SUCCESSFUL)
        shown |= {"transaction_id": paid.id, "transaction_code": paid.code}
    return shown


def _attempt(row: Transaction) -> Json:
    shown: Json = {
        "id": row.id,
        "transaction_code": row.code,
        "amount": number(row.amount),
        "currency": row.currency,
        "timestamp": row.timestamp,
        "status": row.status,
        "payment_type": row.payment_type,
        "installments_count": 1,
        "merchant_code": row.merchant_code,
        "vat_amount": 0,
        "tip_amount": 0,
        "entry_mode": row.entry_mode,
        "internal_id": 1_000_000,
    }
    return shown | ({"auth_code": "012345"} if row.status == SUCCESSFUL and row.payment_type in BY_CARD else {})


def merchant_json(merchant: Merchant) -> Json:
    stamp = "2026-01-01T00:00:00Z"
    return {
        "merchant_code": merchant.code,
        "country": "DE",
        "default_currency": merchant.currency,
        "default_locale": "de-DE",
        "sandbox": True,
        "alias": merchant.name,
        "business_profile": {"name": merchant.name},
        "company": {"name": merchant.name},
        "created_at": stamp,
        "updated_at": stamp,
    }


def shown_refunds(transaction: Transaction, ledger: Ledger) -> list[Refund]:
    """The refunds and chargebacks of a transaction whose events show by now, oldest first."""
    now = ledger.now()
    return [row for row in ledger.refunds_of(transaction.id) if datetime.fromisoformat(row.visible) <= now]


def transaction_json(row: Transaction, ledger: Ledger) -> Json:
    """SumUp's TransactionFull. Each refund stands in both lists; the transaction's own status says nothing of it."""
    refunds = shown_refunds(row, ledger)
    places = {refund.id: 1000 + place for place, refund in enumerate(ledger.refunds_of(row.id))}
    left = Decimal(row.amount) - _sum(refunds)
    return _attempt(row) | {
        "simple_status": row.status,
        "product_summary": row.description,
        "username": "merchant@example.org",
        "payouts_total": 1,
        "payouts_received": 0,
        "events": [
            {
                "id": places[event.id],
                "transaction_id": row.id,
                "type": event.kind,
                "status": event.status,
                "amount": number(event.amount),
                "timestamp": event.timestamp,
            }
            for event in refunds
        ],
        "transaction_events": [
            {
                "id": places[event.id],
                "event_type": event.kind,
                "status": event.status,
                "amount": number(event.amount),
                "date": event.timestamp[:10],
                "timestamp": event.timestamp,
            }
            for event in refunds
        ],
        "links": [{"rel": "refund", "min_amount": 0.01, "max_amount": number(left)}] if left > 0 else [],
    }


@dataclass(frozen=True)
class Listed:
    """A row of the list, and when it was made and last changed."""

    created: datetime
    changed: datetime
    item: Json


def history_items(merchant: Merchant, ledger: Ledger) -> list[Listed]:
    """Each payment, and each refund that shows; oldest first."""
    items: list[Listed] = []
    for row in ledger.transactions.values():
        if row.merchant_code != merchant.code:
            continue
        refunds = shown_refunds(row, ledger)
        item = _item(row) | {"id": row.id, "type": "PAYMENT", "status": row.status, "timestamp": row.timestamp}
        item["amount"] = number(row.amount)
        if refunds:
            item["refunded_amount"] = number(_sum(refunds))
        changed = max([row.timestamp, *(refund.visible for refund in refunds)])
        items.append(Listed(datetime.fromisoformat(row.timestamp), datetime.fromisoformat(changed), item))
        for refund in refunds:
            more: Json = {"id": refund.id, "type": refund.kind, "status": refund.status}
            more |= {"timestamp": refund.timestamp, "amount": number(refund.amount)}
            made, shown = (datetime.fromisoformat(moment) for moment in (refund.timestamp, refund.visible))
            items.append(Listed(made, shown, _item(row) | more))
    return sorted(items, key=lambda listed: (listed.created, str(listed.item["id"])))


def _item(row: Transaction) -> Json:
    card = {"card_type": "VISA"} if row.payment_type in BY_CARD else {}
    return card | {
        "transaction_id": row.id,
        "transaction_code": row.code,
        "currency": row.currency,
        "payment_type": row.payment_type,
        "installments_count": 1,
        "product_summary": row.description,
        "refunded_amount": 0,
        "user": "merchant@example.org",
        "payouts_total": 1,
        "payouts_received": 0,
        "entry_mode": row.entry_mode.lower(),
    }


def _sum(refunds: Iterable[Refund]) -> Decimal:
    return sum((Decimal(row.amount) for row in refunds if row.status != "FAILED"), Decimal(0))
