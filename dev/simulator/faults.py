"""What goes wrong on demand. A fault is set for an operation, for ever or for so many times."""

import threading
from collections import Counter, deque
from dataclasses import dataclass, field, replace

from dev.simulator.reply import (
    HTML,
    Refused,
    Reply,
    invalid,
    not_found,
    problem,
    rendered,
    told,
    unauthorized,
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
BUSY = frozenset({"429", "503"})
DRIPPING = frozenset({"slow_byte", "slow_headers"})
TWO_FIELDS = ("amount", "currency")
QUESTIONS_KEPT = 500
WEBHOOK_MODES = ("on", "never", "twice", "late:", "early", "out_of_order")


@dataclass(frozen=True)
class Fault:
    """A kind, and what stands behind a colon: a Retry-After (429, 503), seconds between two bytes."""

    kind: str
    text: str = ""

    @property
    def number(self) -> float:
        return float(self.text or 0)


@dataclass
class Faults:
    """The switches as they stand, how often each operation was called, and the latest questions as they came."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    active: dict[str, tuple[Fault, int | None]] = field(default_factory=dict)
    tamper: dict[str, object] = field(default_factory=dict)
    #: The same for a transaction that is read, and for each payment in the list of transactions.
    tamper_transaction: dict[str, object] = field(default_factory=dict)
    tamper_listed: dict[str, object] = field(default_factory=dict)
    refund_event_delay: float = 0
    seen: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    questions: deque[dict[str, str]] = field(default_factory=lambda: deque(maxlen=QUESTIONS_KEPT))
    released: threading.Event = field(default_factory=threading.Event)

    def put(self, operation: str, value: object, times: int | None) -> None:
        """Sets or (None, "ok") clears a fault; raises ValueError for one that does not exist."""
        if operation not in OPERATIONS:
            raise ValueError(f"{operation}: not one of {', '.join(OPERATIONS)}")
        with self.lock:
            if value in (None, "", "ok"):
                self.active.pop(operation, None)
                return
            kind, _colon, text = str(value).partition(":")
            if kind not in BEFORE | AFTER:
                raise ValueError(f"{kind}: not one of {', '.join(sorted(BEFORE | AFTER))}")
            if kind in DRIPPING and text:
                float(text)
            self.active[operation] = (Fault(kind, text), times)

    def count(self, name: str) -> None:
        with self.lock:
            self.calls[name] += 1

    def note(self, method: str, path: str, query: str, body: bytes) -> None:
        """Keeps a question as it came, without its headers: the key is none of anybody's business."""
        with self.lock:
            text = body.decode("utf-8", "replace")
            self.questions.append({"method": method, "path": path, "query": query, "body": text})

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
            self.questions.clear()
            self.refund_event_delay = 0
            self.seen = False
            self.released.set()
            self.released = threading.Event()


#: Refusals that are put in the shape of the operation which is asked.
REFUSALS = {
    "400": invalid([("amount", "INVALID")]),
    "401": unauthorized(),
    "404": not_found(),
    "409": Refused(409, "DUPLICATED_CHECKOUT", "Checkout with this checkout reference and pay to email already exists"),
    "409processed": Refused(409, "CHECKOUT_PROCESSED", "Checkout is already processed"),
    "authorizing": Refused(409, "CHECKOUT_CANT_BE_DEACTIVATED", "Checkout cannot be deactivated"),
    "not_refundable": Refused(409, "CONFLICT", "The transaction is not refundable in its current state"),
    "min_amount": Refused(
        422, "min_amount", "Refund failed.", more={"errors": [{"code": "min_amount", "min_refundable_amount": 20}]}
    ),
    "too_high": Refused(
        422,
        "INVALID_AMOUNT",
        "Refund failed.",
        more={
            "errors": [
                {
                    "code": "INVALID_AMOUNT",
                    "detail": "Amount exceeds the refundable amount",
                    "reason": "amount_too_high",
                    "max_refundable_amount": 1000,
                }
            ]
        },
    ),
    "500": Refused(500, "INTERNAL", "Something went wrong."),
    "503": Refused(503, "UNAVAILABLE", "Try again later."),
}
#: Answers that look as they were seen, whatever is asked.
PAGES = {
    "502html": Reply(
        502, b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>", HTML
    ),
    "404html": Reply(404, b"<html><h1>Not Found</h1></html>", HTML),
    "504": Reply(504, b"stream timeout", "text/plain"),
    "redirect": Reply(302, b"", HTML, {"Location": "https://elsewhere.invalid/"}),
}


def instead_of_work(fault: Fault, operation: str, *, seen: bool) -> Reply:
    """The answer of a fault that keeps the work from being done."""
    reply = _instead(fault, operation, seen=seen)
    if fault.kind in BUSY and fault.text:
        reply.headers["Retry-After"] = fault.text
    return reply


def _instead(fault: Fault, operation: str, *, seen: bool) -> Reply:
    if fault.kind in REFUSALS:
        return rendered(REFUSALS[fault.kind], operation, seen=seen)
    if fault.kind in PAGES:
        return replace(PAGES[fault.kind])
    match fault.kind:
        case "400array":
            faults = [{"message": "Validation error", "error_code": "INVALID", "param": name} for name in TWO_FIELDS]
            return told(faults, 400)
        case "403":
            refund = "users is not allowed to make a refund"
            words = refund if operation == "refund" else "checkout_payments_not_allowed"
            return rendered(Refused(403, "FORBIDDEN", words), operation, seen=seen)
        case "blocked":
            return problem(403, "request-blocked", "Request blocked", "The request was blocked by a firewall.")
        case "not_enough_balance":  # as SumUp's document had it in July 2026; the one of August has no word for it
            words = "Not enough available balance to perform the operation at the moment"
            return told({"error_code": "NOT_ENOUGH_BALANCE", "message": words}, 409)
        case "429":
            return told({"message": "Too many requests, please try again later."}, 429)
    raise ValueError(fault.kind)


def spoilt(fault: Fault, reply: Reply) -> Reply:
    """The answer to work that was done, as the fault leaves it."""
    match fault.kind:
        case "500_after":
            return rendered(REFUSALS["500"], "")
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
