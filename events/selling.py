"""What is on sale, and if not, why: one rule for the event page, the buy form, the cart and the claim."""

import enum
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy as _

from events.models import CalendarEntry, Ticket, TicketQuerySet, TicketType
from events.states import EntryState
from ledger.money import Money

FEW_LEFT = 10


class Obstacle(enum.Enum):
    """Why something cannot be bought now; the value is the sentence for the buyer."""

    UNPUBLISHED = _("This event is not open to the public.")
    CANCELLED = _("This event has been cancelled.")
    PAST = _("This event is over.")
    NOT_YET = _("Tickets are not on sale yet.")
    CLOSED = _("Ticket sales have closed.")
    NO_TICKETS = _("This event sells no tickets here.")
    KINDS = _("This event has kinds of tickets now: please choose one on its page.")


def obstacle(entry: CalendarEntry, ticket_type: TicketType | None, *, at: datetime) -> Obstacle | None:
    """Why `ticket_type` (None: the entry's own ticket_price) of `entry` is not on sale at `at`; None: it is.

    Sold out is no obstacle: seats may come free. Reads entry.calendar.page and, without a type, entry.has_types.
    """
    if entry.state == EntryState.CANCELLED:
        return Obstacle.CANCELLED
    if entry.state != EntryState.CONFIRMED or not entry.is_published or not entry.calendar.page.is_published:
        return Obstacle.UNPUBLISHED
    if entry.ends_at <= at:
        return Obstacle.PAST
    if ticket_type is None and entry.has_types:
        return Obstacle.KINDS
    if ticket_type is None and entry.ticket_price is None:
        return Obstacle.NO_TICKETS
    for window in (entry, ticket_type):
        if window is not None and window.sale_starts_at is not None and at < window.sale_starts_at:
            return Obstacle.NOT_YET
        if window is not None and window.sale_ends_at is not None and at >= window.sale_ends_at:
            return Obstacle.CLOSED
    return None


def with_facts(tickets: TicketQuerySet) -> list[Ticket]:
    """`tickets` by primary key, in one query with all that `obstacle` and `cost` read of each."""
    types = TicketType.objects.filter(entry=OuterRef("entry"))
    found = list(tickets.with_page().annotate(entry_has_types=Exists(types)).order_by("pk"))
    for ticket in found:
        ticket.entry.has_types = vars(ticket)["entry_has_types"]
    return found


@dataclass(frozen=True)
class Offer:
    """One kind of ticket of an event, as the buy form shows it. `key` is the type's pk, 0 for the entry's own price.

    `unpayable`: it costs something, and nobody can take the money now.
    """

    key: int
    name: str
    text: str
    price: Money
    free_places: int | None
    minimum: int
    maximum: int
    obstacle: Obstacle | None
    opens_at: datetime | None
    unpayable: bool = False

    @property
    def sold_out(self) -> bool:
        return self.free_places == 0

    @property
    def too_few_left(self) -> bool:
        """There are some, but fewer than an order must take: nobody can buy them."""
        return self.free_places is not None and 0 < self.free_places < self.minimum

    @property
    def few_left(self) -> bool:
        return self.free_places is not None and 0 < self.free_places <= FEW_LEFT

    @property
    def buyable(self) -> bool:
        """The form shows a stepper for it (without seats or a payee it shows none, though a POST for it is taken)."""
        return self.obstacle is None and not (self.sold_out or self.too_few_left or self.unpayable)


def offers_of(entry: CalendarEntry, *, at: datetime, payable: bool = True) -> list[Offer]:
    """What `entry` sells, in the organiser's order: its types, else its ticket_price, else nothing.

    `payable`: somebody can take money for it (`events.payees.takes_payments`). Reads entry.ticket_types and
    entry.calendar.page: prefetch them.
    """
    types = list(entry.ticket_types.all())
    if types:
        return [_offer(entry, ticket_type, at, payable) for ticket_type in types]
    return [] if entry.ticket_price is None else [_offer(entry, None, at, payable)]


def _offer(entry: CalendarEntry, ticket_type: TicketType | None, at: datetime, payable: bool) -> Offer:
    places = [
        free for free in (entry.free_places, ticket_type.free_places if ticket_type else None) if free is not None
    ]
    price = ticket_type.price if ticket_type else entry.ticket_price
    starts = (entry.sale_starts_at, ticket_type.sale_starts_at if ticket_type else None)
    opens = [start for start in starts if start is not None]
    return Offer(
        key=ticket_type.pk if ticket_type else 0,
        name=ticket_type.name if ticket_type else str(_("Ticket")),
        text=ticket_type.text if ticket_type else "",
        price=Money(price or Decimal(0), entry.currency),
        free_places=min(places, default=None),
        minimum=ticket_type.min_per_order if ticket_type else 1,
        maximum=ticket_type.max_per_order if ticket_type else entry.max_per_order,
        obstacle=obstacle(entry, ticket_type, at=at),
        opens_at=max(opens, default=None),
        unpayable=bool(price) and not payable,
    )
