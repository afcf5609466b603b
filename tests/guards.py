"""A change whose guard stands inside a subselect does not happen in any test.

PostgreSQL that has waited for a rival looks at the row's own columns again, not into a subselect: `UPDATE ticket …
WHERE id IN (SELECT … WHERE state = 'confirmed')` changes a row that is confirmed no more. Django writes that when an
`update()` is filtered across a relation.
"""

import re
from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

CHANGE = re.compile(r'\s*(UPDATE|DELETE)(?: FROM)?(?: ONLY)? "?(\w+)"?')
SELECTS = re.compile(r"\(\s*SELECT\b", re.IGNORECASE)

#: (verb, table) of the changes that may choose their rows by a subselect, each with its reason.
ALLOWED = {
    ("UPDATE", "payments_payout"): "which payment a payout is of: codes that never change; that it has none yet stands"
    " in the statement itself",
    ("UPDATE", "payments_sumupevent"): "a migration spells the ids of before anew: of rows that nobody else changes",
}


class GuardInSubselect(AssertionError):
    """The product's code would let a rival slip through."""


def offence(sql: str) -> tuple[str, str] | None:
    """(verb, table) of a change that chooses its rows by a subselect."""
    change = CHANGE.match(sql)
    if change is None or not SELECTS.search(condition(sql)):
        return None
    return change[1], change[2]


def condition(sql: str) -> str:
    """What follows the statement's own WHERE; a subselect that gives a new value has one too, in parentheses."""
    depth = 0
    for found in re.finditer(r"[()]|\bWHERE\b", sql):
        match found[0]:
            case "(":
                depth += 1
            case ")":
                depth -= 1
            case _ if depth == 0:
                return sql[found.end() :]
    return ""


def refuse(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    found = offence(sql)
    if found and found not in ALLOWED:
        raise GuardInSubselect(f"{found[0]} of {found[1]} chooses its rows by a subselect: {sql}")
    return execute(sql, params, many, context)


def _on_connected(connection: BaseDatabaseWrapper, **_more: object) -> None:
    if refuse not in connection.execute_wrappers:
        connection.execute_wrappers.append(refuse)


def watch_connections() -> None:
    """Every connection of this process, those of other threads included."""
    connection_created.connect(_on_connected)
