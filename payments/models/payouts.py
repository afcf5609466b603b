"""Payout: what SumUp says that it sent to a merchant, or took off again, for one payment."""

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from events.models import Merchant
from ledger.arrows import frozen_trigger, no_truncate, refusal
from payments.models.checkouts import Checkout


class Payout(models.Model):
    """One row of SumUp's list of payouts, its words verbatim; it explains fees and changes nothing that we know.

    `amount` of a PAYOUT is net of `fee`. `checkout` is the payment that it is of, where that is one of ours; it and
    `status` alone may change.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, related_name="+", verbose_name=_("merchant"))
    payout_id = models.BigIntegerField(_("SumUp's id"))
    kind = models.CharField(_("kind"), max_length=60)
    status = models.CharField(_("SumUp's word"), max_length=60)
    amount = models.DecimalField(_("amount"), max_digits=12, decimal_places=2)
    fee = models.DecimalField(_("fee"), max_digits=12, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3)
    date = models.DateField(_("day"))
    reference = models.CharField(_("reference"), max_length=255, blank=True)
    transaction_code = models.CharField(_("transaction code"), max_length=255, blank=True)
    checkout = models.ForeignKey(
        Checkout, on_delete=models.PROTECT, null=True, related_name="payouts", verbose_name=_("payment")
    )
    first_seen_at = models.DateTimeField(_("first seen"))

    class Meta:
        verbose_name = _("payout")
        verbose_name_plural = _("payouts")
        ordering = ["date", "id"]
        indexes = [models.Index(fields=["merchant", "date"], name="payout_of_merchant")]
        constraints = [models.UniqueConstraint(fields=["merchant", "payout_id"], name="payout_once")]
        triggers = [
            frozen_trigger(
                "payout_frozen",
                ["merchant_id", "payout_id", "kind", "amount", "fee", "currency", "date", "reference",
                 "transaction_code", "first_seen_at"],
            ),
            pgtrigger.Trigger(
                name="payout_deleted",
                when=pgtrigger.Before,
                operation=pgtrigger.Delete,
                func=refusal("payout_deleted", "what SumUp said of a payout is never deleted"),
            ),
            no_truncate("payout"),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.kind} {self.status} {self.amount}"
