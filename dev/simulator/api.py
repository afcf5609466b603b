"""SumUp's paths: what is asked is checked as SumUp checks it, done at the till, and shown as SumUp shows it."""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import parse_qs, unquote

from dev.simulator import faults as faulty
from dev.simulator.checks import is_amount, moment_from, numeral, object_from, wrong_fields
from dev.simulator.faults import Fault, Faults
from dev.simulator.history import history
from dev.simulator.payouts import payouts
from dev.simulator.reply import Refused, Reply, invalid, not_found, rendered, told, unauthorized
from dev.simulator.rows import PENDING, Checkout, Merchant, Transaction
from dev.simulator.till import Till
from dev.simulator.views import Json, checkout_json, merchant_json, transaction_json
from dev.simulator.webhooks import Webhooks

IDENTIFIERS = ("id", "transaction_code", "foreign_transaction_id", "client_transaction_id")


@dataclass
class Asked:
    """One question, taken apart."""

    merchant: Merchant
    parts: tuple[str, ...]
    query: dict[str, list[str]]
    body: bytes
    fault: Fault | None = None

    def one(self, name: str) -> str:
        return self.query.get(name, [""])[0]


class Api:
    """SumUp's HTTP interface over one till."""

    def __init__(
        self, till: Till, merchants: dict[str, Merchant], faults: Faults, webhooks: Webhooks, public_url: str
    ) -> None:
        self.till = till
        self.ledger = till.ledger
        self.merchants = merchants
        self.faults = faults
        self.webhooks = webhooks
        self.public_url = public_url
        merchant = r"/merchants/([^/]+)"
        self.routes: list[tuple[str, re.Pattern[str], str, Callable[[Asked], Reply]]] = [
            ("POST", re.compile(r"/v0\.1/checkouts"), "create", self.create),
            ("GET", re.compile(r"/v0\.1/checkouts"), "find", self.find),
            ("GET", re.compile(r"/v0\.1/checkouts/([^/]+)"), "read", self.read),
            ("DELETE", re.compile(r"/v0\.1/checkouts/([^/]+)"), "deactivate", self.deactivate),
            ("GET", re.compile(r"/v1" + merchant), "merchant", self.merchant),
            ("GET", re.compile(r"/v2\.1" + merchant + "/transactions"), "transaction", self.transaction),
            ("GET", re.compile(r"/v2\.1" + merchant + "/transactions/history"), "history", self.history),
            ("POST", re.compile(r"/v1\.0" + merchant + "/payments/([^/]+)/refunds"), "refund", self.refund),
            ("GET", re.compile(r"/v1\.0" + merchant + "/payouts"), "payouts", self.payouts),
        ]

    def answer(self, method: str, path: str, query: str, key: str, body: bytes) -> tuple[Reply | None, Fault | None]:
        """SumUp's answer, and the fault that the server is to play with it; no reply at all for hang and drop."""
        self.faults.note(method, path, query, body)
        route = self._route(method, path)
        if route is None:
            return rendered(not_found(), ""), None
        operation, view, parts = route
        fault = self.faults.take(operation)
        if fault and fault.kind in {"hang", "drop"}:
            return None, fault
        if fault and fault.kind in faulty.BEFORE:
            return faulty.instead_of_work(fault, operation, seen=self.faults.seen), fault
        merchant = next((row for row in self.merchants.values() if key == f"Bearer {row.key}"), None)
        if merchant is None:
            return rendered(unauthorized(), operation, seen=self.faults.seen), None
        asked = Asked(merchant, parts, parse_qs(query, keep_blank_values=True), body, fault)
        try:
            reply = view(asked)
        except Refused as refusal:
            return rendered(refusal, operation, seen=self.faults.seen), fault
        return (faulty.spoilt(fault, reply) if fault else reply), fault

    def _route(self, method: str, path: str) -> tuple[str, Callable[[Asked], Reply], tuple[str, ...]] | None:
        """The operation, its view and the parts of the path; a trailing slash finds none."""
        for wanted, pattern, operation, view in self.routes:
            if wanted == method and (match := pattern.fullmatch(path)):
                return operation, view, tuple(unquote(part) for part in match.groups())
        return None

    def create(self, asked: Asked) -> Reply:
        checkout = self._checkout_from(asked)
        self.till.open(checkout)
        self.webhooks.announce(checkout)
        return told(self._shown(checkout, asked, honest=True), 201)

    def find(self, asked: Asked) -> Reply:
        with self.ledger.lock:
            if "checkout_reference" in asked.query:
                known = self.ledger.references.get((asked.merchant.code, asked.one("checkout_reference")))
                found = [known] if known else []
            else:
                mine = self.ledger.checkouts.values()
                found = [row.id for row in mine if row.merchant_code == asked.merchant.code]
            return told([self._shown(self.till.find(checkout_id), asked) for checkout_id in found])

    def read(self, asked: Asked) -> Reply:
        with self.ledger.lock:
            return told(self._shown(self._own(asked), asked))

    def deactivate(self, asked: Asked) -> Reply:
        checkout = self.till.deactivate(self._own(asked).id)
        with self.ledger.lock:
            return told(self._shown(checkout, asked))

    def merchant(self, asked: Asked) -> Reply:
        self._code(asked, not_found)
        return told(merchant_json(asked.merchant))

    def transaction(self, asked: Asked) -> Reply:
        self._code(asked, not_found)
        with self.ledger.lock:
            row = self._transaction(asked)
            if row is None or row.merchant_code != asked.merchant.code:
                raise not_found()
            return told(transaction_json(row, self.ledger) | self.faults.tamper_transaction)

    def _transaction(self, asked: Asked) -> Transaction | None:
        """By one of four names, and no answer but 404 for none, for two, or for names that we never give."""
        match [name for name in IDENTIFIERS if name in asked.query]:
            case ["id"]:
                return self.ledger.transactions.get(asked.one("id"))
            case ["transaction_code"]:
                rows = self.ledger.transactions.values()
                return next((row for row in rows if row.code == asked.one("transaction_code")), None)
        return None

    def history(self, asked: Asked) -> Reply:
        self._code(asked, unauthorized)
        with self.ledger.lock:
            listed = history(asked.merchant, asked.query, self.ledger)
            items = listed["items"]
            for item in items if isinstance(items, list) else []:
                item.update(self.faults.tamper_listed if item["type"] == "PAYMENT" else {})
            return told(listed)

    def payouts(self, asked: Asked) -> Reply:
        self._code(asked, unauthorized)
        with self.ledger.lock:
            return payouts(asked.merchant, asked.query, self.ledger)

    def refund(self, asked: Asked) -> Reply:
        self._code(asked, lambda: not_found("Transaction not found"))
        with self.ledger.lock:
            transaction = self.till.payment(asked.merchant, asked.parts[1])
            amount = _wanted(asked.body, transaction.currency)
            self.till.refund(transaction, amount, delay=self.faults.refund_event_delay)
        return Reply(204) if self.faults.seen else told({}, 201)

    def page(self, checkout: Checkout) -> str:
        return f"{self.public_url}/pay/{checkout.id}"

    def _code(self, asked: Asked, refusal: Callable[[], Refused]) -> None:
        if asked.parts[0] != asked.merchant.code:
            raise refusal()

    def _own(self, asked: Asked) -> Checkout:
        checkout = self.till.find(asked.parts[0])
        if checkout.merchant_code != asked.merchant.code:
            raise not_found()
        return checkout

    def _shown(self, checkout: Checkout, asked: Asked, *, honest: bool = False) -> Json:
        shown = checkout_json(checkout, asked.merchant, self.ledger, self.page(checkout))
        kind = asked.fault.kind if asked.fault else ""
        if kind == "stale":
            shown |= {"status": PENDING, "transactions": []}
            shown.pop("transaction_id", None)
            shown.pop("transaction_code", None)
        elif kind == "unknown_state":
            shown["status"] = "ON_HOLD"
        elif kind == "missing_fields":
            shown = {name: shown[name] for name in ("id", "status")}
        if not honest:
            shown |= {name: value for name, value in self.faults.tamper.items() if name != "drop"}
            dropped = self.faults.tamper.get("drop")
            for name in dropped if isinstance(dropped, list) else []:
                shown.pop(str(name), None)
        return shown

    def _checkout_from(self, asked: Asked) -> Checkout:
        """The new checkout, or SumUp's complaint about each bad field."""
        body = object_from(asked.body)
        if wrong := wrong_fields(body, asked.merchant.currency, seen=self.faults.seen):
            raise invalid(wrong)
        if body["merchant_code"] != asked.merchant.code:
            raise Refused(403, "FORBIDDEN", "request_not_allowed")
        hosted = body.get("hosted_checkout")
        valid_until = moment_from(body.get("valid_until"))
        return Checkout(
            id=str(uuid.uuid4()),
            reference=str(body["checkout_reference"]),
            merchant_code=asked.merchant.code,
            amount=str(numeral(body["amount"])),
            currency=asked.merchant.currency,
            description=str(body.get("description") or ""),
            return_url=str(body.get("return_url") or ""),
            redirect_url=str(body.get("redirect_url") or ""),
            created=self.ledger.now().isoformat(timespec="milliseconds"),
            valid_until=valid_until.isoformat(timespec="milliseconds") if valid_until else "",
            hosted=isinstance(hosted, dict) and hosted.get("enabled") is True,
        )


def _wanted(body: bytes, currency: str) -> Decimal | None:
    """The amount of a refund, None for all that is left; raises Refused."""
    wish = object_from(body) if body.strip() else {}
    if "amount" not in wish:
        return None
    amount = wish["amount"]
    if not isinstance(amount, Decimal):
        raise Refused(400, "INVALID", "amount must be a number")
    if amount <= 0:
        raise Refused(400, "INVALID", "amount must be greater than zero")
    if not is_amount(amount, currency):
        raise Refused(400, "INVALID", "amount has more decimals than its currency")
    return amount
