"""The states of entries and tickets, and the arrows between them."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from ledger.arrows import Arrows


class EntryKind(models.TextChoices):
    EVENT = "event", _("event")
    BOOKING = "booking", _("booking")


class EntryState(models.TextChoices):
    DRAFT = "draft", _("draft")
    PENDING = "pending", _("in a cart")
    RESERVED = "reserved", _("reserved")
    CONFIRMED = "confirmed", _("confirmed")
    CHECKED_IN = "checked_in", _("checked in")
    CANCELLED = "cancelled", _("cancelled")
    REFUND_DUE = "refund_due", _("to be refunded")
    REFUNDED = "refunded", _("refunded")


class TicketState(models.TextChoices):
    PENDING = "pending", _("in a cart")
    RESERVED = "reserved", _("reserved")
    CONFIRMED = "confirmed", _("valid")
    CHECKED_IN = "checked_in", _("checked in")
    CANCELLED = "cancelled", _("cancelled")
    REFUND_DUE = "refund_due", _("to be refunded")
    REFUNDED = "refunded", _("refunded")


#: Counts against capacity.
HELD = frozenset({"reserved", "confirmed", "checked_in"})

#: What a sold thing (ticket, booking, product item) may do, from the cart to the door and back.
SOLD_MOVES = {
    "pending": {"reserved"},
    "reserved": {"confirmed", "cancelled", "refund_due"},
    "cancelled": {"confirmed", "refund_due"},
    "confirmed": {"checked_in", "refund_due", "cancelled"},
    "checked_in": {"confirmed", "refund_due", "cancelled"},
    "refund_due": {"refunded", "confirmed", "cancelled"},
    "refunded": {"refund_due"},  # SumUp took the refund back
}

TICKET_ARROWS = Arrows.table(born={"pending"}, moves=SOLD_MOVES, deleted={"pending"})

EVENT_ARROWS = Arrows.table(
    born={"draft"},
    moves={"draft": {"confirmed"}, "confirmed": {"draft", "cancelled"}},
    deleted={"draft"},
)

#: Entries of both kinds stand in one table: their arrows are told apart by ``<kind>.<state>``.
ENTRY_ARROWS = Arrows(
    born=frozenset({"event.draft", "booking.pending"}),
    moves=frozenset((f"event.{a}", f"event.{b}") for a, b in EVENT_ARROWS.moves)
    | frozenset((f"booking.{a}", f"booking.{b}") for a, b in TICKET_ARROWS.moves),
    deleted=frozenset({"event.draft", "booking.pending"}),
)
