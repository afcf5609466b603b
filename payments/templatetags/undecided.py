"""For the admin's front page: what waits for the person who looks at it, undecided or owed."""

from typing import Any

from django import template
from django.contrib import admin
from django.db.models import Count, Min, Q
from django.http import HttpRequest

from events.scoping import SEE_MONEY, team_of
from payments.admin.cases import CaseAdmin
from payments.admin.orders import DECIDE
from payments.admin.owed import scope_of
from payments.admin.reports import SEE_SUMS, pages_of
from payments.admin.runs import last_run
from payments.models import Case
from payments.refunds.owed import Scope, owed_sums, sums_in_words
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
def owed_here(request: HttpRequest) -> dict[str, str] | None:
    """What is owed and not sent on the user's pages: the sums that they may send, and those that others may.

    None when there is none of either, or nothing for them to see.
    """
    mine = scope_of(request)
    pages = set() if team_of(request).is_superuser else team_of(request).pages(SEE_MONEY - DECIDE)
    others = pages - set(mine.pages or ()) if mine else pages
    found = {
        "to_send": sums_in_words(owed_sums(mine)) if mine else "",
        "others": sums_in_words(owed_sums(Scope(others, Q(pk__in=[])))) if others else "",
    }
    return found if any(found.values()) else None


@register.simple_tag
def sees_reports(request: HttpRequest) -> bool:
    """Whether the request's user sees the sums of any page."""
    pages = pages_of(request, SEE_SUMS)
    return pages is None or bool(pages)
