"""SumUp's list of transactions, read page after page over a real socket."""

import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from urllib.parse import parse_qs

import pytest

from payments.sumup import HistoryItem, KeyRefused, NoAnswer, Unreadable
from payments.sumup.history import items_from, next_link, walk
from tests.simulator import SimulatorProcess


def paid(simulator: SimulatorProcess, number: int = 1) -> list[str]:
    """The transaction codes of so many payments, oldest first."""
    codes = []
    for turn in range(number):
        checkout = simulator.create(checkout_reference=f"R-{turn}", amount=10 + turn, description=f"CODE{turn} a house")
        simulator.pay(checkout["id"])
        codes.append(simulator.ledger()["captures"][-1]["code"])
    return codes


@pytest.mark.parametrize("limit", [1, 2, 7, 8, 100])
def test_all_pages_bring_each_item_once_in_order(simulator: SimulatorProcess, limit: int) -> None:
    codes = paid(simulator, 7)
    pages: list[None] = []

    found = list(simulator.client().read_history(limit=limit, before_page=lambda: pages.append(None)))

    assert [item.transaction_code for item in found] == codes
    assert [item.amount for item in found] == [Decimal(10 + turn) for turn in range(7)]
    assert len(pages) == -(-7 // limit) == simulator.calls("history")


def test_an_item_tells_what_it_is(simulator: SimulatorProcess) -> None:
    (code,) = paid(simulator)
    capture = simulator.ledger()["captures"][0]
    simulator.control(f"refund/{capture['id']}", {"amount": "4"})

    payment, refund = simulator.client().read_history()

    assert (payment.type, payment.status, payment.payment_type) == ("PAYMENT", "SUCCESSFUL", "ECOM")
    assert (payment.amount, payment.refunded, payment.currency) == (Decimal(10), Decimal(4), "EUR")
    assert payment.summary == "CODE0 a house"
    assert (refund.type, refund.status, refund.amount) == ("REFUND", "REFUNDED", Decimal(4))
    assert (refund.transaction_id, refund.transaction_code) == (capture["id"], code)
    assert refund.id not in ("", payment.id)
    assert payment.raw["card_type"] == "VISA"


def test_changes_since_brings_later_refunds_and_leaves_the_rest(simulator: SimulatorProcess) -> None:
    codes = paid(simulator, 3)
    captures = simulator.ledger()["captures"]
    simulator.shift_clock(3600)
    since = datetime.fromisoformat(simulator.ledger()["now"])
    simulator.shift_clock(1)
    simulator.control(f"chargeback/{captures[1]['id']}")

    found = list(simulator.client().read_history(changes_since=since, limit=1))

    assert [(item.transaction_code, item.type) for item in found] == [(codes[1], "PAYMENT"), (codes[1], "CHARGE_BACK")]
    newer = simulator.client().read_history(oldest_time=since)
    assert [(item.transaction_code, item.type) for item in newer] == [(codes[1], "CHARGE_BACK")]


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-5, minutes=-30))])
@pytest.mark.promise("times-go-sumup")
def test_times_go_out_in_utc_and_end_in_z(simulator: SimulatorProcess, zone: timezone) -> None:
    at = datetime(2026, 11, 22, 10, 30, 15, 250_999, tzinfo=UTC).astimezone(zone)
    client = simulator.client()

    list(client.read_history(changes_since=at, oldest_time=at))
    client.create_checkout(
        reference="R-1", amount=Decimal(10), currency="EUR", description="CODE a house",
        return_url="http://127.0.0.1:9/webhook", redirect_url="http://127.0.0.1:9/order", valid_until=at,
    )  # fmt: skip

    listed, created = simulator.questions()
    query = parse_qs(listed["query"])
    assert query["changes_since"] == query["oldest_time"] == ["2026-11-22T10:30:15.250Z"]
    assert '"valid_until": "2026-11-22T10:30:15.250Z"' in created["body"]
    assert "+00:00" not in f"{listed}{created}"


def test_what_is_unknown_survives_and_what_is_missing_is_empty() -> None:
    page = {
        "items": [
            {"transaction_id": "t-1", "type": "TRIBUTE", "status": "PONDERED", "amount": "many", "internal_x": 1},
            {"id": "an item without a transaction"},
            "no object",
            {"transaction_code": "T1", "amount": Decimal("1.50"), "refunded_amount": None},
        ]
    }
    first, second = items_from(page)
    assert (first.type, first.status, first.amount, first.refunded, first.summary) == (
        "TRIBUTE", "PONDERED", None, None, "",
    )  # fmt: skip
    assert first.raw["internal_x"] == 1
    assert (second.transaction_code, second.amount, second.payment_type) == ("T1", Decimal("1.50"), "")


@pytest.mark.parametrize("body", [None, [], {}, {"items": {}}, {"items": None}, "items"])
def test_what_is_no_page_is_unreadable(body: object) -> None:
    with pytest.raises(Unreadable):
        list(items_from(body))


@pytest.mark.parametrize(
    "href",
    [
        "https://evil.example/?limit=1",
        "//evil.example/?limit=1",
        "/v2.1/merchants/OTHER/transactions/history?limit=1",
        "../../OTHER/transactions/history?limit=1",
        "limit=1#x=2",
        "limit=1 &x=2",
        "?x=1?y=2",
        "x=..\\y",
        "limit",
        "",
        "a=" + "b" * 3000,
        None,
        7,
    ],
)
def test_a_link_to_anywhere_else_is_not_followed(href: object) -> None:
    with pytest.raises(Unreadable):
        next_link({"items": [], "links": [{"rel": "next", "href": href}]})


@pytest.mark.parametrize("links", [None, [], [{"rel": "prev", "href": "https://x/"}], ["next"], {"next": "a=1"}])
def test_without_a_next_link_the_page_is_the_last(links: object) -> None:
    assert next_link({"items": [], "links": links}) == ""


def test_pages_that_lead_round_end() -> None:
    page = {"items": [{"transaction_id": "t"}], "links": [{"rel": "next", "href": "oldest_ref=t&limit=1"}]}
    items = walk(lambda _query: page, [])
    assert [next(items).transaction_id, next(items).transaction_id] == ["t", "t"]
    with pytest.raises(Unreadable):
        next(items)


def test_memory_is_that_of_one_page() -> None:
    def pages(number: int) -> Iterator[HistoryItem]:
        left = iter(range(number, 0, -1))

        def page(_query: object) -> object:
            turn = next(left)
            items = [{"transaction_id": f"t-{turn}-{place}", "product_summary": "x" * 200} for place in range(50)]
            return {"items": items, "links": [{"rel": "next", "href": f"oldest_ref={turn}"}] if turn > 1 else []}

        return walk(page, [])

    def peak(number: int) -> int:
        tracemalloc.start()
        try:
            assert sum(1 for _item in pages(number)) == number * 50
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(100) < peak(5) * 3


def test_a_page_without_an_answer_raises_after_what_came_before(simulator: SimulatorProcess) -> None:
    codes = paid(simulator, 3)
    items = simulator.client().read_history(limit=1)
    assert next(items).transaction_code == codes[0]
    simulator.faults(history="503")
    with pytest.raises(NoAnswer):
        next(items)
    simulator.faults(history="401")
    with pytest.raises(KeyRefused):
        list(simulator.client().read_history())
