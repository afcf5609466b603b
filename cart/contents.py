"""The cart as a view of what is pending: lines grouped by page and kind, totals, and what it agrees to."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Generic, TypeVar

from accounts.models import User
from accounts.visitors import Visitor
from cart.lines import BookingLine, ItemLine, Line, TicketLine
from cart.reading import Pending, lines_of, pending_of
from events.models import Merchant, Page
from events.payees import unpayable
from events.states import LineKind
from ledger.money import Money, total

#: A sum of money; of several currencies there is none.
Sum = TypeVar("Sum", Money, Money | None)


class Sums(Generic[Sum]):
    """How many things there are in a cart, or in a part of one, and what they cost: all of them, and each kind."""

    @property
    def lines(self) -> Sequence[Line]:
        raise NotImplementedError

    def _sum(self, amounts: Iterable[Money]) -> Sum:
        raise NotImplementedError

    def count_of(self, kind: LineKind) -> int:
        return sum(line.quantity for line in self.lines if line.kind == kind)

    def total_of(self, kind: LineKind) -> Sum:
        return self._sum(line.amount for line in self.lines if line.kind == kind)

    @property
    def count(self) -> int:
        return sum(line.quantity for line in self.lines)

    @property
    def total(self) -> Sum:
        return self._sum(line.amount for line in self.lines)

    @property
    def ticket_count(self) -> int:
        return self.count_of(LineKind.TICKET)

    @property
    def booking_count(self) -> int:
        return self.count_of(LineKind.BOOKING)

    @property
    def product_count(self) -> int:
        return self.count_of(LineKind.PRODUCT)


@dataclass(frozen=True)
class Group(Sums[Money]):
    """What the cart holds of one page. `merchant` takes its money; None: nobody can at the moment."""

    page: Page
    merchant: Merchant | None
    of_page: Sequence[Line]

    @property
    def lines(self) -> Sequence[Line]:
        return self.of_page

    @property
    def currency(self) -> str:
        """Its lines' currency: the page's, unless that was changed after its events and products were made."""
        return self.lines[0].price.currency if self.lines else self.page.currency

    def _sum(self, amounts: Iterable[Money]) -> Money:
        return total(amounts, self.currency)

    @property
    def payee(self) -> Merchant | None:
        """Who is asked for a payment: nobody for what is free, and for what finds no merchant."""
        return self.merchant if self.total.amount else None

    @property
    def tickets(self) -> list[TicketLine]:
        return [line for line in self.lines if isinstance(line, TicketLine)]

    @property
    def bookings(self) -> list[BookingLine]:
        return [line for line in self.lines if isinstance(line, BookingLine)]

    @property
    def items(self) -> list[ItemLine]:
        return [line for line in self.lines if isinstance(line, ItemLine)]

    @property
    def ticket_total(self) -> Money:
        return self.total_of(LineKind.TICKET)

    @property
    def booking_total(self) -> Money:
        return self.total_of(LineKind.BOOKING)

    @property
    def product_total(self) -> Money:
        return self.total_of(LineKind.PRODUCT)


@dataclass(frozen=True)
class Cart(Sums[Money | None]):
    """Everything that one visitor has not yet ordered, grouped by page; no sum where there is no one currency."""

    groups: Sequence[Group] = field(default_factory=tuple)

    @property
    def lines(self) -> list[Line]:
        return [line for group in self.groups for line in group.lines]

    @property
    def currency(self) -> str | None:
        """The one currency of all groups; None when there is none or more than one."""
        currencies = {group.currency for group in self.groups}
        return currencies.pop() if len(currencies) == 1 else None

    def _sum(self, amounts: Iterable[Money]) -> Money | None:
        return total(amounts, self.currency) if self.currency else None

    @property
    def short(self) -> list[Line]:
        return [line for line in self.lines if line.is_short]

    @cached_property
    def parts(self) -> list["Cart"]:
        """What one order each can hold, in the order of its pages: the pages of one merchant are one payment.

        What is free, or finds nobody to pay, goes along with the first part in its currency.
        """
        paying: dict[str, Merchant] = {}
        for group in self.groups:
            if group.payee is not None:
                paying.setdefault(group.currency, group.payee)
        parts: dict[tuple[str, Merchant | None], list[Group]] = {}
        for group in self.groups:
            payee = group.payee or paying.get(group.currency)
            parts.setdefault((group.currency, payee), []).append(group)
        return [Cart(groups) for groups in parts.values()]

    @property
    def pays_at_once(self) -> bool:
        """One order can hold everything: one currency, and one merchant gets it all."""
        return len(self.parts) == 1

    @property
    def payments(self) -> int:
        """How many payments it takes: one for each part that costs something."""
        return sum(bool(part.total and part.total.amount) for part in self.parts)

    def of_page(self, page: Page) -> "Cart":
        return Cart([group for group in self.groups if group.page.pk == page.pk])

    def digest(self) -> str:
        """A fingerprint of lines and prices as shown: what the buyer agrees to pay by clicking."""
        return digest((line, line.quantity) for line in self.lines)

    def digest_of_rest(self) -> str:
        """A fingerprint of what can be ordered now, the short lines cut: what *go on without them* agrees to."""
        return digest((line, line.fits) for line in self.lines)

    @property
    def rest_count(self) -> int:
        return sum(line.fits for line in self.lines)

    @property
    def rest_total(self) -> Money | None:
        return self._sum(line.price * line.fits for line in self.lines)


def digest(lines: Iterable[tuple[Line, int]]) -> str:
    rows = sorted(
        [*line.identity, quantity, str(line.price.amount), line.price.currency] for line, quantity in lines if quantity
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def cart_of(visitor: Visitor | User, *, at: datetime) -> Cart:
    """The cart of `visitor` as it stands now, in a constant number of queries."""
    return build(pending_of(visitor if isinstance(visitor, Visitor) else Visitor(user=visitor)), at=at)


def build(pending: Pending, *, at: datetime) -> Cart:
    """A cart of `pending` rows (each with page and merchant at hand), grouped by page in the order they came."""
    payees = pending.payees()
    by_page: dict[int, list[Line]] = {}
    for line in lines_of(pending, payees, at=at):
        by_page.setdefault(line.page.pk, []).append(line)
    return Cart([Group(lines[0].page, _able(payees[page], lines), lines) for page, lines in by_page.items()])


def _able(merchant: Merchant | None, lines: Iterable[Line]) -> Merchant | None:
    """`merchant`, if it can take the price of any of `lines`."""
    return merchant if any(unpayable(merchant, line.price.currency) is None for line in lines) else None
