"""The states of a checkout (what we concluded from SumUp's words) and the arrows between them."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from ledger.arrows import Arrows


class CheckoutState(models.TextChoices):
    NEW = "new", _("not yet known to SumUp")
    OPEN = "open", _("can be paid")
    REFUSED = "refused", _("refused by SumUp")
    EXPIRED = "expired", _("can no longer be paid")
    PAID = "paid", _("paid")
    MISMATCH = "mismatch", _("paid, but not what was asked for")


#: Still payable: at most one checkout of an order is.
PAYABLE = frozenset({"new", "open"})

CHECKOUT_ARROWS = Arrows.table(
    born={"new"},
    moves={
        "new": {"open", "refused", "expired", "paid", "mismatch"},
        "open": {"expired", "paid", "mismatch"},
        "expired": {"paid", "mismatch"},
        "mismatch": {"paid"},
    },
)


class CaseKind(models.TextChoices):
    MISMATCH = "mismatch", _("SumUp reports a payment that is not what was asked for")
    GOODS = "goods", _("paid, but the goods could not be given")
    SURPLUS = "surplus", _("paid twice")
    REFUSED = "refused", _("SumUp refuses this merchant's payments")
    HELD = "held", _("SumUp has not said for a day whether it was paid")
