"""PostgreSQL is used up, restarted, killed in the middle of a sale: an honest page, then business as before."""

import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker, Settings

from benchmarks.bench import sign_in
from benchmarks.buyer import FIELD, Buyer
from config.backups import backup, restore
from dev.postgres import Cluster
from events.models import CalendarEntry, Merchant
from orders.models import Order
from payments.books.checking import read_books
from payments.jobs import sweep_once
from payments.models import Checkout
from tests.emptying import empty_database
from tests.factories import EventFactory
from tests.faults.web import POOL, address_of_test_database, at_database, web_server
from tests.simulator import KEY, MERCHANT, SimulatorProcess, until
from tests.steps import WEBHOOK, states_of

CONNECTIONS = 20
BUYERS = 3  # at any time
PATIENCE = 300
STOPS, SOAK_STOPS = 2, int(os.environ.get("SOAK_STOPS", "100"))


@pytest.fixture(scope="session")
def schema(django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What migrations make, in a file: the test database as it is when no test has committed to it."""
    file = tmp_path_factory.mktemp("schema") / "schema.sql.gz"
    with django_db_blocker.unblock():
        empty_database()
    backup(address_of_test_database(), file)
    return file


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A PostgreSQL of its own with the settings of production, but for few connections."""
    tmp_path.chmod(0o711)
    with Cluster(tmp_path / "postgres", settings={"max_connections": str(CONNECTIONS)}) as running:
        yield running


@pytest.fixture
def entry(
    cluster: Cluster, schema: Path, simulator: SimulatorProcess, django_db_blocker: DjangoDbBlocker, settings: Settings
) -> Iterator[CalendarEntry]:
    """An event on sale in that database, in which the test's own questions are asked too."""
    settings.SUMUP_API_URL = simulator.url
    restore(cluster.url, schema)
    with django_db_blocker.unblock(), at_database(cluster.url):
        Merchant.objects.create(code=MERCHANT, name="Demo", api_key=KEY, currency="EUR", is_site=True)
        yield EventFactory.create(capacity=1000)


class Sale:
    """Buyers, one after the other, as fast as they come. `paid` are the orders whose page said so to their buyer."""

    def __init__(
        self, host: str, entry: CalendarEntry, sumup: SimulatorProcess, sessions: list[tuple[str, str]]
    ) -> None:
        self.host, self.entry, self.sumup, self.sessions = host, entry, sumup, deque(sessions)
        self.paid: list[str] = []
        self.answers = Counter[int]()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            session, csrf = self.sessions.popleft()
            self.sessions.append((session, csrf))  # a slow restart sends many away: all of them may come again
            buyer = Buyer(self.host, session, csrf)
            with suppress(OSError, HTTPException, ValueError):  # gone in the middle; the next one comes
                self.buy(buyer)
            buyer.connection.close()

    def ask(self, buyer: Buyer, method: str, path: str, data: dict[str, str] | None = None) -> tuple[str, str]:
        status, text, location = buyer.ask(method, path, data)
        self.answers[status] += 1
        if status not in (200, 302, 303):
            raise ValueError(status)
        return text, location

    def buy(self, buyer: Buyer) -> None:
        self.ask(buyer, "POST", f"/e/{self.entry.pk}/buy/", {"quantity-0": "1"})
        cart, _ = self.ask(buyer, "GET", "/cart/")
        _, hosted = self.ask(buyer, "POST", "/checkout/", fields_of(cart))
        checkout = urlsplit(hosted).path.rpartition("/")[2]
        if not hosted.startswith(self.sumup.url):
            return  # an order's page that says why there is no payment page
        back = self.sumup.ask("GET", f"/v0.1/checkouts/{checkout}").json()["redirect_url"]
        self.sumup.pay(checkout)
        buyer.connection.request("POST", WEBHOOK, f'{{"id": "{checkout}"}}', {"Content-Type": "application/json"})
        with buyer.connection.getresponse() as answer:
            self.answers[answer.status] += 1
        buyer.connection.close()
        page, _ = self.ask(buyer, "GET", urlsplit(back).path)
        if "Paid. Thank you!" in page:
            self.paid.append(urlsplit(back).path.split("/")[2])


def fields_of(cart: str) -> dict[str, str]:
    return dict(FIELD.findall(cart))


def stopped_hard(simulator: SimulatorProcess, cluster: Cluster, entry: CalendarEntry, folder: Path, stops: int) -> None:
    sessions = sign_in(60 + 40 * stops)
    with web_server(simulator, folder, cluster.url) as host:
        sale = Sale(host, entry, simulator, sessions)
        crowd = [threading.Thread(target=sale.run) for _ in range(BUYERS)]
        for buyer in crowd:
            buyer.start()
        try:
            for _stop in range(stops):
                seen = len(sale.paid)
                until(lambda seen=seen: len(sale.paid) > seen + 2, PATIENCE)  # type: ignore[misc]
                assert cluster.pid is not None
                os.killpg(cluster.pid, signal.SIGKILL)
                cluster.stop()
                cluster.start()
            seen = len(sale.paid)
            until(lambda: len(sale.paid) > seen, PATIENCE)
        finally:
            sale.over.set()
            for buyer in crowd:
                buyer.join()
    in_order(sale, simulator)


def in_order(sale: Sale, simulator: SimulatorProcess) -> None:
    """What a buyer saw confirmed is still there; what was paid unseen is found; the books and SumUp's ledger agree."""
    connection.close()  # it died with the server
    seen = list(Order.objects.filter(code__in=sale.paid))
    assert len(seen) == len(sale.paid) > 0
    assert {(order.state, *states_of(order)) for order in seen} == {("paid", "confirmed")}
    Checkout.objects.update(asked_at=None)
    sweep_once()
    ours = sorted(row.captured for row in Checkout.objects.exclude(captured=None) if row.captured is not None)
    assert len(ours) == len(simulator.ledger()["captures"]) >= len(seen)
    assert read_books() == []
    assert set(sale.answers) <= {200, 204, 302, 303, 422, 503}


@pytest.mark.promise("postgresql-killed-under")
def test_stopped_hard_in_a_sale_every_confirm_that_a_buyer_saw_is_still_there(
    simulator: SimulatorProcess, cluster: Cluster, entry: CalendarEntry, tmp_path: Path
) -> None:
    stopped_hard(simulator, cluster, entry, tmp_path, STOPS)


@pytest.mark.soak
def test_stopped_hard_so_many_times_every_confirm_that_a_buyer_saw_is_still_there(
    simulator: SimulatorProcess, cluster: Cluster, entry: CalendarEntry, tmp_path: Path
) -> None:
    stopped_hard(simulator, cluster, entry, tmp_path, SOAK_STOPS)


@pytest.mark.promise("pool-connections-postgresql")
def test_connections_used_up_and_a_restart_are_an_honest_page_and_pass(
    simulator: SimulatorProcess, cluster: Cluster, entry: CalendarEntry, tmp_path: Path
) -> None:
    """Without a pool, as behind PgBouncer: each request needs a connection of its own."""
    [(session, csrf)] = sign_in(1)
    with web_server(simulator, tmp_path, cluster.url, DATABASE_POOL="0") as host, ExitStack() as stack:
        buyer = Buyer(host, session, csrf)
        assert buyer.ask("POST", f"/e/{entry.pk}/buy/", {"quantity-0": "1"})[0] == 302
        form = fields_of(buyer.ask("GET", "/cart/")[1])
        with suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(psycopg.connect(cluster.url))

        status, page, _ = buyer.ask("POST", "/checkout/", form)

        assert (status, "Back in a moment" in page) == (503, True)
        assert Order.objects.count() == 0
        stack.close()
        cluster.stop()
        assert buyer.ask("POST", "/checkout/", form)[0] == 503
        cluster.start()
        until(lambda: buyer.ask("GET", "/readyz")[0] == 200, PATIENCE)
        assert buyer.ask("POST", "/checkout/", form)[0] == 303
        buyer.connection.close()
    connection.close()
    assert [(order.state, *states_of(order)) for order in Order.objects.all()] == [("awaiting_payment", "reserved")]
    assert read_books() == []


@pytest.mark.promise("after-restart-postgresql")
def test_connections_that_died_in_the_pool_are_found_before_a_visitor_gets_one(
    simulator: SimulatorProcess, cluster: Cluster, entry: CalendarEntry, tmp_path: Path
) -> None:
    """Restarted at night, with nobody there: all of the pool is dead, and the first visitor sees a page."""
    path = entry.get_absolute_url()
    with web_server(simulator, tmp_path, cluster.url) as host:
        fill_pool(host, path)
        cluster.stop()
        cluster.start()
        assert statuses_of(host, path, 2 * POOL) == [200] * 2 * POOL
    connection.close()


def fill_pool(host: str, path: str) -> None:
    """As many at once as the pool has connections, each held until all are there: a lock keeps them."""
    crowd = [threading.Thread(target=statuses_of, args=(host, path, 1)) for _ in range(POOL)]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE events_calendarentry IN ACCESS EXCLUSIVE MODE")
        for visitor in crowd:
            visitor.start()
        until(lambda: waiting_for_a_lock() == POOL)
    for visitor in crowd:
        visitor.join()
    connection.close()


def statuses_of(host: str, path: str, number: int) -> list[int]:
    """The answers to so many visits, one after the other, each over a connection of its own."""
    found = []
    for _visit in range(number):
        visitor = Buyer(host, "", "")
        found.append(visitor.ask("GET", path)[0])
        visitor.connection.close()
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("pool-connections-postgresql")
def test_a_pool_that_is_used_up_is_an_honest_page(sumup: SimulatorProcess, tmp_path: Path) -> None:
    """One connection for all, and it waits for a lock: the next visitor is told so after the pool's five seconds."""
    path = EventFactory.create().get_absolute_url()
    with web_server(sumup, tmp_path, address_of_test_database(), DATABASE_POOL="1") as host:
        first, second = Buyer(host, "", ""), Buyer(host, "", "")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE events_calendarentry IN ACCESS EXCLUSIVE MODE")
            waits = threading.Thread(target=first.ask, args=("GET", path))
            waits.start()
            until(lambda: waiting_for_a_lock() == 1)
            assert second.ask("GET", path)[0] == 503
        waits.join()
        assert second.ask("GET", path)[0] == 200
        for visitor in (first, second):
            visitor.connection.close()


def waiting_for_a_lock() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
            " WHERE NOT granted AND datname = current_database()"
        )
        (number,) = cursor.fetchone() or (0,)
        return int(number)
