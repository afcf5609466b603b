"""Row locks in one order everywhere (ORDER), each by primary key, and a bounded retry of what lost a lock race.

The lock on what a row counts against is taken before the row is changed.
"""

import random
import time
from collections.abc import Callable, Collection
from typing import Self, TypeVar

from django.db import models, transaction
from django.db.utils import OperationalError

Row = TypeVar("Row", bound=models.Model, covariant=True)
Model = TypeVar("Model", bound=models.Model)
Answer = TypeVar("Answer")

#: The tables whose rows are locked, in the order in which a transaction may lock them: who holds a row of one never
#: waits for a row of an earlier one. Entries are events and bookings alike.
ORDER = (
    "accounts_user",
    "orders_order",
    "payments_checkout",
    "payments_refund",
    "events_calendar",
    "events_calendarentry",
    "events_tickettype",
    "market_product",
    "events_ticket",
    "market_productitem",
)
#: SQLSTATE of a deadlock victim, a serialization failure and a lock that was not had in time.
LOST_RACES = {"40P01", "40001", "55P03"}


class LockableQuerySet(models.QuerySet[Row]):
    def locked(self) -> Self:
        """The same rows by primary key, locked until the transaction ends; lazy like any queryset: evaluate it.

        FOR NO KEY UPDATE: a plain FOR UPDATE of a parent would make every insert of a child wait.
        """
        return self.order_by("pk").select_for_update(of=("self",), no_key=True)


def locked_by_pk(rows: LockableQuerySet[Model], pks: Collection[int]) -> dict[int, Model]:
    """The rows `pks` of `rows`, locked, by primary key and in its order; none wanted: nothing is asked."""
    return {row.pk: row for row in rows.filter(pk__in=pks).locked()} if pks else {}


class Contention(Exception):
    """The rows were wanted by so many at once that this try was given up; nothing was changed."""


def sqlstate(error: BaseException) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)


def retried(work: Callable[[], Answer], *, tries: int = 4) -> Answer:
    """`work()` in a transaction of its own, again when it lost a lock race; `Contention` after the last try.

    Inside an open transaction there is nothing to try again: the error goes to the transaction's owner.
    """
    for attempt in range(1, tries + 1):
        try:
            with transaction.atomic():
                return work()
        except OperationalError as error:
            if sqlstate(error) not in LOST_RACES or transaction.get_connection().in_atomic_block:
                raise
            if attempt == tries:
                raise Contention from error
            # Jitter keeps two that met once from meeting again; a lock wait is the real wait.
            time.sleep(random.uniform(0.005, 0.03) * attempt)  # noqa: S311  (spread, not secrecy)
    raise AssertionError("unreachable: the last try returns or raises")
