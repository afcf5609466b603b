"""The states of an order and the arrows between them."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from ledger.arrows import Arrows


class OrderState(models.TextChoices):
    AWAITING_PAYMENT = "awaiting_payment", _("awaiting payment")
    PAID = "paid", _("paid")
    EXPIRED = "expired", _("expired")
    CANCELLED = "cancelled", _("cancelled")


#: Kinds of a payment's cases that say: money for the order is here, and it has not got its goods for it.
UNDECIDED = frozenset({"mismatch", "goods"})
#: States of an attempt in which it can still be paid, and SumUp's own word for one that was.
PAYABLE, SUMUP_PAID = frozenset({"new", "open"}), "PAID"

#: A decline is no order state; expired and cancelled can still become paid (late).
ORDER_ARROWS = Arrows.table(
    born={"awaiting_payment"},
    moves={"awaiting_payment": {"paid", "expired", "cancelled"}, "expired": {"paid"}, "cancelled": {"paid"}},
)
