"""The client against the simulator, over a real socket."""

import logging
import threading
import time
import tomllib
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from payments.sumup import (
    VERSION,
    AlreadyProcessed,
    CheckoutAnswer,
    Client,
    DuplicateReference,
    KeyRefused,
    NoAnswer,
    NotDeactivatable,
    Refusal,
    SumUpProblem,
    UnknownCheckout,
    Unreadable,
)
from tests.simulator import KEY, MERCHANT, OTHER_KEY, OTHER_MERCHANT, PATIENCE, SimulatorProcess, until

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


def create(client: Client, reference: str = "R-1", amount: str = "23.45", **changes: Any) -> CheckoutAnswer:
    wishes: dict[str, Any] = {
        "reference": reference,
        "amount": Decimal(amount),
        "currency": "EUR",
        "description": "K7PM-2Q two tickets",
        "return_url": "http://127.0.0.1:9/hook",
        "redirect_url": "http://127.0.0.1:9/orders/K7PM",
        "valid_until": datetime.now(UTC) + timedelta(minutes=28),
    }
    return client.create_checkout(**(wishes | changes))


def test_create_checkout_answers_an_open_checkout_with_a_hosted_page(simulator: SimulatorProcess) -> None:
    answer = create(simulator.client())

    assert answer.reference == "R-1"
    assert (answer.amount, answer.currency, answer.merchant_code) == (Decimal("23.45"), "EUR", MERCHANT)
    assert (answer.status, answer.transactions, answer.transaction_id) == ("PENDING", (), "")
    assert answer.hosted_url == f"{simulator.url}/pay/{answer.id}"
    assert answer.raw["x_not_documented"] == {"simulator": True}
    stored = simulator.ledger()["checkouts"][0]
    assert stored["amount"] == "23.45"
    assert stored["description"] == "K7PM-2Q two tickets"
    assert datetime.fromisoformat(stored["valid_until"]) > datetime.now(UTC) + timedelta(minutes=27)


@pytest.mark.parametrize("amount", ["10", "10.00", "0.01", "23.4", "19999.99", "1234567.89"])
def test_amount_comes_back_to_the_cent(simulator: SimulatorProcess, amount: str) -> None:
    client = simulator.client()

    made = create(client, amount=amount)

    read = [client.read_checkout(made.id).amount for _turn in range(3)]
    assert read == [Decimal(amount)] * 3
    assert Decimal(simulator.ledger()["checkouts"][0]["amount"]) == Decimal(amount)


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "Infinity", "0.1234567890123456789"])
def test_create_refuses_what_is_no_amount_before_it_asks(simulator: SimulatorProcess, amount: str) -> None:
    with pytest.raises(ValueError, match=r"amount|number"):
        create(simulator.client(), amount=amount)

    assert simulator.calls("create") == 0


def test_read_checkout_tells_each_attempt_and_the_one_that_succeeded(simulator: SimulatorProcess) -> None:
    client = simulator.client()
    made = create(client)
    simulator.decline(made.id)
    declined = client.read_checkout(made.id)
    simulator.pay(made.id)

    paid = client.read_checkout(made.id)

    assert (declined.status, declined.transaction_id) == ("FAILED", "")
    assert paid.status == "PAID"
    assert [row.status for row in paid.transactions] == ["FAILED", "SUCCESSFUL"]
    assert paid.transactions[1].id == paid.transaction_id != ""
    assert paid.transactions[1].code == paid.transaction_code != ""
    assert (paid.transactions[1].amount, paid.transactions[1].currency) == (Decimal("23.45"), "EUR")
    assert datetime.fromisoformat(paid.transactions[1].timestamp).tzinfo is not None


def test_find_checkouts_answers_by_reference_and_an_empty_list_for_none(simulator: SimulatorProcess) -> None:
    client = simulator.client()
    made = create(client, "R-1/ä&b")
    create(client, "R-2")

    assert [row.id for row in client.find_checkouts("R-1/ä&b")] == [made.id]
    assert client.find_checkouts("R-3") == []
    with pytest.raises(ValueError, match="every checkout"):
        client.find_checkouts("")


