"""Our client against SumUp's document: what it asks is as that says, and whatever the document allows is read.

Answers are made from the document's schemas: each field there, missing or null, in and outside of what it may be.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments.sumup import SumUpProblem, UnknownCheckout
from payments.sumup.answers import checkout_from, checkouts_from, merchant_from
from payments.sumup.client import parsed
from payments.sumup.history import items_from, next_link
from payments.sumup.payouts import payouts_from
from payments.sumup.problems import REFUND_REFUSALS, problem_from
from payments.sumup.transactions import transaction_from
from tests.payments.document import (
    DOCUMENT,
    Operation,
    against,
    examples,
    faults_of_question,
    named,
    operations,
    properties,
    required,
    resolved,
)
from tests.simulator import SimulatorProcess

Json = Any
#: So deep an object has its optional fields; what lies deeper nobody here reads.
DEEPEST = 2


def whole_page(body: object) -> tuple[list[object], str]:
    return list(items_from(body)), next_link(body)


#: How we read the success of each operation; a refund's is not read.
READERS: dict[str, Callable[[object], object]] = {
    "CreateCheckout": checkout_from,
    "ListCheckouts": checkouts_from,
    "GetCheckout": checkout_from,
    "DeactivateCheckout": checkout_from,
    "GetMerchant": merchant_from,
    "GetTransactionV2.1": transaction_from,
    "ListTransactionsV2.1": whole_page,
    "ListPayoutsV1": payouts_from,
}
ODD: st.SearchStrategy[Json] = st.one_of(
    st.none(), st.booleans(), st.just("x" * 300), st.integers(), st.just([]), st.just({}), st.just([None]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["NaN", "sNaN", "-1", "1e999", "1e99999999999999999999", "٣", "0001-01-01T00:00:00+23:59"]),
    st.sampled_from([2**70, 10**40, -1e308, 1e-300, 12.300000190734863]),
)  # fmt: skip
FORMATS: dict[str, st.SearchStrategy[str]] = {
    "date-time": st.sampled_from(["2020-02-29T10:56:56.876Z", "2026-11-22T00:00:00-05:30"]),
    "date": st.dates(date(1970, 1, 1), date(2099, 12, 31)).map(str),
    "uri": st.sampled_from(["https://example.com/x", "http://example.com"]),
    "email": st.just("merchant@example.com"),
}  # fmt: skip


def fitting(schema: dict[str, Any], *, odd: bool, depth: int = 0) -> st.SearchStrategy[Json]:
    """Values that fit `schema`; where `odd`, also such that do not, in any place but the outermost."""
    plain = _fitting(resolved(schema), odd=odd, depth=depth)
    return plain | ODD if odd and depth else plain


def _fitting(schema: Any, *, odd: bool, depth: int) -> st.SearchStrategy[Json]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    names = properties(schema)
    if names or schema.get("type") == "object":
        return _objects(schema, names, odd=odd, depth=depth)
    match schema["type"]:
        case "array":
            items = fitting(schema["items"], odd=odd, depth=depth + 1)
            return st.lists(items, max_size=2, unique_by=repr)
        case "number":
            least, most = schema.get("minimum", 0), schema.get("maximum", 999_999)
            return st.decimals(least, most, places=2).map(float) | st.integers(least, most)
        case "integer":
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 2**63 - 1))
        case "boolean":
            return st.booleans()
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]]
    least, most = schema.get("minLength", 0), schema.get("maxLength", 40)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True).filter(lambda text: least <= len(text) <= most)
    return st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=least, max_size=most)


def _objects(schema: Any, names: dict[str, Any], *, odd: bool, depth: int) -> st.SearchStrategy[Json]:
    needed = required(schema)
    parts = {name: fitting(part, odd=odd, depth=depth + 1) for name, part in names.items()}
    always = {name: part for name, part in parts.items() if name in needed and not odd}
    rest = {name: part for name, part in parts.items() if name not in always and depth <= DEEPEST}
    return st.fixed_dictionaries(always, optional=rest)


def schema_of(operation: Operation, status: str) -> dict[str, Any]:
    contents = operation.content(status)
    form = next(form for form in contents if "json" in form)
    found: dict[str, Any] = contents[form]["schema"]
    return found


@cache
def answers_of(name: str, *, odd: bool) -> st.SearchStrategy[Json]:
    """Successes of an operation."""
    return fitting(schema_of(named(name), "201" if name == "CreateCheckout" else "200"), odd=odd)


def over_the_wire(value: Json) -> object:
    """As our client parses it."""
    return parsed(json.dumps(value).encode())


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@pytest.mark.promise("every-question-ours")
def test_whatever_the_document_allows_and_more_is_read_or_a_problem(name: str, data: st.DataObject) -> None:
    value = data.draw(answers_of(name, odd=data.draw(st.booleans())))
    with contextlib.suppress(SumUpProblem):
        READERS[name](over_the_wire(value))


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_what_is_as_the_document_says_means_what_it_says(name: str, data: st.DataObject) -> None:
    schema = schema_of(named(name), "201" if name == "CreateCheckout" else "200")
    value = data.draw(answers_of(name, odd=False))
    assert against(schema, value) == [], "the strategy makes what fits"
    for facts, answer in pairs(name, value):
        for field, told in {
            "status": "status", "amount": "amount", "currency": "currency", "type": "type", "fee": "fee",
            "transaction_code": "code", "timestamp": "timestamp", "payment_type": "payment_type",
            "refunded_amount": "refunded", "merchant_code": "merchant_code", "reference": "reference",
            "checkout_reference": "reference", "default_currency": "currency", "sandbox": "sandbox",
        }.items():  # fmt: skip
            read = getattr(answer, told, None)
            if field in facts and read not in (None, ""):
                wanted = facts[field]
                assert read == (Decimal(repr(wanted)) if isinstance(read, Decimal) else wanted)


def pairs(name: str, value: Json) -> Iterator[tuple[dict[str, Any], object]]:
    """Each object of an answer with what we read of it; nothing where it lacks what we cannot do without."""
    try:
        read = READERS[name](over_the_wire(value))
    except SumUpProblem:
        bare = value if isinstance(value, list) else [value]
        assert any(not usable(name, row) for row in bare), value
        return
    if name == "ListTransactionsV2.1":
        rows, answers = value.get("items", []), read[0]  # type: ignore[index]  # of whole_page
        rows = [row for row in rows if is_id(row.get("transaction_id")) or is_id(row.get("transaction_code"))]
    else:
        rows, answers = (value, read) if isinstance(value, list) else ([value], [read])
    yield from zip(rows, answers, strict=True)


def usable(name: str, facts: dict[str, Any]) -> bool:
    """Whether an answer that fits the document has what each must have for us."""
    if name == "ListTransactionsV2.1":
        links = [link for link in facts.get("links", []) if link["rel"] == "next"]
        return "items" in facts and not links
    if name == "GetMerchant":
        return is_id(facts["merchant_code"])
    if name == "ListPayoutsV1":
        return bool(facts["currency"]) and facts["id"] < 2**63
    return is_id(facts.get("id")) and (name == "GetTransactionV2.1" or "status" in facts)


def is_id(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable() and set(value) != {"."}


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
def test_each_example_of_the_document_is_read(operation: Operation) -> None:
    """Its successes by our readers, its refusals as a named problem with SumUp's own words."""
    played = 0
    for status, value in examples(operation):
        played += 1
        if isinstance(value, str):
            continue  # the CSV of payouts, for which nobody here asks
        body = over_the_wire(value)
        if status >= 400:
            missing = UnknownCheckout if operation.name == "GetCheckout" else SumUpProblem
            problem = problem_from(status, body, missing=missing, named=REFUND_REFUSALS)
            assert problem.words != f"SumUp answered {status}."
            assert problem.status == status
        elif operation.name in READERS:
            assert READERS[operation.name](body)
    assert played or operation.name == "GetMerchant"


