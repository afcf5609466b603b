"""One clock: the process's plus its difference to the database's, and nobody who compares moments reads another."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import time_machine
from django.db import DatabaseError, connection, transaction
from pytest_django import DjangoAssertNumQueries, Settings

from events.models import Merchant
from ledger import clock
from tests.factories import EventFactory, UserFactory
from tests.faults.web import address_of_test_database
from tests.steps import fill
from tests.test_protocol import ROOT, sources

HOUR = timedelta(hours=1)
#: What a busy machine may add between two looks at a clock.
CLOSE = timedelta(seconds=30)


@pytest.fixture
def asking() -> Iterator[None]:
    """As outside of tests: the difference is asked for."""
    clock.plant(None)
    yield
    clock.plant(timedelta(0))


def database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (moment,) = cursor.fetchone() or (None,)
    assert isinstance(moment, datetime)
    return moment


def test_a_planted_difference_is_added() -> None:
    try:
        clock.plant(HOUR)
        with time_machine.travel(datetime(2026, 5, 1, 12, tzinfo=UTC), tick=False):
            assert clock.now() == datetime(2026, 5, 1, 13, tzinfo=UTC)
    finally:
        clock.plant(timedelta(0))


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [HOUR, -HOUR])
@pytest.mark.promise("hold-all-moments")
def test_a_process_whose_clock_is_wrong_follows_the_database(asking: None, wrong: timedelta) -> None:
    with time_machine.travel(datetime.now(UTC) + wrong):
        assert abs(clock.now() - database_now()) < CLOSE
        assert abs(clock.difference() + wrong) < CLOSE


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_opens_is_asked_before_anyone_wants_to_know(asking: None) -> None:
    connection.close()
    with time_machine.travel(datetime.now(UTC) + HOUR):
        connection.ensure_connection()
        connection.close()
        assert abs(clock.now() + HOUR - datetime.now(UTC)) < CLOSE


@pytest.mark.django_db(transaction=True)
def test_it_is_asked_once_a_minute_and_no_statement_counts(
    asking: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        clock.now()
    before = sent_to_database()
    for _turn in range(5):
        clock.now()
    assert sent_to_database() == before
    with time_machine.travel(datetime.now(UTC) + HOUR):  # its clock is put forward: nobody knows for a minute
        assert clock.difference() > -CLOSE
        clock._known.until = 0.0  # the minute is over
        assert abs(clock.now() - database_now()) < CLOSE
        with transaction.atomic():
            clock._known.until = 0.0
            assert abs(clock.now() - database_now()) < CLOSE


def sent_to_database() -> object:
    """The last statement that this connection has sent, as the server tells another one."""
    with psycopg.connect(address_of_test_database()) as other:
        pid = connection.connection.info.backend_pid
        return other.execute("SELECT query, query_start FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()


@pytest.mark.django_db(transaction=True)
def test_in_a_failed_transaction_what_was_known_stands(asking: None) -> None:
    clock.now()
    clock._known.until = 0.0
    with transaction.atomic(), connection.cursor() as cursor:
        with pytest.raises(DatabaseError):
            cursor.execute("SELECT 1/0")
        assert abs(clock.now() - datetime.now(UTC)) < CLOSE
        transaction.set_rollback(True)


#: A process on a machine whose clock is wrong by so many hours orders what is in the cart, and tells the hold's end.
ORDERS = """
import sys, uuid, time_machine
from datetime import UTC, datetime, timedelta
time_machine.travel(datetime.now(UTC) + timedelta(hours=float(sys.argv[1]))).start()
import django
django.setup()
from accounts.models import User
from cart.contents import cart_of
from ledger import clock
from orders.placing import place
now = clock.now()
user = User.objects.get(pk=sys.argv[2])
order = place(user, pages=None, token=uuid.uuid4(), seen=cart_of(user, at=now).digest(), at=now)
print(order.hold_until.isoformat())
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.promise("hold-all-moments")
def test_holds_of_a_machine_with_a_wrong_clock_follow_the_database(
    hours: int, settings: Settings, merchant: Merchant
) -> None:
    user = UserFactory.create()
    fill(user, EventFactory.create(ticket_price="5.00", capacity=5))
    surroundings = os.environ | {
        "DATABASE_URL": address_of_test_database(),
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    done = subprocess.run(  # noqa: S603  (our own program)
        [sys.executable, "-c", ORDERS, str(hours), str(user.pk)],
        cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    hold = timedelta(minutes=settings.HOLD_MINUTES)
    assert abs(datetime.fromisoformat(done.stdout.strip()) - database_now() - hold) < CLOSE


# --- Nobody reads another clock


#: A file, what it may read, and why.
EXCEPTIONS = {
    ("accounts/codes.py", "time.time"): "compared with what allauth has stored in the session by time.time()",
    ("accounts/models.py", "timezone.now"): "when a user joined is shown, never compared",
    ("dev/testing.py", "time.time"): "compared with a file's time, on the same machine",
    ("ledger/cache.py", "datetime.now"): "compared with what Django's cache has stored by this process's clock",
    ("ledger/clock.py", "timezone.now"): "the clock",
    ("ledger/clock.py", "datetime.now"): "the clock",
    ("orders/paper_views.py", "time.time"): "a number that makes a copy's Message-ID another one",
    ("payments/admin/orders.py", "time.time"): "a number that makes a copy's Message-ID another one",
    ("payments/sumup/client.py", "datetime.now"): "compared with SumUp's Date; the doctor adds the difference",
    ("payments/sumup/problems.py", "datetime.now"): "SumUp's Retry-After, which is SumUp's clock",
    ("events/models/entries.py", "auto_now_add"): "order of making, days old when it is compared",
    ("events/models/tickets.py", "auto_now_add"): "lapses after days",
    ("market/models.py", "auto_now_add"): "lapses after days",
}


def clocks(source: str) -> Iterator[str]:
    """Each reading of a clock in `source`, called or handed on."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id=of) | ast.Attribute(attr=of), attr=name):
                if (of, name) in READINGS:
                    yield f"{of}.{name}"
            case ast.ImportFrom(module=module, names=names):
                last = (module or "").rpartition(".")[2]
                yield from (f"{last}.{one.name}" for one in names if (last, one.name) in READINGS)
            case ast.keyword(arg="auto_now" | "auto_now_add" as name):
                yield name
            case ast.Call(func=ast.Attribute(attr="localdate" | "localtime" as name), args=[], keywords=[]):
                yield f"timezone.{name}"


READINGS = {
    ("timezone", "now"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
}


@pytest.mark.promise("hold-all-moments")
def test_nobody_but_the_clock_reads_a_clock() -> None:
    found = {(name, reading) for name, text in sources() for reading in clocks(text)}
    assert found == set(EXCEPTIONS)


@pytest.mark.parametrize(
    "source",
    [
        "timezone.now()",
        "django.utils.timezone.now()",
        "field = DateTimeField(default=timezone.now)",
        "datetime.now(UTC)",
        "datetime.datetime.now()",
        "datetime.utcnow()",
        "date.today()",
        "time.time()",
        "time.time_ns()",
        "from time import time",
        "from django.utils.timezone import now",
        "timezone.localdate()",
        "timezone.localtime()",
        "DateTimeField(auto_now=True)",
    ],
)
def test_walk_finds_each_way_to_read_a_clock(source: str) -> None:
    assert list(clocks(source))


@pytest.mark.parametrize("source", ["clock.now()", "time.monotonic()", "timezone.localtime(at)", "self.now()"])
def test_walk_lets_be_what_reads_none(source: str) -> None:
    assert not list(clocks(source))
