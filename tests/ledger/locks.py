"""Which rows a block of code locks: for each statement its table, and what its conditions were given."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from tests.ledger.watching import LOCK

Locks = list[tuple[str, tuple[Any, ...]]]


@contextmanager
def locks() -> Iterator[Locks]:
    """Of the statements in the block; the test may be in a transaction. A lock on all of a table was given nothing."""
    seen: Locks = []

    def hook(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if lock := LOCK.match(sql):
            seen.append((lock[1], tuple(params)))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(hook):
        yield seen