def test_deactivate_checkout_ends_it(simulator: SimulatorProcess) -> None:
    client = simulator.client()
    made = create(client)

    assert client.deactivate_checkout(made.id).status == "EXPIRED"
    assert client.read_checkout(made.id).status == "EXPIRED"


def test_deactivate_checkout_names_why_it_cannot(simulator: SimulatorProcess) -> None:
    client = simulator.client()
    paid, busy = create(client, "paid"), create(client, "busy")
    simulator.pay(paid.id)
    simulator.authorize(busy.id)

    with pytest.raises(AlreadyProcessed, match="already processed"):
        client.deactivate_checkout(paid.id)
    with pytest.raises(NotDeactivatable):
        client.deactivate_checkout(busy.id)
    with pytest.raises(UnknownCheckout):
        client.deactivate_checkout(UNKNOWN_ID)


def test_read_checkout_of_an_unknown_id_or_another_merchant_is_unknown(simulator: SimulatorProcess) -> None:
    made = create(simulator.client())
    other = simulator.client(key=OTHER_KEY, merchant_code=OTHER_MERCHANT)

    with pytest.raises(UnknownCheckout) as caught:
        simulator.client().read_checkout(UNKNOWN_ID)
    assert (caught.value.status, caught.value.error_code) == (404, "NOT_FOUND")
    with pytest.raises(UnknownCheckout):
        other.read_checkout(made.id)
    assert other.find_checkouts("R-1") == []


@pytest.mark.parametrize("checkout_id", ["../merchants", "a/b", "a?b=c", "a#b", "%2e%2e", "ä"])
def test_checkout_id_cannot_leave_its_place_in_the_path(simulator: SimulatorProcess, checkout_id: str) -> None:
    with pytest.raises(UnknownCheckout):
        simulator.client().read_checkout(checkout_id)
    assert simulator.calls("read") == 1


@pytest.mark.parametrize("checkout_id", ["", ".", ".."])
def test_checkout_id_that_names_another_resource_is_refused(simulator: SimulatorProcess, checkout_id: str) -> None:
    with pytest.raises(ValueError, match="cannot stand"):
        simulator.client().read_checkout(checkout_id)


def test_second_create_with_the_same_reference_is_a_duplicate(simulator: SimulatorProcess) -> None:
    client = simulator.client()
    made = create(client)

    with pytest.raises(DuplicateReference) as caught:
        create(client)

    assert (caught.value.status, caught.value.error_code) == (409, "DUPLICATED_CHECKOUT")
    assert [row.id for row in client.find_checkouts("R-1")] == [made.id]


def test_read_merchant_checks_the_key(simulator: SimulatorProcess) -> None:
    answer = simulator.client().read_merchant()

    assert (answer.merchant_code, answer.currency, answer.sandbox) == (MERCHANT, "EUR", True)
    assert answer.name == "Demo Merchant One"
    with pytest.raises(Refusal):  # a 404 about a merchant says nothing of a checkout
        simulator.client(merchant_code="MOTHER").read_merchant()


@pytest.mark.parametrize("key", ["sup_pk_wrong", "", "sup_sk_with space", "sup_sk_new\nline", "sup_sk_ümlaut"])
def test_wrong_key_is_refused(simulator: SimulatorProcess, key: str) -> None:
    with pytest.raises(KeyRefused) as caught:
        simulator.client(key=key).read_merchant()
    assert not key or key not in str(caught.value)


