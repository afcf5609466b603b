"""Statements as a psql prompt would send them: a bare psycopg cursor on the test's connection, no ORM in the way."""

from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import connection


def bare() -> "psycopg.Connection[tuple[Any, ...]]":
    connection.ensure_connection()
    raw = connection.connection
    assert isinstance(raw, psycopg.Connection)
    return raw


def run(statement: str, *values: object) -> int:
    """Execute and keep it; answers how many rows it touched."""
    with bare().cursor() as cursor:
        cursor.execute(statement.encode(), values or None)  # without values, a % is a %
        return cursor.rowcount


def rows(statement: str, *values: object) -> list[tuple[Any, ...]]:
    with bare().cursor() as cursor:
        return cursor.execute(statement.encode(), values or None).fetchall()


def verdict(*statements: str, values: Sequence[object] = ()) -> str | None:
    """What PostgreSQL refuses the last of `statements` for: the constraint's name, else the column's, else SQLSTATE.

    None when it takes it, at once and at commit. Nothing of it stays. `values` belong to the last statement, which
    must touch a row: a guard that nobody knocked at proves nothing.
    """
    *before, last = statements
    try:
        with bare().transaction(force_rollback=True):
            for statement in before:
                run(statement)
            touched = run(last, *values)
            assert touched, f"no row touched: {last}"
            run("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.Error as error:
        return error.diag.constraint_name or error.diag.column_name or error.sqlstate
    return None


def verdict_of_truncate(table: str) -> str | None:
    """The same for a TRUNCATE by a session that is no test's clean-up."""
    return verdict("SET CONSTRAINTS ALL IMMEDIATE", "SET LOCAL foyer.clean_up = ''", f"TRUNCATE {table} CASCADE")


def twin(table: str, pk: int, **changes: object) -> str | None:
    """The verdict on inserting a copy of a row with `changes` (its id is new)."""
    columns = [
        name
        for (name,) in rows(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND column_name <> 'id'", table
        )
    ]
    assert set(changes) <= set(columns), f"{table} lacks a column of {sorted(changes)}"
    values = [changes[name] for name in columns if name in changes]
    picked = ", ".join("%s" if name in changes else name for name in columns)
    statement = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {picked} FROM {table} WHERE id = %s"
    return verdict(statement, values=[*values, pk])
