"""Asking SumUp: one method per question, one deadline per call, one named problem per way it can fail."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import quote

import requests
import urllib3
from requests.auth import AuthBase

from payments.sumup import wire
from payments.sumup.answers import (
    CheckoutAnswer,
    MerchantAnswer,
    checkout_from,
    checkouts_from,
    merchant_from,
)
from payments.sumup.history import HistoryItem, Query, walk
from payments.sumup.payouts import PAYOUTS_MOST, PayoutAnswer, payouts_from
from payments.sumup.problems import (
    REFUND_REFUSALS,
    KeyRefused,
    NoAnswer,
    Refusal,
    SumUpProblem,
    UnknownCheckout,
    UnknownTransaction,
    Unreadable,
    problem_from,
)
from payments.sumup.silence import Silent
from payments.sumup.skew import note
from payments.sumup.transactions import FullTransactionAnswer, transaction_from

VERSION = "0.1.0"
BODY_MOST = 1024 * 1024
REFERENCE_MOST = 64
TIME_OUT = "time-out"
TOO_MANY = 429
#: What a problem is told of the answer's headers.
HEADERS = {"retry_after": "Retry-After", "date": "Date"}
#: So often one page of the list is asked for.
PAGE_TRIES = 3
#: What an answer may take. While SumUp is silent only those wait for their turn who have so much left after it.
ANSWER_SECONDS = 3.0

log = logging.getLogger(__name__)


class _Bearer(AuthBase):
    """The key on its way into the request: kept out of every variable that a traceback might show."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    def __repr__(self) -> str:
        return "<key>"


