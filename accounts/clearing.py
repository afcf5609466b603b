"""What is past its time goes, a batch at a time: sessions, the cache's entries, sign-in codes. Strangers make them."""

from datetime import datetime
from typing import TypeVar

from django.contrib.sessions.models import Session
from django.db import connection, models

from accounts.models import SignInCode

Row = TypeVar("Row", bound=models.Model)

BATCH = 1000


def clear_sessions(*, at: datetime) -> int:
    """Delete the sessions that ended by `at`; answers how many. One prolonged meanwhile stays."""
    return delete_in_batches(Session.objects.filter(expire_date__lt=at).order_by("expire_date"))


def clear_codes(*, at: datetime) -> int:
    """The same for sign-in codes, of which each new one takes only some away."""
    return delete_in_batches(SignInCode.objects.old(at=at).order_by("made_at"))


def delete_in_batches(over: models.QuerySet[Row]) -> int:
    """Delete rows as long as there are such; the guards of `over` stand in the deletion too."""
    gone, found = 0, BATCH
    while found == BATCH:
        keys = list(over.values_list("pk", flat=True)[:BATCH])
        found = len(keys)
        gone += over.order_by().filter(pk__in=keys).delete()[0]
    return gone


def clear_cache(*, at: datetime) -> int:
    """Delete the cache's entries that ended by `at`: it by itself keeps what is over until it is full."""
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
