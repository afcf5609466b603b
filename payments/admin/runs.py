"""Comparisons with SumUp in the admin: when the last one ran, and what it found. To read only."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.timesince import timesince
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from events.scoping import team_of
from payments.models import ReconcileRun


@admin.register(ReconcileRun)
class ReconcileRunAdmin(admin.ModelAdmin[ReconcileRun]):
    """For superusers: a run is about the whole site."""

    list_display = ("started_at", "outcome", "found", "took", "who", "merchant", "is_dry")
    list_filter = ("outcome", "is_dry")
    list_select_related = ("merchant",)
    sortable_by = ()
    fields = readonly_fields = (
        "started_at", "finished_at", "outcome", "who", "merchant", "is_dry", "since", "all_counts", "problem",
    )  # fmt: skip

    def has_view_permission(self, request: HttpRequest, obj: ReconcileRun | None = None) -> bool:  # noqa: ARG002
        return team_of(request).is_superuser

    def has_module_permission(self, request: HttpRequest) -> bool:
        return team_of(request).is_superuser

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: ReconcileRun | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ReconcileRun | None = None) -> bool:  # noqa: ARG002
        return False

    @admin.display(description=_("found"))
    def found(self, row: ReconcileRun) -> str:
        """What it changed or put before a person; not how much it looked at."""
        dull = {"asked about", "listed by SumUp", "not of this shop", "waiting for a person"}
        told = [f"{name}: {number}" for name, number in sorted(row.counts.items()) if name not in dull and number]
        return ", ".join(told) or _now("nothing")

    @admin.display(description=_("took"))
    def took(self, row: ReconcileRun) -> str:
        if row.finished_at is None:
            return ""
        return _now("%(n).1f s") % {"n": (row.finished_at - row.started_at).total_seconds()}

    @admin.display(description=_("found and done"))
    def all_counts(self, row: ReconcileRun) -> str:
        return format_html_join(", ", "{}: {}", sorted(row.counts.items()))


def last_run() -> dict[str, Any] | None:
    """The last run in earnest, as the front page tells it; None when there was none."""
    row = ReconcileRun.objects.whole().exclude(finished_at=None).first()
    if row is None:
        return None
    return {"row": row, "age": timesince(row.started_at, timezone.now(), depth=1)}
