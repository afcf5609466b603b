"""The test database, emptied after a test that committed: what holds rows is deleted from, the rest is not touched.

Django's own way truncates every table and makes every content type and permission anew: a third of a second a test.
"""

from django.db import connection

#: What migrations made, and no test changes.
KEPT = ["django_migrations", "django_content_type", "auth_permission"]
#: Whoever still writes (a request of a page that a browser left half loaded) is waited for, as TRUNCATE would.
EMPTY = """
DO $$
DECLARE
    name text;
    has_rows boolean;
BEGIN
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
""".format(kept=", ".join(f"'{name}'" for name in KEPT))


def empty_database() -> None:
    """Delete every row of every table that a test may have filled, procrastinate's and the cache's included."""
    with connection.cursor() as cursor:
        cursor.execute(EMPTY)
