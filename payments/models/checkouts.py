"""Checkout: one attempt to pay one order at SumUp."""

from datetime import datetime, timedelta

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from events.models import Merchant
from ledger.arrows import arrow_triggers, frozen_trigger, history_trigger
from ledger.locking import LockableQuerySet
from ledger.money import CURRENCY_CHOICES, Money
from orders.models import IS_UNDECIDED, Order
from orders.states import SUMUP_PAID
from payments.states import CHECKOUT_ARROWS, LIVE, PAYABLE, CaseKind, CheckoutState

#: How long after its end an expired checkout is asked about again.
ASKED_AGAIN = (timedelta(hours=1), timedelta(days=1), timedelta(days=7))
#: So long a payment is waited for that SumUp reported and did not show.
UNSHOWN_AT_MOST = timedelta(days=60)


class CheckoutQuerySet(LockableQuerySet["Checkout"]):
    def payable(self) -> "CheckoutQuerySet":
        return self.filter(state__in=sorted(PAYABLE))

    def unsettled(self) -> "CheckoutQuerySet":
        """Those to ask SumUp about again: still payable, or paid while its goods were not given."""
        applied = Checkout.objects.filter(order=models.OuterRef("order"), is_applied=True)
        return self.filter(
            Q(state__in=sorted(PAYABLE)) | Q(Q(state=CheckoutState.PAID, is_applied=False), ~models.Exists(applied))
        )

    def to_ask_again(self, *, at: datetime) -> "CheckoutQuerySet":
        """Dead ones of which SumUp may still report a payment: an hour, a day and a week after their end."""
        due = Q()
        for pause in ASKED_AGAIN:
            due |= Q(valid_until__lte=at - pause) & (Q(asked_at=None) | Q(asked_at__lt=F("valid_until") + pause))
        return self.filter(due, state=CheckoutState.EXPIRED, valid_until__gt=at - ASKED_AGAIN[-1] - timedelta(days=1))

    def doubtful(self, *, at: datetime) -> "CheckoutQuerySet":
        """Those about whose money SumUp may still say more: every hour for a day, then every day.

        Mismatches that wait for a person while nothing of them went back; and those whose order has ended though SumUp
        said PAID and never showed the payment.
        """
        waiting = Q(state=CheckoutState.MISMATCH, cases__kind=CaseKind.MISMATCH, cases__closed_at=None)
        unshown = Q(state=CheckoutState.EXPIRED, sumup_status=SUMUP_PAID, valid_until__gt=at - UNSHOWN_AT_MOST)
        recent = Q(valid_until__gt=at - timedelta(days=1)) | Q(cases__opened_at__gt=at - timedelta(days=1))
        due = Q(asked_at=None) | Q(asked_at__lte=at - timedelta(days=1))
        due |= Q(recent, asked_at__lte=at - timedelta(hours=1))
        gone = Checkout.objects.filter(pk=models.OuterRef("pk"), refunds__state__in=sorted(LIVE))
        rows = self.filter(due, waiting | unshown).exclude(sumup_status="").exclude(models.Exists(gone))
        return rows.order_by("pk").distinct()

    def beside_undecided(self) -> "models.QuerySet[Checkout, int]":
        """The orders that can still be paid while money that came for them is undecided."""
        return self.payable().filter(order__in=Order.objects.filter(IS_UNDECIDED)).values_list("order_id", flat=True)


