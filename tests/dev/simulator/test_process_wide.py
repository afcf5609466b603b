"""What the simulator answers as SumUp does, and its hosted page."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import requests

from tests.simulator import GOOD, KEY, OTHER_KEY, PATIENCE, SimulatorProcess, started


def bad(param: str, error_code: str = "INVALID") -> dict[str, str]:
    return {"message": "Validation error", "error_code": error_code, "param": param}


def test_wrong_key_gets_a_problem(simulator: SimulatorProcess) -> None:
    answer = simulator.ask("GET", "/v0.1/checkouts/x", key="sup_sk_other")
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert answer.json()["title"] == "Unauthorized"
    simulator.faults(answers="seen")
    answer = simulator.ask("GET", "/v0.1/checkouts/x", key="sup_sk_other")
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v0.1/checkouts/", "/v1/merchants/MDEMO001/", "/v0.1/checkouts/x/", "/v9/checkouts"])
def test_trailing_slash_and_unknown_paths_are_404(simulator: SimulatorProcess, path: str) -> None:
    assert simulator.ask("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status", "complaint"),
    [
        ({"amount": None}, 400, bad("amount", "MISSING")),
        ({"amount": -1}, 400, bad("amount")),
        ({"amount": 1.001}, 400, bad("amount")),
        ({"currency": "CHF"}, 400, bad("currency")),
        (
            {"return_url": "ftp://x"},
            400,
            bad("return_url"),
        ),
        (
            {"valid_until": "soon"},
            400,
            bad("valid_until"),
        ),
        (
            {"checkout_reference": "x" * 91},
            400,
            bad("checkout_reference"),
        ),
        (
            {"merchant_code": "MOTHER"},
            403,
            {"error_message": "request_not_allowed", "error_code": "FORBIDDEN", "status_code": "403"},
        ),
    ],
)
def test_bad_field_gets_sumups_complaint(
    simulator: SimulatorProcess, changes: dict[str, object], status: int, complaint: dict[str, str]
) -> None:
    answer = simulator.ask("POST", "/v0.1/checkouts", GOOD | changes)
    assert (answer.status_code, answer.json()) == (status, complaint)
    assert simulator.ledger()["checkouts"] == []


def test_several_bad_fields_get_one_complaint_or_an_array_as_was_seen(simulator: SimulatorProcess) -> None:
    wish = GOOD | {"amount": 0, "currency": "XXX"}
    assert simulator.ask("POST", "/v0.1/checkouts", wish).json() == bad("amount")
    simulator.faults(answers="seen")
    answer = simulator.ask("POST", "/v0.1/checkouts", wish)
    assert answer.status_code == 400
    assert [row["param"] for row in answer.json()] == ["amount", "currency"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_body_that_is_no_object_is_400(simulator: SimulatorProcess, body: bytes) -> None:
    assert simulator.ask("POST", "/v0.1/checkouts", body).status_code == 400


def test_reference_is_used_once_per_merchant(simulator: SimulatorProcess) -> None:
    made = simulator.create()
    simulator.ask("DELETE", f"/v0.1/checkouts/{made['id']}")
    answer = simulator.ask("POST", "/v0.1/checkouts", GOOD)
    assert answer.status_code == 409
    words = "Checkout with this checkout reference and pay to email already exists"
    assert answer.json() == {"error_code": "DUPLICATED_CHECKOUT", "message": words}
    other = GOOD | {"merchant_code": "MDEMO002"}
    assert simulator.ask("POST", "/v0.1/checkouts", other, key=OTHER_KEY).status_code == 201


def test_whole_amounts_are_serialised_in_two_ways(simulator: SimulatorProcess) -> None:
    path = f"/v0.1/checkouts/{simulator.create()['id']}"
    texts = {simulator.ask("GET", path).text.split('"amount": ')[1].split(",")[0] for _turn in range(4)}
    assert texts == {"10", "10.0"}


def test_paid_checkout_stays_paid(simulator: SimulatorProcess) -> None:
    made = simulator.create(valid_until=(datetime.now(UTC) + timedelta(minutes=5)).isoformat())
    simulator.pay(made["id"])
    simulator.shift_clock(3600)
    for act in (simulator.pay, simulator.decline):
        with pytest.raises(ValueError, match="PAID"):
            act(made["id"])
    assert len(simulator.ledger()["captures"]) == 1
    assert simulator.ask("GET", f"/v0.1/checkouts/{made['id']}").json()["status"] == "PAID"


def test_checkout_expires_by_the_clock_and_can_be_paid_only_by_force(simulator: SimulatorProcess) -> None:
    made = simulator.create(valid_until=(datetime.now(UTC) + timedelta(minutes=5)).isoformat())
    path = f"/v0.1/checkouts/{made['id']}"
    simulator.shift_clock(299)
    assert simulator.ask("GET", path).json()["status"] == "PENDING"
    simulator.shift_clock(2)
    assert simulator.ask("GET", path).json()["status"] == "EXPIRED"
    with pytest.raises(ValueError, match="EXPIRED"):
        simulator.pay(made["id"])
    simulator.pay(made["id"], force=True)
    assert simulator.ask("GET", path).json()["status"] == "PAID"


def test_stale_and_tampered_reads_leave_the_truth_alone(simulator: SimulatorProcess) -> None:
    made = simulator.create()
    path = f"/v0.1/checkouts/{made['id']}"
    simulator.pay(made["id"])
    simulator.faults(read="stale", times=1)
    assert simulator.ask("GET", path).json()["status"] == "PENDING"
    simulator.faults(tamper={"amount": 9.99, "currency": "CHF", "drop": ["status"]})
    told = simulator.ask("GET", path).json()
    assert (told["amount"], told["currency"], "status" in told) == (9.99, "CHF", False)
    simulator.faults(tamper={})
    assert simulator.ask("GET", path).json()["status"] == "PAID"


@pytest.mark.parametrize(
    "switches",
    [
        {"create": "nonsense"},
        {"nonsense": "hang"},
        {"webhook": "maybe"},
        {"tamper": 5},
        {"read": "slow_byte:x"},
        {"answers": "guessed"},
    ],
)
def test_unknown_switch_is_refused(simulator: SimulatorProcess, switches: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="400"):
        simulator.faults(**switches)


def test_control_is_closed_to_other_pages(simulator: SimulatorProcess) -> None:
    answer = requests.post(
        f"{simulator.url}/simulator/reset", headers={"Origin": "http://elsewhere.example"}, timeout=PATIENCE
    )
    assert answer.status_code == 403


def test_page_declines_retries_and_pays(simulator: SimulatorProcess) -> None:
    made = simulator.create(
        amount=23.5, description="K7PM <b>two</b>", redirect_url='http://127.0.0.1:9/orders/K7PM?a="1"'
    )
    page = requests.get(made["hosted_checkout_url"], timeout=PATIENCE)
    assert "SumUp simulator – no real money" in page.text
    assert "23.50 EUR" in page.text
    assert "K7PM &lt;b&gt;two&lt;/b&gt;" in page.text
    assert "Demo Merchant One" in page.text
    assert "Back to merchant" not in page.text

    page = requests.post(page.url, data={"act": "decline"}, timeout=PATIENCE)
    assert "declined by its bank" in page.text
    assert "Try again" in page.text
    page = requests.get(f"{page.url}/left", timeout=PATIENCE)
    assert "may close this tab" in page.text
    page = requests.post(made["hosted_checkout_url"], data={"act": "pay"}, timeout=PATIENCE)
    assert "successful" in page.text
    assert 'href="http://127.0.0.1:9/orders/K7PM?a=&quot;1&quot;"' in page.text
    page = requests.post(made["hosted_checkout_url"], data={"act": "pay"}, timeout=PATIENCE)
    assert "successful" in page.text

    ledger = simulator.ledger()
    assert [row["status"] for row in ledger["attempts"]] == ["FAILED", "SUCCESSFUL"]
    assert [row["amount"] for row in ledger["captures"]] == ["23.5"]


def test_page_expires_after_half_an_hour_but_the_checkout_does_not(simulator: SimulatorProcess) -> None:
    made = simulator.create()
    simulator.shift_clock(30 * 60 + 1)
    page = requests.post(made["hosted_checkout_url"], data={"act": "pay"}, timeout=PATIENCE)
    assert "expired" in page.text
    assert "<form" not in page.text
    assert simulator.ledger()["captures"] == []
    assert simulator.ask("GET", f"/v0.1/checkouts/{made['id']}").json()["status"] == "PENDING"


def test_page_of_a_deactivated_and_of_an_unknown_checkout(simulator: SimulatorProcess) -> None:
    made = simulator.create()
    simulator.ask("DELETE", f"/v0.1/checkouts/{made['id']}")
    assert "expired" in requests.get(made["hosted_checkout_url"], timeout=PATIENCE).text
    for unknown in ("/pay/none", "/pay/<script>", "/pay/a/b/c", "/pay/"):
        answer = requests.get(simulator.url + unknown, timeout=PATIENCE)
        assert answer.status_code == 404
        assert "script>" not in answer.text


def test_magic_amounts_decline_when_switched_on(simulator: SimulatorProcess) -> None:
    assert simulator.pay(simulator.create(amount=11)["id"])["status"] == "PAID"
    for process in started("--magic-amounts"):
        assert process.pay(process.create(amount=42.01)["id"])["status"] == "FAILED"
        assert process.pay(process.create(amount=42.02, checkout_reference="R-2")["id"])["status"] == "PAID"


def test_acts_at_the_same_instant_happen_once(simulator: SimulatorProcess) -> None:
    made = simulator.create()

    def create(_turn: int) -> int:
        headers = {"Authorization": f"Bearer {KEY}"}
        wish = GOOD | {"checkout_reference": "R-2"}
        return requests.post(
            f"{simulator.url}/v0.1/checkouts", json=wish, headers=headers, timeout=PATIENCE
        ).status_code

    def pay(_turn: int) -> int:
        return requests.post(f"{simulator.url}/simulator/pay/{made['id']}", timeout=PATIENCE).status_code

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(create, range(16))) == [201] + [409] * 15
        assert sorted(pool.map(pay, range(16))) == [200] + [409] * 15
    ledger = simulator.ledger()
    assert (len(ledger["checkouts"]), len(ledger["captures"])) == (2, 1)