def test_examples_mean_what_they_say() -> None:
    checkout = checkout_from(over_the_wire(dict(examples(named("GetCheckout")))[200]))
    assert (checkout.amount, checkout.status, checkout.transaction_code) == (Decimal("10.1"), "PENDING", "TEENSK4W2K")
    created = [
        checkout_from(over_the_wire(value)) for status, value in examples(named("CreateCheckout")) if status == 201
    ]
    assert {row.status for answer in created for row in answer.transactions} == {"SUCCESSFUL"}
    assert any(answer.hosted_url.startswith("https://checkout.sumup.com/pay/") for answer in created)
    (item,), link = whole_page(over_the_wire(dict(examples(named("ListTransactionsV2.1")))[200]))
    assert (getattr(item, "type", ""), getattr(item, "refunded", None), link) == ("PAYMENT", 0, "")
    words = {
        status: problem_from(status, over_the_wire(value), named=REFUND_REFUSALS)
        for status, value in examples(named("RefundTransaction"))
        if status >= 400
    }
    assert {status: type(problem).__name__ for status, problem in words.items()} == {
        400: "Refusal", 403: "Refusal", 404: "Refusal", 409: "NotRefundable", 422: "AmountTooHigh",
    }  # fmt: skip
    assert "max_refundable_amount 1000" in words[422].words


