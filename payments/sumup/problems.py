"""What can come back from SumUp instead of an answer: one exception per thing a caller does about it."""

import html
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

WORDS_MOST = 300
#: However long SumUp asks to be left alone: nobody waits longer than an hour for its word.
RETRY_AFTER_MOST = 3600.0
WORD_FIELDS = ("detail", "details", "message", "error_message", "title")
# A firewall's 403 says nothing about the merchant's rights (SumUp: problem/request-blocked).
FIREWALL = "request-blocked"


class SumUpProblem(Exception):
    """A question to SumUp that brought no answer to use. `words` are fit to show; none of it holds the key."""

    def __init__(
        self,
        words: str,
        *,
        status: int | None = None,
        error_code: str = "",
        trace_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(words)
        self.words = words
        self.status = status
        self.error_code = error_code
        self.trace_id = trace_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        known = [str(self.status or ""), self.error_code, self.words, f"trace {self.trace_id}" if self.trace_id else ""]
        return " · ".join(part for part in known if part)


class NoAnswer(SumUpProblem):
    """The outcome is unknown: time-out, broken connection, 5xx, 429 (`retry_after` in seconds, if told), a firewall.

    Of these 429 alone says that nothing was done.
    """


class Unreadable(NoAnswer):
    """SumUp answered something that is not the JSON we know: the outcome is as unknown as after a time-out."""


class KeyRefused(SumUpProblem):
    """401: the key is wrong, revoked, or the public one."""


class Refusal(SumUpProblem):
    """SumUp understood and said no: 400, 403 and the other 4xx that have no name of their own here."""


class UnknownCheckout(SumUpProblem):
    """404 in SumUp's own words: this merchant has no such checkout."""


class DuplicateReference(SumUpProblem):
    """409 DUPLICATED_CHECKOUT: the reference is used; find the checkout by it."""


class AlreadyProcessed(SumUpProblem):
    """409 CHECKOUT_PROCESSED: already paid, read it again."""


class NotDeactivatable(SumUpProblem):
    """409 CHECKOUT_CANT_BE_DEACTIVATED: an authorization is in progress, keep the hold and ask again."""


class NotRefundable(Refusal):
    """409: the transaction cannot be refunded in its state: paid back already, not settled, charged back."""


class NotEnoughBalance(Refusal):
    """409 NOT_ENOUGH_BALANCE: the account holds too little that was not yet paid out; later, after new sales."""


class AmountTooHigh(Refusal):
    """422 amount_too_high: more than what can be refunded of the transaction."""


class AmountTooLow(Refusal):
    """min_amount: some transactions refuse to pay back less than so much, unless it is all that is left."""


class UnknownTransaction(NoAnswer):
    """404 for a transaction: SumUp says so of some that exist (sumup-py 145), so it means that nothing is known."""


CONFLICTS: dict[str, type[SumUpProblem]] = {
    "DUPLICATED_CHECKOUT": DuplicateReference,
    "CHECKOUT_PROCESSED": AlreadyProcessed,
    "CHECKOUT_CANT_BE_DEACTIVATED": NotDeactivatable,
}
#: What a refusal of a refund is called, by the code or reason that SumUp gives.
REFUND_REFUSALS: dict[str, type[SumUpProblem]] = {
    "conflict": NotRefundable,
    "CONFLICT": NotRefundable,
    "NOT_ENOUGH_BALANCE": NotEnoughBalance,
    "amount_too_high": AmountTooHigh,
    "min_amount": AmountTooLow,
}


def problem_from(
    status: int,
    body: object,
    *,
    retry_after: str = "",
    date: str = "",
    missing: type[SumUpProblem] = Refusal,
    secret: str = "",
    named: Mapping[str, type[SumUpProblem]] | None = None,
) -> SumUpProblem:
    """The problem that an answer with a status other than 2xx means.

    `body` is the parsed JSON (an object, an array of objects), or None where it was none. `missing` is what a 404
    means for this question, `named` the names of its refusals by SumUp's codes. `secret` is taken out of the words,
    should a server ever repeat it. `retry_after` and `date` are the headers of these names.
    """
    items = [item for item in (body if isinstance(body, list) else [body]) if isinstance(item, Mapping)]
    faults = [fault for item in items for fault in _faults(item)]
    words = "; ".join(dict.fromkeys(filter(None, [*map(_words, items), *map(_fault_words, faults)])))
    if secret:
        words = words.replace(secret, "…")
    facts = items[0] if items else {}
    error_code = _text(facts.get("error_code")) or _text(facts.get("type")).rpartition("/")[2]
    kind = _kind(status, error_code, spoken=bool(items), missing=missing)
    if kind is Refusal and named:
        kind = _by_code(named, error_code, faults)
    return kind(
        words[:WORDS_MOST] or f"SumUp answered {status}.",
        status=status,
        error_code=error_code,
        trace_id=_text(facts.get("trace_id")),
        retry_after=_seconds(retry_after, date),
    )


def _by_code(
    named: Mapping[str, type[SumUpProblem]], error_code: str, faults: Sequence[Mapping[str, object]]
) -> type[SumUpProblem]:
    codes = [error_code, *(_text(fault.get(name)) for fault in faults for name in ("reason", "code"))]
    return next((named[code] for code in codes if code in named), Refusal)


def _kind(status: int, error_code: str, *, spoken: bool, missing: type[SumUpProblem]) -> type[SumUpProblem]:
    if status == 401:
        return KeyRefused
    if not 400 <= status < 500 or status in {408, 425, 429}:
        return NoAnswer
    if status in {403, 404} and (not spoken or FIREWALL in error_code):
        return NoAnswer  # a gateway's page, not SumUp's word: it must not be read as "there is no such checkout"
    if status == 404:
        return missing
    return CONFLICTS.get(error_code, Refusal) if status == 409 else Refusal


def _words(item: Mapping[str, object]) -> str:
    found = next((text for name in WORD_FIELDS if (text := _text(item.get(name)))), "")
    plain = html.unescape(re.sub(r"<[^>]*>", " ", found))
    words = " ".join(re.sub(r"[<>\x00-\x1f\x7f]", " ", plain).split())
    parameter = _text(item.get("param"))
    return f"{words} ({parameter})" if words and parameter else words


def _faults(item: Mapping[str, object]) -> list[Mapping[str, object]]:
    """What a problem lists under `errors` (SumUp: the answer 422 to a refund)."""
    listed = item.get("errors")
    return [fault for fault in listed if isinstance(fault, Mapping)] if isinstance(listed, list) else []


def _fault_words(fault: Mapping[str, object]) -> str:
    """A fault's words with the limit that it names, verbatim: SumUp does not say in which unit."""
    words = _words(fault) or _words({"detail": fault.get("code")})
    limits = [f"{name} {fault[name]}" for name in fault if str(name).endswith("refundable_amount")]
    return f"{words} ({', '.join(limits)})" if limits else words


def _text(value: object) -> str:
    return value[:2000] if isinstance(value, str) else ""


def _seconds(retry_after: str, date: str) -> float | None:
    """Seconds from a Retry-After header, which holds a number or a date, at most RETRY_AFTER_MOST.

    A date is compared with the Date of the same answer, where it has one: the two clocks may differ.
    """
    value = retry_after.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), RETRY_AFTER_MOST)
    until = _moment(value)
    if until is None:
        return None
    seconds = (until - (_moment(date) or datetime.now(UTC))).total_seconds()
    return min(max(0.0, seconds), RETRY_AFTER_MOST)


def _moment(text: str) -> datetime | None:
    """A date of an HTTP header."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
