"""A flood of webhooks: the shop's pages are served beside it, and SumUp is not asked more often for it."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from http.client import HTTPConnection
from pathlib import Path

import pytest

from payments.books import read_books
from payments.hints import HINTS_AT_ONCE
from payments.models import Checkout
from payments.settling import PAUSE
from tests.cart.steps import WEBHOOK, opened, ordered, states_of, sumup_id
from tests.factories import EventFactory
from tests.faults.web import THREADS, address_of_test_database, web_server
from tests.simulator import SimulatorProcess, until

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 60


def asked(host: str, method: str, path: str, body: str | None = None) -> int:
    connection = HTTPConnection(host, timeout=PATIENCE)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def told(host: str, checkout: Checkout) -> int:
    return asked(host, "POST", WEBHOOK, json.dumps({"id": sumup_id(checkout)}))


def test_a_flood_of_webhooks_leaves_threads_for_buyers_and_asks_no_more(
    sumup: SimulatorProcess, tmp_path: Path
) -> None:
    entry = EventFactory.create(capacity=50)
    checkouts = [opened(ordered(entry)) for _ in range(2 * THREADS)]
    with web_server(sumup, tmp_path, address_of_test_database()) as host, ThreadPoolExecutor(16) as pool:
        assert asked(host, "GET", entry.get_absolute_url()) == 200
        sumup.faults(read="hang")
        flood = [pool.submit(told, host, checkout) for checkout in checkouts]
        until(lambda: sumup.calls("read") == HINTS_AT_ONCE)

        pages = [asked(host, "GET", path) for path in ("/", entry.get_absolute_url(), "/cart/")]

        hung = [webhook for webhook in flood if not webhook.done()]
        assert pages == [200] * 3
        assert len(hung) == HINTS_AT_ONCE, "the pages came after SumUp's silence, not beside it"
        assert Counter(webhook.result() for webhook in flood) == {503: len(flood)}
        sumup.faults(read="ok")
        sumup.pay(sumup_id(checkouts[0]))
        before, began = sumup.calls("read"), time.monotonic()
        flood = [pool.submit(told, host, checkout) for checkout in checkouts for _ in range(25)]
        assert asked(host, "GET", "/") == 200
        wait(flood)
        pauses = 1 + (time.monotonic() - began) // PAUSE.total_seconds()
    assert {webhook.result() for webhook in flood} <= {204, 503}
    assert sumup.calls("read") - before <= len(checkouts) * (1 + pauses)
    assert states_of(checkouts[0].order) in (["confirmed"], ["reserved"])  # its turn came, or a job will bring it
    assert read_books() == []
