"""Who sees and changes what in the admin: a member of a page, the page's own rows, as the role allows.

Permissions come from PageMember, never from Django's groups; superusers may see all and do what the model allows.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.filters import RelatedFieldListFilter
from django.contrib.admin.utils import NestedObjects, model_ngettext
from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import Q
from django.db.models.fields.related import RelatedField
from django.forms import Field, Form, ModelChoiceField
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from django_stubs_ext import StrOrPromise

from accounts.lists import OwnFilters
from accounts.models import User
from events.models import PageMember, Role
from ledger.locking import LockableQuerySet
from ledger.signing import sign

Row = TypeVar("Row", bound=models.Model)
Child = TypeVar("Child", bound=models.Model)
Parent = TypeVar("Parent", bound=models.Model)

#: What the roles open. Nobody has what is not listed here.
RUN = frozenset({Role.OWNER, Role.ORGANISER})
SEE_EVENTS = RUN | {Role.BOX_OFFICE, Role.DOOR}
SEE_ORDERS = RUN | {Role.BOX_OFFICE, Role.FINANCE}
SEE_MONEY = RUN | {Role.FINANCE}
#: Who is led to the pages that pay back.
PAY_BACK = frozenset({Role.OWNER, Role.FINANCE})

_TEAM = "_foyer_team"


@dataclass(frozen=True)
class Team:
    """Whom a request comes from, and the pages on which they have a role."""

    is_superuser: bool
    roles: frozenset[tuple[int, str]]

    def pages(self, roles: Collection[str]) -> set[int]:
        """Pages on which they have one of `roles` (a superuser's answer is empty: ask `is_superuser` first)."""
        return {page for page, role in self.roles if role in roles}


def team_of(request: HttpRequest) -> Team:
    """The request's Team, read once a request."""
    known = getattr(request, _TEAM, None)
    if isinstance(known, Team):
        return known
    user = request.user
    if not isinstance(user, User) or not user.is_active or not user.is_staff:
        team = Team(False, frozenset())
    elif user.is_superuser:
        team = Team(True, frozenset())
    else:
        team = Team(False, frozenset(PageMember.objects.filter(user=user).values_list("page_id", "role")))
    setattr(request, _TEAM, team)
    return team


def sign_for(request: HttpRequest, why: str) -> None:
    """History names the person behind the request until the transaction ends."""
    sign(who=f"user:{request.user.pk}", why=why)


@dataclass(frozen=True)
class FirstStep:
    """What stands in an empty list: why it is empty, and where to begin; no `link` for who may not."""

    words: StrOrPromise
    link: str
    label: StrOrPromise

    def with_link(self) -> str:
        """The sentence, safe for a page."""
        way = format_html(' <a href="{}">{}</a>', self.link, self.label) if self.link else ""
        return format_html("{}{}", self.words, way)


class ScopedAdmin(OwnFilters, admin.ModelAdmin[Row]):
    """A ModelAdmin whose every answer is limited to the pages of the asking member.

    `sees` and `edits` are roles; `page_path` is the lookup from a row to the id of its page ("" in `SuperuserAdmin`s,
    where nobody else has a role). Add, change and delete are refused unless a subclass allows them.
    """

    sees: frozenset[Role] = frozenset()
    edits: frozenset[Role] = frozenset()
    page_path: str = ""
    show_full_result_count = False
    #: What an empty list says, and the list on which a row of this is made, if not its own form.
    empty: StrOrPromise = ""
    made_at: type[models.Model] | None = None
    #: What there must be before: the models whose empty lists are told of instead, in this order.
    comes_after: tuple[type[models.Model], ...] = ()

    def rows_of(self, pages: Collection[int]) -> Q:
        """The rows that belong to `pages`."""
        return Q(**{f"{self.page_path}__in": list(pages)})

    def pages_of(self, row: Row) -> set[int]:
        """The pages that `row` belongs to."""
        value: Any = row
        for name in self.page_path.split("__"):
            value = getattr(value, name)
        return {value}

    def scope(self, request: HttpRequest, roles: Collection[str]) -> Q:
        """The condition that limits this model's rows to what `roles` open to the request's user."""
        team = team_of(request)
        return Q() if team.is_superuser else self.rows_of(team.pages(roles))

    def within(self, request: HttpRequest, roles: Collection[str], row: Row | None) -> bool:
        team = team_of(request)
        if team.is_superuser:
            return True
        pages = team.pages(roles)
        return bool(pages) if row is None else not pages.isdisjoint(self.pages_of(row))

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Row]:
        rows = super().get_queryset(request).filter(self.scope(request, self.sees))
        related = self.list_select_related
        return rows.select_related(*related) if isinstance(related, (list, tuple)) and related else rows

    def editable(self, request: HttpRequest) -> models.QuerySet[Row]:
        """The rows that the user may change; the only choices that a form takes."""
        return self.get_queryset(request).filter(self.scope(request, self.edits))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Row | None:
        """As Django's; locked when the form is saved, so that no ticket is sold between its checks and its write."""
        row = super().get_object(request, object_id, from_field)
        rows = self.model._default_manager.all()
        if row is None or request.method != "POST" or not isinstance(rows, LockableQuerySet):
            return row
        if not self.has_change_permission(request, row):
            return row
        list(rows.filter(pk=row.pk).locked().values_list("pk"))
        return super().get_object(request, object_id, from_field)

    @method_decorator(require_safe)  # a form is not saved here, and get_object would lock without a transaction
    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().history_view(request, object_id, extra_context)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return self.within(request, self.sees, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002  (Django's signature)
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:  # noqa: ARG002
        return False

    def has_pay_back_permission(self, request: HttpRequest) -> bool:
        """For the actions of lists that lead there: of any page."""
        return self.within(request, PAY_BACK, None)

    def formfield_for_foreignkey(
        self, db_field: "models.ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        kwargs.setdefault("queryset", choices_for(self.admin_site, db_field, request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = capfirst(str(self.opts.verbose_name_plural))
        shown = super().changelist_view(request, {"title": title, **(extra_context or {})})
        if isinstance(shown, TemplateResponse) and shown.context_data:
            rows = shown.context_data.get("cl")
            if rows is not None and not (rows.result_count or rows.params or rows.query):
                shown.context_data["first_step"] = self.missing(request) or self.way_to_make(request)
        return shown

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With a word on what has to be made before, as its form would offer nothing to choose."""
        if request.method == "GET" and self.has_add_permission(request) and (step := self.missing(request)):
            messages.warning(request, step.with_link())
        return super().add_view(request, form_url, extra_context)

    def missing(self, request: HttpRequest) -> "FirstStep | None":
        """What has to be made before there can be a row of this; None: all of it is there, as far as one sees."""
        for model in self.comes_after:
            desk = self.admin_site.get_model_admin(model)
            if not isinstance(desk, ScopedAdmin) or not desk.has_view_permission(request):
                continue
            if not desk.get_queryset(request).exists():
                return desk.way_to_make(request)
        return None

    def way_to_make(self, request: HttpRequest) -> "FirstStep":
        """What the empty list says, with a link for who may make a row."""
        place = self.admin_site.get_model_admin(self.made_at) if self.made_at else self
        name = f"admin:{place.opts.app_label}_{place.opts.model_name}"
        if place is self:
            link = reverse(f"{name}_add") if self.has_add_permission(request) else ""
            return FirstStep(self.empty, link, _("Make the first one"))
        link = reverse(f"{name}_changelist") if place.has_change_permission(request) else ""
        return FirstStep(self.empty, link, capfirst(str(place.opts.verbose_name_plural)))

    def save_model(self, request: HttpRequest, obj: Row, form: Form, change: bool) -> None:
        """Write what the form changed and nothing else: a stale row must not undo what was sold meanwhile."""
        sign_for(request, "changed in the admin" if change else "made in the admin")
        if not change:
            super().save_model(request, obj, form, change)
        elif fields := saved_fields(obj, form.changed_data):
            obj.save(update_fields=fields)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: Any) -> None:  # noqa: ARG002
        formset.save(commit=False)
        for row in formset.deleted_objects:
            self.delete_row(row)
        for row, changed in formset.changed_objects:
            if fields := saved_fields(row, changed):
                row.save(update_fields=fields)
        for row in formset.new_objects:
            row.save(force_insert=True)
        formset.save_m2m()

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """As Django's, but what stands in the way is counted: a ticket's name is its code."""
        _tree, counts, refused, _named = super().get_deleted_objects(objs, request)
        collector = NestedObjects(using=DEFAULT_DB_ALIAS)
        collector.collect(objs)
        kinds = Counter(type(row) for row in collector.protected)
        counted = [f"{number} {model_ngettext(kind._meta, number)}" for kind, number in kinds.items()]
        return [str(row) for row in objs], counts, refused, counted

    def delete_row(self, row: models.Model) -> None:
        """Delete a row of an inline table."""
        row.delete()

    def delete_model(self, request: HttpRequest, obj: Row) -> None:
        sign_for(request, "deleted in the admin")
        super().delete_model(request, obj)


def choices_for(
    site: admin.AdminSite, db_field: "models.ForeignKey[Any, Any]", request: HttpRequest
) -> models.QuerySet[Any]:
    """What a form offers for a foreign key: editable rows of a scoped model; of others nothing, but to superusers."""
    related = db_field.remote_field.model
    target = site.get_model_admin(related) if site.is_registered(related) else None
    if isinstance(target, ScopedAdmin):
        return target.editable(request)
    rows: models.QuerySet[Any] = related._default_manager.all()
    return rows if team_of(request).is_superuser else rows.none()


def saved_fields(row: models.Model, changed: Collection[str]) -> list[str]:
    """The names in `changed` that are columns of `row`."""
    columns = {field.name for field in row._meta.concrete_fields}
    return [name for name in changed if name in columns]


class SuperuserAdmin(ScopedAdmin[Row]):
    """For what concerns the whole site: no role opens it."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return team_of(request).is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:  # noqa: ARG002
        return team_of(request).is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:  # noqa: ARG002
        return team_of(request).is_superuser

    def rows_of(self, pages: Collection[int]) -> Q:  # noqa: ARG002
        return Q(pk__in=[])

    def pages_of(self, row: Row) -> set[int]:  # noqa: ARG002
        return set()


class ScopedInline(admin.TabularInline[Child, Parent]):
    """Rows of a parent that the scope let through; `sees` and `edits` are roles on the parent's page."""

    sees: frozenset[Role] = frozenset()
    edits: frozenset[Role] = frozenset()
    extra = 0
    view_on_site = False

    def _within(self, request: HttpRequest, roles: Collection[str], parent: Parent | None) -> bool:
        owner: ScopedAdmin[Any] | Any = self.admin_site.get_model_admin(self.parent_model)
        return isinstance(owner, ScopedAdmin) and owner.within(request, roles, parent)

    def has_view_permission(self, request: HttpRequest, obj: Parent | None = None) -> bool:
        return self._within(request, self.sees | self.edits, obj)

    def has_add_permission(self, request: HttpRequest, obj: Parent | None = None) -> bool:
        return bool(self.edits) and self._within(request, self.edits, obj)

    def has_change_permission(self, request: HttpRequest, obj: Parent | None = None) -> bool:
        return bool(self.edits) and self._within(request, self.edits, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Parent | None = None) -> bool:
        return bool(self.edits) and self._within(request, self.edits, obj)

    def formfield_for_dbfield(
        self, db_field: "models.Field[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> Field | None:
        """A table's fields have no labels but its head: each says itself what it is."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            field.widget.attrs.setdefault("aria-label", capfirst(str(field.label or db_field.verbose_name)))
        return field

    def formfield_for_foreignkey(
        self, db_field: "models.ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        kwargs.setdefault("queryset", choices_for(self.admin_site, db_field, request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class ScopedFilter(RelatedFieldListFilter):
    """A filter by a related row that offers the user's own ones only."""

    def field_choices(
        self, field: "RelatedField[Any, Any]", request: HttpRequest, model_admin: "admin.ModelAdmin[Any]"
    ) -> list[tuple[str, Any]]:
        related: type[models.Model] = field.remote_field.model
        target = model_admin.admin_site.get_model_admin(related)
        if not isinstance(target, ScopedAdmin) or not isinstance(model_admin, ScopedAdmin):
            return []
        rows = related._default_manager.filter(target.scope(request, model_admin.sees))
        if isinstance(target.list_select_related, (list, tuple)) and target.list_select_related:
            rows = rows.select_related(*target.list_select_related)
        return [(str(row.pk), str(row)) for row in rows]