REFUSALS: list[tuple[str, type[SumUpProblem], int, str, str]] = [
    ("400", Refusal, 400, "INVALID", "Validation error (amount)"),
    ("400array", Refusal, 400, "INVALID", "Validation error (amount); Validation error (currency)"),
    ("401", KeyRefused, 401, "unauthorized", "Unauthorized."),
    ("403", Refusal, 403, "FORBIDDEN", "checkout_payments_not_allowed"),
    ("409", DuplicateReference, 409, "DUPLICATED_CHECKOUT", "Checkout with this checkout reference"),
    ("blocked", NoAnswer, 403, "request-blocked", "The request was blocked by a firewall."),
    ("500", NoAnswer, 500, "internal", "Something went wrong."),
    ("502html", NoAnswer, 502, "", "SumUp answered 502."),
    ("503", NoAnswer, 503, "unavailable", "Try again later."),
    ("504", NoAnswer, 504, "", "SumUp answered 504."),
    ("redirect", NoAnswer, 302, "", "SumUp answered 302."),
]


@pytest.mark.parametrize(("fault", "kind", "status", "error_code", "words"), REFUSALS)
def test_create_names_the_problem(
    simulator: SimulatorProcess, fault: str, kind: type[SumUpProblem], status: int, error_code: str, words: str
) -> None:
    simulator.faults(create=fault)

    with pytest.raises(SumUpProblem) as caught:
        create(simulator.client())

    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.error_code) == (status, error_code)
    assert words in caught.value.words
    assert (caught.value.trace_id != "") == (fault in {"401", "blocked", "500", "503"})
    ledger = simulator.ledger()
    assert (ledger["calls"]["create"], ledger["checkouts"]) == (1, [])


def test_too_many_requests_tells_when_to_come_back(simulator: SimulatorProcess) -> None:
    simulator.faults(create="429:17")

    with pytest.raises(NoAnswer) as caught:
        create(simulator.client())

    assert (caught.value.status, caught.value.retry_after) == (429, 17)


@pytest.mark.parametrize("fault", ["lost_answer", "500_after", "hang_after", "garbage", "truncated", "empty", "huge"])
def test_create_whose_answer_is_lost_is_found_again_by_reference(simulator: SimulatorProcess, fault: str) -> None:
    simulator.faults(create=fault, times=1)

    with pytest.raises(NoAnswer):
        create(simulator.client(deadline_seconds=1 if fault == "hang_after" else PATIENCE))

    assert simulator.calls("create") == 1, "a POST is never sent again by itself"
    (found,) = simulator.client().find_checkouts("R-1")
    assert (found.status, found.amount) == ("PENDING", Decimal("23.45"))


@pytest.mark.parametrize("fault", ["garbage", "truncated", "empty", "array", "huge", "deep", "204"])
def test_unreadable_answer_is_no_answer(simulator: SimulatorProcess, fault: str) -> None:
    client = simulator.client()
    made = create(client)
    simulator.faults(read=fault, deactivate=fault)

    with pytest.raises(Unreadable):
        client.read_checkout(made.id)
    with pytest.raises(NoAnswer):
        client.deactivate_checkout(made.id)


def test_find_checkouts_of_something_else_than_a_list_is_not_none_found(simulator: SimulatorProcess) -> None:
    simulator.faults(find="array")  # a list of complaints, with status 200
    with pytest.raises(Unreadable):
        simulator.client().find_checkouts("R-1")
    simulator.faults(find="empty")
    with pytest.raises(Unreadable):
        simulator.client().find_checkouts("R-1")


def test_404_that_is_not_sumups_word_is_no_answer(simulator: SimulatorProcess) -> None:
    client = simulator.client()
    made = create(client)
    simulator.faults(read="404html")

    with pytest.raises(NoAnswer):
        client.read_checkout(made.id)


def test_unknown_state_and_missing_fields_survive(simulator: SimulatorProcess) -> None:
    client = simulator.client()
    made = create(client)

    simulator.faults(read="unknown_state", times=1)
    assert client.read_checkout(made.id).status == "ON_HOLD"
    simulator.faults(read="missing_fields", times=1)
    bare = client.read_checkout(made.id)
    assert (bare.id, bare.status) == (made.id, "PENDING")
    assert (bare.amount, bare.currency, bare.reference, bare.hosted_url, bare.transactions) == (None, "", "", "", ())
    simulator.faults(read="nul", times=1)
    assert client.read_checkout(made.id).status == "PEN\ufffdDI?NG", "fit for a database"


