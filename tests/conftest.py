"""Fixtures of all tests."""

from collections.abc import Iterator

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker, Settings

from events.models import Merchant
from tests.chromium import browser
from tests.simulator import KEY, MERCHANT, SimulatorProcess, simulator_process

__all__ = ["browser", "simulator_process"]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The test database alone may be emptied: guarded tables refuse TRUNCATE everywhere else.

    At the end a page that a browser left half loaded may still hold a connection: it must not keep the database.
    """
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        cursor.execute(f"ALTER DATABASE {name} SET foyer.clean_up = 'on'")
        cursor.execute("SET foyer.clean_up = 'on'")
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture(autouse=True)
def empty_queue(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """After a test that commits: procrastinate's tables are unmanaged, so nothing else empties them."""
    yield
    marker = request.node.get_closest_marker("django_db")
    if "transactional_db" in request.fixturenames or (marker is not None and marker.kwargs.get("transaction")):
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute("TRUNCATE procrastinate_jobs CASCADE")


@pytest.fixture
def merchant(db: None) -> Merchant:
    """The site's merchant, known to the simulator."""
    return Merchant.objects.create(code=MERCHANT, name="Demo", api_key=KEY, currency="EUR", is_site=True)


@pytest.fixture
def sumup(simulator_process: SimulatorProcess, settings: Settings, merchant: Merchant) -> SimulatorProcess:
    """The simulator, empty, as the SumUp that the application asks."""
    simulator_process.reset()
    settings.SUMUP_API_URL = simulator_process.url
    return simulator_process
