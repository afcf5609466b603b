"""RefundLoss: what went back a second time for one thing, and a person took as a loss."""

import pgtrigger
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ledger.arrows import refusal
from payments.models.cases import Case
from payments.models.refunds import RefundLine

WITHIN_LINE = (
    "IF NEW.amount > (SELECT amount FROM payments_refundline WHERE id = NEW.line_id) THEN "  # noqa: S608  (ours)
    + refusal("refund_loss_within_line", "loss of line % exceeds it", "NEW.line_id")
    + " END IF; RETURN NEW;"
)


class RefundLoss(models.Model):
    """What of a refund's line is beyond the price of its thing; who decided so, when and why is told by the case.

    It goes when a refund of the same thing turns out not to have gone back: then it may be beyond the price no more.
    """

    line = models.OneToOneField(RefundLine, on_delete=models.PROTECT, related_name="loss")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="losses")
    amount = models.DecimalField(_("amount"), max_digits=10, decimal_places=2)

    class Meta:
        verbose_name = _("loss")
        verbose_name_plural = _("losses")
        ordering = ["id"]
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="refund_loss_amount_positive")]
        triggers = [
            pgtrigger.Trigger(
                name="refund_loss_within_line",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func=WITHIN_LINE,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount}"
