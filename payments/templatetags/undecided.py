"""For the admin's front page: how many cases wait for the person who looks at it."""

from django import template
from django.contrib import admin
from django.http import HttpRequest

from payments.admin.cases import CaseAdmin
from payments.models import Case

register = template.Library()


@register.simple_tag
def undecided(request: HttpRequest) -> int | None:
    """Open cases in the scope of the request's user; None for who may not see any."""
    desk = admin.site.get_model_admin(Case)
    if not isinstance(desk, CaseAdmin) or not desk.has_view_permission(request):
        return None
    return desk.get_queryset(request).filter(closed_at=None).count()
