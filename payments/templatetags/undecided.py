"""For the admin's front page: how many cases wait for the person who looks at it."""

from typing import Any

from django import template
from django.contrib import admin
from django.db.models import Count, Min
from django.http import HttpRequest

from payments.admin.cases import CaseAdmin
from payments.admin.reports import SEE_SUMS, pages_of
from payments.admin.runs import last_run
from payments.models import Case
from payments.states import CaseKind

register = template.Library()


@register.simple_tag
def undecided(request: HttpRequest) -> dict[str, Any] | None:
    """Open cases in the scope of the request's user, by kind, how old the oldest is, and when SumUp was last asked.

    None for who may not see any.
    """
    desk = admin.site.get_model_admin(Case)
    if not isinstance(desk, CaseAdmin) or not desk.has_view_permission(request):
        return None
    rows = desk.get_queryset(request).filter(closed_at=None).order_by().values("kind")
    kinds = [
        {"label": CaseKind(row["kind"]).label, "kind": row["kind"], "count": row["count"], "oldest": row["oldest"]}
        for row in rows.annotate(count=Count("pk", distinct=True), oldest=Min("opened_at")).order_by("oldest")
    ]
    return {"count": sum(row["count"] for row in kinds), "kinds": kinds, "run": last_run()}


@register.simple_tag
def sees_reports(request: HttpRequest) -> bool:
    """Whether the request's user sees the sums of any page."""
    pages = pages_of(request, SEE_SUMS)
    return pages is None or bool(pages)
