"""An HTTP answer of the simulator, and a refusal in the shape that each of SumUp's operations has for it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

JSON = "application/json;charset=UTF-8"
PROBLEM = "application/problem+json"
HTML = "text/html; charset=utf-8"
#: What a problem of each status is called (SumUp: `type` and `title`).
PROBLEMS = {
    400: ("bad-request", "Bad Request"),
    401: ("unauthorized", "Unauthorized"),
    403: ("forbidden", "Forbidden"),
    404: ("not-found", "Not Found"),
    409: ("conflict", "Conflict"),
    422: ("unprocessable-entity", "Unprocessable Entity"),
    500: ("internal", "Internal Server Error"),
    503: ("unavailable", "Service Unavailable"),
}
#: Operations whose refusals are problems; the others have SumUp's older errors.
TELLS_PROBLEMS = {"merchant", "refund"}


@dataclass
class Reply:
    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A question that SumUp would turn down; `rendered` puts it in the shape of the operation.

    `code` is an error_code. `params` are bad fields, each with its own code.
    """

    def __init__(
        self,
        status: int,
        code: str,
        words: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(status, code, words)
        self.status = status
        self.code = code
        self.words = words
        self.params = params
        self.more = more or {}


def told(value: object, status: int = 200, content_type: str = JSON) -> Reply:
    return Reply(status, json.dumps(value).encode(), content_type)


def problem(
    status: int, name: str, title: str, detail: str, more: Mapping[str, object] | None = None, form: str = PROBLEM
) -> Reply:
    """A problem as newer parts of SumUp answer it."""
    body = {
        "type": f"https://developer.sumup.com/problem/{name}",
        "title": title,
        "status": status,
        "detail": detail,
        "trace_id": uuid4().hex,
    }
    return told({**body, **(more or {})}, status, form)


def rendered(refusal: Refused, operation: str, *, seen: bool = False) -> Reply:
    """The answer in the shape that SumUp's document has for `operation`, or in the one that integrators have `seen`.

    What the document has no answer for (500, a 403 on most paths) has the shape that was seen.
    """
    status = refusal.status
    if status == 401:
        return problem(401, *PROBLEMS[401], refusal.words, form=PROBLEM if seen else JSON)
    if seen and operation == "refund" and status == 409:
        return told({"error_code": refusal.code, "message": refusal.words}, 409)
    if operation in TELLS_PROBLEMS or status not in {400, 403, 404, 409}:
        return problem(status, *PROBLEMS[status], refusal.words, refusal.more)
    if status == 403:
        return told({"error_message": refusal.words, "error_code": refusal.code, "status_code": "403"}, 403)
    bodies = _errors(refusal, with_param=operation in {"create", "payouts"})
    if operation == "payouts" or (seen and len(bodies) > 1):
        return told(bodies, status)
    return told(bodies[0], status)


def _errors(refusal: Refused, *, with_param: bool) -> list[dict[str, str]]:
    """SumUp's Error, or an ErrorExtended for each bad field."""
    if not refusal.params:
        return [{"error_code": refusal.code, "message": refusal.words}]
    return [
        {"message": refusal.words, "error_code": code} | ({"param": param} if with_param else {})
        for param, code in refusal.params
    ]


def invalid(faults: Sequence[tuple[str, str]], words: str = "Validation error") -> Refused:
    """Bad fields: (name, code) of each."""
    return Refused(400, faults[0][1], words, params=faults)


def not_found(words: str = "Resource not found") -> Refused:
    return Refused(404, "NOT_FOUND", words)


def unauthorized() -> Refused:
    return Refused(401, "UNAUTHORIZED", "Unauthorized.")
