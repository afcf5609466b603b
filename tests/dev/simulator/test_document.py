"""Every answer of the simulator, success and refusal, is what SumUp's own document says of it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from dev.simulator.faults import AFTER, BEFORE, OPERATIONS
from tests.payments.document import faults_of_answer, operation_of, operations, resolved
from tests.simulator import GOOD, KEY, MERCHANT, OTHER_MERCHANT, SimulatorProcess, started

#: Answers that the document forgets, where a key is needed all the same.
NOT_IN_THE_DOCUMENT = {("GetMerchant", 401), ("RefundTransaction", 401)}
#: Faults that play what is between us and SumUp, or an outage: none of it is in the document.
AROUND = {
    "hang", "drop", "500", "502html", "503", "504", "429", "404html", "blocked", "redirect",
    "lost_answer", "hang_after", "500_after", "garbage", "truncated", "empty", "array", "huge", "nul", "deep",
    "slow_byte", "slow_headers",
}  # fmt: skip
#: Faults that are what integrators saw, where the document says another shape.
SEEN = {"400array", "204", "not_enough_balance", "unknown_state"}
NAMES = {
    "create": ("POST", "/v0.1/checkouts"),
    "find": ("GET", "/v0.1/checkouts"),
    "read": ("GET", "/v0.1/checkouts/{checkout}"),
    "deactivate": ("DELETE", "/v0.1/checkouts/{checkout}"),
    "merchant": ("GET", f"/v1/merchants/{MERCHANT}"),
    "transaction": ("GET", f"/v2.1/merchants/{MERCHANT}/transactions?id={{transaction}}"),
    "history": ("GET", f"/v2.1/merchants/{MERCHANT}/transactions/history"),
    "refund": ("POST", f"/v1.0/merchants/{MERCHANT}/payments/{{transaction}}/refunds"),
    "payouts": ("GET", f"/v1.0/merchants/{MERCHANT}/payouts?start_date=2026-01-01&end_date=2026-01-02"),
}


class Checked:
    """Asks the simulator, and holds each answer against the document; `seen` counts what was answered."""

    def __init__(self, simulator: SimulatorProcess) -> None:
        self.simulator = simulator
        self.seen: Counter[tuple[str, int, str]] = Counter()
        self.faults: list[str] = []

    def __call__(self, method: str, path: str, body: object = None, *, key: str = KEY) -> int:
        answer = self.simulator.ask(method, path, body, key=key)
        operation = operation_of(method, path.partition("?")[0])
        assert operation is not None, path
        form = answer.headers.get("Content-Type", "")
        self.seen[operation.name, answer.status_code, form.partition(";")[0]] += 1
        if (operation.name, answer.status_code) not in NOT_IN_THE_DOCUMENT:
            found = faults_of_answer(operation, answer.status_code, form, answer.content)
            self.faults += [f"{method} {path} {body!r}: {fault}" for fault in found]
        return answer.status_code


@pytest.fixture
def checked(simulator: SimulatorProcess) -> Iterator[Checked]:
    checked = Checked(simulator)
    yield checked
    assert checked.faults == []


def paid(simulator: SimulatorProcess, reference: str = "P-1", **how: object) -> tuple[str, str]:
    """The ids of a paid checkout and of its transaction."""
    made = simulator.create(checkout_reference=reference, description="CODE a house")
    simulator.control(f"pay/{made['id']}", how)
    return made["id"], simulator.ledger()["captures"][-1]["id"]


def payments(simulator: SimulatorProcess) -> list[str]:
    """Transactions of every kind: paid, declined, sold at a reader, paid back in part and whole, charged back."""
    ids = [paid(simulator, f"P-{turn}", payment_type=kind)[1] for turn, kind in enumerate(["ECOM", "APM", "BALANCE"])]
    declined = simulator.create(checkout_reference="P-declined")
    simulator.decline(declined["id"])
    sold = [simulator.control(f"sell/{MERCHANT}", {"payment_type": kind})["id"] for kind in ("POS", "CASH", "UNKNOWN")]
    simulator.control(f"refund/{ids[0]}", {"amount": "2.50"})
    simulator.control(f"fail_refund/{simulator.control(f'refund/{ids[0]}', {'amount': '1'})['id']}")
    simulator.control(f"refund/{ids[1]}")
    simulator.control(f"chargeback/{sold[0]}")
    return [row["id"] for row in simulator.ledger()["attempts"]]


def test_checkouts_are_answered_as_the_document_says(simulator: SimulatorProcess, checked: Checked) -> None:
    soon = (datetime.fromisoformat(simulator.ledger()["now"]) + timedelta(minutes=5)).isoformat()
    kinds: list[dict[str, object]] = [
        {}, {"description": "d", "return_url": "http://a.example/w", "redirect_url": "http://a.example/o"},
        {"valid_until": soon, "purpose": "CHECKOUT", "customer_id": "c"}, {"valid_until": None},
        {"hosted_checkout": {"enabled": False}}, {"amount": 0.01}, {"amount": 19_999.99},
    ]  # fmt: skip
    for turn, kind in enumerate(kinds):
        assert checked("POST", "/v0.1/checkouts", GOOD | {"checkout_reference": f"R-{turn}"} | kind) == 201
    assert checked("POST", "/v0.1/checkouts", GOOD | {"checkout_reference": "R-1"}) == 409
    assert checked("POST", "/v0.1/checkouts", GOOD | {"merchant_code": OTHER_MERCHANT}) == 403
    rows = [row["id"] for row in simulator.ledger()["checkouts"]]
    simulator.pay(rows[1])
    simulator.decline(rows[3])
    simulator.authorize(rows[4])
    for pk in rows:
        assert checked("GET", f"/v0.1/checkouts/{pk}") == 200
    answers = [checked("DELETE", f"/v0.1/checkouts/{pk}") for pk in [*rows[:2], *rows[3:5], rows[0], "none"]]
    assert answers == [200, 409, 200, 409, 200, 404]
    simulator.shift_clock(600)
    assert checked("GET", f"/v0.1/checkouts/{rows[2]}") == 200
    assert [checked("GET", f"/v0.1/checkouts/{pk}") for pk in ("none", "%20", "a%2Fb", "%00")] == [404] * 4
    for query in ("", "?checkout_reference=R-1", "?checkout_reference=none", "?checkout_reference="):
        assert checked("GET", f"/v0.1/checkouts{query}") == 200


WRONG: dict[str, list[object]] = {
    "checkout_reference": [None, "", 7, "x" * 91, ["R"]],
    "amount": [None, "", 0, -1, 1.001, "10", True, [], 10**9],
    "currency": [None, "", "CHF", "XXX", "eur", 978],
    "merchant_code": [None, "", 7],
    "description": [None, 7, ["x"]],
    "return_url": [None, "", 7, "ftp://x", "x"],
    "redirect_url": [None, "", 7, "javascript:x"],
    "customer_id": [None, 7],
    "purpose": [None, "", "GIFT", 7],
    "valid_until": ["", 7, "soon", "2026-01-01", "2026-01-01T10:00:00", "2026-13-01T10:00:00Z"],
    "hosted_checkout": [None, True, {}, {"enabled": None}, {"enabled": "true"}, []],
}
BAD_CHECKOUTS: list[object] = [
    *({key: value for key, value in GOOD.items() if key != name} for name in GOOD if name != "hosted_checkout"),
    *(
        GOOD | {name: value}
        for name, values in WRONG.items()
        for value in values
    ),
    b"", b"{", b"[]", b"7", b"\xff", b'{"amount": 1e99999999999999999999}', b"[" * 100_000,
]  # fmt: skip


def test_each_bad_checkout_is_refused_as_the_document_says(simulator: SimulatorProcess, checked: Checked) -> None:
    answers = {repr(wish): checked("POST", "/v0.1/checkouts", wish) for wish in BAD_CHECKOUTS}

    assert [wish for wish, status in answers.items() if status != 400] == []
    assert simulator.ledger()["checkouts"] == []


def test_an_amount_of_a_currency_without_cents_has_none() -> None:
    for process in started("--merchant", "MCLP,sup_sk_clp,CLP,Santiago"):

        def ask(path: str, wish: object, process: SimulatorProcess = process) -> int:
            return process.ask("POST", path, wish, key="sup_sk_clp").status_code

        wish = GOOD | {"merchant_code": "MCLP", "currency": "CLP"}
        amounts: dict[str, float] = {f"R-{amount}": amount for amount in (1000, 1000.5, 0.01, 1000.0)}
        made = [ask("/v0.1/checkouts", wish | {"checkout_reference": key, "amount": n}) for key, n in amounts.items()]
        assert made == [201, 400, 400, 201]
        process.pay(process.ledger()["checkouts"][0]["id"])
        refunds = f"/v1.0/merchants/MCLP/payments/{process.ledger()['captures'][0]['id']}/refunds"
        assert [ask(refunds, {"amount": amount}) for amount in (1.5, 1)] == [400, 201]


NO_AMOUNTS: list[object] = [0, -1, 1.005, 0.001, "5", None, True, [], {}]
BAD_REFUNDS: list[object] = [
    *({"amount": amount} for amount in NO_AMOUNTS),
    b"[]", b"7", b"{", b"\xff", b'{"amount": NaN}', b'{"amount": 1e99999999999999999999}',
]  # fmt: skip


def test_refunds_are_answered_as_the_document_says(simulator: SimulatorProcess, checked: Checked) -> None:
    pay = f"/v1.0/merchants/{MERCHANT}/payments"
    one, two = paid(simulator, "P-1")[1], paid(simulator, "P-2")[1]
    for wish in BAD_REFUNDS:
        assert checked("POST", f"{pay}/{one}/refunds", wish) == 400, wish
    assert simulator.ledger()["refunds"] == []
    assert [checked("POST", f"{pay}/{one}/refunds", {"amount": amount}) for amount in (1, 2.5, 10)] == [201, 201, 422]
    assert [checked("POST", f"{pay}/{pk}/refunds", {}) for pk in (one, one, two, two)] == [201, 409, 201, 409]
    three = paid(simulator, "P-3")[1]
    assert checked("POST", f"{pay}/{three}/refunds", b"") == 201
    simulator.decline(simulator.create(checkout_reference="P-4")["id"])
    declined = simulator.ledger()["attempts"][-1]["id"]
    assert checked("POST", f"{pay}/{declined}/refunds", {}) == 409
    assert checked("POST", f"{pay}/none/refunds", {}) == 404
    assert checked("POST", f"/v1.0/merchants/{OTHER_MERCHANT}/payments/{one}/refunds", {}) == 404


def test_transactions_are_answered_as_the_document_says(simulator: SimulatorProcess, checked: Checked) -> None:
    path = f"/v2.1/merchants/{MERCHANT}/transactions"
    ids = payments(simulator)
    codes = [row["code"] for row in simulator.ledger()["attempts"]]
    assert {checked("GET", f"{path}?id={pk}") for pk in ids} == {200}
    assert {checked("GET", f"{path}?transaction_code={code}") for code in codes} == {200}
    for query in ("", "?id=", "?id=none", "?foreign_transaction_id=x", "?client_transaction_id=x",
                  f"?id={ids[0]}&transaction_code={codes[0]}"):  # fmt: skip
        assert checked("GET", path + query) == 404
    assert checked("GET", f"/v2.1/merchants/{OTHER_MERCHANT}/transactions?id={ids[0]}") == 404


GOOD_FILTERS: list[Mapping[str, object]] = [
    *({"limit": limit} for limit in (1, 3, 100)),
    *({"order": order, "limit": 2} for order in ("ascending", "descending")),
    *({name: "2026-01-01T00:00:00Z"} for name in ("changes_since", "oldest_time", "newest_time")),
    {"changes_since": "2026-01-01T00:00:00.000+01:00"},
    *({"statuses[]": status} for status in ("SUCCESSFUL", "CANCELLED", "FAILED", "REFUNDED", "CHARGE_BACK")),
    *({"types[]": kind} for kind in ("PAYMENT", "REFUND", "CHARGE_BACK")),
    *({"payment_types[]": kind} for kind in ("ECOM", "APM", "POS", "CASH", "BALANCE", "UNKNOWN", "BOLETO")),
    {"entry_modes[]": "CONTACTLESS"},
    {"users[]": "merchant@example.org"},
    {"transaction_code": "T1"},
]
BAD_FILTERS: list[Mapping[str, object]] = [
    *({"limit": limit} for limit in ("0", "-1", "1.5", "x", "", "٣")),
    *({"order": order} for order in ("", "asc", "ASCENDING")),
    *(
        {name: moment}
        for name in ("changes_since", "oldest_time", "newest_time")
        for moment in ("", "soon", "2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "1767225600")
    ),
    {"changes_since": "2026-01-01T00:00:00 00:00"},
    *({name: word} for name in ("statuses[]", "types[]", "payment_types[]", "entry_modes[]") for word in ("", "ODD")),
    {"statuses[]": "PENDING"},
    {"users[]": "nobody"},
    *({name: "none"} for name in ("oldest_ref", "newest_ref")),
]


def test_the_list_is_answered_as_the_document_says(simulator: SimulatorProcess, checked: Checked) -> None:
    payments(simulator)
    path = f"/v2.1/merchants/{MERCHANT}/transactions/history"
    assert checked("GET", path) == 200
    for query in GOOD_FILTERS:
        assert checked("GET", f"{path}?{urlencode(query)}") == 200, query
    for query in BAD_FILTERS:
        assert checked("GET", f"{path}?{urlencode(query)}") == 400, query
    assert checked("GET", f"/v2.1/merchants/{OTHER_MERCHANT}/transactions/history") == 401


def listed(simulator: SimulatorProcess, **query: object) -> list[dict[str, Any]]:
    answer = simulator.ask("GET", f"/v2.1/merchants/{MERCHANT}/transactions/history?{urlencode(query, doseq=True)}")
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def ids_of(items: list[dict[str, Any]]) -> list[str]:
    return [item["id"] for item in items]


def test_the_list_begins_and_ends_where_the_document_says(simulator: SimulatorProcess) -> None:
    payments(simulator)
    everything = listed(simulator, limit=100)
    ids = ids_of(everything)
    assert len(ids) == len(set(ids)) == 11

    for place, ref in enumerate(ids):
        for order, turn in (("ascending", 1), ("descending", -1)):
            after = ids_of(listed(simulator, limit=100, order=order, oldest_ref=ref))
            before = ids_of(listed(simulator, limit=100, order=order, newest_ref=ref))
            assert (after, before) == (ids[place + 1 :][::turn], ids[:place][::turn])
    between = listed(simulator, limit=100, oldest_ref=ids[2], newest_ref=ids[6], newest_time="2001-01-01T00:00:00Z")
    assert ids_of(between) == ids[3:6], "a reference supersedes the time"
    refunds = ids_of([item for item in everything if item["type"] == "REFUND" and item["id"] != ids[0]])
    found = listed(simulator, oldest_ref=ids[0], **{"types[]": "REFUND"})
    assert ids_of(found) == refunds, "a reference is found whatever the filters say of it"


def test_the_list_holds_what_the_document_s_filters_say(simulator: SimulatorProcess) -> None:
    payments(simulator)
    everything = listed(simulator, limit=100)
    for name, fact in {"statuses[]": "status", "types[]": "type", "payment_types[]": "payment_type"}.items():
        for word in {str(item[fact]) for item in everything}:
            wanted = ids_of([item for item in everything if item[fact] == word])
            assert ids_of(listed(simulator, limit=100, **{name: word})) == wanted
    both = listed(simulator, limit=100, **{"payment_types[]": ["APM", "POS"]})
    assert {item["payment_type"] for item in both} == {"APM", "POS"}
    assert [item["type"] for item in listed(simulator, **{"statuses[]": "CHARGE_BACK"})] == ["CHARGE_BACK"]


def test_payouts_are_answered_as_the_document_says(simulator: SimulatorProcess, checked: Checked) -> None:
    payments(simulator)
    simulator.shift_clock(2 * 86400)
    path = f"/v1.0/merchants/{MERCHANT}/payouts"
    today = datetime.fromisoformat(simulator.ledger()["now"]).date()
    days = {"start_date": f"{today - timedelta(days=5)}", "end_date": f"{today}"}
    good: list[dict[str, str]] = [
        {},
        {"order": "desc"},
        {"limit": "2"},
        {"limit": "9999"},
        {"format": "json"},
        {"format": "csv"},
    ]
    for more in good:
        assert checked("GET", f"{path}?{urlencode(days | more)}") == 200
    assert len(simulator.ask("GET", f"{path}?{urlencode(days)}").json()) > 4
    lines = simulator.ask("GET", f"{path}?{urlencode(days | {'format': 'csv', 'limit': '2'})}").text.splitlines()
    assert (lines[0], len(lines)) == ("id,type,amount,date,currency,fee,status,reference,transaction_code", 3)
    bad: list[dict[str, str]] = [
        {"start_date": "", "end_date": ""}, {"end_date": "20260101"}, {"start_date": "2026-02-30"},
        {"start_date": f"{today + timedelta(days=1)}"}, *({"limit": limit} for limit in ("0", "10000", "x", "-1")),
        {"order": "ascending"}, {"format": "xml"}, {"limit": "0", "order": "x"},
    ]  # fmt: skip
    for more in bad:
        assert checked("GET", f"{path}?{urlencode(days | more)}") == 400, more
    assert [checked("GET", path + query) for query in ("", "?start_date=2026-01-01")] == [400, 400]
    assert simulator.ask("GET", path).json() == [
        {"error_code": "MISSING", "message": "Validation error: required", "param": "start_date"},
        {"error_code": "MISSING", "message": "Validation error: required", "param": "end_date"},
    ]
    assert checked("GET", f"/v1.0/merchants/{OTHER_MERCHANT}/payouts?{urlencode(days)}") == 401


def test_merchants_are_answered_as_the_document_says(checked: Checked) -> None:
    codes = [MERCHANT, OTHER_MERCHANT, "none", "%20"]
    assert [checked("GET", f"/v1/merchants/{code}") for code in codes] == [200, 404, 404, 404]
    assert checked("GET", f"/v1/merchants/{MERCHANT}?version=latest") == 200


def test_a_key_that_is_none_is_answered_as_the_document_says(checked: Checked) -> None:
    for method, path in NAMES.values():
        for key in ("", "sup_sk_wrong", "sup_pk_public"):
            assert checked(method, path, key=key) == 401


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.promise("every-answer-simulator")
def test_each_fault_that_is_an_answer_of_sumups_is_as_the_document_says(
    simulator: SimulatorProcess, checked: Checked, operation: str
) -> None:
    """A fault whose status the document has for the operation has the shape that it has there."""
    checkout, transaction = paid(simulator)
    method, path = NAMES[operation]
    path = path.format(checkout=checkout, transaction=transaction)
    described = operation_of(method, path.partition("?")[0])
    assert described is not None
    played = 0
    for fault in sorted((BEFORE | AFTER) - AROUND - SEEN):
        simulator.faults(**{operation: fault}, times=1)
        answer = simulator.ask(method, path, GOOD if operation == "create" else None)
        simulator.faults(**{operation: "ok"})
        if str(answer.status_code) in described.answers():
            played += 1
            form = answer.headers["Content-Type"]
            found = faults_of_answer(described, answer.status_code, form, answer.content)
            checked.faults += [f"{operation} {fault}: {words}" for words in found]
    assert played >= 2


def test_the_switch_plays_the_shapes_that_integrators_saw(simulator: SimulatorProcess) -> None:
    transaction = paid(simulator)[1]
    path = f"/v1.0/merchants/{MERCHANT}/payments/{transaction}/refunds"
    simulator.faults(answers="seen")

    assert simulator.ask("POST", "/v0.1/checkouts", GOOD | {"amount": "10"}).status_code == 201
    assert simulator.ask("POST", "/v0.1/checkouts", GOOD | {"checkout_reference": "x" * 65}).status_code == 400
    done, again = simulator.ask("POST", path, {}), simulator.ask("POST", path, {})
    assert (done.status_code, done.content) == (204, b"")
    assert (again.status_code, again.json()["error_code"]) == (409, "CONFLICT")
    simulator.reset()
    assert simulator.ask("POST", "/v0.1/checkouts", GOOD | {"amount": "10"}).status_code == 400


@pytest.mark.promise("every-answer-simulator")
def test_nothing_of_the_document_is_left_unplayed(simulator: SimulatorProcess) -> None:
    """Each status and content type of each operation is played by a test above: they are run once more, together."""
    checked = Checked(simulator)
    for play in (
        test_checkouts_are_answered_as_the_document_says, test_refunds_are_answered_as_the_document_says,
        test_transactions_are_answered_as_the_document_says, test_the_list_is_answered_as_the_document_says,
        test_payouts_are_answered_as_the_document_says,
    ):  # fmt: skip
        simulator.reset()
        play(simulator, checked)
    simulator.reset()
    test_each_bad_checkout_is_refused_as_the_document_says(simulator, checked)
    test_merchants_are_answered_as_the_document_says(checked)
    test_a_key_that_is_none_is_answered_as_the_document_says(checked)
    transaction = paid(simulator)[1]
    simulator.faults(refund="403")
    checked("POST", f"/v1.0/merchants/{MERCHANT}/payments/{transaction}/refunds", {})

    known = {
        (operation.name, int(status), form)
        for operation in operations()
        for status in operation.answers()
        for form in operation.content(status)
    }
    assert known - set(checked.seen) == set()
    assert {(name, status) for name, status, _form in set(checked.seen) - known} == NOT_IN_THE_DOCUMENT


def test_a_wrong_answer_is_noticed() -> None:
    """What the simulator did wrong before it was held against the document, and the like of it."""
    problem = b'{"type": "https://developer.sumup.com/problem/not-found", "title": "x", "status": 404, "detail": "x"}'
    error = b'{"error_code": "NOT_FOUND", "message": "x"}'
    json_form, problem_form = "application/json", "application/problem+json"
    wrong: list[tuple[str, str, int, str, bytes]] = [
        ("GET", "/v0.1/checkouts/x", 401, problem_form, problem),
        ("GET", "/v0.1/checkouts/x", 404, json_form, problem),
        ("GET", "/v0.1/checkouts/x", 200, json_form, b'{"amount": "10"}'),
        ("GET", "/v0.1/checkouts/x", 200, json_form, b'{"return_url": ""}'),
        ("GET", "/v0.1/checkouts/x", 200, json_form, b'{"status": "ON_HOLD"}'),
        ("GET", "/v1/merchants/M", 404, json_form, error),
        ("GET", "/v1/merchants/M", 404, problem_form, error),
        ("GET", "/v1.0/merchants/M/payouts", 400, json_form, error),
        ("POST", "/v0.1/checkouts", 400, json_form, b"[" + error + b"]"),
        ("POST", "/v0.1/checkouts", 400, json_form, b"{}"),
        ("GET", "/v2.1/merchants/M/transactions", 400, json_form, error),
    ]
    for method, path, status, form, body in wrong:
        operation = operation_of(method, path)
        assert operation is not None
        assert faults_of_answer(operation, status, form, body), (path, status, form, body)


def test_the_document_is_whole() -> None:
    """What was cut out of it refers to nothing that was left behind, and it says under which licence it came."""
    document = json.dumps([operation.facts for operation in operations()])
    assert len(operations()) == len(OPERATIONS)

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                assert resolved(value)
            for part in value.values():
                walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)

    walk(json.loads(document))
