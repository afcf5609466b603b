"""OwedReminder: when somebody was last told by mail that money is owed and not sent."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from ledger.locking import LockableQuerySet


class OwedReminderQuerySet(LockableQuerySet["OwedReminder"]):
    pass


class OwedReminder(models.Model):
    """One row a person; its lock lets one of two workers tell them."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="+", verbose_name=_("who"))
    told_at = models.DateTimeField(_("last told"), null=True)

    objects = OwedReminderQuerySet.as_manager()

    class Meta:
        verbose_name = _("reminder of what is owed")
        verbose_name_plural = _("reminders of what is owed")

    def __str__(self) -> str:
        return f"{self.user_id}: {self.told_at}"
