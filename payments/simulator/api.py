"""SumUp's paths: what is asked is checked as SumUp checks it, done at the till, and shown as SumUp shows it."""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qs

from payments.simulator import faults as faulty
from payments.simulator.faults import Fault, Faults
from payments.simulator.history import history
from payments.simulator.payouts import payouts
from payments.simulator.reply import Refused, Reply, forbidden, invalid, not_found, problem, refused, told
from payments.simulator.rows import PENDING, Checkout, Merchant, Transaction
from payments.simulator.till import Till
from payments.simulator.views import Json, checkout_json, merchant_json, transaction_json
from payments.simulator.webhooks import Webhooks

CURRENCIES = "BGN BRL CHF CLP COP CZK DKK EUR GBP HRK HUF NOK PLN RON SEK USD"
REFERENCE_MOST = 64
FORM_FIELDS = {"checkout_reference", "amount", "currency", "merchant_code"}


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
            ("GET", re.compile(r"/v0\.1" + merchant + "/payment-methods"), "merchant", self.payment_methods),
            ("GET", re.compile(r"/v2\.1" + merchant + "/transactions"), "transaction", self.transaction),
            ("GET", re.compile(r"/v2\.1" + merchant + "/transactions/history"), "history", self.history),
            ("POST", re.compile(r"/v1\.0" + merchant + "/payments/([^/]+)/refunds"), "refund", self.refund),
            ("GET", re.compile(r"/v1\.0" + merchant + "/payouts"), "payouts", self.payouts),
        ]

    def answer(self, method: str, path: str, query: str, key: str, body: bytes) -> tuple[Reply | None, Fault | None]:
        """SumUp's answer, and the fault that the server is to play with it; no reply at all for hang and drop."""
        route = self._route(method, path)
        if route is None:
            return not_found().reply, None
        operation, view, parts = route
        fault = self.faults.take(operation)
        if fault and fault.kind in {"hang", "drop"}:
            return None, fault
        if fault and fault.kind in faulty.BEFORE:
            return faulty.instead_of_work(fault), fault
        merchant = next((row for row in self.merchants.values() if key == f"Bearer {row.key}"), None)
        if merchant is None:
            return problem(401, "unauthorized", "Unauthorized", "Unauthorized.").reply, None
        asked = Asked(merchant, parts, parse_qs(query, keep_blank_values=True), body, fault)
        try:
            reply = view(asked)
        except Refused as refusal:
            return refusal.reply, fault
        return (faulty.spoilt(fault, reply) if fault else reply), fault

    def _route(self, method: str, path: str) -> tuple[str, Callable[[Asked], Reply], tuple[str, ...]] | None:
        """The operation, its view and the parts of the path; a trailing slash finds none."""
        for wanted, pattern, operation, view in self.routes:
            if wanted == method and (match := pattern.fullmatch(path)):
                return operation, view, match.groups()
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

    def payment_methods(self, asked: Asked) -> Reply:
        self._code(asked, not_found)
        return told({"available_payment_methods": [{"id": "card"}, {"id": "apple_pay"}]})

    def transaction(self, asked: Asked) -> Reply:
        self._code(asked, not_found)
        names = {"id", "transaction_code", "foreign_transaction_id", "client_transaction_id"} & set(asked.query)
        if len(names) != 1:
            raise invalid([("id", "MISSING" if not names else "INVALID")])
        with self.ledger.lock:
            row = self._attempt(names.pop(), asked)
            if row is None or row.merchant_code != asked.merchant.code:
                raise not_found()
            return told(transaction_json(row, self.ledger) | self.faults.tamper_transaction)

    def _attempt(self, name: str, asked: Asked) -> Transaction | None:
        if name == "id":
            return self.ledger.transactions.get(asked.one("id"))
        if name == "transaction_code":
            rows = self.ledger.transactions.values()
            return next((row for row in rows if row.code == asked.one("transaction_code")), None)
        return None

    def history(self, asked: Asked) -> Reply:
        self._code(asked, not_found)
        with self.ledger.lock:
            listed = history(asked.merchant, asked.query, self.ledger)
            items = listed["items"]
            for item in items if isinstance(items, list) else []:
                item.update(self.faults.tamper_listed if item["type"] == "PAYMENT" else {})
            return told(listed)

    def payouts(self, asked: Asked) -> Reply:
        self._code(asked, not_found)
        with self.ledger.lock:
            return told(payouts(asked.merchant, asked.query, self.ledger))

    def refund(self, asked: Asked) -> Reply:
        missing = problem(404, "not-found", "Not Found", "Transaction not found")
        self._code(asked, lambda: missing)
        with self.ledger.lock:
            transaction = self.till.capture(asked.merchant, asked.parts[1])
            told_body = _object(asked.body) if asked.body.strip() else {}
            amount = told_body.get("amount")
            if amount is not None and not isinstance(amount, Decimal):
                raise problem(400, "bad-request", "Bad Request", "amount must be a number")
            self.till.refund(transaction, amount, delay=self.faults.refund_event_delay)
        return told({}, 201)

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
        body = _object(asked.body)
        wrong = [(name, "MISSING") for name in sorted(FORM_FIELDS) if body.get(name) in (None, "")]
        if wrong:
            raise invalid(wrong)
        amount, reference, moment = _amount(body["amount"]), body["checkout_reference"], body.get("valid_until")
        if amount is None:
            wrong.append(("amount", "INVALID"))
        if not isinstance(reference, str) or len(reference) > REFERENCE_MOST:
            wrong.append(("checkout_reference", "INVALID"))
        if str(body["currency"]) not in CURRENCIES.split() or body["currency"] != asked.merchant.currency:
            wrong.append(("currency", "INVALID"))
        wrong += [(name, "INVALID") for name in ("return_url", "redirect_url") if not _address(body.get(name, ""))]
        if moment is not None and _moment(moment) is None:
            wrong.append(("valid_until", "INVALID"))
        if wrong:
            raise invalid(wrong)
        if body["merchant_code"] != asked.merchant.code:
            raise forbidden("request_not_allowed")
        hosted = body.get("hosted_checkout")
        valid_until = _moment(moment)
        return Checkout(
            id=str(uuid.uuid4()),
            reference=str(reference),
            merchant_code=asked.merchant.code,
            amount=str(amount),
            currency=asked.merchant.currency,
            description=str(body.get("description") or ""),
            return_url=str(body.get("return_url") or ""),
            redirect_url=str(body.get("redirect_url") or ""),
            created=self.ledger.now().isoformat(timespec="milliseconds"),
            valid_until=valid_until.isoformat(timespec="milliseconds") if valid_until else "",
            hosted=isinstance(hosted, dict) and hosted.get("enabled") is True,
        )


def _object(body: bytes) -> dict[str, object]:
    try:
        value: object = json.loads(body, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise refused(400, "INVALID", "Invalid JSON in the body")
    return value


def _amount(value: object) -> Decimal | None:
    """Major units above 0, in two places at most; a numeral in a string will do, as it did at SumUp."""
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except InvalidOperation:
            return None
    if not isinstance(value, Decimal) or not Decimal(0) < value < Decimal(10**9):
        return None
    return value if value == round(value, 2) else None


def _address(value: object) -> bool:
    return isinstance(value, str) and (not value or value.startswith(("https://", "http://")))


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
