"""The simulated SumUp calls back: at once, late, twice, never, again."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from tests.simulator import SimulatorProcess, until


@contextmanager
def shop(*statuses: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A return_url that answers with `statuses` in turn, the last one for ever; and what it heard."""
    heard: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(statuses[min(len(heard), len(statuses)) - 1])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook?a=1", heard
        finally:
            server.shutdown()
            thread.join()


def statuses_of(simulator: SimulatorProcess) -> list[list[int]]:
    return [[row["status"] for row in webhook["attempts"]] for webhook in simulator.ledger()["webhooks"]]


def test_webhook_follows_each_change(simulator: SimulatorProcess) -> None:
    simulator.faults(webhook="on")
    with shop(204) as (url, heard):
        made = simulator.create(return_url=url)
        simulator.decline(made["id"])
        until(lambda: len(heard) == 1)
        simulator.pay(made["id"])
        until(lambda: statuses_of(simulator) == [[204], [204]])
    assert heard == [{"event_type": "CHECKOUT_STATUS_CHANGED", "id": made["id"]}] * 2


def test_webhook_is_retried_until_it_is_taken(simulator: SimulatorProcess) -> None:
    simulator.faults(webhook="on")
    with shop(503, 500, 200) as (url, heard):  # retries after 60 and 300 s, at speed 1000
        simulator.pay(simulator.create(return_url=url)["id"])
        until(lambda: statuses_of(simulator) == [[503, 500, 200]])
        assert len(heard) == 3
    assert all(row["seconds"] >= 0 for row in simulator.ledger()["webhooks"][0]["attempts"])


def test_webhook_never_comes(simulator: SimulatorProcess) -> None:
    simulator.faults(webhook="never")
    simulator.pay(simulator.create(return_url="http://127.0.0.1:9/hook")["id"])
    assert simulator.ledger()["webhooks"] == []


def test_webhook_comes_twice(simulator: SimulatorProcess) -> None:
    simulator.faults(webhook="twice")
    with shop(204) as (url, heard):
        simulator.pay(simulator.create(return_url=url)["id"])
        until(lambda: statuses_of(simulator) == [[204], [204]])
    assert len(heard) == 2


def test_webhook_comes_late(simulator: SimulatorProcess) -> None:
    simulator.faults(webhook="late:0.4")
    with shop(204) as (url, _heard):
        simulator.pay(simulator.create(return_url=url)["id"])
        until(lambda: statuses_of(simulator) == [[204]])
    (row,) = simulator.ledger()["webhooks"]
    sent, due = (datetime.fromisoformat(row["attempts"][0]["at"]), datetime.fromisoformat(row["created"]))
    assert (sent - due).total_seconds() > 0.39


def test_webhooks_come_out_of_order(simulator: SimulatorProcess) -> None:
    simulator.faults(webhook="out_of_order")
    with shop(204) as (url, _heard):
        made = simulator.create(return_url=url)
        simulator.decline(made["id"])
        simulator.pay(made["id"])
        until(lambda: statuses_of(simulator) == [[204], [204]])
    about = {row["about"]: row["attempts"][0]["at"] for row in simulator.ledger()["webhooks"]}
    assert about["PAID"] < about["FAILED"], "the later change is told first"


def test_webhook_can_come_before_the_answer_to_create(simulator: SimulatorProcess) -> None:
    simulator.faults(webhook="early")
    with shop(503) as (url, heard):
        simulator.create(return_url=url)
        assert len(heard) >= 1


def test_webhook_to_a_dead_shop_is_noted(simulator: SimulatorProcess) -> None:
    simulator.faults(webhook="on")
    simulator.pay(simulator.create(return_url="http://127.0.0.1:9/hook")["id"])
    until(lambda: [0] in [row[:1] for row in statuses_of(simulator)])
