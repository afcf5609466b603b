"""What a log line belongs to: the request, and the order; and lines as JSON without personal data, codes or keys."""

import json
import logging
import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse

request_id: ContextVar[str] = ContextVar("request_id", default="")
order_id: ContextVar[int | None] = ContextVar("order_id", default=None)

#: An id that a proxy may give a request; anything else is replaced by one of our own.
GIVEN = re.compile(r"^[A-Za-z0-9-]{1,64}$")
#: What never stands in a log, whoever wrote the line: addresses, keys, codes of orders and tickets, signed links.
SECRETS = [
    (re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)+"), "<address>"),
    (re.compile(r"sup_[a-z]{2}_\w+"), "<key>"),
    (re.compile(r"(?i)(bearer|basic) [\w.~+/=-]+"), r"\1 <key>"),
    (re.compile(r"/link/[^/\s]+"), "/link/<token>"),
    (re.compile(r"\b([A-Z2-7]{8})[A-Z2-7]{18}\b"), r"\1…"),
]


def without_secrets(text: str) -> str:
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and request and order where they are known."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        if request := request_id.get():
            line["request"] = request
        if order := order_id.get():
            line["order"] = order
        if record.exc_info:
            line["exception"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class RequestIdMiddleware:
    """Names each request, by the proxy's `X-Request-ID` or a new id, in its log lines and in its answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        name = given if GIVEN.match(given) else uuid.uuid4().hex
        token, order = request_id.set(name), order_id.set(None)
        try:
            response = self.get_response(request)
        finally:
            request_id.reset(token)
            order_id.reset(order)
        response["X-Request-ID"] = name
        return response
