"""Case: what waits for a person."""

from zoneinfo import ZoneInfo

import pgtrigger
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from events.models import Merchant
from ledger.arrows import no_truncate, refusal
from ledger.locking import LockableQuerySet
from orders.models import Order
from payments.models.checkouts import Checkout
from payments.states import CaseKind


class CaseQuerySet(LockableQuerySet["Case"]):
    def open(self) -> "CaseQuerySet":
        return self.filter(closed_at=None)


class Case(models.Model):
    """Something about money that waits for a person; closed with a reason, never deleted."""

    kind = models.CharField(_("what"), max_length=20, choices=CaseKind.choices)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, related_name="cases")
    checkout = models.ForeignKey(Checkout, on_delete=models.PROTECT, null=True, related_name="cases")
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, null=True, related_name="+")
    amount = models.DecimalField(_("amount"), max_digits=10, decimal_places=2, null=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    words = models.TextField(_("what happened"))
    transaction_id = models.CharField(_("transaction"), max_length=255, blank=True)
    transaction_code = models.CharField(_("transaction code"), max_length=255, blank=True)
    #: Which of several things of one kind about one payment: empty where there is only one.
    about = models.CharField(max_length=200, blank=True, editable=False)
    opened_at = models.DateTimeField(_("opened"))
    closed_at = models.DateTimeField(_("closed"), null=True)
    closed_by = models.CharField(_("closed by"), max_length=60, blank=True)
    decision = models.TextField(_("decision"), blank=True)

    objects = CaseQuerySet.as_manager()

    class Meta:
        verbose_name = _("case")
        verbose_name_plural = _("money to decide")
        ordering = ["opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["checkout", "kind", "about"], condition=Q(closed_at=None), name="case_open_once_a_checkout"
            ),
            models.UniqueConstraint(
                fields=["merchant", "kind"],
                condition=Q(closed_at=None, checkout=None, transaction_code=""),
                name="case_open_once_a_merchant",
            ),
            # Once for ever: what a person has decided about a payment is not asked again.
            models.UniqueConstraint(
                fields=["transaction_code", "kind"], condition=~Q(transaction_code=""), name="case_once_a_transaction"
            ),
            models.CheckConstraint(condition=Q(closed_at=None) | ~Q(decision=""), name="case_closed_has_decision"),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="case_deleted",
                when=pgtrigger.Before,
                operation=pgtrigger.Delete,
                func=refusal("case_deleted", "a case is closed, never deleted"),
            ),
            no_truncate("case"),
        ]

    def __str__(self) -> str:
        zone = ZoneInfo(self.order.time_zone if self.order else "UTC")
        return f"{self.get_kind_display()} {self.opened_at.astimezone(zone):%Y-%m-%d}"
