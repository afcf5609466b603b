"""Pages, the people who run them, their merchants and their calendars."""

import zoneinfo
from collections.abc import Iterable

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from events.pictures import Pictured
from events.searching import Folded, words_of
from ledger.arrows import history_trigger, revision_trigger
from ledger.locking import LockableQuerySet
from ledger.money import CURRENCY_CHOICES
from ledger.sealed import SealedField, Unreadable


def validate_time_zone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError(_("%(name)s is not a time zone such as Europe/Berlin."), params={"name": name})


class Merchant(models.Model):
    """A SumUp merchant account; its key is encrypted at rest, and the site's may come from the environment instead."""

    code = models.CharField(_("merchant code"), max_length=32, unique=True)
    name = models.CharField(_("name"), max_length=200)
    api_key = SealedField(_("secret API key"), null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCY_CHOICES)
    is_site = models.BooleanField(_("the site's merchant"), default=False)
    is_sandbox = models.BooleanField(_("sandbox"), default=False)

    class Meta:
        verbose_name = _("merchant")
        verbose_name_plural = _("merchants")
        constraints = [
            models.UniqueConstraint(fields=["is_site"], condition=Q(is_site=True), name="merchant_one_of_the_site"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"

    def secret(self) -> str:
        """The API key: the environment's for the merchant that it names, else the stored one; "" when there is none."""
        if self.code == settings.SUMUP_MERCHANT_CODE:
            return settings.SUMUP_API_KEY
        return self.api_key or ""

    @property
    def has_lost_key(self) -> bool:
        """A key is stored that nobody can read: it counts as none until it is entered again."""
        return isinstance(self.api_key, Unreadable) and self.code != settings.SUMUP_MERCHANT_CODE


class PageQuerySet(LockableQuerySet["Page"]):
    def published(self) -> "PageQuerySet":
        return self.filter(is_published=True)

    def named(self, word: str) -> "PageQuerySet":
        """Pages in whose name or place the folded `word` occurs."""
        return self.alias(words=Folded("name", "place")).filter(words__contains=word)

    def run_by(self, user: User, roles: Iterable[str] | None = None) -> "PageQuerySet":
        """Pages that `user` is a member of (in one of `roles`); all of them for a superuser."""
        if user.is_superuser:
            return self
        members = PageMember.objects.filter(user=user)
        if roles is not None:
            members = members.filter(role__in=list(roles))
        return self.filter(pk__in=members.values("page_id"))


class Page(Pictured):
    """An organiser's page: the container of calendars, entries and products."""

    slug = models.SlugField(_("address"), max_length=80, unique=True)
    name = models.CharField(_("name"), max_length=120)
    text = models.TextField(_("text"), blank=True)
    place = models.CharField(_("place"), max_length=200, blank=True)
    contact_email = models.EmailField(
        _("contact e-mail"),
        blank=True,
        db_default="",
        default="",
        help_text=_("An answer to a mail about its events and orders goes here."),
    )
    time_zone = models.CharField(
        _("time zone"), max_length=64, default="Europe/Berlin", validators=[validate_time_zone]
    )
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCY_CHOICES, default="EUR")
    merchant = models.ForeignKey(
        Merchant,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        verbose_name=_("merchant"),
        help_text=_("Empty: the site's merchant takes the payments."),
    )
    is_published = models.BooleanField(_("published"), default=True)
    # How often the place of all its events changed that have none of their own, and when it last did.
    revision = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    revised_at = models.DateTimeField(null=True, editable=False)

    objects = PageQuerySet.as_manager()

    class Meta:
        verbose_name = _("page")
        verbose_name_plural = _("pages")
        ordering = ["name"]
        triggers = [revision_trigger("page_revised", ["place"]), history_trigger("page", ["time_zone"])]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("page", args=[self.slug])

    def clean(self) -> None:
        super().clean()
        if self.merchant and self.merchant.currency != self.currency:
            raise ValidationError(
                {"merchant": _("This merchant takes %(currency)s only.") % {"currency": self.merchant.currency}}
            )

    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)


class Role(models.TextChoices):
    OWNER = "owner", _("owner")
    ORGANISER = "organiser", _("organiser")
    BOX_OFFICE = "box_office", _("box office")
    DOOR = "door", _("door")
    FINANCE = "finance", _("finance")


class PageMember(models.Model):
    """A user's role on a page; it opens the page's own rows in the admin, and no others."""

    page = models.ForeignKey(Page, on_delete=models.CASCADE, related_name="members", verbose_name=_("page"))
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("user"))
    role = models.CharField(_("role"), max_length=20, choices=Role.choices, default=Role.ORGANISER)

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = [
            models.UniqueConstraint(fields=["page", "user", "role"], name="page_member_once_a_role"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="page_member_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_role_display()}"


#: Addresses below a page that are not a calendar's.
TAKEN_SLUGS = frozenset({"shop"})


class CalendarQuerySet(LockableQuerySet["Calendar"]):
    def named(self, word: str) -> "CalendarQuerySet":
        """Calendars in whose name, or whose page's name or place, the folded `word` occurs."""
        return self.alias(words=Folded("name", "page__name", "page__place")).filter(words__contains=word)

    def rooms_matching(self, text: str) -> "CalendarQuerySet":
        """Rooms of published pages in which each word of `text` occurs."""
        words = words_of(text)
        found = self.filter(is_bookable=True, page__is_published=True) if words else self.none()
        for word in words:
            found = found.named(word)
        return found


class Calendar(models.Model):
    """A calendar of a page; a bookable one is a room that visitors book time in."""

    page = models.ForeignKey(Page, on_delete=models.PROTECT, related_name="calendars", verbose_name=_("page"))
    slug = models.SlugField(_("address"), max_length=80)
    name = models.CharField(_("name"), max_length=120)
    text = models.TextField(_("text"), blank=True)
    is_bookable = models.BooleanField(_("visitors can book time in it"), default=False)
    access_note = models.TextField(
        _("what to know"),
        blank=True,
        db_default="",
        help_text=_("For those who have booked only, on their order and in its mail: where the key is, whom to call."),
    )
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    objects = CalendarQuerySet.as_manager()

    class Meta:
        verbose_name = _("calendar")
        verbose_name_plural = _("calendars")
        ordering = ["position", "name"]
        constraints = [models.UniqueConstraint(fields=["page", "slug"], name="calendar_slug_unique_in_page")]

    def __str__(self) -> str:
        return f"{self.page} · {self.name}"

    def get_absolute_url(self) -> str:
        return reverse("calendar", args=[self.page.slug, self.slug])

    def clean(self) -> None:
        super().clean()
        if self.slug in TAKEN_SLUGS:
            raise ValidationError({"slug": _("This address is the shop's.")})
