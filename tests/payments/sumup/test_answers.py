"""Reading SumUp's JSON: the shapes that integrators met, and any other."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.sumup import NoAnswer, Refusal, SumUpProblem, UnknownCheckout, Unreadable
from payments.sumup.answers import checkout_from, checkouts_from, merchant_from
from payments.sumup.client import json_number, parsed
from payments.sumup.problems import problem_from

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
NAMES = st.sampled_from(
    ["id", "status", "amount", "currency", "transactions", "checkout_reference", "hosted_checkout_url", "error_code",
     "message", "detail", "type", "trace_id", "param", "merchant_code", "business_profile", "sandbox"]
)  # fmt: skip
SHAPES = JSON | st.dictionaries(NAMES, JSON) | st.lists(st.dictionaries(NAMES, JSON))


@given(shape=SHAPES)
def test_any_json_is_an_answer_or_unreadable(shape: object) -> None:
    body = parsed(json.dumps(shape).encode())
    for read in (checkout_from, checkouts_from, merchant_from):
        try:
            read(body)
        except Unreadable:
            continue


@given(shape=SHAPES, status=st.integers(100, 999), retry_after=st.text())
def test_any_error_body_is_a_problem_with_short_plain_words(shape: object, status: int, retry_after: str) -> None:
    problem = problem_from(status, shape, retry_after=retry_after)
    assert 0 < len(problem.words) <= 300
    assert "<" not in problem.words
    assert isinstance(str(problem), str)


@given(content=st.binary())
def test_any_bytes_are_json_or_unreadable(content: bytes) -> None:
    try:
        parsed(content)
    except Unreadable:
        return


@pytest.mark.parametrize(
    ("sent", "amount"),
    [
        ("23.45", Decimal("23.45")),
        ("10", Decimal(10)),
        ("10.0", Decimal(10)),
        ('"1.00"', Decimal(1)),
        ("0.1", Decimal("0.1")),
        ("1e999999", None),
        ("1e-999999", None),
        ("true", None),
        ("null", None),
        ('"NaN"', None),
        ('"ten"', None),
        ("[1]", None),
    ],
)
def test_amount_is_exact_or_not_known(sent: str, amount: Decimal | None) -> None:
    answer = checkout_from(parsed(b'{"id":"a","status":"PAID","amount":%s}' % sent.encode()))
    assert answer.amount == amount


@pytest.mark.parametrize("content", [b'{"amount": NaN}', b"Infinity", b"[" * 200_000, b"", b"<html>", b'{"a":1'])
def test_what_is_not_json_is_unreadable(content: bytes) -> None:
    with pytest.raises(Unreadable):
        parsed(content)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "//elsewhere", "", 5, None, "https://x/" + "a" * 3000])
def test_hosted_page_is_a_web_address_or_none(address: object) -> None:
    assert checkout_from({"id": "a", "status": "PENDING", "hosted_checkout_url": address}).hosted_url == ""


@pytest.mark.parametrize("amount", ["10.00", "23.45", "0.10", "99999999.99"])
def test_amount_leaves_as_the_same_number(amount: str) -> None:
    assert json.loads(json.dumps(json_number(Decimal(amount))), parse_float=Decimal) == Decimal(amount)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"title": "T", "message": "M", "details": "Ds", "detail": "D"}, "D"),
        ({"title": "T", "error_message": "E"}, "E"),
        ({"message": "<b>Not</b> &lt;script&gt;enough\n money"}, "Not script enough money"),
        ({"message": "x" * 500}, "x" * 300),
        ([{"message": "One", "param": "amount"}, {"message": "Two"}, "three"], "One (amount); Two"),
        ({"message": 5}, "SumUp answered 400."),
        (None, "SumUp answered 400."),
    ],
)
def test_words_are_the_first_that_are_fit_to_show(body: object, words: str) -> None:
    assert problem_from(400, body).words == words


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, {"error_code": "NOT_FOUND"}, UnknownCheckout),
        (404, {"type": "https://developer.sumup.com/problem/checkout-not-found"}, UnknownCheckout),
        (404, None, NoAnswer),
        (403, None, NoAnswer),
        (409, {"error_code": "SOMETHING_NEW"}, Refusal),
        (418, None, Refusal),
        (408, {"message": "slow"}, NoAnswer),
        (599, {}, NoAnswer),
    ],
)
def test_status_comes_before_the_body(status: int, body: object, kind: type[SumUpProblem]) -> None:
    assert type(problem_from(status, body, missing=UnknownCheckout)) is kind


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("", None), ("soon", None), ("-1", None), ("Sun, 22 Nov 2020 10:00:00 GMT", 0.0)],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert problem_from(429, None, retry_after=header).retry_after == seconds


def test_key_that_a_server_repeats_is_taken_out() -> None:
    problem = problem_from(401, {"message": "bad key sup_sk_1"}, secret="sup_sk_1")
    assert problem.words == "bad key …"
