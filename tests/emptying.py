"""The test database, emptied after a test that committed: what holds rows is deleted from, the rest is not touched.

Django's own way truncates every table and makes every content type and permission anew: a third of a second a test.
"""

import threading
from typing import Any

from django.core.signals import request_finished, request_started
from django.db import connection

#: What migrations made, and no test changes.
KEPT = ["django_migrations", "django_content_type", "auth_permission"]
PATIENCE = 180  # seconds for whoever is still at work; the machine may be busy
#: Whoever still writes (a process that a test started) is waited for, as TRUNCATE would.
EMPTY = """
DO $$
DECLARE
    name text;
    has_rows boolean;
BEGIN
    SET LOCAL lock_timeout = '{patience}s';
    FOR name IN
        SELECT tablename FROM pg_tables
        WHERE schemaname = current_schema() AND tablename <> ALL (ARRAY[{kept}]) ORDER BY tablename
    LOOP
        EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', name);
    END LOOP;
    SET LOCAL session_replication_role = replica; -- no trigger, no foreign key: all of it goes
    FOR name IN
        SELECT tablename FROM pg_tables
        WHERE schemaname = current_schema() AND tablename <> ALL (ARRAY[{kept}])
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', name) INTO has_rows;
        IF has_rows THEN
            EXECUTE format('DELETE FROM %I', name);
        END IF;
    END LOOP;
END
$$
""".format(kept=", ".join(f"'{name}'" for name in KEPT), patience=PATIENCE)


class Answering:
    """The requests that the tests' server is at: a browser that is gone, or a webhook, may have left one behind.

    It would write into the next test's database, or hold a lock while all tables are emptied.
    """

    def __init__(self) -> None:
        self._threads: set[int] = set()
        self._changed = threading.Condition()
        request_started.connect(self._on_started)
        request_finished.connect(self._on_finished)

    def _on_started(self, environ: dict[str, Any], **_more: object) -> None:
        if "SERVER_SOFTWARE" in environ:  # django.test.Client has none, and answers in the test itself
            with self._changed:
                self._threads.add(threading.get_ident())

    def _on_finished(self, **_more: object) -> None:
        with self._changed:
            self._threads.discard(threading.get_ident())
            self._changed.notify_all()

    def wait(self) -> None:
        """Return when none is left. Raises AssertionError after PATIENCE seconds."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._threads, PATIENCE), "a request does not end"


ANSWERING = Answering()


def empty_database() -> None:
    """Delete every row of every table that a test may have filled, procrastinate's and the cache's included."""
    ANSWERING.wait()
    with connection.cursor() as cursor:
        cursor.execute(EMPTY)
