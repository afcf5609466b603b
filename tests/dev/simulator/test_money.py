"""Refunds, transactions and history at the simulator, asked by SumUp's own SDK, unchanged."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sumup import Sumup
from sumup.errors import APIError

from tests.simulator import KEY, MERCHANT, PATIENCE, SimulatorProcess


@pytest.fixture
def sdk(simulator: SimulatorProcess) -> Iterator[Sumup]:
    with Sumup(api_key=KEY, base_url=simulator.url, timeout=PATIENCE) as sdk:
        yield sdk


def paid(sdk: Sumup, simulator: SimulatorProcess, reference: str = "R-1", amount: float = 30.0) -> str:
    """The id of the transaction of a paid checkout."""
    made = sdk.checkouts.create(
        checkout_reference=reference, amount=amount, currency="EUR", merchant_code=MERCHANT, description="K7PM"
    )
    simulator.pay(str(made.id))
    return str(sdk.checkouts.get(str(made.id)).transaction_id)


def test_sdk_creates_reads_lists_and_deactivates(sdk: Sumup) -> None:
    made = sdk.checkouts.create(
        checkout_reference="R-1",
        amount=10.5,
        currency="EUR",
        merchant_code=MERCHANT,
        hosted_checkout={"enabled": True},
    )
    assert (made.status, made.amount) == ("PENDING", Decimal("10.5"))
    read = sdk.checkouts.get(str(made.id))
    assert (read.checkout_reference, read.status) == ("R-1", "PENDING")
    assert [row.id for row in sdk.checkouts.list(checkout_reference="R-1")] == [made.id]
    assert sdk.checkouts.deactivate(str(made.id)).status == "EXPIRED"
    assert sdk.merchants.get(MERCHANT).default_currency == "EUR"


def test_refunds_in_parts_show_as_events_and_never_exceed_the_capture(sdk: Sumup, simulator: SimulatorProcess) -> None:
    transaction_id = paid(sdk, simulator)
    sdk.transactions.refund(MERCHANT, transaction_id, amount=12.34)
    with pytest.raises(APIError) as caught:
        sdk.transactions.refund(MERCHANT, transaction_id, amount=17.67)
    assert caught.value.status == 422
    sdk.transactions.refund(MERCHANT, transaction_id)  # all that is left
    with pytest.raises(APIError) as caught:
        sdk.transactions.refund(MERCHANT, transaction_id)
    assert caught.value.status == 409

    told = sdk.transactions.get(MERCHANT, id=transaction_id)
    assert told.status == "SUCCESSFUL"
    assert [(row.type, row.amount) for row in told.events or []] == [
        ("REFUND", 12.34),  # the SDK's own floats
        ("REFUND", 17.66),
    ]
    assert [row["amount"] for row in simulator.ledger()["refunds"]] == ["12.34", "17.66"]
    checkout = simulator.ledger()["checkouts"][0]
    assert sdk.checkouts.get(checkout["id"]).status == "PAID"


def test_refund_event_can_come_late(sdk: Sumup, simulator: SimulatorProcess) -> None:
    transaction_id = paid(sdk, simulator)
    simulator.faults(refund_event_delay=60)
    sdk.transactions.refund(MERCHANT, transaction_id, amount=5)
    assert sdk.transactions.get(MERCHANT, id=transaction_id).events == []
    simulator.shift_clock(61)
    (event,) = sdk.transactions.get(MERCHANT, id=transaction_id).events or []
    assert (event.status, event.amount) == ("REFUNDED", Decimal(5))


@pytest.mark.parametrize(
    ("fault", "status", "done"),
    [
        ("500_after", 500, True),
        ("not_enough_balance", 409, False),
        ("not_refundable", 409, False),
        ("min_amount", 422, False),
        ("too_high", 422, False),
    ],
)
def test_refund_faults(sdk: Sumup, simulator: SimulatorProcess, fault: str, status: int, done: bool) -> None:
    transaction_id = paid(sdk, simulator)
    simulator.faults(refund=fault, times=1)
    with pytest.raises(APIError) as caught:
        sdk.transactions.refund(MERCHANT, transaction_id, amount=5)
    assert caught.value.status == status
    assert len(simulator.ledger()["refunds"]) == done


def test_dashboard_refund_chargeback_and_refund_taken_back(sdk: Sumup, simulator: SimulatorProcess) -> None:
    transaction_id = paid(sdk, simulator)
    refund = simulator.control(f"refund/{transaction_id}", {"amount": "5"})
    simulator.control(f"chargeback/{transaction_id}", {"amount": "25.00"})
    simulator.control(f"fail_refund/{refund['id']}")
    events = sdk.transactions.get(MERCHANT, id=transaction_id).events or []
    assert [(row.type, row.status) for row in events] == [("REFUND", "FAILED"), ("CHARGE_BACK", "SUCCESSFUL")]


def test_history_pages_follow_each_other(sdk: Sumup, simulator: SimulatorProcess) -> None:
    ids = [paid(sdk, simulator, f"R-{number}") for number in range(5)]
    simulator.shift_clock(3600)
    sdk.transactions.refund(MERCHANT, ids[1], amount=7)

    query: dict[str, Any] = {"limit": 2}
    seen: list[Any] = []
    while True:
        page = sdk.transactions.list(MERCHANT, **query)
        seen += page.items or []
        following = [link.href for link in page.links or [] if link.rel == "next"]
        if not following:
            break
        query = {"limit": 2, "oldest_ref": str(following[0]).split("oldest_ref=")[1].split("&")[0]}

    assert [row.transaction_id for row in seen] == [*ids, ids[1]]
    assert [row.type for row in seen] == ["PAYMENT"] * 5 + ["REFUND"]
    assert [row.refunded_amount for row in seen[:3]] == [0, Decimal(7), 0]


def test_payouts_follow_the_captures(sdk: Sumup, simulator: SimulatorProcess) -> None:
    paid(sdk, simulator, "R-1")
    simulator.shift_clock(86400)
    today = datetime.fromisoformat(simulator.ledger()["now"]).date()

    (row,) = list(sdk.payouts.list(MERCHANT, start_date=today - timedelta(days=2), end_date=today))

    capture = simulator.ledger()["captures"][0]
    assert (row.type, row.status, row.transaction_code, row.date) == ("PAYOUT", "SUCCESSFUL", capture["code"], today)
    assert Decimal(str(row.amount)) + Decimal(str(row.fee)) == Decimal(capture["amount"])


def test_history_filters_by_change_and_type(sdk: Sumup, simulator: SimulatorProcess) -> None:
    ids = [paid(sdk, simulator, f"R-{number}") for number in range(3)]
    simulator.shift_clock(3600)
    since = simulator.ledger()["now"]
    simulator.shift_clock(1)  # told times are whole milliseconds, `since` is not
    sdk.transactions.refund(MERCHANT, ids[2], amount=7)

    changed = sdk.transactions.list(MERCHANT, changes_since=since)
    assert [(row.transaction_id, row.type) for row in changed.items or []] == [(ids[2], "PAYMENT"), (ids[2], "REFUND")]
    refunds = sdk.transactions.list(MERCHANT, types=["REFUND"])
    assert [row.amount for row in refunds.items or []] == [Decimal(7)]
    newest = sdk.transactions.list(MERCHANT, order="descending", limit=1)
    assert [row.type for row in newest.items or []] == ["REFUND"]


def test_transaction_may_not_be_found_yet(sdk: Sumup, simulator: SimulatorProcess) -> None:
    transaction_id = paid(sdk, simulator)
    simulator.faults(transaction="404", times=1)
    with pytest.raises(APIError) as caught:
        sdk.transactions.get(MERCHANT, id=transaction_id)
    assert caught.value.status == 404
    assert sdk.transactions.get(MERCHANT, id=transaction_id).id == transaction_id
