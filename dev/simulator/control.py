"""/simulator/…: what tests and the demo use to look into the ledger, to pay and to break things. JSON in and out."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal, InvalidOperation

from dev.simulator.faults import OPERATIONS, WEBHOOK_MODES, Faults
from dev.simulator.reply import Refused, Reply, rendered, told
from dev.simulator.rows import SUCCESSFUL
from dev.simulator.till import BY_CARD_ONLINE, DECLINED, Closed, Till
from dev.simulator.views import Json
from dev.simulator.webhooks import Webhooks

BY_READER = ("POS", "CONTACTLESS")
TAMPERED = ("tamper", "tamper_transaction", "tamper_listed")
SWITCHES = {*OPERATIONS, *TAMPERED, "times", "webhook", "refund_event_delay", "answers"}
#: Whether an answer has the shape that integrators have seen, where SumUp's document says another.
ANSWERS = {"document": False, "seen": True}


def _way(body: Json, usual: tuple[str, str]) -> tuple[str, str]:
    """SumUp's payment type, any word, and entry mode."""
    return str(body.get("payment_type", usual[0])), str(body.get("entry_mode", usual[1]))


def _check_switches(body: Mapping[str, object]) -> None:
    """Raises ValueError for what is no switch, or no value of one."""
    unknown = set(body) - SWITCHES
    if unknown:
        raise ValueError(f"no such switch: {', '.join(sorted(unknown))}")
    mode = body.get("webhook")
    if mode is not None and not str(mode).startswith(WEBHOOK_MODES):
        raise ValueError(f"webhook: not one of {', '.join(WEBHOOK_MODES)}")
    if str(body.get("answers", "document")) not in ANSWERS:
        raise ValueError(f"answers: not one of {', '.join(ANSWERS)}")
    for name in TAMPERED:
        if not isinstance(body.get(name, {}), dict):
            raise ValueError(f"{name}: not an object of fields")


class Control:
    def __init__(self, till: Till, faults: Faults, webhooks: Webhooks) -> None:
        self.till = till
        self.ledger = till.ledger
        self.faults = faults
        self.webhooks = webhooks

    def answer(self, method: str, path: str, content: bytes) -> Reply:
        """The answer to a path behind /simulator/; 400 says what is wrong with the question."""
        try:
            body = json.loads(content) if content.strip() else {}
            if not isinstance(body, dict):
                raise ValueError("the body is not a JSON object")
            return told(self._do(method, path.split("/"), body))
        except Closed as closed:
            return told({"error": f"the checkout is {closed}"}, 409)
        except Refused as refusal:
            return rendered(refusal, "")
        except (ValueError, TypeError, InvalidOperation) as error:
            return told({"error": str(error)}, 400)

    def _do(self, method: str, parts: list[str], body: Json) -> Json:
        match (method, *parts):
            case ("GET", "ledger"):
                return self.shown()
            case ("POST", "reset"):
                self.webhooks.clear()
                self.ledger.reset()
                self.faults.clear()
                return {}
            case ("POST", "clock"):
                self.ledger.shift(float(str(body.get("seconds", 0))))
                return {"now": self.ledger.now().isoformat()}
            case ("POST", "faults"):
                self._switch(body)
                return {}
            case ("POST", "pay" | "pay_again" | "decline" | "authorize" as act, checkout_id):
                return self._attempt(act, checkout_id, body)
            case ("POST", "sell", merchant_code):
                return self._sell(merchant_code, body)
            case ("POST", "webhook", checkout_id):
                self.webhooks.notify(self.till.find(checkout_id))
                return {}
            case ("POST", "refund" | "chargeback" as act, transaction_id):
                return self._take_back(transaction_id, body, "REFUND" if act == "refund" else "CHARGE_BACK")
            case ("POST", "fail_refund", refund_id):
                return self._fail_refund(refund_id)
        raise ValueError(f"{method} /simulator/{'/'.join(parts)} does not exist")

    def _attempt(self, act: str, checkout_id: str, body: Json) -> Json:
        """What a buyer does on the hosted page."""
        match act:
            case "pay":
                way = _way(body, BY_CARD_ONLINE)
                return asdict(self.till.pay(checkout_id, force=body.get("force") is True, way=way))
            case "pay_again":
                return asdict(self.till.pay_again(checkout_id))
            case "decline":
                return asdict(self.till.decline(checkout_id, str(body.get("reason") or DECLINED)))
        return asdict(self.till.authorize(checkout_id))

    def shown(self) -> Json:
        """All that happened; `captures` are the payments that succeeded, amounts are strings in major units."""
        with self.ledger.lock:
            attempts = [asdict(row) for row in self.ledger.transactions.values()]
            return {
                "now": self.ledger.now().isoformat(),
                "checkouts": [asdict(row) for row in self.ledger.checkouts.values()],
                "captures": [row for row in attempts if row["status"] == SUCCESSFUL],
                "attempts": attempts,
                "refunds": [asdict(row) for row in self.ledger.refunds.values()],
                "webhooks": [asdict(row) for row in self.ledger.webhooks.values()],
                "calls": dict(self.faults.calls),
                "questions": list(self.faults.questions),
            }

    def _switch(self, body: Mapping[str, object]) -> None:
        """Sets the switches that are named and leaves the others; nothing is set if one is wrong."""
        _check_switches(body)
        times = body.get("times")
        for operation in OPERATIONS:
            if operation in body:
                self.faults.put(operation, body[operation], int(str(times)) if times is not None else None)
        if "answers" in body:
            self.faults.seen = ANSWERS[str(body["answers"])]
        if body.get("webhook") is not None:
            self.webhooks.mode = str(body["webhook"])
        for name in TAMPERED:
            if name in body:
                setattr(self.faults, name, body[name])
        if "refund_event_delay" in body:
            self.faults.refund_event_delay = float(str(body["refund_event_delay"]))

    def _sell(self, merchant_code: str, body: Json) -> Json:
        """A payment at a card reader, of `amount` in `currency`, with any `description` and `payment_type`."""
        money = (Decimal(str(body.get("amount", "10"))), str(body.get("currency", "EUR")))
        return asdict(self.till.sell(merchant_code, money, str(body.get("description", "")), _way(body, BY_READER)))

    def _take_back(self, transaction_id: str, body: Json, kind: str) -> Json:
        """A refund made in the dashboard, or a chargeback: nobody is called."""
        amount = body.get("amount")
        with self.ledger.lock:
            transaction = self.ledger.transactions.get(transaction_id)
            if transaction is None:
                raise ValueError("no such transaction")
            value = None if amount is None else Decimal(str(amount))
            return asdict(self.till.refund(transaction, value, kind=kind))

    def _fail_refund(self, refund_id: str) -> Json:
        """A refund that SumUp takes back: its event stays, with the status FAILED."""
        with self.ledger.lock:
            refund = self.ledger.refunds.get(refund_id)
            if refund is None:
                raise ValueError("no such refund")
            refund.status = "FAILED"
            self.ledger.write(refund)
            return asdict(refund)
