"""The simulated SumUp as a real process for tests: start it once, empty it before each test.

`simulator_process` lives for the session, `simulator` is the same one, reset. Webhooks are off until a test turns
them on: `simulator.faults(webhook="on")`.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from payments.sumup import Client, wire

MERCHANT = "MDEMO001"
KEY = "sup_sk_demo_MDEMO001"
OTHER_MERCHANT = "MDEMO002"
OTHER_KEY = "sup_sk_demo_MDEMO002"
GOOD: dict[str, object] = {
    "checkout_reference": "R-1",
    "amount": 10,
    "currency": "EUR",
    "merchant_code": MERCHANT,
    "hosted_checkout": {"enabled": True},
}
#: Seconds for what comes at once on an idle machine; a test that is right does not wait for them.
PATIENCE = 120
T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent


class SimulatorProcess:
    """A simulator on a free port, with a ledger file in `folder`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.ledger_file = folder / "sumup.jsonl"
        self.options = options
        self._session = requests.Session()
        self._session.trust_env = False
        self.start()

    def start(self, *, port: int = 0) -> None:
        """Starts it and waits until it answers; raises RuntimeError when it ends instead."""
        command = [sys.executable, "-m", "dev.simulator", "--port", str(port), "--ledger", str(self.ledger_file)]
        self.process = subprocess.Popen(  # noqa: S603  (our own module, no shell)
            [*command, *self.options], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if "http://" not in line:
            raise RuntimeError(line + self.process.communicate(timeout=PATIENCE)[0])
        self.url = line.split()[-1]

    def stop(self, *, hard: bool = False) -> None:
        """Ends it, with SIGKILL when `hard`."""
        if hard:
            self.process.kill()
        else:
            self.process.terminate()
        self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def close(self) -> None:
        self.stop()
        self._session.close()

    def client(self, *, deadline_seconds: float = PATIENCE, key: str = KEY, merchant_code: str = MERCHANT) -> Client:
        """The project's own client, on its way to this simulator."""
        return Client(key, merchant_code, self.url, deadline_seconds)

    def ask(self, method: str, path: str, body: object = None, *, key: str = KEY) -> requests.Response:
        """Any question with a key; `body` is sent as JSON, bytes as they are."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body)
        return self._session.request(method, self.url + path, data=data, headers=headers, timeout=PATIENCE)

    def create(self, **changes: object) -> dict[str, Any]:
        """A checkout of the demo merchant with a hosted page, without our client; SumUp's JSON."""
        answer = self.ask("POST", "/v0.1/checkouts", GOOD | changes)
        if answer.status_code != 201:
            raise ValueError(f"{answer.status_code}: {answer.text}")
        told: dict[str, Any] = answer.json()
        return told

    def control(self, path: str, body: object = None) -> dict[str, Any]:
        """POST /simulator/<path>; raises on anything but 200."""
        answer = self._session.post(f"{self.url}/simulator/{path}", json=body or {}, timeout=PATIENCE)
        if answer.status_code != 200:
            raise ValueError(f"{answer.status_code}: {answer.text}")
        told: dict[str, Any] = answer.json()
        return told

    def pay(self, checkout_id: str, *, force: bool = False) -> dict[str, Any]:
        """Pays as the buyer would; `force` pays an expired checkout too."""
        return self.control(f"pay/{checkout_id}", {"force": force})

    def decline(self, checkout_id: str) -> dict[str, Any]:
        return self.control(f"decline/{checkout_id}")

    def authorize(self, checkout_id: str) -> dict[str, Any]:
        """Leaves an authorization in progress, which pay or decline ends."""
        return self.control(f"authorize/{checkout_id}")

    def faults(self, **switches: object) -> None:
        """Sets switches: an operation to a kind of fault, `times`, `webhook`, `tamper`, `refund_event_delay`."""
        self.control("faults", switches)

    def shift_clock(self, seconds: float) -> None:
        self.control("clock", {"seconds": seconds})

    def ledger(self) -> dict[str, Any]:
        """checkouts, captures, attempts, refunds, webhooks, calls, questions."""
        told: dict[str, Any] = self._session.get(f"{self.url}/simulator/ledger", timeout=PATIENCE).json()
        return told

    def calls(self, operation: str) -> int:
        """How often an operation was called since the last reset."""
        return int(self.ledger()["calls"].get(operation, 0))

    def questions(self, path: str = "") -> list[dict[str, str]]:
        """The latest questions to addresses that hold `path`, as they came: method, path, query, body."""
        return [row for row in self.ledger()["questions"] if path in row["path"]]

    def reset(self) -> None:
        """Empties it; no faults, no webhooks. This process forgets that it was silent or busy in another test."""
        wire._line.silences.clear()
        wire._line.left_alone.clear()
        self.control("reset")
        self.faults(webhook="never")


def until(look: Callable[[], T], seconds: float = PATIENCE) -> T:
    """What `look` answers once it is true; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"still {found!r} after {seconds} s"
        time.sleep(0.02)
    return found


def started(*options: str) -> Iterator[SimulatorProcess]:
    """A simulator with a folder of its own, for as long as the generator lives."""
    with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
        process = SimulatorProcess(Path(folder), *options)
        try:
            yield process
        finally:
            process.close()


@pytest.fixture(scope="session")
def simulator_process() -> Iterator[SimulatorProcess]:
    yield from started("--speed", "1000")


@pytest.fixture
def simulator(simulator_process: SimulatorProcess) -> SimulatorProcess:
    simulator_process.reset()
    return simulator_process


__all__: Sequence[str] = [
    "GOOD",
    "KEY",
    "MERCHANT",
    "OTHER_KEY",
    "OTHER_MERCHANT",
    "PATIENCE",
    "ROOT",
    "SimulatorProcess",
    "simulator",
    "simulator_process",
    "started",
    "until",
]
