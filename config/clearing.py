"""Jobs that are over go: the worker makes three a minute and one a mail, and procrastinate keeps them all.

Its own task deletes all of them in one statement that sorts every event there is: after a year that takes minutes and
holds what it deletes as long.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import connection

BATCH = 500
#: So long a job is kept after the last that happened to it. A failed one can be run again from the admin.
KEPT = {
    ("succeeded", "cancelled", "aborted"): timedelta(days=7),
    ("failed",): timedelta(days=90),
}


def clear_jobs(*, at: datetime) -> int:
    """Delete what ended so long before `at`, a batch at a time, with its events; answers how many.

    The guard stands in the deletion: one that is run again meanwhile stays.
    """
    gone = 0
    for statuses, kept in KEPT.items():
        for keys in _over(list(statuses), at - kept):
            with connection.cursor() as cursor:
                cursor.execute(
                    "DELETE FROM procrastinate_jobs WHERE id = ANY(%s) AND status::text = ANY(%s)",
                    [keys, list(statuses)],
                )
                gone += cursor.rowcount
    return gone


def _over(statuses: list[str], since: datetime) -> Iterator[list[int]]:
    """Keys of such jobs to which nothing has happened since, a batch at a time, by key.

    The last event is looked up for each job on the way, so that a batch costs the same however many there are.
    """
    query = (
        "SELECT job.id FROM procrastinate_jobs AS job WHERE job.id > %s AND job.status::text = ANY(%s) AND coalesce("
        "(SELECT max(event.at) FROM procrastinate_events AS event WHERE event.job_id = job.id), '-infinity') < %s"
        " ORDER BY job.id LIMIT %s"
    )
    last = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(query, [last, statuses, since, BATCH])
            keys = [int(key) for (key,) in cursor.fetchall()]
        if not keys:
            return
        yield keys
        last = keys[-1]
