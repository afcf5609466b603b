"""What is past its time in the tables of sessions and of the cache goes: nobody reads it, and strangers make it."""

from datetime import datetime

from django.contrib.sessions.models import Session
from django.db import connection

BATCH = 1000


def clear_sessions(*, at: datetime) -> int:
    """Delete the sessions that ended by `at`, a batch at a time; answers how many. One prolonged meanwhile stays."""
    gone, found = 0, BATCH
    over = Session.objects.filter(expire_date__lt=at)
    while found == BATCH:
        keys = list(over.order_by("expire_date").values_list("pk", flat=True)[:BATCH])
        found = len(keys)
        gone += over.filter(pk__in=keys).delete()[0]
    return gone


def clear_cache(*, at: datetime) -> int:
    """The same for the cache, which by itself keeps what is over until it is full."""
    gone, found = 0, BATCH
    with connection.cursor() as cursor:
        while found == BATCH:
            query = "SELECT cache_key FROM foyer_cache WHERE expires < %s ORDER BY expires LIMIT %s"
            cursor.execute(query, [at, BATCH])
            keys = [key for (key,) in cursor.fetchall()]
            cursor.execute("DELETE FROM foyer_cache WHERE expires < %s AND cache_key = ANY(%s)", [at, keys])
            found = len(keys)
            gone += cursor.rowcount
    return gone
