"""A flood of webhooks: the shop's pages are served beside it, and SumUp is not asked more often for it."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from http.client import HTTPConnection
from itertools import repeat
from pathlib import Path

import pytest

from benchmarks.bench import sign_in
from benchmarks.buyer import FIELD, Buyer
from payments.books.checking import read_books
from payments.checkouts.admission import HINTS_AT_ONCE
from payments.checkouts.settling import PAUSE
from payments.models import Checkout
from tests.factories import EventFactory
from tests.faults.web import THREADS, address_of_test_database, web_server
from tests.simulator import SimulatorProcess, until
from tests.steps import WEBHOOK, opened, ordered, states_of, sumup_id

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 300


def asked(host: str, method: str, path: str, body: str | None = None) -> int:
    connection = HTTPConnection(host, timeout=PATIENCE)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        with connection.getresponse() as answer:
            answer.read()
        return answer.status
    finally:
        connection.close()


def told(host: str, checkout: Checkout) -> int:
    return asked(host, "POST", WEBHOOK, json.dumps({"id": sumup_id(checkout)}))


@pytest.mark.promise("flood-webhooks-while")
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
        assert len(hung) >= HINTS_AT_ONCE, "the pages came after SumUp's silence, not beside it"
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


@pytest.mark.promise("sumup-hangs-more")
def test_buyers_who_click_pay_while_sumup_hangs_leave_threads_for_others(
    sumup: SimulatorProcess, tmp_path: Path
) -> None:
    """The first clicks may wait for their deadline; from then on one asks, and the others are told at once."""
    entry = EventFactory.create(capacity=50)
    sessions = sign_in(3 * THREADS)
    with web_server(sumup, tmp_path, address_of_test_database()) as host, ThreadPoolExecutor(16) as pool:
        buyers = [Buyer(host, session, csrf) for session, csrf in sessions]
        forms = [dict(FIELD.findall(buyer.fill_cart(entry.get_absolute_url(), entry.pk, 1))) for buyer in buyers]
        sumup.faults(create="hang")
        clicks = [pool.submit(clicked, *each) for each in zip(buyers, repeat("/checkout/"), forms, strict=False)]
        orders = [click.result() for click in clicks]
        assert all(order.startswith("/orders/") for order in orders)
        before = sumup.calls("create")
        assert before <= THREADS + 1

        clicks = [
            pool.submit(clicked, *each) for each in zip(buyers, (f"{order}pay/" for order in orders), strict=True)
        ]
        until(lambda: sum(not click.done() for click in clicks) == 1)
        pages = [asked(host, "GET", path) for path in ("/", entry.get_absolute_url(), "/cart/")]

        assert pages == [200] * 3
        assert sum(not click.done() for click in clicks) == 1, "the pages came after SumUp's silence, not beside it"
        assert [click.result() for click in clicks] == orders
        assert sumup.calls("create") == before + 1
        sumup.faults(create="ok")
        assert all(
            clicked(buyer, f"{order}pay/").startswith(sumup.url) for buyer, order in zip(buyers, orders, strict=True)
        )
        for buyer in buyers:
            buyer.connection.close()
    assert read_books() == []


def clicked(buyer: Buyer, path: str, form: dict[str, str] | None = None) -> str:
    """Where a click leads: SumUp's page, or the order's own with the reason why not."""
    status, text, location = buyer.ask("POST", path, form or {})
    assert status in (302, 303), text[:300]
    return location
