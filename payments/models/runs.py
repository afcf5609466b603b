"""ReconcileRun: one comparison of our books with SumUp's; SumUpAnswer: what SumUp said of a payment, verbatim."""

from datetime import datetime, timedelta

import pgtrigger
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from events.models import Merchant
from ledger.arrows import no_truncate, refusal
from payments.models.checkouts import Checkout


class RunOutcome(models.TextChoices):
    RUNNING = "running", _("runs, or was killed")
    IN_ORDER = "in_order", _("in order")
    PERSON = "person", _("something waits for a person")
    UNREACHABLE = "unreachable", _("SumUp could not be asked about all of it")
    KILLED = "killed", _("was killed; the next run did its work")


#: Outcomes of a run that has looked at everything.
GOOD = frozenset({"in_order", "person"})
RUNS_KEPT = timedelta(days=400)


class ReconcileRunQuerySet(models.QuerySet["ReconcileRun"]):
    def whole(self) -> "ReconcileRunQuerySet":
        """Those that were about all merchants and in earnest."""
        return self.filter(is_dry=False, merchant=None)

    def good(self) -> "ReconcileRunQuerySet":
        """Those that have looked at everything."""
        return self.whole().filter(outcome__in=sorted(GOOD))

    def walked(self, merchant: Merchant) -> "ReconcileRunQuerySet":
        """Those in earnest that have read all of `merchant`'s transactions."""
        return self.filter(is_dry=False, walked__contains=merchant.pk)

    def old(self, *, at: datetime) -> "ReconcileRunQuerySet":
        """Those that nobody needs any more: not the last that looked at everything, nor the last about a merchant."""
        needed = {self.good().order_by("-started_at").values_list("pk", flat=True).first()}
        for merchant in Merchant.objects.all():
            needed.add(self.walked(merchant).order_by("-started_at").values_list("pk", flat=True).first())
        over = self.filter(started_at__lt=at - RUNS_KEPT, finished_at__isnull=False)
        return over.exclude(pk__in=[pk for pk in needed if pk is not None])


class ReconcileRun(models.Model):
    """One run: written when it begins and when it ends; `counts` says what it found and did, by name.

    `walked`: ids of the merchants whose list of transactions it read to the end, the next one goes on from there.
    """

    started_at = models.DateTimeField(_("began"))
    finished_at = models.DateTimeField(_("ended"), null=True)
    since = models.DateTimeField(_("changes since"), null=True)
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, null=True, related_name="+")
    is_dry = models.BooleanField(_("changed nothing"), default=False)
    who = models.CharField(_("started by"), max_length=60)
    outcome = models.CharField(_("came to"), max_length=12, choices=RunOutcome.choices, default=RunOutcome.RUNNING)
    counts = models.JSONField(_("found and done"), default=dict)
    walked = models.JSONField(default=list)
    problem = models.CharField(_("what stood in the way"), max_length=400, blank=True)

    objects = ReconcileRunQuerySet.as_manager()

    class Meta:
        verbose_name = _("comparison with SumUp")
        verbose_name_plural = _("comparisons with SumUp")
        ordering = ["-started_at", "-id"]
        indexes = [models.Index(fields=["-started_at"], name="reconcile_run_started")]
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome="running", finished_at=None)
                | (~Q(outcome="running") & Q(finished_at__isnull=False)),
                name="reconcile_run_finished_has_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}"


class SumUpAnswer(models.Model):
    """What SumUp said of a checkout, word for word but for personal data; kept when it differs from the last one."""

    checkout = models.ForeignKey(Checkout, on_delete=models.PROTECT, related_name="answers", verbose_name=_("payment"))
    at = models.DateTimeField(_("when"))
    status = models.CharField(_("SumUp's word"), max_length=255)
    body = models.JSONField(_("SumUp's answer"))

    class Meta:
        verbose_name = _("answer of SumUp")
        verbose_name_plural = _("answers of SumUp")
        ordering = ["id"]
        triggers = [
            pgtrigger.Trigger(
                name="sumup_answer_append_only",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func=refusal("sumup_answer_append_only", "what SumUp said is never changed"),
            ),
            no_truncate("sumup_answer"),
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.at:%Y-%m-%d %H:%M}"
