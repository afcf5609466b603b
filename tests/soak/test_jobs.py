"""A year of jobs that nobody has cleared: the worker clears them in short steps, and is as fast as on its first day.

SOAK_JOBS sizes it; a year makes 1,600,000, three a minute.
"""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.clearing import clear_jobs
from payments.watch.health import pending_mail
from tests.ledger.psql import run

pytestmark = pytest.mark.django_db(transaction=True)

JOBS = int(os.environ.get("SOAK_JOBS", "3000"))
FETCH = "SELECT * FROM procrastinate_fetch_job_v2(NULL, NULL)"
#: No statement holds anything for longer, on a machine that does something else as well.
LONGEST_SECONDS = 5.0


def a_year() -> None:
    """So many jobs, evenly over the last 365 days, every tenth a mail; each was made, begun and ended."""
    run("SET session_replication_role = replica")  # no triggers: they would write each event as of this moment
    run(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, status, attempts)"
        " SELECT CASE WHEN number %% 10 = 0 THEN 'mail' ELSE 'payments' END, 'x',"
        " CASE WHEN number %% 3 = 0 THEN 'sweep' END, 'succeeded', 1 FROM generate_series(1, %s) AS number",
        JOBS,
    )
    run(
        "INSERT INTO procrastinate_events (job_id, type, at) SELECT job.id, what.type::procrastinate_job_event_type,"
        " now() - interval '365 days' * ((max(job.id) OVER () - job.id)::float / %s)"
        " FROM procrastinate_jobs AS job, (VALUES ('deferred'), ('started'), ('succeeded')) AS what (type)"
        " WHERE job.status = 'succeeded'",
        JOBS,
    )
    run("SET session_replication_role = DEFAULT")
    run("ANALYZE procrastinate_jobs")
    run("ANALYZE procrastinate_events")


def blocks(statement: str) -> int:
    """How many blocks of 8 kB the database looks at for it; what it changes is undone."""
    run("BEGIN")
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}")
            told = cursor.fetchone()[0]
    finally:
        run("ROLLBACK")
    plan = (json.loads(told) if isinstance(told, str) else told)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def costs() -> dict[str, int]:
    with CaptureQueriesContext(connection) as asked:
        pending_mail()
    return {"the worker's next job": blocks(FETCH), "mail that waits": blocks(asked[0]["sql"])}


@pytest.mark.promise("year-jobs-sessions")
def test_after_a_year_of_jobs_the_next_one_costs_what_the_first_did() -> None:
    run("INSERT INTO procrastinate_jobs (queue_name, task_name, lock) VALUES ('mail', 'now', 'sweep')")
    a_week = JOBS * 7 // 365
    before = costs()
    a_year()
    slowest = 0.0

    def timed(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        nonlocal slowest
        began = time.monotonic()
        answer = execute(sql, params, many, context)
        slowest = max(slowest, time.monotonic() - began)
        return answer

    with connection.execute_wrapper(timed):
        gone = clear_jobs(at=timezone.now())

    assert JOBS - a_week - 2 <= gone <= JOBS - a_week + 2
    assert slowest < LONGEST_SECONDS
    with connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM procrastinate_jobs), (SELECT count(*) FROM procrastinate_events)")
        jobs, events = cursor.fetchone()
    assert (jobs, events) == (JOBS - gone + 1, 3 * (JOBS - gone) + 1)
    run("VACUUM ANALYZE procrastinate_jobs")  # as PostgreSQL does by itself
    run("VACUUM ANALYZE procrastinate_events")
    after = costs()
    assert after["the worker's next job"] <= before["the worker's next job"] + 30
    # The mails of a week are still there: blocks that hold some of them, however long the year was.
    assert after["mail that waits"] <= before["mail that waits"] + 30 + a_week
