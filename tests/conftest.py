"""Fixtures of all tests."""

import gc
from collections.abc import Iterator
from datetime import timedelta

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connection
from django.test import Client, TransactionTestCase
from hypothesis import HealthCheck
from pytest_django import DjangoDbBlocker, Settings
from pytest_django.plugin import blocking_manager_key

from accounts.models import User
from events.models import Merchant, Role
from ledger import clock
from tests.chromium import browser
from tests.cloning import copy_template, drop_template
from tests.desk import House, house, member, signed_in_as
from tests.emptying import empty_database
from tests.factories import UserFactory
from tests.guards import watch_connections
from tests.simulator import KEY, MERCHANT, SimulatorProcess, simulator_process

__all__ = ["browser", "simulator_process"]


def pytest_configure() -> None:
    """What is slow in a server that starts once is slow in each test: neither is what a test is about.

    No test lets a change pass whose guard a rival could slip through.
    """
    PBKDF2PasswordHasher.iterations = 1000  # the hash that is used outside, in a thousandth of its rounds
    watch_connections()
    settings.WHITENOISE_AUTOREFRESH = True  # static files are looked up when asked for, not all for each new client
    clock.plant(timedelta(0))  # no test's clock follows the database's: many travel
    # A busy machine is no failure of what hypothesis looks at.
    hypothesis.settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    hypothesis.settings.load_profile("unhurried")


def pytest_collection_finish() -> None:
    """What was imported stays to the end: the collector of garbage need not look through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The first process has no test database; what its workers copied goes when they are gone."""
    if not hasattr(config, "workerinput"):
        with config.stash[blocking_manager_key].unblock():
            drop_template()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    request: pytest.FixtureRequest,
    django_db_modify_db_settings: None,
    django_test_environment: None,
    django_db_blocker: DjangoDbBlocker,
) -> None:
    """One of xdist's workers copies its test database; whoever is alone makes it as Django does."""
    if hasattr(request.config, "workerinput"):
        with django_db_blocker.unblock():
            copy_template()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The test database alone may be emptied: guarded tables refuse TRUNCATE everywhere else.

    A test that commits is cleaned up after in our way. At the end a page that a browser left half loaded may still
    hold a connection: it must not keep the database.
    """
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        cursor.execute(f"ALTER DATABASE {name} SET foyer.clean_up = 'on'")
        cursor.execute("SET foyer.clean_up = 'on'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _case: empty_database())
        yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


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


@pytest.fixture
def home(db: None) -> House:
    """A house that has sold two tickets."""
    return house("Alpha")


@pytest.fixture
def owner(home: House) -> Client:
    """The browser of who owns the page."""
    return signed_in_as(member((home.page, Role.OWNER)))


@pytest.fixture
def organiser(home: House) -> Client:
    """The browser of an organiser of the page."""
    return signed_in_as(member((home.page, Role.ORGANISER)))


@pytest.fixture
def boss(db: None) -> Client:
    """The browser of somebody who may do all."""
    return signed_in_as(UserFactory.create(is_staff=True, is_superuser=True))


@pytest.fixture
def buyer(client: Client, db: None) -> User:
    """Whose browser `client` is."""
    user = UserFactory.create()
    client.force_login(user)
    return user
