"""Log lines: JSON, with the request and the order, and without what must not stand in a log."""

import json
import logging

import pytest
from django.test import Client

from ledger.tracing import JsonFormatter, order_id, request_id, without_secrets

CODE = "ABCDEFGH234567ABCDEFGH2345"


def line(message: str, *values: object, error: BaseException | None = None) -> dict[str, object]:
    trace = (type(error), error, None) if error else None
    record = logging.LogRecord("foyer", logging.WARNING, "here", 1, message, values, trace)
    told: dict[str, object] = json.loads(JsonFormatter().format(record))
    return told


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("mail to jo.doe+x@mail.example.org failed", "mail to <address> failed"),
        ("key sup_sk_abcDEF123 refused", "key <key> refused"),
        ("Authorization: Bearer abc.def-1=", "Authorization: Bearer <key>"),
        (f"Not Found: /tickets/{CODE}.pdf", "Not Found: /tickets/ABCDEFGH….pdf"),
        ("Not Found: /orders/link/WzE:1x:abc/", "Not Found: /orders/link/<token>/"),
        ("checkout 7: 23.50 EUR", "checkout 7: 23.50 EUR"),
    ],
)
def test_secrets_are_cut_out_of_what_is_logged(text: str, left: str) -> None:
    assert without_secrets(text) == left
    assert line("%s", text)["message"] == left
    assert left in str(line("it", error=ValueError(text))["exception"])


def test_a_line_names_its_request_and_its_order() -> None:
    first, second = request_id.set("r-1"), order_id.set(7)
    try:
        told = line("two\nlines")
    finally:
        request_id.reset(first)
        order_id.reset(second)
    assert (told["request"], told["order"], told["level"], told["message"]) == ("r-1", 7, "WARNING", "two\nlines")
    assert "request" not in line("later")


@pytest.mark.parametrize("given", ["abc-123", "", "x" * 65, "a b", "<script>"])
@pytest.mark.django_db
def test_each_answer_says_its_request_s_id(client: Client, given: str) -> None:
    name = client.get("/healthz", headers={"X-Request-ID": given})["X-Request-ID"]

    assert (name == given) is (given == "abc-123")
    assert len(name) in (7, 32)
    assert request_id.get() == ""
