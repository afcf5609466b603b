"""Rows that were put back in a cart remember what they replace; here the chain is followed."""

from typing import Any

from django.db import models


def copies_of(originals: models.QuerySet[Any]) -> dict[int, int]:
    """All rows that replace one of `originals`, or such a copy: pk -> the original's pk. A query a generation."""
    found: dict[int, int] = {}
    level = {pk: pk for pk in originals.order_by().values_list("pk", flat=True)}
    while level:
        copies = originals.model._default_manager.filter(replaces__in=list(level)).values_list("pk", "replaces_id")
        level = {copy: level[replaced] for copy, replaced in copies if replaced is not None}
        found |= level
    return found
