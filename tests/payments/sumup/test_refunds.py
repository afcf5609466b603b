"""Refunds and transactions through the client, against the simulator, over a real socket."""

from decimal import Decimal

import pytest

from payments.sumup import (
    CHARGE_BACK,
    REFUND,
    AmountTooHigh,
    AmountTooLow,
    KeyRefused,
    NoAnswer,
    NotEnoughBalance,
    NotRefundable,
    Refusal,
    SumUpProblem,
    UnknownTransaction,
    Unreadable,
)
from payments.sumup.problems import problem_from
from payments.sumup.transactions import transaction_from
from tests.simulator import SimulatorProcess


def captured(simulator: SimulatorProcess, amount: float = 30) -> str:
    """The transaction of a paid checkout."""
    simulator.pay(simulator.create(amount=amount)["id"])
    return str(simulator.ledger()["captures"][0]["id"])


def refunded(simulator: SimulatorProcess) -> list[Decimal]:
    return [Decimal(row["amount"]) for row in simulator.ledger()["refunds"]]


def test_refund_sends_an_amount_then_the_rest(simulator: SimulatorProcess) -> None:
    client, transaction = simulator.client(), captured(simulator)

    client.refund(transaction, Decimal("10.50"))
    client.refund(transaction, None)

    assert refunded(simulator) == [Decimal("10.50"), Decimal("19.50")]


@pytest.mark.parametrize("answer", ["204", "garbage", "empty", "array", "deep"])
def test_any_2xx_is_success_with_whatever_body(simulator: SimulatorProcess, answer: str) -> None:
    transaction = captured(simulator)
    simulator.faults(refund=answer)

    simulator.client().refund(transaction, Decimal(5))

    assert refunded(simulator) == [Decimal(5)]


@pytest.mark.parametrize(
    ("fault", "problem", "words"),
    [
        ("not_refundable", NotRefundable, "The transaction is not refundable in its current state"),
        ("not_enough_balance", NotEnoughBalance, "Not enough available balance"),
        ("too_high", AmountTooHigh, "Amount exceeds the refundable amount (max_refundable_amount 1000)"),
        ("min_amount", AmountTooLow, "min_amount (min_refundable_amount 20)"),
        ("400", Refusal, "Validation error"),
        ("401", KeyRefused, "Unauthorized."),
        ("404", Refusal, ""),
    ],
)
def test_refusal_of_a_refund_has_a_name_and_sumups_own_words(
    simulator: SimulatorProcess, fault: str, problem: type[SumUpProblem], words: str
) -> None:
    transaction = captured(simulator)
    simulator.faults(refund=fault)

    with pytest.raises(SumUpProblem) as caught:
        simulator.client().refund(transaction, Decimal(5))

    assert type(caught.value) is problem
    assert words in caught.value.words
    assert refunded(simulator) == []


@pytest.mark.parametrize("fault", ["500_after", "lost_answer", "hang_after", "502html", "429", "drop"])
def test_refund_without_an_answer_is_never_sent_twice(simulator: SimulatorProcess, fault: str) -> None:
    transaction = captured(simulator)
    simulator.faults(refund=fault)

    with pytest.raises(NoAnswer):
        simulator.client(deadline_seconds=1).refund(transaction, Decimal(5))

    assert simulator.calls("refund") == 1


@pytest.mark.parametrize("amount", ["0", "-5", "NaN"])
def test_what_is_no_amount_is_not_sent(simulator: SimulatorProcess, amount: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        simulator.client().refund(captured(simulator), Decimal(amount))
    assert simulator.calls("refund") == 0


def test_transaction_tells_each_refund_once(simulator: SimulatorProcess) -> None:
    client, transaction = simulator.client(), captured(simulator)
    client.refund(transaction, Decimal(10))
    client.refund(transaction, Decimal(5))
    simulator.control(f"chargeback/{transaction}", {"amount": 3})

    answer = client.read_transaction(transaction)

    assert answer.events is not None
    assert [(event.kind, event.amount, event.counts) for event in answer.events] == [
        (REFUND, Decimal(10), True),
        (REFUND, Decimal(5), True),
        (CHARGE_BACK, Decimal(3), True),
    ]
    assert len({event.id for event in answer.events}) == 3
    assert (answer.gone(REFUND), answer.gone(REFUND, CHARGE_BACK)) == (Decimal(15), Decimal(18))
    assert (answer.amount, answer.currency, answer.status) == (Decimal(30), "EUR", "SUCCESSFUL")


def test_refund_that_sumup_took_back_does_not_count(simulator: SimulatorProcess) -> None:
    client, transaction = simulator.client(), captured(simulator)
    client.refund(transaction, Decimal(10))
    simulator.control(f"fail_refund/{simulator.ledger()['refunds'][0]['id']}")

    answer = client.read_transaction(transaction)

    assert answer.events is not None
    assert [(event.status, event.counts) for event in answer.events] == [("FAILED", False)]
    assert answer.gone(REFUND) == 0


def test_event_keeps_its_id_when_an_older_one_shows_later(simulator: SimulatorProcess) -> None:
    client, transaction = simulator.client(), captured(simulator)
    simulator.faults(refund_event_delay=60)
    client.refund(transaction, Decimal(10))
    simulator.faults(refund_event_delay=0)
    client.refund(transaction, Decimal(5))

    (early,) = client.read_transaction(transaction).events or ()
    simulator.shift_clock(61)
    both = client.read_transaction(transaction).events or ()

    assert {event.id: event.amount for event in both}[early.id] == early.amount == Decimal(5)
    assert len(both) == 2


@pytest.mark.parametrize(("fault", "problem"), [("404", UnknownTransaction), ("500", NoAnswer), ("garbage", NoAnswer)])
def test_transaction_that_sumup_does_not_tell_is_unknown(
    simulator: SimulatorProcess, fault: str, problem: type[SumUpProblem]
) -> None:
    transaction = captured(simulator)
    simulator.faults(transaction=fault)

    with pytest.raises(NoAnswer) as caught:
        simulator.client().read_transaction(transaction)

    assert isinstance(caught.value, problem)


EVENT = {
    "id": Decimal(7),
    "type": "REFUND",
    "status": "REFUNDED",
    "amount": Decimal(4),
    "timestamp": "2026-01-02T03:04",
}
OTHER = {"id": Decimal(7), "event_type": "REFUND", "status": "OK", "amount": Decimal(4), "date": "2026-01-02"}


def test_events_are_read_from_one_list_and_are_unknown_without_any() -> None:
    def gone(**lists: object) -> Decimal | None:
        return transaction_from({"id": "t", **lists}).gone(REFUND)

    assert gone(events=[EVENT], transaction_events=[OTHER]) == 4
    assert gone(events=[], transaction_events=[OTHER]) == gone(transaction_events=[OTHER]) == 4
    assert gone(events=[], transaction_events=[]) == 0
    assert gone() is gone(events="none") is None


def test_event_without_an_id_has_one_of_what_it_says() -> None:
    facts = {name: value for name, value in EVENT.items() if name != "id"}
    (event,) = transaction_from({"id": "t", "events": [facts]}).events or ()
    assert event.id == "REFUND 4 2026-01-02T03:04:00+00:00"


def test_answer_about_another_transaction_is_none(simulator: SimulatorProcess) -> None:
    with pytest.raises(Unreadable):
        transaction_from({"status": "SUCCESSFUL"})


def test_conflict_is_not_refundable_only_for_a_refund() -> None:
    assert type(problem_from(409, {"type": "https://sumup/problem/conflict"})) is Refusal
