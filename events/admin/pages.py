"""Pages with their members, and calendars in the admin; merchants are payments' (they are checked at SumUp)."""

import zoneinfo
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet, ModelForm
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from events.admin.asking import SEND, TELL, AskingAdmin, AskingForm
from events.admin.outside import outside_view, warn_of_outside
from events.admin.page_questions import HOURS, KEEP, MOMENTS, page_question
from events.admin.pictures import PicturedAdmin
from events.admin.rooms import ROOM_INLINES
from events.models import Calendar, Page, PageMember, Role
from events.organising.zones import Collision, PageChange, keep_hours, lock_moments, moves, tell_all
from events.payees import payee_of, unpayable
from events.pictures import PictureForm
from events.scoping import RUN, ScopedAdmin, ScopedFilter, ScopedInline, choices_for, sign_for, team_of
from ledger import clock


class MemberForm(ModelForm[PageMember]):
    """A member is named by address: a list to choose from would show everybody's."""

    email = forms.EmailField(label=_("E-mail address"))

    class Meta:
        model = PageMember
        fields = ("role",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["email"].initial = self.instance.user.email
            self.fields["email"].disabled = True

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).strip().lower()
        user = User.objects.filter(email=email, is_active=True).first()
        if user is None and not self.instance.pk:
            raise ValidationError(
                gettext("Nobody has signed in with this address yet. Ask them to sign in once, first.")
            )
        if user is not None:
            self.instance.user = user
        return email


class MemberFormSet(BaseInlineFormSet[PageMember, Page, ModelForm[PageMember]]):
    #: Who leaves a page without an owner: superusers only, who can put it right.
    leaves_none = False

    def clean(self) -> None:
        super().clean()
        self._check_owners()
        shown = [form.instance.pk for form in self.forms if form.instance.pk]
        # Those that the form does not show: they were added since it was opened.
        added = PageMember.objects.filter(page=self.instance.pk).exclude(pk__in=shown)
        seen: set[tuple[str, str]] = set(added.values_list("user__email", "role"))
        for form in self.forms:
            data = getattr(form, "cleaned_data", {})
            if not data.get("email") or data.get("DELETE"):
                continue
            member = (str(data["email"]), str(data.get("role")))
            if member in seen:
                raise ValidationError(gettext("%(email)s has this role already.") % {"email": member[0]})
            seen.add(member)

    def _check_owners(self) -> None:
        """Whoever works here cannot leave the page without an owner, themselves least of all."""
        owners = set(PageMember.objects.filter(page=self.instance.pk, role=Role.OWNER).values_list("pk", flat=True))
        shown = {form.instance.pk for form in self.forms}
        if owners and not self.leaves_none and owners <= shown and not any(map(_is_owner, self.forms)):
            raise ValidationError(
                gettext("A page needs an owner, and this would leave it without one: add another owner first.")
            )


def _is_owner(form: ModelForm[PageMember]) -> bool:
    data = getattr(form, "cleaned_data", {})
    return bool(data.get("email")) and data.get("role") == Role.OWNER and not data.get("DELETE")


