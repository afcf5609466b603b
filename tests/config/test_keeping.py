"""Nothing only grows: each table has its rule, and what passes goes, with nothing that anybody needs."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import psycopg
import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django import app

from accounts.models import SignInCode
from config import clearing, keeping
from config.clearing import clear_jobs
from events.models import Merchant
from payments.models import ReconcileRun
from payments.models.runs import RUNS_KEPT
from payments.reconcile.jobs import clear_runs
from payments.reconcile.running import since_of
from tests.faults.web import address_of_test_database
from tests.ledger.psql import run
from tests.races.threads import at_once

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def number_of(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchone()[0])


@pytest.mark.promise("year-jobs-sessions")
def test_each_table_of_the_database_has_its_rule_and_each_rule_its_table() -> None:
    assert keeping.without_rule() == set(), "how long does it keep its rows? (config/keeping.py)"
    assert keeping.KEPT.keys() | keeping.PASSING.keys() == keeping.tables()
    assert not keeping.KEPT.keys() & keeping.PASSING.keys()
    assert all(keeping.KEPT.values())


def test_a_new_table_without_a_rule_is_named() -> None:
    run("CREATE TABLE events_visit (at timestamptz)")
    assert keeping.without_rule() == {"events_visit"}


def test_what_passes_is_deleted_by_a_task_that_the_worker_runs_by_itself() -> None:
    runs = {task.task.name for task in app.periodic_registry.periodic_tasks.values()}
    assert {rule.task for rule in keeping.PASSING.values()} <= runs


# --- Jobs


def jobs(status: str, age: timedelta, number: int = 1, *, name: str = "a") -> None:
    """So many, to which something happened last so long ago."""
    run(
        "WITH made AS (INSERT INTO procrastinate_jobs (queue_name, task_name, status)"
        " SELECT 'payments', %s, %s::procrastinate_job_status FROM generate_series(1, %s) RETURNING id)"
        " INSERT INTO procrastinate_events (job_id, type, at) SELECT id, 'started', now() - %s FROM made",
        name,
        status,
        number,
        age,
    )
    # The event that the table's own trigger wrote is of this moment.
    run("UPDATE procrastinate_events SET at = now() - %s WHERE type = 'deferred' AND at = now()", age)


def left() -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT task_name, status FROM procrastinate_jobs ORDER BY id")
        return [(str(name), str(status)) for name, status in cursor.fetchall()]


def test_a_job_goes_a_week_after_its_end_and_one_that_failed_after_90_days() -> None:
    for status, age in (("succeeded", 8), ("cancelled", 8), ("aborted", 8), ("failed", 91)):
        jobs(status, age * DAY, name="old")
    for status, age in (("succeeded", 6), ("cancelled", 6), ("aborted", 6), ("failed", 89)):
        jobs(status, age * DAY, name="young")
    for status in ("todo", "doing"):
        jobs(status, 400 * DAY, name="unfinished")

    assert clear_jobs(at=timezone.now()) == 4

    assert {name for name, _status in left()} == {"young", "unfinished"}
    assert len(left()) == 6
    assert number_of("procrastinate_events") == 7  # each was begun, and one waits


def test_it_is_the_last_thing_that_happened_to_a_job_that_counts() -> None:
    """Made long ago for a distant day, or tried for weeks."""
    jobs("succeeded", 30 * DAY)
    run("INSERT INTO procrastinate_events (job_id, type) SELECT id, 'succeeded' FROM procrastinate_jobs")
    assert clear_jobs(at=timezone.now()) == 0


def test_whole_batches_are_not_the_end_and_what_stays_is_not_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "BATCH", 2)
    jobs("failed", 60 * DAY, 3)
    jobs("succeeded", 60 * DAY, 4)
    jobs("succeeded", DAY, 3)
    jobs("succeeded", 60 * DAY, 2)
    assert clear_jobs(at=timezone.now()) == 6
    assert clear_jobs(at=timezone.now()) == 0
    assert len(left()) == 6


def test_a_periodic_job_that_goes_leaves_the_time_for_which_it_ran() -> None:
    """By it the worker knows that this minute has had its job."""
    jobs("succeeded", 8 * DAY)
    run(
        "INSERT INTO procrastinate_periodic_defers (task_name, defer_timestamp, job_id)"
        " SELECT 'sweep', 1, id FROM procrastinate_jobs"
    )
    assert clear_jobs(at=timezone.now()) == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT defer_timestamp, job_id FROM procrastinate_periodic_defers")
        assert cursor.fetchall() == [(1, None)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("year-jobs-sessions")
def test_a_job_that_is_run_again_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs("failed", 100 * DAY, 2)
    keys_of = clearing._over

    def found_and_run_again(statuses: list[str], since: datetime) -> Iterator[list[int]]:
        for keys in keys_of(statuses, since):
            with psycopg.connect(address_of_test_database()) as other:
                other.execute("UPDATE procrastinate_jobs SET status = 'todo' WHERE id = %s", [keys[0]])
            yield keys

    monkeypatch.setattr(clearing, "_over", found_and_run_again)
    assert clear_jobs(at=timezone.now()) == 1
    assert left() == [("a", "todo")]


@pytest.mark.django_db(transaction=True)
def test_two_at_once_delete_each_job_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "BATCH", 3)
    jobs("succeeded", 8 * DAY, 20)
    now = timezone.now()
    answers = at_once([lambda: clear_jobs(at=now)] * 2)
    assert sum(answer for answer in answers if isinstance(answer, int)) == 20, answers
    assert left() == []


# --- All that passes: old and young beside each other


def planted_sessions() -> None:
    now = timezone.now()
    Session.objects.bulk_create(
        Session(session_key=f"{name:032}", session_data="x", expire_date=now - ends)
        for name, ends in ((1, DAY), (2, -DAY))
    )


def planted_cache() -> None:
    run("INSERT INTO foyer_cache VALUES ('a', 'x', now() - interval '1 hour'), ('b', 'x', now() + interval '1 hour')")


def planted_codes() -> None:
    now = timezone.now()
    SignInCode.objects.bulk_create(SignInCode(made_at=now - age) for age in (2 * DAY, DAY / 2))


def planted_jobs() -> None:
    jobs("succeeded", 8 * DAY)
    jobs("succeeded", DAY)


def planted_runs() -> None:
    for days in (500, 450, 3):
        at = timezone.now() - days * DAY
        ReconcileRun.objects.create(started_at=at, finished_at=at, who="job", outcome="in_order", is_dry=days == 500)


@pytest.mark.promise("year-jobs-sessions")
def test_old_rows_of_each_table_go_and_young_ones_stay() -> None:
    walked: dict[str, tuple[Callable[[], None], int, int]] = {  # who plants, rows before, rows after
        "django_session": (planted_sessions, 2, 1),
        "foyer_cache": (planted_cache, 2, 1),
        "accounts_signincode": (planted_codes, 2, 1),
        "procrastinate_jobs": (planted_jobs, 2, 1),
        "procrastinate_events": (lambda: None, 2, 1),
        "payments_reconcilerun": (planted_runs, 3, 1),
    }
    in_carts = {"events_ticket", "events_calendarentry", "market_productitem"}  # tests/cart/test_lapsing.py
    assert walked.keys() | in_carts == keeping.PASSING.keys()
    for plant, _before, _after in walked.values():
        plant()
    assert {table: number_of(table) for table in walked} == {table: row[1] for table, row in walked.items()}
    tasks = {task.task.name: task.task for task in app.periodic_registry.periodic_tasks.values()}
    for _twice in range(2):
        for name in {keeping.PASSING[table].task for table in walked}:
            tasks[name].func(timestamp=0)
        assert {table: number_of(table) for table in walked} == {table: row[2] for table, row in walked.items()}


def test_runs_from_which_the_next_one_goes_on_stay(merchant: Merchant) -> None:
    """However old: of a merchant that was not reached for long, and the last that looked at everything."""
    idle = Merchant.objects.create(code="MIDLE", name="Idle", api_key="sup_sk_x", currency="EUR")
    now = timezone.now()

    def ran(days: int, **facts: object) -> ReconcileRun:
        at = now - days * DAY
        return ReconcileRun.objects.create(
            **{"started_at": at, "finished_at": at, "who": "job", "outcome": "unreachable", **facts}
        )

    old = RUNS_KEPT.days
    goes = [ran(old + 40, walked=[merchant.pk, idle.pk]), ran(old + 9), ran(old + 8, walked=[merchant.pk])]
    stays = [
        ran(old + 30, walked=[idle.pk]),
        ran(old + 20, outcome="in_order"),
        ran(old + 7, walked=[merchant.pk]),
        ran(old + 6, outcome="running", finished_at=None),
        ran(old - 1),
    ]
    before = [since_of(row, now) for row in (merchant, idle)]

    clear_runs(timestamp=0)

    assert set(ReconcileRun.objects.values_list("pk", flat=True)) == {row.pk for row in stays}
    assert [since_of(row, now) for row in (merchant, idle)] == before
    assert not ReconcileRun.objects.filter(pk__in=[row.pk for row in goes]).exists()
