"""The moment that is compared with stored ones: the database's, whichever machine's process asks.

A process knows by how much its clock differs from the database's: asked when a connection opens, and again after a
minute, on the way, by whoever wants to know the time.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from django.db import DatabaseError, connection
from django.utils import timezone
from psycopg.pq import TransactionStatus

#: A difference is trusted for so many seconds.
TRUSTED = 60.0
#: More than this between a process and its database is a fault of the machines.
MOST = timedelta(seconds=2)
#: An answer that took so long tells too little.
SLOW = timedelta(seconds=1)
#: A database that did not answer is asked again after so many seconds.
PAUSE = 1.0


@dataclass
class _Known:
    """What this process knows: the database's clock less its own, whether it was ever told, and until when that holds

    (monotonic seconds).
    """

    difference: timedelta = timedelta(0)
    told: bool = False
    until: float = 0.0


_known = _Known()


def now() -> datetime:
    """The moment on the database's clock, aware, in UTC."""
    return timezone.now() + difference()


def difference() -> timedelta:
    """By how much the database's clock is ahead of this process's; 0 as long as no connection could be opened."""
    if time.monotonic() >= _known.until:
        _ask_on_the_way()
    return _known.difference


def plant(known: timedelta | None) -> None:
    """For tests: the difference is `known`, and nobody asks; None: it is asked for as outside."""
    _known.difference, _known.told = known or timedelta(0), known is not None
    _known.until = float("inf") if known is not None else 0.0


def opened(sender: object, connection: Any, **_named: object) -> None:  # noqa: ARG001  (a signal's receiver)
    """A connection has been opened, or taken from the pool: it is idle, and asked if it is time."""
    if time.monotonic() >= _known.until:
        _ask(connection.connection)


def _ask_on_the_way() -> None:
    """Over this thread's connection as it is; the first time one is opened for it.

    In a transaction that has failed nothing can be asked: what was known stands.
    """
    try:
        if connection.connection is None:
            if not _known.told:
                connection.ensure_connection()
        elif connection.connection.info.transaction_status in (TransactionStatus.IDLE, TransactionStatus.INTRANS):
            _ask(connection.connection)
    except (DatabaseError, psycopg.Error):
        _known.until = time.monotonic() + PAUSE  # whoever needs the database is about to hear of it


def _ask(link: "psycopg.Connection[Any]") -> None:
    """Half of the way there and back is the answer's. Smaller than what it cannot tell, the difference stays."""
    sent, begun = datetime.now(UTC), time.monotonic()
    with link.cursor() as cursor:
        (moment,) = cursor.execute("SELECT clock_timestamp()").fetchone() or (sent,)
    way = timedelta(seconds=time.monotonic() - begun)
    found = moment - sent - way / 2
    if abs(found - _known.difference) > way / 2 and (way < SLOW or not _known.told):
        _known.difference = found
    _known.told = True
    _known.until = time.monotonic() + TRUSTED
