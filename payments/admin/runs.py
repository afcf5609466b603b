"""Comparisons with SumUp in the admin: when the last one ran, and what it found. To read only."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.text import capfirst
from django.utils.timesince import timesince
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from accounts.lists import OwnFilters
from events.local_times import told
from events.scoping import team_of
from ledger import clock
from payments.models import ReconcileRun


@admin.register(ReconcileRun)
class ReconcileRunAdmin(OwnFilters, admin.ModelAdmin[ReconcileRun]):
    """For superusers: a run is about the whole site."""

    list_display = ("began", "outcome", "found", "took", "who", "merchant", "is_dry")
    list_filter = ("outcome", "is_dry")
    list_select_related = ("merchant",)
    sortable_by = ()
    fields = readonly_fields = (
        "began", "ended", "outcome", "who", "merchant", "is_dry", "changes_since", "all_counts", "problem",
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

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = capfirst(str(self.opts.verbose_name_plural))
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    @admin.display(description=_("began (UTC)"))
    def began(self, row: ReconcileRun) -> str:
        return told(row.started_at, settings.TIME_ZONE)

    @admin.display(description=_("ended (UTC)"))
    def ended(self, row: ReconcileRun) -> str:
        return told(row.finished_at, settings.TIME_ZONE)

    @admin.display(description=_("changes since (UTC)"))
    def changes_since(self, row: ReconcileRun) -> str:
        return told(row.since, settings.TIME_ZONE)

    @admin.display(description=_("found"))
    def found(self, row: ReconcileRun) -> str:
        """What it changed or put before a person; not how much it looked at."""
        dull = {"asked about", "listed by SumUp", "not of this shop", "waiting for a person"}
        changes = [f"{name}: {number}" for name, number in sorted(row.counts.items()) if name not in dull and number]
        return ", ".join(changes) or _now("nothing")

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
    return {"row": row, "age": timesince(row.started_at, clock.now(), depth=1)}
