"""Sessions and entries of the cache that are over go, in batches; the others stay."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django import app

from accounts import clearing
from accounts.jobs import clear_expired
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "BATCH", 2)


def sessions(*ages: timedelta) -> None:
    """One that ended so long ago, for each."""
    now = timezone.now()
    Session.objects.bulk_create(
        Session(session_key=f"{number:032}", session_data="x", expire_date=now - age) for number, age in enumerate(ages)
    )


def cached(*ages: timedelta) -> None:
    with connection.cursor() as cursor:
        for number, age in enumerate(ages):
            cursor.execute("INSERT INTO foyer_cache VALUES (%s, 'x', %s)", [f"key{number}", timezone.now() - age])


def in_cache() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM foyer_cache")
        return int(cursor.fetchone()[0])


HOUR = timedelta(hours=1)


@pytest.mark.promise("sessions-cache-entries")
def test_the_job_clears_what_is_over_and_nothing_else(client: Client) -> None:
    client.force_login(UserFactory.create())
    sessions(HOUR, HOUR, 2 * HOUR, 3 * HOUR, 9 * HOUR, -HOUR)
    cached(HOUR, HOUR, HOUR, HOUR, -HOUR)

    clear_expired(timestamp=0)

    assert Session.objects.count() == 2
    assert "_auth_user_id" in client.session
    assert in_cache() == 1


def test_a_whole_batch_is_not_the_end() -> None:
    sessions(HOUR, HOUR, HOUR, HOUR)
    cached(HOUR, HOUR)
    now = timezone.now()

    assert clearing.clear_sessions(at=now) == 4
    assert clearing.clear_cache(at=now) == 2
    assert clearing.clear_sessions(at=now) == clearing.clear_cache(at=now) == 0


def test_it_runs_every_day() -> None:
    crons = {task.task.name: task.cron for task in app.periodic_registry.periodic_tasks.values()}
    assert crons["accounts.jobs.clear_expired"] == "37 3 * * *"
    assert crons["events.jobs.tidy_pictures"] == "47 3 * * *"
