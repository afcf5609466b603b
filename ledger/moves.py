"""The one statement that moves a state: guarded by where it comes from, its row count the verdict."""

from collections.abc import Collection

from django.db import models

from ledger.arrows import IllegalTransition


def move(
    rows: models.QuerySet[models.Model], pks: Collection[int], *, source: str, target: str, **changes: object
) -> int:
    """Move the rows `pks` from `source` to `target` with `changes`; answers how many this call moved.

    A replay is quiet: rows that are in `target` already are left alone. A row in any other state raises
    IllegalTransition (and the caller's transaction is rolled back: all or nothing).
    """
    moved = rows.filter(pk__in=pks, state=source).update(state=target, **changes)
    if moved != len(pks) and (arrived := rows.filter(pk__in=pks, state=target).count()) != len(pks):
        name = rows.model._meta.model_name
        raise IllegalTransition(f"{len(pks) - arrived} {name} rows cannot go from {source} to {target}")
    return moved


def move_one(row: models.Model, *, source: str, target: str, **changes: object) -> int:
    """Move one row, as `move` does."""
    return move(type(row)._default_manager.all(), [row.pk], source=source, target=target, **changes)
