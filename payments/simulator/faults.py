"""What goes wrong on demand. A fault is set for an operation, for ever or for so many times."""

import threading
from collections import Counter
from dataclasses import dataclass, field

from payments.simulator.reply import (
    HTML,
    Refused,
    Reply,
    forbidden,
    invalid,
    not_found,
    problem,
    refused,
    told,
)

OPERATIONS = ("create", "read", "find", "deactivate", "merchant", "transaction", "history", "refund", "payouts")
# The work is not done. The server sees to those that are not answers: hang, drop, slow_byte, slow_headers.
BEFORE = {
    "hang", "drop", "500", "502html", "503", "504", "429", "400", "400array", "401", "403", "404", "404html",
    "409", "409processed", "authorizing", "blocked", "redirect", "not_enough_balance", "not_refundable", "min_amount",
    "too_high",
}  # fmt: skip
# The work is done, and the answer to it is spoilt.
AFTER = {
    "lost_answer", "hang_after", "500_after", "garbage", "truncated", "empty", "array", "huge", "nul", "deep",
    "slow_byte", "slow_headers", "stale", "missing_fields", "unknown_state", "204",
}  # fmt: skip
WEBHOOK_MODES = ("on", "never", "twice", "late:", "early", "out_of_order")


@dataclass(frozen=True)
class Fault:
    """A kind, and its number behind a colon: seconds of Retry-After, seconds between two bytes."""

    kind: str
    number: float = 0


@dataclass
class Faults:
    """The switches as they stand, and how often each operation was called."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    active: dict[str, tuple[Fault, int | None]] = field(default_factory=dict)
    tamper: dict[str, object] = field(default_factory=dict)
    #: The same for a transaction that is read, and for each payment in the list of transactions.
    tamper_transaction: dict[str, object] = field(default_factory=dict)
    tamper_listed: dict[str, object] = field(default_factory=dict)
    refund_event_delay: float = 0
    calls: Counter[str] = field(default_factory=Counter)
    released: threading.Event = field(default_factory=threading.Event)

    def put(self, operation: str, value: object, times: int | None) -> None:
        """Sets or (None, "ok") clears a fault; raises ValueError for one that does not exist."""
        if operation not in OPERATIONS:
            raise ValueError(f"{operation}: not one of {', '.join(OPERATIONS)}")
        with self.lock:
            if value in (None, "", "ok"):
                self.active.pop(operation, None)
                return
            kind, _colon, number = str(value).partition(":")
            if kind not in BEFORE | AFTER:
                raise ValueError(f"{kind}: not one of {', '.join(sorted(BEFORE | AFTER))}")
            self.active[operation] = (Fault(kind, float(number or 0)), times)

    def count(self, name: str) -> None:
        with self.lock:
            self.calls[name] += 1

    def take(self, operation: str) -> Fault | None:
        """Counts the call and uses up one of the fault's times."""
        with self.lock:
            self.calls[operation] += 1
            fault, times = self.active.get(operation, (None, None))
            if fault is not None and times is not None:
                if times <= 1:
                    del self.active[operation]
                else:
                    self.active[operation] = (fault, times - 1)
            return fault

    def clear(self) -> None:
        """No faults, no counts, and whoever hangs is let go."""
        with self.lock:
            self.active.clear()
            self.tamper.clear()
            self.tamper_transaction.clear()
            self.tamper_listed.clear()
            self.calls.clear()
            self.refund_event_delay = 0
            self.released.set()
            self.released = threading.Event()


def instead_of_work(fault: Fault) -> Reply:
    """The answer of a fault that keeps the work from being done."""
    simple: dict[str, Refused] = {
        "500": problem(500, "internal", "Internal Server Error", "Something went wrong."),
        "503": problem(503, "unavailable", "Service Unavailable", "Try again later."),
        "400": invalid([("amount", "INVALID")]),
        "400array": invalid([("amount", "INVALID"), ("currency", "INVALID")]),
        "401": problem(401, "unauthorized", "Unauthorized", "Unauthorized."),
        "403": forbidden("checkout_payments_not_allowed"),
        "404": not_found(),
        "409": refused(
            409, "DUPLICATED_CHECKOUT", "Checkout with this checkout reference and pay to email already exists"
        ),
        "409processed": refused(409, "CHECKOUT_PROCESSED", "Checkout is already processed"),
        "authorizing": refused(409, "CHECKOUT_CANT_BE_DEACTIVATED", "Checkout cannot be deactivated"),
        "blocked": problem(403, "request-blocked", "Request blocked", "The request was blocked by a firewall."),
        "not_enough_balance": refused(
            409, "NOT_ENOUGH_BALANCE", "Not enough available balance to perform the operation at the moment"
        ),
        "not_refundable": problem(
            409, "conflict", "Conflict", "The transaction is not refundable in its current state"
        ),
        "min_amount": _refund_failed({"code": "min_amount", "min_refundable_amount": 20}),
        "too_high": _refund_failed(
            {
                "code": "INVALID_AMOUNT",
                "detail": "Amount exceeds the refundable amount",
                "reason": "amount_too_high",
                "max_refundable_amount": 1000,
            }
        ),
    }
    if fault.kind in simple:
        return simple[fault.kind].reply
    page = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
    if fault.kind == "502html":
        return Reply(502, page, HTML)
    if fault.kind == "404html":
        return Reply(404, b"<html><h1>Not Found</h1></html>", HTML)
    if fault.kind == "504":
        return Reply(504, b"stream timeout", "text/plain")
    if fault.kind == "429":
        reply = told({"message": "Too many requests, please try again later."}, 429)
        reply.headers["Retry-After"] = str(int(fault.number or 7))
        return reply
    if fault.kind == "redirect":
        return Reply(302, b"", HTML, {"Location": "https://elsewhere.invalid/"})
    raise ValueError(fault.kind)


def spoilt(fault: Fault, reply: Reply) -> Reply:
    """The answer to work that was done, as the fault leaves it."""
    match fault.kind:
        case "500_after":
            return problem(500, "internal", "Internal Server Error", "Something went wrong.").reply
        case "garbage":
            return Reply(reply.status, b"\x00\xff{not json]", reply.content_type)
        case "truncated":
            return Reply(reply.status, reply.body[: len(reply.body) // 2], reply.content_type)
        case "empty":
            return Reply(reply.status, b"", reply.content_type)
        case "204":
            return Reply(204)
        case "array":
            return told([{"message": "Validation error", "param": "id", "error_code": "INVALID"}], reply.status)
        case "huge":
            return Reply(reply.status, b'"' + b"x" * 3_000_000 + b'"', reply.content_type)
        case "nul":
            return Reply(reply.status, reply.body.replace(b'"PENDING"', b'"PEN\\u0000DI\\ud800NG"'))
        case "deep":
            return Reply(reply.status, b"[" * 100_000, reply.content_type)
    return reply


def _refund_failed(fault: dict[str, object]) -> Refused:
    return problem(422, "unprocessable-entity", "Unprocessable Entity", "Refund failed.", {"errors": [fault]})
