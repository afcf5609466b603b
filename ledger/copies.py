"""Rows that were put back in a cart remember what they replace; here the chain is followed."""

from collections.abc import Iterable

from django.db import models


def copies_of(rows: models.QuerySet[models.Model], originals: Iterable[int]) -> dict[int, int]:
    """All of `rows` that replace one of `originals`, or such a copy: pk -> the original's pk. A query a generation."""
    found: dict[int, int] = {}
    level = {pk: pk for pk in originals}
    while level:
        copies = rows.filter(replaces__in=list(level)).values_list("pk", "replaces_id")
        level = {copy: level[replaced] for copy, replaced in copies if replaced is not None}
        found |= level
    return found
