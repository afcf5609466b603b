"""Writing every sealed value anew, by the newest of FIELD_KEYS."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import models, transaction
from django.db.models.functions import Cast

from ledger.sealed import Form, SealedField, Unreadable, form_of, sealed_fields, unseal


class Outcome(enum.Enum):
    REWRITTEN = "rewritten"
    NEWEST = "by the newest key already"
    UNREADABLE = "cannot be read"


@dataclass(frozen=True)
class Rotated:
    """What became of one value; `name` says whose it is."""

    name: str
    outcome: Outcome


def rotate(*, dry_run: bool = False) -> Iterator[Rotated]:
    """Go through all sealed values, each in a transaction of its own; a `dry_run` writes none."""
    for model, field in sealed_fields():
        rows = model._base_manager.exclude(**{field.name: None})
        for pk in list(rows.order_by("pk").values_list("pk", flat=True)):
            with transaction.atomic():
                rotated = _rotate_one(model, field, pk, dry_run=dry_run)
            if rotated is not None:
                yield rotated


def _rotate_one(model: type[models.Model], field: SealedField, pk: Any, *, dry_run: bool) -> Rotated | None:
    """The row is locked before its value is read: a key that somebody saves now is waited for, not written over."""
    row = model._base_manager.filter(pk=pk).select_for_update(of=("self",), no_key=True).first()
    stored = stored_value(model, field, pk)
    if row is None or stored is None:
        return None
    name = f"{model._meta.label}.{field.name} of {row} (id {pk})"
    value = unseal(stored)
    if isinstance(value, Unreadable):
        return Rotated(name, Outcome.UNREADABLE)
    if form_of(stored) is Form.NEWEST:
        return Rotated(name, Outcome.NEWEST)
    if not dry_run:
        row.save(update_fields=[field.name])  # it is locked, and what is written is sealed by the newest key
    return Rotated(name, Outcome.REWRITTEN)


def stored_value(model: type[models.Model], field: SealedField, pk: Any) -> str | None:
    """What stands in the column, as it stands there."""
    raw = Cast(field.name, models.TextField())
    stored: str | None = model._base_manager.filter(pk=pk).annotate(raw=raw).values_list("raw", flat=True).first()
    return stored
