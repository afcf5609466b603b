"""Refund: money that goes back for one checkout; its lines; and what SumUp reports of it."""

import pgtrigger
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from events.models import CalendarEntry, Merchant, Ticket
from ledger.arrows import arrow_triggers, frozen_trigger, history_trigger, no_truncate, refusal
from ledger.locking import LockableQuerySet
from ledger.money import CURRENCY_CHOICES, Money
from market.models import ProductItem
from orders.models import Order
from payments.models.checkouts import Checkout
from payments.states import (
    LIVE,
    OWN,
    REFUND_ARROWS,
    UNFINISHED,
    RefundKind,
    RefundOrigin,
    RefundState,
)


def _in(values: frozenset[str]) -> str:
    return "(" + ", ".join(f"'{value}'" for value in sorted(values)) + ")"


#: The lock makes two that come at once one after the other: the second then counts the first.
WITHIN_CAPTURE = f"""
    IF TG_OP = 'UPDATE' AND OLD.state IN {_in(LIVE)} THEN RETURN NEW; END IF;
    PERFORM 1 FROM payments_checkout WHERE id = NEW.checkout_id FOR NO KEY UPDATE;
    IF NEW.amount + (
        SELECT coalesce(sum(amount), 0) FROM payments_refund
        WHERE checkout_id = NEW.checkout_id AND id <> NEW.id AND origin IN {_in(OWN)} AND state IN {_in(LIVE)}
    ) > coalesce((
        SELECT captured FROM payments_checkout WHERE id = NEW.checkout_id AND captured_currency = NEW.currency
            AND state IN ('paid', 'mismatch')
    ), 0) THEN {refusal("refund_within_capture", "refund % exceeds what was captured", "NEW.id")} END IF;
    RETURN NEW;
"""  # noqa: S608  (no word of it comes from outside)


class RefundBatchQuerySet(LockableQuerySet["RefundBatch"]):
    pass


class RefundBatch(models.Model):
    """A person's word to pay back all that an entry owes, a refund for each checkout; it can be stopped and resumed."""

    entry = models.ForeignKey(CalendarEntry, on_delete=models.PROTECT, related_name="+", verbose_name=_("entry"))
    reason = models.CharField(_("reason"), max_length=200)
    requested_by = models.CharField(_("asked for by"), max_length=60)
    requested_at = models.DateTimeField(_("asked for"))
    stopped_at = models.DateTimeField(_("stopped"), null=True)
    finished_at = models.DateTimeField(_("done"), null=True)

    objects = RefundBatchQuerySet.as_manager()

    class Meta:
        verbose_name = _("refunds of an entry")
        verbose_name_plural = _("refunds of entries")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["entry"], condition=Q(finished_at=None), name="refund_batch_one_unfinished_of_entry"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.requested_at.astimezone(self.entry.calendar.page.zone()):%Y-%m-%d}"


class RefundQuerySet(LockableQuerySet["Refund"]):
    def live(self) -> "RefundQuerySet":
        """Those whose money has gone back, or may have, or is about to."""
        return self.filter(state__in=sorted(LIVE))

    def unfinished(self) -> "RefundQuerySet":
        return self.filter(state__in=sorted(UNFINISHED))


class Refund(models.Model):
    """Money going back for one checkout in one request to SumUp, or by another way; its lines say what for.

    `events_before` is the sum of the refunds that SumUp reported just before it was sent. It is not sent, nor
    asked about before that, until `not_before`: SumUp was too busy.
    """

    checkout = models.ForeignKey(Checkout, on_delete=models.PROTECT, related_name="refunds", verbose_name=_("payment"))
    batch = models.ForeignKey(
        RefundBatch, on_delete=models.PROTECT, null=True, related_name="refunds", verbose_name=_("of an entry")
    )
    origin = models.CharField(_("how"), max_length=12, choices=RefundOrigin.choices, default=RefundOrigin.OURS)
    state = models.CharField(_("state"), max_length=12, choices=RefundState.choices, default=RefundState.REQUESTED)
    amount = models.DecimalField(_("amount"), max_digits=10, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCY_CHOICES)
    reason = models.CharField(_("reason"), max_length=200)
    requested_by = models.CharField(_("asked for by"), max_length=60)
    requested_at = models.DateTimeField(_("asked for"))
    sent_at = models.DateTimeField(_("sent"), null=True)
    finished_at = models.DateTimeField(_("answered"), null=True)
    asked_at = models.DateTimeField(_("SumUp last asked"), null=True)
    not_before = models.DateTimeField(_("sent no sooner than"), null=True)
    is_rest = models.BooleanField(_("all that was left"), default=False)
    events_before = models.DecimalField(_("paid back before"), max_digits=10, decimal_places=2, null=True)
    words = models.CharField(_("SumUp's words"), max_length=400, blank=True)

    objects = RefundQuerySet.as_manager()

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        ordering = ["id"]
        indexes = [
            models.Index(fields=["requested_at"], condition=Q(state__in=sorted(UNFINISHED)), name="refund_unfinished"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["checkout"],
                condition=Q(state__in=sorted(UNFINISHED), origin__in=sorted(OWN)),
                name="refund_one_unfinished_of_checkout",
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="refund_amount_positive"),
            models.CheckConstraint(condition=~Q(reason=""), name="refund_has_reason"),
            models.CheckConstraint(
                condition=~Q(origin="ours")
                | Q(state__in=["requested", "withdrawn"])
                | Q(sent_at__isnull=False, events_before__isnull=False),
                name="refund_sent_has_events_before",
            ),
            models.CheckConstraint(
                condition=Q(state__in=sorted(UNFINISHED)) | Q(finished_at__isnull=False),
                name="refund_finished_has_time",
            ),
        ]
        triggers = [
            *arrow_triggers("refund", REFUND_ARROWS, state="{row}.origin || '.' || {row}.state"),
            frozen_trigger(
                "refund_frozen",
                [
                    "checkout_id", "batch_id", "origin", "amount", "currency", "reason", "requested_by",
                    "requested_at",
                ],
            ),
            pgtrigger.Trigger(
                name="refund_within_capture",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.UpdateOf("state"),
                condition=pgtrigger.Condition(f"(NEW.origin IN {_in(OWN)} AND NEW.state IN {_in(LIVE)})"),
                func=WITHIN_CAPTURE,
            ),
            history_trigger("refund", ["state"]),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.money} {self.get_state_display()}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def order(self) -> Order:
        return self.checkout.order

    @property
    def order_id(self) -> int:
        return self.checkout.order_id