class MemberInline(ScopedInline[PageMember, Page]):
    model = PageMember
    form = MemberForm
    formset = MemberFormSet
    fields = ("email", "role", "opens_admin")
    readonly_fields = ("opens_admin",)
    edits = frozenset({Role.OWNER})
    verbose_name_plural = _("members: who works on this page, and as what")

    @admin.display(description=_("may open the box office"), boolean=True)
    def opens_admin(self, row: PageMember) -> bool | None:
        return row.user.is_staff if row.pk else None

    def get_formset(self, request: HttpRequest, obj: Page | None = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        return type("OwnedMemberFormSet", (formset,), {"leaves_none": team_of(request).is_superuser})

    def get_queryset(self, request: HttpRequest) -> QuerySet[PageMember]:
        return super().get_queryset(request).select_related("user").order_by("user__email", "role")


def zone_choices(current: str) -> list[tuple[str, str]]:
    names = {
        name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/"))
    }
    return [(name, name.replace("_", " ")) for name in sorted(names | {"UTC", current})]


class PageForm(AskingForm[Page], PictureForm[Page]):
    """It asks what becomes of hours when the time zone changes, who is told of another hour or place, and whether a

    page is to be hidden on which something was sold.
    """

    #: What becomes of what is still to come, once the form is clean; None: nothing.
    change: PageChange | None = None
    time_zone = forms.ChoiceField(label=_("Time zone"), help_text=_("Times of its events are entered and shown in it."))

    class Meta:
        model = Page
        fields = (
            "name",
            "slug",
            "text",
            "picture",
            "picture_alt",
            "place",
            "contact_email",
            "time_zone",
            "currency",
            "merchant",
            "is_published",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = self.fields.get("time_zone")
        if isinstance(zone, forms.ChoiceField):
            zone.choices = zone_choices(self.instance.time_zone)
            zone.initial = self.instance.time_zone

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if self.instance.pk and not self.errors:
            page = Page.objects.get(pk=self.instance.pk)
            zone, place = data.get("time_zone", page.time_zone), data.get("place", page.place)
            self.change = PageChange(page, zone, place, clock.now())
            is_hidden = page.is_published and not data.get("is_published", page.is_published)
            self.ask(page_question(self.change, is_hidden=is_hidden))
            if self.answer.get(KEEP) == HOURS:
                try:
                    moves(self.change)
                except Collision as collision:
                    self.add_error("time_zone", str(collision))
        return data


@admin.register(Page)
class PageAdmin(AskingAdmin[Page], PicturedAdmin[Page]):
    form = PageForm
    sees = edits = RUN
    page_path = "pk"
    empty = _(
        "There is no page yet, and everything is on one. A site administrator makes it, and says there who runs it."
    )
    inlines = (MemberInline,)
    list_display = ("name", "slug", "time_zone", "currency", "payee", "is_published")
    list_filter = ("is_published",)
    list_select_related = ("merchant",)
    search_fields = ("name__finds", "slug")
    view_on_site = staticmethod(Page.get_absolute_url)

    @admin.display(description=_("payments go to"))
    def payee(self, row: Page) -> str:
        return row.merchant.name if row.merchant else gettext("the site's merchant")

    @admin.display(description=_("payments"))
    def payments(self, row: Page) -> str:
        """Which merchant takes the money, and whether it can."""
        merchant = payee_of(row)
        reason = unpayable(merchant, row.currency)
        name = merchant.name if merchant else ""
        if reason is None and merchant:
            words = gettext("%(name)s takes them (a sandbox: no real money).") if merchant.is_sandbox else ""
            return (words or gettext("%(name)s takes them.")) % {"name": name}
        why = str(reason.value) if reason else ""
        return " ".join(filter(None, [name and f"{name}:", why, gettext("Only what is free can be had.")]))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return team_of(request).is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Page | None = None) -> bool:
        return self.within(request, self.edits, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Page | None = None) -> bool:  # noqa: ARG002
        return team_of(request).is_superuser

    def get_fields(self, request: HttpRequest, obj: Page | None = None) -> tuple[str, ...]:
        payee = ("merchant" if team_of(request).is_superuser else "payee", *(("payments",) if obj else ()))
        return (
            "name",
            "slug",
            "text",
            "picture",
            "picture_alt",
            "place",
            "contact_email",
            "time_zone",
            "currency",
            *payee,
            "is_published",
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Page | None = None) -> tuple[str, ...]:
        """What was sold counts in the currency; the address and the payee are the site's to change."""
        if obj is None:
            return ()
        return ("currency", "payments", *(() if team_of(request).is_superuser else ("slug", "payee")))

    def get_prepopulated_fields(self, request: HttpRequest, obj: Page | None = None) -> dict[str, Any]:  # noqa: ARG002
        return {} if obj else {"slug": ("name",)}

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Page | None:
        """As everywhere; for another time zone all that has its hours on the page's clock is locked, too."""
        page = super().get_object(request, object_id, from_field)
        is_saved = request.method == "POST" and page is not None and self.has_change_permission(request, page)
        if page is not None and is_saved and request.POST.get("time_zone") != page.time_zone:
            lock_moments(page, clock.now())
        return page

    def save_model(self, request: HttpRequest, obj: Page, form: Any, change: bool) -> None:
        """With all that the answer says of what is still to come, in the form's transaction."""
        found: PageChange | None = form.change if change and isinstance(form, PageForm) else None
        if found is None:
            super().save_model(request, obj, form, change)
            return
        tells = form.answer.get(TELL) == SEND and bool(found.holders)  # read before anything moves
        if form.answer.get(KEEP) == HOURS:
            sign_for(request, f"time zone changed from {found.page.time_zone} to {found.zone}, same hours")
            keep_hours(found)
        super().save_model(request, obj, form, change)
        if form.answer.get(KEEP) == MOMENTS:
            for room in Calendar.objects.filter(page=obj, is_bookable=True):
                warn_of_outside(request, room, at=found.at)
        if tells:
            count = tell_all(found)
            words = ngettext("%(n)d buyer is told by mail.", "%(n)d buyers are told by mail.", count)
            self.message_user(request, words % {"n": count})

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: Any) -> None:
        super().save_formset(request, form, formset, change)
        for row in formset.new_objects:
            if isinstance(row, PageMember) and not row.user.is_staff:
                words = gettext("Not yet in the box office: %(user)s. A site administrator has to allow it.")
                messages.warning(request, words % {"user": row.user})