def test_read_is_tried_again_once_when_the_connection_breaks(simulator: SimulatorProcess) -> None:
    client = simulator.client()
    made = create(client)

    simulator.faults(read="drop", times=1)
    assert client.read_checkout(made.id).status == "PENDING"
    assert simulator.calls("read") == 2

    simulator.faults(read="drop")
    with pytest.raises(NoAnswer):
        client.read_checkout(made.id)
    assert simulator.calls("read") == 4


def test_writes_are_not_sent_again_when_the_connection_breaks(simulator: SimulatorProcess) -> None:
    client = simulator.client()
    made = create(client)
    simulator.faults(create="drop", deactivate="drop")

    with pytest.raises(NoAnswer):
        create(client, "R-2")
    with pytest.raises(NoAnswer):
        client.deactivate_checkout(made.id)

    assert (simulator.calls("create"), simulator.calls("deactivate")) == (2, 1)


@pytest.mark.parametrize("fault", ["hang", "slow_byte:0.1", "slow_headers:0.1"])
def test_deadline_holds_for_the_whole_call(simulator: SimulatorProcess, fault: str) -> None:
    made = create(simulator.client())
    simulator.faults(read=fault)
    started = time.monotonic()

    with pytest.raises(NoAnswer, match="time-out"):
        simulator.client(deadline_seconds=1).read_checkout(made.id)

    assert 0.9 < time.monotonic() - started < 30, "byte by byte, the answer would take a minute"
    assert simulator.calls("read") == 1, "no time is left for a second try"


def test_no_connection_is_no_answer() -> None:
    with pytest.raises(NoAnswer):
        Client(KEY, MERCHANT, "http://127.0.0.1:9", 1).read_merchant()
    with pytest.raises(NoAnswer):
        Client(KEY, MERCHANT, "http://nowhere.invalid", 2).read_merchant()


def test_questions_at_once_are_bounded_and_waiting_counts(simulator: SimulatorProcess) -> None:
    simulator.faults(read="hang")

    def outcome(deadline_seconds: float) -> type[SumUpProblem]:
        with pytest.raises(SumUpProblem) as caught:
            simulator.client(deadline_seconds=deadline_seconds).read_checkout(UNKNOWN_ID)
        return type(caught.value)

    with ThreadPoolExecutor(20) as pool:
        hanging = [pool.submit(outcome, PATIENCE) for _turn in range(8)]
        until(lambda: simulator.calls("read") == 8)
        assert list(pool.map(outcome, [0.3] * 12)) == [NoAnswer] * 12
        assert simulator.calls("read") == 8, "the others never left"
        simulator.reset()  # lets go of those that hang; each asks a second time
        assert [future.result() for future in hanging] == [UnknownCheckout] * 8


def test_connections_are_kept_and_threads_share_them(simulator: SimulatorProcess) -> None:
    made = create(simulator.client())
    answers: list[str] = []

    def ask() -> None:
        for _turn in range(25):
            answers.append(simulator.client().read_checkout(made.id).reference)  # noqa: PERF401  (each thread adds its own as it comes)

    threads = [threading.Thread(target=ask) for _turn in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == ["R-1"] * 300
    assert simulator.calls("connections") <= 9


def test_key_is_in_no_repr_error_or_log(simulator: SimulatorProcess, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    create(simulator.client())
    client = simulator.client(deadline_seconds=1)
    told = [repr(client), str(client.__class__)]
    for fault in ("hang", "500", "lost_answer", "401", "garbage"):
        simulator.faults(create=fault)
        with pytest.raises(SumUpProblem) as caught:
            create(client, fault)
        told += traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
        assert caught.value.__context__ is None, "an error of requests would carry the headers along"

    assert "/v0.1/checkouts" in caplog.text
    assert KEY not in caplog.text + "".join(told)


def test_version_is_the_projects() -> None:
    root = Path(__file__).resolve().parents[3]
    assert tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"] == VERSION
