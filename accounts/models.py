"""The user: a person known by an e-mail address."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import ClassVar

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **extra: object) -> "User":
        """A user with `email` (stored in lower case); without a password they sign in by code."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=email, **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: object) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)

    def get_by_natural_key(self, username: str | None) -> "User":
        # Not iexact: PostgreSQL's UPPER turns a dotless i into I, so another mailbox would match.
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A buyer, a member of a page's team, or both."""

    email = models.EmailField(_("e-mail address"), max_length=254)
    name = models.CharField(_("name"), max_length=120, blank=True)
    is_staff = models.BooleanField(_("may open the admin"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    date_joined = models.DateTimeField(_("joined"), default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique")]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        super().clean()
        self.email = self.email.strip().lower()

    def save(
        self,
        *,
        force_insert: bool | tuple[models.base.ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Write the row, the address in lower case; an address that the user had before opens the account no longer."""
        self.email = self.email.strip().lower()
        super().save(force_insert=force_insert, force_update=force_update, using=using, update_fields=update_fields)
        if update_fields is None or "email" in update_fields:
            EmailAddress.objects.filter(user_id=self.pk).exclude(email=self.email).delete()

    def lock(self) -> None:
        """Lock the user's row until the transaction ends: what a buyer does in two tabs is done one after the other."""
        list(User.objects.filter(pk=self.pk).select_for_update(no_key=True).values_list("pk"))

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name or self.email.partition("@")[0]


class SignInCodeQuerySet(models.QuerySet["SignInCode"]):
    """Each guard stands in its UPDATE: of requests at once only as many get a row as the limit says."""

    def open(self) -> "SignInCodeQuerySet":
        return self.filter(used_at=None, tries__lt=settings.ACCOUNT_LOGIN_BY_CODE_MAX_ATTEMPTS)

    def try_once(self) -> bool:
        """Count a try before the code is looked at; False when it was used, or tried too often."""
        return bool(self.open().update(tries=F("tries") + 1))

    def send_once_more(self) -> bool:
        """Count a mail with a new code before it is sent; False when enough were sent."""
        return bool(
            self.open()
            .filter(resends__lt=settings.ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND)
            .update(resends=F("resends") + 1)
        )

    def use(self, *, at: datetime) -> bool:
        """Use it up; False when somebody was quicker."""
        return bool(self.filter(used_at=None).update(used_at=at))

    def old(self, *, at: datetime) -> "SignInCodeQuerySet":
        """Those that are past all use."""
        return self.filter(made_at__lt=at - timedelta(days=1))

    def delete_old(self, *, at: datetime) -> None:
        """Delete some that are past all use; what a rival deletes is left to it."""
        with transaction.atomic():
            old = self.old(at=at).select_for_update(skip_locked=True)
            self.filter(pk__in=list(old.values_list("pk", flat=True)[:100])).delete()


class SignInCode(models.Model):
    """How often a code that is on its way was tried and sent. The code and the address stay in the asker's session.

    A session is written whole by each request that has it, so two at once would count as one.
    """

    tries = models.PositiveSmallIntegerField(default=0)
    resends = models.PositiveSmallIntegerField(default=0)
    made_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    objects = SignInCodeQuerySet.as_manager()

    class Meta:
        verbose_name = _("sign-in code")
        verbose_name_plural = _("sign-in codes")

    def __str__(self) -> str:
        return str(self.pk)