class RefundLineQuerySet(LockableQuerySet["RefundLine"]):
    def live(self) -> "RefundLineQuerySet":
        return self.filter(refund__state__in=sorted(LIVE))


class RefundLine(models.Model):
    """What an amount of a refund is for; written with the refund, never changed."""

    refund = models.ForeignKey(Refund, on_delete=models.PROTECT, related_name="lines")
    kind = models.CharField(_("what for"), max_length=10, choices=RefundKind.choices)
    # The database protects these rows; PROTECT would ask for lines each time that something leaves a cart.
    ticket = models.ForeignKey(Ticket, on_delete=models.DO_NOTHING, null=True, related_name="refund_lines")
    booking = models.ForeignKey(CalendarEntry, on_delete=models.DO_NOTHING, null=True, related_name="refund_lines")
    item = models.ForeignKey(ProductItem, on_delete=models.DO_NOTHING, null=True, related_name="refund_lines")
    amount = models.DecimalField(_("amount"), max_digits=10, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCY_CHOICES)

    objects = RefundLineQuerySet.as_manager()

    class Meta:
        verbose_name = _("refund line")
        verbose_name_plural = _("refund lines")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="refund_line_amount_positive"),
            models.CheckConstraint(condition=Q(kind__in=RefundKind.values), name="refund_line_kind_known"),
            models.CheckConstraint(
                condition=Q(kind="surplus", ticket=None, booking=None, item=None)
                | (~Q(kind="surplus") & Q(ticket__isnull=False, booking=None, item=None))
                | (~Q(kind="surplus") & Q(ticket=None, booking__isnull=False, item=None))
                | (~Q(kind="surplus") & Q(ticket=None, booking=None, item__isnull=False)),
                name="refund_line_names_its_row",
            ),
            *[
                models.UniqueConstraint(fields=["refund", name], name=f"refund_line_once_a_{name}")
                for name in ("ticket", "booking", "item")
            ],
        ]
        triggers = [
            pgtrigger.Trigger(
                name="refund_line_frozen",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func=refusal("refund_line_frozen", "a refund line is never changed"),
            ),
            no_truncate("refund_line"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.money}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)


class SumUpReportQuerySet(LockableQuerySet["SumUpReport"]):
    def counted(self) -> "SumUpReportQuerySet":
        """Those whose money has moved, or will."""
        return self.exclude(status="FAILED")


class SumUpReport(models.Model):
    """What SumUp reports of a transaction after its capture: a refund, a chargeback, a payout; its words verbatim.

    `refund` is the one of ours that explains it.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, related_name="+", verbose_name=_("merchant"))
    transaction_id = models.CharField(_("transaction"), max_length=255)
    event_id = models.CharField(_("SumUp's id"), max_length=255)
    kind = models.CharField(_("kind"), max_length=60)
    status = models.CharField(_("SumUp's word"), max_length=60)
    amount = models.DecimalField(_("amount"), max_digits=12, decimal_places=2, null=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    happened_at = models.DateTimeField(_("happened"), null=True)
    checkout = models.ForeignKey(
        Checkout, on_delete=models.PROTECT, null=True, related_name="sumup_reports", verbose_name=_("payment")
    )
    refund = models.ForeignKey(
        Refund, on_delete=models.PROTECT, null=True, related_name="sumup_reports", verbose_name=_("refund")
    )
    first_seen_at = models.DateTimeField(_("first seen"))

    objects = SumUpReportQuerySet.as_manager()

    class Meta:
        db_table = "payments_sumupevent"
        verbose_name = _("report of SumUp")
        verbose_name_plural = _("reports of SumUp")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["transaction_id", "event_id"], name="sumup_event_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.status} {self.amount}"
