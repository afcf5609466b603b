"""History: what changed, when, by whom and why; append-only, in the application and in psql."""

from typing import TYPE_CHECKING

import pgtrigger
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ledger.arrows import no_truncate, refusal

if TYPE_CHECKING:
    from django.db.models import Model


class HistoryQuerySet(models.QuerySet["History"]):
    def of(self, row: "Model") -> "HistoryQuerySet":
        """What happened to `row`, oldest first."""
        return self.filter(subject=row._meta.model_name, subject_id=row.pk).order_by("id")


class History(models.Model):
    """One change of one state, price, capacity or moment, written by the changed table's own trigger.

    It names rows by id and people by ``user:<id>``; it holds no personal data and is never changed.
    """

    at = models.DateTimeField(_("when"), db_default=Now())
    subject = models.CharField(_("what"), max_length=40)
    subject_id = models.BigIntegerField(_("which"))
    field = models.CharField(_("field"), max_length=40)
    old = models.TextField(_("from"), null=True)
    new = models.TextField(_("to"), null=True)
    actor = models.TextField(_("who"))
    reason = models.TextField(_("why"), blank=True)

    objects = HistoryQuerySet.as_manager()

    class Meta:
        verbose_name = _("history row")
        verbose_name_plural = _("history")
        indexes = [models.Index(fields=["subject", "subject_id"], name="history_of_row")]
        triggers = [
            pgtrigger.Trigger(
                name="history_append_only",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func=refusal("history_append_only", "history is never changed"),
            ),
            no_truncate("history"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} {self.subject_id} {self.field}: {self.old} -> {self.new}"