class Client:
    """One merchant's way to ask SumUp. Cheap to make; connections are shared by all clients of a process.

    Each call ends within `deadline_seconds`, whatever the server does, and raises a SumUpProblem when there is no
    answer to use. Only reads are sent a second time, once, after a broken connection. While SumUp is silent one
    question of a kind is asked at a time; a quick one that finds another asking is NoAnswer at once. When SumUp says
    how long not to ask (Retry-After), this process asks nothing of this merchant meanwhile: a call waits for the end
    of that where its deadline leaves the time, else it is NoAnswer at once, with status 429.
    """

    def __init__(self, api_key: str, merchant_code: str, base_url: str, deadline_seconds: float) -> None:
        self.merchant_code = merchant_code
        self.base_url = base_url.rstrip("/")
        self.deadline_seconds = deadline_seconds
        self._api_key = api_key

    def __repr__(self) -> str:
        return f"<Client {self.merchant_code} at {self.base_url}>"

    def create_checkout(
        self,
        *,
        reference: str,
        amount: Decimal,
        currency: str,
        description: str,
        return_url: str,
        redirect_url: str,
        valid_until: datetime,
    ) -> CheckoutAnswer:
        """A new checkout with a hosted page (SumUp: POST /v0.1/checkouts).

        `amount` is in major units. Never sent twice: after NoAnswer or DuplicateReference, find it by reference.
        """
        if not 0 < len(reference) <= REFERENCE_MOST:
            raise ValueError("a reference has 1 to 64 characters")
        body = {
            "checkout_reference": reference,
            "amount": json_number(amount),
            "currency": currency,
            "merchant_code": self.merchant_code,
            "description": description,
            "return_url": return_url,
            "redirect_url": redirect_url,
            "valid_until": _moment(valid_until),
            "hosted_checkout": {"enabled": True},
        }
        return checkout_from(self._ask("POST", "/v0.1/checkouts", body=body))

    def read_checkout(self, checkout_id: str) -> CheckoutAnswer:
        """What SumUp knows of a checkout (SumUp: GET /v0.1/checkouts/{id}); UnknownCheckout when nothing."""
        return checkout_from(self._ask("GET", f"/v0.1/checkouts/{_segment(checkout_id)}", missing=UnknownCheckout))

    def find_checkouts(self, reference: str) -> list[CheckoutAnswer]:
        """What SumUp lists for a reference, [] for none (SumUp: GET /v0.1/checkouts?checkout_reference=).

        As told, unfiltered: compare each with your own row; only an empty list says that there is none.
        """
        if not reference:
            raise ValueError("an empty reference would list every checkout")
        return checkouts_from(self._ask("GET", "/v0.1/checkouts", query={"checkout_reference": reference}))

    def deactivate_checkout(self, checkout_id: str) -> CheckoutAnswer:
        """Ends a checkout (SumUp: DELETE /v0.1/checkouts/{id}); dead only if the answer's status says EXPIRED.

        Raises AlreadyProcessed, NotDeactivatable, UnknownCheckout.
        """
        return checkout_from(self._ask("DELETE", f"/v0.1/checkouts/{_segment(checkout_id)}", missing=UnknownCheckout))

    def read_merchant(self) -> MerchantAnswer:
        """The account behind the merchant code (SumUp: GET /v1/merchants/{code}): the check of a key."""
        return merchant_from(self._ask("GET", f"/v1/merchants/{_segment(self.merchant_code)}"))

    def read_history(
        self,
        *,
        changes_since: datetime | None = None,
        oldest_time: datetime | None = None,
        limit: int = 100,
        before_page: Callable[[], None] = lambda: None,
        waits: Callable[[SumUpProblem], bool] = lambda _problem: False,
    ) -> Iterator[HistoryItem]:
        """What happened at SumUp, oldest first (SumUp: GET /v2.1/merchants/{code}/transactions/history), page by page.

        `changes_since`: made or changed since, later refunds and chargebacks included; `oldest_time`: made since.
        `before_page` is called before each question. Where SumUp is too busy and `waits` says that this was waited
        for, a page is asked for again. Raises in the middle when a page brings no answer.
        """
        path = f"/v2.1/merchants/{_segment(self.merchant_code)}/transactions/history"
        moments = {"changes_since": changes_since, "oldest_time": oldest_time}
        first = [("limit", str(limit)), ("order", "ascending")]
        first += [(name, _moment(moment)) for name, moment in moments.items() if moment is not None]

        def ask(query: Query, tries: int = PAGE_TRIES) -> object:
            before_page()
            try:
                return self._ask("GET", path, query=query)
            except NoAnswer as problem:
                if tries <= 1 or not waits(problem):
                    raise
            return ask(query, tries - 1)

        return walk(ask, first)

    def list_payouts(self, first: date, last: date) -> list[PayoutAnswer]:
        """What was paid out on these days, both included, oldest first (SumUp: GET /v1.0/merchants/{code}/payouts).

        At most PAYOUTS_MOST rows; SumUp does not say when there are more.
        """
        path = f"/v1.0/merchants/{_segment(self.merchant_code)}/payouts"
        query = {"start_date": first.isoformat(), "end_date": last.isoformat(), "order": "asc"}
        return payouts_from(self._ask("GET", path, query=query | {"format": "json", "limit": str(PAYOUTS_MOST)}))

    # --- Refunds

    def refund(self, transaction_id: str, amount: Decimal | None) -> None:
        """Sends `amount` back, all that is left when it is None (SumUp: POST …/payments/{id}/refunds).

        Any 2xx is success, with whatever body. Never sent twice: after NoAnswer the transaction's events tell. Raises
        NotRefundable, NotEnoughBalance, AmountTooHigh, AmountTooLow.
        """
        # Its caller has marked it as being sent, after a read that was answered: held back now it would be in doubt.
        path = f"/v1.0/merchants/{_segment(self.merchant_code)}/payments/{_segment(transaction_id)}/refunds"
        body = {} if amount is None else {"amount": json_number(amount)}
        self._ask("POST", path, body=body, named=REFUND_REFUSALS, reads=False, takes_turns=False)

    def read_transaction(self, transaction_id: str) -> FullTransactionAnswer:
        """A transaction with its events (SumUp: GET /v2.1/…/transactions?id=); UnknownTransaction says nothing."""
        path = f"/v2.1/merchants/{_segment(self.merchant_code)}/transactions"
        answer = transaction_from(self._ask("GET", path, query={"id": transaction_id}, missing=UnknownTransaction))
        if answer.id != transaction_id:
            raise Unreadable("SumUp's answer is about another transaction.")
        return answer

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | Query | None = None,
        body: Mapping[str, object] | None = None,
        missing: type[SumUpProblem] = Refusal,
        named: Mapping[str, type[SumUpProblem]] | None = None,
        reads: bool = True,
        takes_turns: bool = True,
    ) -> object:
        """The parsed JSON of a 2xx answer (None unless it `reads`); everything else is raised as a SumUpProblem.

        Unless it `takes_turns` it is sent also while SumUp is silent.
        """
        if not self._api_key.isascii() or not self._api_key.isprintable() or " " in self._api_key or not self._api_key:
            raise KeyRefused("The key is empty or holds characters that no key has.")
        deadline = wire.Deadline(self.deadline_seconds)
        started = time.monotonic()
        patience = max(0.0, self.deadline_seconds - ANSWER_SECONDS) if takes_turns else None
        self._pause(method, path, patience or 0.0)
        try:
            with wire.silence(self.base_url, method).turn(patience):
                status, headers, content = self._exchange(method, path, query, body, deadline)
        except Silent:
            log.warning("SumUp %s %s: not asked, it has just not answered", method, path)
            raise NoAnswer("SumUp has just not answered.") from None
        log.info("SumUp %s %s: %s in %.0f ms", method, path, status, (time.monotonic() - started) * 1000)
        if 200 <= status < 300:
            return parsed(content) if reads else None
        try:
            told: object = parsed(content)
        except Unreadable:
            told = None
        problem = problem_from(
            status,
            told,
            retry_after=headers["retry_after"],
            date=headers["date"],
            missing=missing,
            secret=self._api_key,
            named=named,
        )
        if problem.retry_after:
            wire.leave_alone(self.base_url, self.merchant_code, problem.retry_after)
        raise problem

    def _pause(self, method: str, path: str, patience: float) -> None:
        """Waits until SumUp may be asked again, `patience` seconds at the most; raises NoAnswer."""
        seconds = wire.pause_left(self.base_url, self.merchant_code)
        if seconds > patience:
            log.warning("SumUp %s %s: not asked, it wants to be left alone for %.0f s", method, path, seconds)
            words = "SumUp asked not to be asked again so soon."
            raise NoAnswer(words, status=TOO_MANY, retry_after=seconds)
        if seconds:
            time.sleep(seconds)

    def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | Query | None,
        body: Mapping[str, object] | None,
        deadline: wire.Deadline,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, HEADERS and body of the answer. A read is tried again, once, when the connection broke."""
        tries = 2 if method == "GET" else 1
        while True:
            tries -= 1
            try:
                return self._send(method, path, query, body, deadline)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                # Kept as a name only: the error itself refers to the request and its headers.
                failure = _named(error)
            if not tries or failure == TIME_OUT or time.monotonic() >= deadline.moment:
                log.warning("SumUp %s %s: no answer (%s)", method, path, failure)
                raise NoAnswer(f"SumUp did not answer ({failure}).")

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | Query | None,
        body: Mapping[str, object] | None,
        deadline: wire.Deadline,
    ) -> tuple[int, dict[str, str], bytes]:
        headers = {
            "Accept": "application/json",
            # No compressed body: nothing here can unfold into more than its cap.
            "Accept-Encoding": "identity",
            "User-Agent": f"Foyer/{VERSION}",
        }
        sent = datetime.now(UTC)
        with (
            wire.question(deadline) as session,
            session.request(
                method,
                self.base_url + path,
                params=query if query is None or isinstance(query, Mapping) else list(query),
                json=body,
                headers=headers,
                auth=_Bearer(self._api_key),
                timeout=deadline.left(),
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            note(self.base_url, response.headers.get("Date", ""), sent, datetime.now(UTC))
            content = bytearray()
            while chunk := response.raw.read(65536, decode_content=False):
                content += chunk
                if len(content) > BODY_MOST:
                    raise Unreadable("SumUp's answer is too long.", status=response.status_code)
            kept = {name: response.headers.get(header, "") for name, header in HEADERS.items()}
            return response.status_code, kept, bytes(content)


def parsed(content: bytes) -> object:
    """JSON with every number as a Decimal and no character that a database refuses; raises Unreadable."""
    try:
        value: object = json.loads(content, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_number)
        return _storable(value) if b"\\u" in content or b"\x00" in content else value
    except (ValueError, RecursionError, ArithmeticError):  # a number beyond all exponents is the last of these
        pass  # raised below, so that the error does not carry the whole body along
    raise Unreadable("SumUp's answer is not JSON.")


def json_number(amount: Decimal) -> int | float:
    """The JSON number that says exactly `amount`; raises ValueError for what is no amount of money."""
    if not amount.is_finite() or amount <= 0:
        raise ValueError(f"{amount} is not an amount to pay")
    if amount == amount.to_integral_value():
        return int(amount)
    number = float(amount)
    if Decimal(repr(number)) != amount:
        raise ValueError(f"{amount} has no exact JSON number")
    return number


def _moment(at: datetime) -> str:
    """A time as SumUp's document writes it in its examples, with Z: a + in a query may be read as a space."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _storable(value: object) -> object:
    """The same value without NUL and lone surrogates, which PostgreSQL and UTF-8 refuse."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {str(_storable(name)): _storable(item) for name, item in value.items()}
    return value


def _segment(value: str) -> str:
    """One segment of a path; an empty one or a dot would name another resource."""
    if not value or set(value) == {"."}:
        raise ValueError(f"{value!r} cannot stand in an address")
    return quote(value, safe="")


def _named(error: Exception) -> str:
    timed_out = isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError))
    return TIME_OUT if timed_out or "timed out" in str(error) else type(error).__name__
