"""Ticket: one seat for one person at one event."""

import base64
import secrets
from collections.abc import Iterable
from decimal import Decimal

from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from events.models.entries import CalendarEntry, TicketType
from events.models.pages import Page
from events.states import HELD, TICKET_ARROWS, TicketState
from ledger.arrows import arrow_triggers, counter_triggers, frozen_trigger, history_trigger
from ledger.copies import copies_of
from ledger.locking import LockableQuerySet
from ledger.money import CURRENCY_CHOICES, Money


def new_ticket_code() -> str:
    """130 random bits in 26 letters and digits that a person can type (base32: no 0, 1, 8 or 9)."""
    return base64.b32encode(secrets.token_bytes(17)).decode()[:26]


class TicketQuerySet(LockableQuerySet["Ticket"]):
    def pending_for(self, user: User) -> "TicketQuerySet":
        """What `user` has in the cart and has not ordered."""
        return self.filter(user=user, state=TicketState.PENDING)

    def shown_to(self, user: User) -> "TicketQuerySet":
        """Ordered ones whose code `user` may see: bought and not sent on, or sent to the user's address."""
        # An empty address is ruled out twice: nobody received those, and the small index `ticket_received` is used.
        received = ~Q(sent_to="") & Q(sent_to__iexact=user.email)
        return self.filter(Q(user=user, sent_to="") | received).exclude(state=TicketState.PENDING)

    def held(self) -> "TicketQuerySet":
        return self.filter(state__in=sorted(HELD))

    def of_pages(self, pages: Iterable[Page]) -> "TicketQuerySet":
        return self.filter(entry__calendar__page__in=pages)

    def originals_by_copy(self) -> dict[int, int]:
        """All rows that were put back in a cart for one of these rows or for such a copy: pk -> the original's pk."""
        return copies_of(self)

    def with_page(self) -> "TicketQuerySet":
        """With all that `cost` and the cart read: type, entry, calendar and page."""
        return self.select_related("ticket_type", "entry__calendar__page")


class Ticket(models.Model):
    """One seat. Pending: in a cart, holds nothing. From reserved on it has an order, and its price never changes.

    `price` of a pending ticket is the price that its buyer saw when putting it in the cart.
    """

    entry = models.ForeignKey(CalendarEntry, on_delete=models.PROTECT, related_name="tickets", verbose_name=_("event"))
    ticket_type = models.ForeignKey(
        TicketType, on_delete=models.PROTECT, null=True, blank=True, related_name="tickets", verbose_name=_("type")
    )
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="tickets", verbose_name=_("buyer"))
    order = models.ForeignKey(
        "orders.Order",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="tickets",
        verbose_name=_("order"),
    )
    state = models.CharField(_("state"), max_length=12, choices=TicketState.choices, default=TicketState.PENDING)
    code = models.CharField(_("code"), max_length=32, unique=True, default=new_ticket_code, editable=False)
    price = models.DecimalField(_("price"), max_digits=10, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCY_CHOICES)
    holder = models.CharField(_("name on the ticket"), max_length=120, blank=True)
    sent_to = models.EmailField(_("sent to"), blank=True, editable=False)
    sent_at = models.DateTimeField(_("sent on"), null=True, blank=True, editable=False)
    replaces = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(_("put in the cart"), auto_now_add=True)
    checked_in_at = models.DateTimeField(_("checked in at"), null=True, blank=True, editable=False)

    objects = TicketQuerySet.as_manager()

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")
        ordering = ["id"]
        indexes = [
            models.Index(fields=["user"], condition=Q(state="pending"), name="ticket_pending_of_user"),
            models.Index(fields=["created_at"], condition=Q(state="pending"), name="ticket_pending_since"),
            models.Index(Upper("sent_to"), condition=~Q(sent_to=""), name="ticket_received"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="pending", order=None) | (~Q(state="pending") & Q(order__isnull=False)),
                name="ticket_reserved_has_order",
            ),
            models.CheckConstraint(condition=Q(price__gte=0), name="ticket_price_not_negative"),
        ]
        triggers = [
            *arrow_triggers("ticket", TICKET_ARROWS),
            frozen_trigger(
                "ticket_frozen",
                ["entry_id", "ticket_type_id", "order_id", "user_id", "price", "currency"],
                when="OLD.state <> 'pending'",
            ),
            *counter_triggers("ticket_entry", parent="events_calendarentry", key="entry_id", held=HELD),
            *counter_triggers("ticket_type", parent="events_tickettype", key="ticket_type_id", held=HELD),
            history_trigger("ticket", ["state", "price", "sent_at"]),
        ]

    def __str__(self) -> str:
        return self.code

    def get_absolute_url(self) -> str:
        return reverse("ticket", args=[self.code])

    @property
    def cost(self) -> Money:
        """What it costs: its own frozen price once ordered; before, its type's, else the entry's `ticket_price`."""
        if self.state != TicketState.PENDING:
            return Money(self.price, self.currency)
        price = self.ticket_type.price if self.ticket_type else self.entry.ticket_price
        return Money(price if price is not None else Decimal(0), self.entry.currency)

    @property
    def what(self) -> str:
        """As a bill names it; reads entry and ticket_type."""
        return f"{self.entry.title} – {self.ticket_type.name}" if self.ticket_type else self.entry.title

    @property
    def is_valid(self) -> bool:
        """Opens the door: paid for (or free) and neither cancelled nor given back."""
        return self.state in (TicketState.CONFIRMED, TicketState.CHECKED_IN)

    @property
    def is_owed(self) -> bool:
        """Its price must go back to the buyer and has not yet."""
        return self.state == TicketState.REFUND_DUE

    @property
    def is_sent(self) -> bool:
        """Its buyer has sent it to somebody else, who alone has its code."""
        return bool(self.sent_to)

    @property
    def masked_receiver(self) -> str:
        """The address that it was sent to, as its buyer may read it: `j…@example.org`."""
        name, _at, host = self.sent_to.partition("@")
        return f"{name[:1]}…@{host}" if host else ""