@admin.register(Calendar)
class CalendarAdmin(ScopedAdmin[Calendar]):
    sees = edits = RUN
    page_path = "page_id"
    comes_after = (Page,)
    empty = _("There is no calendar yet. Events are in one, and a room that visitors can book is one.")
    list_display = ("name", "page", "slug", "is_bookable", "position")
    list_filter = (("page", ScopedFilter),)
    list_select_related = ("page",)
    search_fields = ("name__finds", "page__name__finds")
    view_on_site = staticmethod(Calendar.get_absolute_url)
    ordering = ("page__name", "position", "name")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.within(request, self.edits, None)

    def has_change_permission(self, request: HttpRequest, obj: Calendar | None = None) -> bool:
        return self.within(request, self.edits, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Calendar | None = None) -> bool:
        return self.within(request, self.edits, obj)

    def get_fields(self, request: HttpRequest, obj: Calendar | None = None) -> tuple[str, ...]:  # noqa: ARG002
        """It can be booked once it is there: its rules and hours are on its own page."""
        return ("page", "name", "slug", "text", "position", *(("is_bookable", "access_note") if obj else ()))

    def get_inlines(self, request: HttpRequest, obj: Calendar | None) -> list[Any]:  # noqa: ARG002
        return list(ROOM_INLINES) if obj else []

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Bookings that were made before the hours changed stay valid: who changed them is told, and decides."""
        super().save_related(request, form, formsets, change)
        warn_of_outside(request, form.instance, at=clock.now())

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(lambda request, pk: outside_view(self, request, pk))
        return [path("<int:pk>/outside/", view, name="events_calendar_outside"), *super().get_urls()]

    def get_readonly_fields(self, request: HttpRequest, obj: Calendar | None = None) -> tuple[str, ...]:  # noqa: ARG002
        """Its events were sold in the page's name, currency and time zone: it stays where it is."""
        return ("page",) if obj else ()

    def get_prepopulated_fields(self, request: HttpRequest, obj: Calendar | None = None) -> dict[str, Any]:  # noqa: ARG002
        return {} if obj else {"slug": ("name",)}

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Who runs one page need not choose it."""
        data: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        pages = list(choices_for(self.admin_site, Calendar._meta.get_field("page"), request)[:2])
        if len(pages) == 1:
            data.setdefault("page", pages[0].pk)
        return data
