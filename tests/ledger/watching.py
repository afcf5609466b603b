"""A watch on the statements of each transaction: what they lock and change, and in which order."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from ledger.locking import ORDER

#: What must be locked (or made in this transaction) before a statement: what its rows count against or belong to.
NEEDS: dict[tuple[str, str], set[str]] = {
    ("UPDATE", "orders_order"): {"orders_order"},
    ("UPDATE", "payments_checkout"): {"orders_order", "payments_checkout"},
    ("INSERT", "payments_checkout"): {"orders_order"},
    ("UPDATE", "payments_refund"): {"orders_order", "payments_checkout", "payments_refund"},
    ("INSERT", "payments_refund"): {"orders_order", "payments_checkout"},
    ("UPDATE", "events_ticket"): {"orders_order", "events_calendarentry", "events_tickettype", "events_ticket"},
    ("UPDATE", "market_productitem"): {"market_product", "market_productitem"},
    ("INSERT", "market_productitem"): {"accounts_user"},
    ("DELETE", "market_productitem"): {"market_productitem"},
    ("INSERT", "events_ticket"): {"accounts_user"},
    ("DELETE", "events_ticket"): {"events_ticket"},
}
STATEFUL = {"orders_order", "payments_checkout", "payments_refund", "events_ticket", "market_productitem"}

LOCK = re.compile(r'^SELECT .*? FROM "(\w+)".* FOR (?:NO KEY )?UPDATE\b', re.DOTALL)
WRITE = re.compile(r'^(UPDATE|INSERT|DELETE)(?: INTO| FROM)? "(\w+)"')
SETS_STATE = re.compile(r'^UPDATE "\w+" SET (?:(?! WHERE ).)*"state" = ', re.DOTALL)


@dataclass
class Watch:
    """What was met: `seen` are the (verb, table) pairs in order, `breaches` one sentence each."""

    breaches: list[str] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    held: list[str] = field(default_factory=list)

    def statement(self, sql: str) -> None:
        if lock := LOCK.match(sql):
            self.lock(lock[1])
            self.seen.append(("LOCK", lock[1]))
        elif write := WRITE.match(sql):
            self.write(write[1], write[2], sql)
            self.seen.append((write[1], write[2]))

    def lock(self, table: str) -> None:
        if table not in ORDER or table in self.held:
            return
        later = [other for other in self.held if ORDER.index(other) > ORDER.index(table)]
        if later:
            self.breaches.append(f"{table} is locked after {', '.join(later)}")
        self.held.append(table)

    def write(self, verb: str, table: str, sql: str) -> None:
        if not connection.in_atomic_block:
            if table in STATEFUL and SETS_STATE.match(sql):
                self.breaches.append(f"{table} changes its state outside a transaction")
            return
        if missing := NEEDS.get((verb, table), set()) - set(self.held):
            self.breaches.append(f"{verb} of {table} before the lock on {', '.join(sorted(missing))}")
        if verb == "INSERT" and table in ORDER:
            self.held.append(table)  # nobody else can wait for a row that nobody else sees
        else:
            self.lock(table)


@contextmanager
def watched() -> Iterator[Watch]:
    """Watch this connection's transactions; the test itself must not be in one."""
    assert not connection.in_atomic_block
    watch = Watch()
    set_autocommit = connection.set_autocommit

    def boundary(*arguments: Any, **options: Any) -> None:
        watch.held.clear()  # BEGIN and COMMIT pass here, not through a cursor
        set_autocommit(*arguments, **options)

    def hook(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        watch.statement(sql)
        return execute(sql, params, many, context)

    connection.set_autocommit = boundary  # type: ignore[method-assign]  # no hook of Django's tells of BEGIN
    try:
        with connection.execute_wrapper(hook):
            yield watch
    finally:
        del connection.set_autocommit  # the class's own method shows again
