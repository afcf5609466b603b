"""An HTTP answer of the simulator, and SumUp's four shapes of an error."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

JSON = "application/json;charset=UTF-8"
PROBLEM = "application/problem+json"
HTML = "text/html; charset=utf-8"


@dataclass
class Reply:
    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A question that SumUp would turn down, with the answer that it gives."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def told(value: object, status: int = 200, content_type: str = JSON) -> Reply:
    return Reply(status, json.dumps(value).encode(), content_type)


def refused(status: int, error_code: str, message: str, param: str = "") -> Refused:
    """SumUp's Error, or ErrorExtended with a parameter."""
    body = {"error_code": error_code, "message": message}
    return Refused(told(body | ({"param": param} if param else {}), status))


def invalid(faults: list[tuple[str, str]]) -> Refused:
    """One bad field is an object, several are an array."""
    bodies = [{"message": "Validation error", "error_code": code, "param": param} for param, code in faults]
    return Refused(told(bodies[0] if len(bodies) == 1 else bodies, 400))


def forbidden(words: str) -> Refused:
    """SumUp's ErrorForbidden: other names, and the status as a string."""
    return Refused(told({"error_message": words, "error_code": "FORBIDDEN", "status_code": "403"}, 403))


def problem(status: int, name: str, title: str, detail: str, more: Mapping[str, object] | None = None) -> Refused:
    """A problem as newer parts of SumUp answer it."""
    body = {
        "type": f"https://developer.sumup.com/problem/{name}",
        "title": title,
        "status": status,
        "detail": detail,
        "trace_id": uuid4().hex,
    }
    return Refused(told({**body, **(more or {})}, status, PROBLEM))


def not_found() -> Refused:
    return refused(404, "NOT_FOUND", "Resource not found")