class Checkout(models.Model):
    """One attempt to pay one order; `state` is our conclusion, `sumup_status` SumUp's own last word, verbatim."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="checkouts", verbose_name=_("order"))
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, related_name="+", verbose_name=_("merchant"))
    reference = models.CharField(_("reference"), max_length=64, unique=True)
    amount = models.DecimalField(_("amount"), max_digits=10, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCY_CHOICES)
    state = models.CharField(_("state"), max_length=12, choices=CheckoutState.choices, default=CheckoutState.NEW)
    created_at = models.DateTimeField(_("made"))
    valid_until = models.DateTimeField(_("payable until"))
    sumup_id = models.CharField(_("SumUp's id"), max_length=255, unique=True, null=True)
    hosted_url = models.URLField(_("payment page"), max_length=2000, blank=True)
    sumup_status = models.CharField(_("SumUp's word"), max_length=255, blank=True)
    problem = models.CharField(_("SumUp's answer when it refused"), max_length=400, blank=True)
    asked_at = models.DateTimeField(_("last asked"), null=True)
    missing_since = models.DateTimeField(_("unknown to SumUp since"), null=True)
    transaction_id = models.CharField(_("transaction"), max_length=255, blank=True)
    transaction_code = models.CharField(_("transaction code"), max_length=255, unique=True, null=True)
    captured = models.DecimalField(_("captured"), max_digits=10, decimal_places=2, null=True)
    captured_currency = models.CharField(_("captured currency"), max_length=3, blank=True)
    paid_at = models.DateTimeField(_("paid at"), null=True)
    is_applied = models.BooleanField(_("its goods were given"), default=False)
    sumup_answer = models.JSONField(_("SumUp's last answer"), null=True)
    listed_at = models.DateTimeField(_("found in SumUp's list"), null=True)

    objects = CheckoutQuerySet.as_manager()

    class Meta:
        verbose_name = _("checkout")
        verbose_name_plural = _("checkouts")
        ordering = ["id"]
        indexes = [
            models.Index(
                F("asked_at").asc(nulls_first=True),
                condition=Q(state__in=sorted(PAYABLE)) | Q(state="paid", is_applied=False),
                name="checkout_unsettled",
            ),
            models.Index(fields=["valid_until"], condition=Q(state="expired"), name="checkout_expired"),
            models.Index(fields=["paid_at"], condition=Q(state="paid", listed_at=None), name="checkout_unlisted"),
            models.Index(fields=["asked_at"], condition=Q(state="mismatch"), name="checkout_mismatch"),
            models.Index(fields=["transaction_id"], condition=~Q(transaction_id=""), name="checkout_transaction"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["order"], condition=Q(state__in=sorted(PAYABLE)), name="checkout_one_payable_of_order"
            ),
            models.UniqueConstraint(
                fields=["order"], condition=Q(is_applied=True), name="checkout_one_applied_of_order"
            ),
            models.UniqueConstraint(
                fields=["merchant", "transaction_id"],
                condition=~Q(transaction_id="") & Q(captured__isnull=False),
                name="checkout_one_capture_of_transaction",
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="checkout_amount_positive"),
            models.CheckConstraint(
                condition=~Q(state="open") | Q(sumup_id__isnull=False), name="checkout_open_has_sumup_id"
            ),
            models.CheckConstraint(
                condition=~Q(state="paid") | Q(captured__isnull=False, paid_at__isnull=False),
                name="checkout_paid_has_capture",
            ),
            models.CheckConstraint(
                condition=Q(captured=None, captured_currency="")
                | (Q(captured__isnull=False) & ~Q(captured_currency="")),
                name="checkout_captured_has_currency",
            ),
            models.CheckConstraint(condition=Q(is_applied=False) | Q(state="paid"), name="checkout_applied_is_paid"),
        ]
        triggers = [
            *arrow_triggers("checkout", CHECKOUT_ARROWS),
            frozen_trigger(
                "checkout_frozen",
                ["order_id", "merchant_id", "reference", "amount", "currency", "created_at", "valid_until"],
            ),
            frozen_trigger("checkout_id_frozen", ["sumup_id"], when="OLD.sumup_id IS NOT NULL"),
            frozen_trigger(
                "checkout_capture_frozen",
                ["transaction_code", "captured", "captured_currency", "paid_at"],
                when="OLD.state = 'paid'",
            ),
            history_trigger("checkout", ["state", "is_applied"]),
            pgtrigger.Trigger(
                name="checkout_answer_kept",
                when=pgtrigger.After,
                operation=pgtrigger.UpdateOf("sumup_answer"),
                condition=pgtrigger.Condition(
                    "NEW.sumup_answer IS NOT NULL AND NEW.sumup_answer IS DISTINCT FROM OLD.sumup_answer"
                ),
                func="INSERT INTO payments_sumupanswer (checkout_id, at, status, body)"
                " VALUES (NEW.id, now(), NEW.sumup_status, NEW.sumup_answer); RETURN NULL;",
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)
