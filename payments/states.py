"""The states of checkouts (what we concluded from SumUp's words) and of refunds, and the arrows between them."""

from django.db import models
from django.utils.translation import gettext_lazy as _

import orders.states
from ledger.arrows import Arrows


class CheckoutState(models.TextChoices):
    NEW = "new", _("not yet known to SumUp")
    OPEN = "open", _("can be paid")
    REFUSED = "refused", _("refused by SumUp")
    EXPIRED = "expired", _("can no longer be paid")
    PAID = "paid", _("paid")
    MISMATCH = "mismatch", _("paid, but not what was asked for")


#: Still payable: at most one checkout of an order is.
PAYABLE = orders.states.PAYABLE

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
    STRAY = "stray", _("SumUp took a payment that belongs to no order here")
    MISSING = "missing", _("a payment that we recorded is not in SumUp's list")
    OUTSIDE = "outside", _("a refund or chargeback was made at SumUp that nobody here knows of")
    CONTRADICTION = "contradiction", _("SumUp's books contradict themselves or ours")
    REFUND = "refund", _("a refund was refused, taken back, or nobody knows what became of it")


class RefundOrigin(models.TextChoices):
    """Who sent the money back."""

    OURS = "ours", _("sent by us through SumUp")
    DASHBOARD = "dashboard", _("made in SumUp's dashboard")
    ELSEWHERE = "elsewhere", _("paid back elsewhere, in cash or by transfer")
    CHARGEBACK = "chargeback", _("charged back by the buyer's bank")


class RefundState(models.TextChoices):
    REQUESTED = "requested", _("about to be sent")
    SENDING = "sending", _("being sent")
    SUCCEEDED = "succeeded", _("paid back")
    FAILED = "failed", _("not paid back")
    UNKNOWN = "unknown", _("sent, but SumUp has not said what became of it")
    WITHDRAWN = "withdrawn", _("withdrawn before it was sent")


#: Not finished: at most one of a checkout's own refunds is.
UNFINISHED = frozenset({"requested", "sending", "unknown"})
#: Its money has gone back, or may have.
LIVE = UNFINISHED | {"succeeded"}
#: What we start or record ourselves; the others are told by SumUp after the fact.
OWN = frozenset({"ours", "elsewhere"})


def _refund_arrows() -> Arrows:
    """The arrows of each origin by ``<origin>.<state>``: what was not sent by us has only its beginning and end."""
    ours = {
        "requested": {"sending", "withdrawn"},
        "sending": {"succeeded", "failed", "unknown", "requested"},  # back: SumUp was too busy to do anything
        "unknown": {"succeeded", "failed"},
        "failed": {"succeeded"},
        "succeeded": {"failed"},
    }
    told = {"requested": {"succeeded"}, "succeeded": {"failed"}}
    tables = {origin: ours if origin == RefundOrigin.OURS else told for origin in RefundOrigin.values}
    return Arrows(
        born=frozenset(f"{origin}.requested" for origin in tables),
        moves=frozenset(
            (f"{origin}.{source}", f"{origin}.{target}")
            for origin, table in tables.items()
            for source, targets in table.items()
            for target in targets
        ),
    )


REFUND_ARROWS = _refund_arrows()


class RefundKind(models.TextChoices):
    ROW = "row", _("the whole of it")
    GOODWILL = "goodwill", _("a part, out of goodwill: it stays valid")
    SURPLUS = "surplus", _("a payment beyond the order")