@given(data=st.data(), status=st.sampled_from([400, 401, 403, 404, 409, 422, 429, 500]))
@settings(deadline=None, max_examples=50)
def test_any_error_of_the_document_is_a_problem_at_any_status(data: st.DataObject, status: int) -> None:
    names = ["Error", "ErrorExtended", "ErrorForbidden", "Problem"]
    shape = fitting({"$ref": f"#/components/schemas/{data.draw(st.sampled_from(names))}"}, odd=data.draw(st.booleans()))
    body = data.draw(shape | st.lists(shape, max_size=3))
    problem = problem_from(status, over_the_wire(body), missing=UnknownCheckout, named=REFUND_REFUSALS)
    assert 0 < len(problem.words) <= 300
    assert problem.status == status


@pytest.mark.promise("every-question-ours")
def test_every_question_of_the_client_is_as_the_document_says(simulator: SimulatorProcess) -> None:
    client = simulator.client()
    made = [
        client.create_checkout(
            reference=f"R-{amount}", amount=Decimal(amount), currency="EUR", description="CODE a house",
            return_url="http://127.0.0.1:9/webhook", redirect_url="http://127.0.0.1:9/order",
            valid_until=datetime(2030, 1, 1, 12, 30, tzinfo=UTC),
        )
        for amount in ("10", "0.01", "1234.5")
    ]  # fmt: skip
    for checkout in made[:2]:
        simulator.pay(checkout.id)
    client.find_checkouts("R-10")
    read = client.read_checkout(made[0].id)
    client.deactivate_checkout(made[2].id)
    client.read_merchant()
    client.read_transaction(read.transaction_id)
    client.refund(read.transaction_id, Decimal("2.5"))
    client.refund(read.transaction_id, None)
    list(client.read_history(limit=1))
    list(client.read_history(changes_since=datetime.now(UTC), oldest_time=datetime.now(UTC)))
    client.list_payouts(date(2026, 1, 1), date(2026, 1, 31))

    asked = simulator.questions()
    assert {faults_of_question(**row)[0] for row in asked if faults_of_question(**row)} <= {
        "ListTransactionsV2.1: skip_tx_result is no parameter"  # it stands in SumUp's own links
    }
    assert len({(row["method"], row["path"].replace(made[0].id, "")) for row in asked}) >= len(operations())


def test_a_wrong_question_is_noticed() -> None:
    body = {"checkout_reference": "R", "amount": 10, "currency": "EUR", "merchant_code": "M"}
    history = "/v2.1/merchants/M/transactions/history"
    assert faults_of_question("POST", "/v0.1/checkouts", "", json.dumps(body)) == []
    wrong = [
        ("POST", "/v0.1/checkouts", "", json.dumps(body | {"amount": "10"})),
        ("POST", "/v0.1/checkouts", "", json.dumps(body | {"checkout_reference": "x" * 91})),
        ("POST", "/v0.1/checkouts", "", json.dumps({"amount": 10})),
        ("POST", "/v0.1/checkouts", "", ""),
        ("GET", history, "changes_since=2026-01-01T00:00:00 00:00", ""),
        ("GET", history, "order=asc", ""),
        ("GET", history, "limit=ten", ""),
        ("GET", history, "since=2026", ""),
        ("GET", "/v1.0/merchants/M/payouts", "", ""),
        ("GET", "/v0.1/me", "", ""),
        ("GET", history, "", "{}"),
    ]
    for question in wrong:
        assert faults_of_question(*question), question


def test_the_strategies_know_each_schema() -> None:
    """Every schema of the document that an answer may hold can be made, as it should be."""
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert fitting({"$ref": f"#/components/schemas/{name}"}, odd=True) is not None
        assert resolved(schema)
