"""The cart as a view of what is pending: lines, groups by page, totals, and what changed since it was filled."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from events.models import CalendarEntry, Merchant, Page, Ticket, TicketType
from events.selling import Obstacle, obstacle
from ledger.money import Money, total


@dataclass(frozen=True)
class TicketLine:
    """So many pending tickets of one kind. `fits` of them can be ordered now; `seen` is the price when put in."""

    entry: CalendarEntry
    ticket_type: TicketType | None
    tickets: Sequence[Ticket]
    price: Money
    seen: Money
    obstacle: Obstacle | None
    fits: int
    maximum: int
    minimum: int

    @property
    def key(self) -> int:
        return self.ticket_type.pk if self.ticket_type else 0

    @property
    def quantity(self) -> int:
        return len(self.tickets)

    @property
    def amount(self) -> Money:
        return self.price * self.quantity

    @property
    def name(self) -> str:
        return self.ticket_type.name if self.ticket_type else _("Ticket")

    @property
    def full_name(self) -> str:
        return f"{self.entry.title} – {self.name}"

    @property
    def is_short(self) -> bool:
        return self.fits < self.quantity

    @property
    def price_changed(self) -> bool:
        return self.price != self.seen

    @property
    def problem(self) -> str:
        """One sentence on why not all of it can be ordered now; "" when it can."""
        if self.obstacle is not None:
            return str(self.obstacle.value)
        if not self.is_short:
            return ""
        if self.fits == 0:
            return _("Sold out meanwhile.") if self.quantity >= self.minimum else self._too_few()
        return ngettext("Only %(n)s is left.", "Only %(n)s are left.", self.fits) % {"n": self.fits}

    def _too_few(self) -> str:
        return _("At least %(n)s an order.") % {"n": self.minimum}


@dataclass(frozen=True)
class Group:
    """What the cart holds of one page."""

    page: Page
    merchant: Merchant | None
    tickets: Sequence[TicketLine]

    @property
    def currency(self) -> str:
        """Its lines' currency: the page's, unless that was changed after the events were made."""
        return self.tickets[0].price.currency if self.tickets else self.page.currency

    @property
    def ticket_count(self) -> int:
        return sum(line.quantity for line in self.tickets)

    @property
    def ticket_total(self) -> Money:
        return total((line.amount for line in self.tickets), self.currency)

    @property
    def count(self) -> int:
        return self.ticket_count

    @property
    def total(self) -> Money:
        return self.ticket_total

    @property
    def short(self) -> list[TicketLine]:
        return [line for line in self.tickets if line.is_short]


@dataclass(frozen=True)
class Cart:
    """Everything that one visitor has not yet ordered, grouped by page."""

    groups: Sequence[Group] = field(default_factory=tuple)

    @property
    def count(self) -> int:
        return sum(group.count for group in self.groups)

    @property
    def ticket_count(self) -> int:
        return sum(group.ticket_count for group in self.groups)

    @property
    def lines(self) -> list[TicketLine]:
        return [line for group in self.groups for line in group.tickets]

    @property
    def short(self) -> list[TicketLine]:
        return [line for line in self.lines if line.is_short]

    @property
    def currency(self) -> str | None:
        """The one currency of all groups; None when there is none or more than one."""
        currencies = {group.currency for group in self.groups}
        return currencies.pop() if len(currencies) == 1 else None

    @property
    def total(self) -> Money | None:
        """What everything costs; None when there is no one currency to say it in."""
        return total((group.total for group in self.groups), self.currency) if self.currency else None

    @property
    def merchants(self) -> set[Merchant | None]:
        """Who would take the money; what is free asks for nobody."""
        return {group.merchant for group in self.groups if group.total.amount}

    @property
    def pays_at_once(self) -> bool:
        """One order can hold everything: one currency, and one merchant gets it all."""
        return self.currency is not None and len(self.merchants) <= 1

    @property
    def merchant(self) -> Merchant | None:
        """Who takes the money of an order of all this; None for nobody (free, or no merchant at all)."""
        return next(iter(self.merchants)) if len(self.merchants) == 1 else None

    def of_page(self, page: Page) -> "Cart":
        return Cart([group for group in self.groups if group.page.pk == page.pk])

    def digest(self) -> str:
        """A fingerprint of lines and prices as shown: what the buyer agrees to pay by clicking."""
        return digest((line, line.quantity) for line in self.lines)

    def digest_of_rest(self) -> str:
        """The same of what can be ordered now, the short lines cut: what *go on without them* agrees to."""
        return digest((line, line.fits) for line in self.lines)

    @property
    def rest_count(self) -> int:
        return sum(line.fits for line in self.lines)

    @property
    def rest_total(self) -> Money | None:
        if not self.currency:
            return None
        return total((line.price * line.fits for line in self.lines), self.currency)


def digest(lines: Iterable[tuple[TicketLine, int]]) -> str:
    rows = sorted(
        [line.entry.pk, line.key, quantity, str(line.price.amount), line.price.currency]
        for line, quantity in lines
        if quantity
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def cart_of(user: User, *, at: datetime) -> Cart:
    """The cart of `user` as it stands now, in a constant number of queries."""
    return build(Ticket.objects.pending_for(user).with_page().select_related("entry__calendar__page__merchant"), at=at)


def build(tickets: Iterable[Ticket], *, at: datetime) -> Cart:
    """A cart of `tickets` (each with type, entry, calendar, page and merchant at hand), oldest line first."""
    lines: dict[tuple[int, int], list[Ticket]] = {}
    for ticket in sorted(tickets, key=lambda ticket: ticket.pk):
        lines.setdefault((ticket.entry_id, ticket.ticket_type_id or 0), []).append(ticket)
    left: dict[int, int | None] = {}
    by_page: dict[int, list[TicketLine]] = {}
    pages: dict[int, Page] = {}
    for rows in lines.values():
        entry = rows[0].entry
        page = pages.setdefault(entry.calendar.page_id, entry.calendar.page)
        line = _line(rows, left.setdefault(entry.pk, entry.free_places), at)
        free = left[entry.pk]
        if free is not None:
            left[entry.pk] = free - line.fits
        by_page.setdefault(page.pk, []).append(line)
    site = _site_merchant(pages.values())
    return Cart([Group(page, page.merchant or site, by_page[page.pk]) for page in pages.values()])


def _site_merchant(pages: Iterable[Page]) -> Merchant | None:
    if all(page.merchant_id for page in pages):
        return None
    return Merchant.objects.filter(is_site=True).first()


def _line(rows: Sequence[Ticket], places: int | None, at: datetime) -> TicketLine:
    first = rows[0]
    ticket_type, entry = first.ticket_type, first.entry
    minimum = ticket_type.min_per_order if ticket_type else 1
    maximum = ticket_type.max_per_order if ticket_type else entry.max_per_order
    reason = obstacle(entry, ticket_type, at=at)
    limits = [
        len(rows),
        maximum,
        *(n for n in (places, ticket_type.free_places if ticket_type else None) if n is not None),
    ]
    fits = 0 if reason else min(limits)
    return TicketLine(
        entry=entry,
        ticket_type=ticket_type,
        tickets=rows,
        price=first.cost,
        seen=Money(first.price, first.currency),
        obstacle=reason,
        fits=fits if fits >= minimum else 0,
        maximum=maximum,
        minimum=minimum,
    )
