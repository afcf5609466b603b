"""The cache in the database that the limits count in."""

import base64
import pickle
from datetime import UTC, datetime
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.db import DatabaseCache
from django.db import connection


class ExactCache(DatabaseCache):
    """Django's, but `add` is one statement: of many at once exactly one adds, also over a row that is past its time.

    Django looks first and writes then: a lock that a killed process left behind would be taken by everybody at once.
    """

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        name = self.make_and_validate_key(key, version=version)
        until = self.get_backend_timeout(timeout)
        expires = datetime.max.replace(tzinfo=UTC) if until is None else datetime.fromtimestamp(until, tz=UTC)
        kept = base64.b64encode(pickle.dumps(value, self.pickle_protocol)).decode("latin1")
        table = connection.ops.quote_name(self.cache_model_class._meta.db_table)
        statement = (
            f"INSERT INTO {table} AS kept (cache_key, value, expires) VALUES (%s, %s, %s)"  # noqa: S608  (our own name)
            " ON CONFLICT (cache_key) DO UPDATE SET value = EXCLUDED.value, expires = EXCLUDED.expires"
            " WHERE kept.expires < %s"
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, [name, kept, expires, datetime.now(UTC)])
            return bool(cursor.rowcount)
