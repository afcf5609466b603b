"""What the organiser's change pages share: the page's own clock, and what happened to the row, in plain words."""

from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django_stubs_ext import StrOrPromise

from events.local_times import told
from events.scoping import ScopedAdmin
from ledger.telling import Step

Row = TypeVar("Row", bound=models.Model)


def link(name: str, pk: int, text: object) -> str:
    """A link to the admin page of a row, whichever room registers it (`name`: ``orders_order``)."""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{name}_change", args=[pk]), text)


def moment(field: str, label: StrOrPromise) -> Any:
    """A read-only field of a DeskAdmin: the moment `field`, told on the page's clock."""

    @admin.display(description=label)
    def shown(desk: "DeskAdmin[Any]", row: Any) -> str:
        return told(getattr(row, field), desk.zone_of(row))

    return shown


class DeskAdmin(ScopedAdmin[Row]):
    """A ScopedAdmin whose change page tells times on its page's clock, and the row's history below the form."""

    change_form_template = "admin/foyer/life.html"

    def zone_of(self, row: Row) -> str:
        """Each subclass says whose clock it is; Django's metaclass of admins leaves no room for abc's."""
        raise NotImplementedError

    def steps_of(self, request: HttpRequest, row: Row) -> list[Step]:  # noqa: ARG002
        """What happened, oldest first; nothing unless a subclass tells."""
        return []

    def context_of(self, request: HttpRequest, row: Row) -> dict[str, Any]:  # noqa: ARG002
        """More for the template of the row's page than the steps; nothing unless a subclass adds it."""
        return {}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # Not self.get_object: it would lock, and no transaction has begun.
        row = admin.ModelAdmin.get_object(self, request, object_id)
        if row is None:
            return super().change_view(request, object_id, form_url, extra_context)
        zone = self.zone_of(row)
        steps = [(told(step.at, zone), step) for step in self.steps_of(request, row)]
        extra = {"steps": steps, "zone": zone, **self.context_of(request, row), **(extra_context or {})}
        with timezone.override(ZoneInfo(zone)):
            return _rendered(super().change_view(request, object_id, form_url, extra))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = admin.ModelAdmin.get_object(self, request, object_id)
        with timezone.override(ZoneInfo(self.zone_of(row) if row else "UTC")):
            return _rendered(super().history_view(request, object_id, extra_context))


def _rendered(response: HttpResponse) -> HttpResponse:
    """`response`, rendered while the clock is the page's."""
    return response.render() if isinstance(response, TemplateResponse) else response
