"""The lines of a cart: so many tickets of one kind, a booking, so many pieces of a product."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from events.models import CalendarEntry, Page, Ticket, TicketType
from events.rooms import Span
from events.states import LineKind
from ledger.money import Money
from market.models import Product, ProductItem, SoldThing


class Sold(TypedDict, total=False):
    """What an order line names, besides its page, name, price and quantity."""

    entry: CalendarEntry
    ticket_type: TicketType | None
    product: Product


@dataclass(frozen=True, kw_only=True)
class Line(ABC):
    """So many pending rows of one thing. `fits` of them can be ordered now; `seen` is the price when put in.

    `supply` of them could be, were there no least number that an order takes.
    `reason` is the sentence that says why none of it can be ordered at all, "" for things that are on sale.
    """

    page: Page
    price: Money
    seen: Money
    fits: int
    supply: int = 0
    reason: str = ""
    minimum: int = 1
    maximum: int = 1

    @property
    @abstractmethod
    def kind(self) -> LineKind: ...

    @property
    @abstractmethod
    def rows(self) -> Sequence[SoldThing]:
        """The pending rows, oldest first: the first `fits` of them are what an order takes."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As the line itself calls it, under the title of what it belongs to."""

    @property
    @abstractmethod
    def full_name(self) -> str:
        """As an order, a bill and a screen reader call it."""

    @property
    @abstractmethod
    def sold(self) -> Sold: ...

    @property
    @abstractmethod
    def identity(self) -> tuple[str, int, int]:
        """What it is a line of, for the digest: its kind and the keys that tell it from any other."""

    @property
    def quantity(self) -> int:
        return len(self.rows)

    @property
    def amount(self) -> Money:
        return self.price * self.quantity

    @property
    def is_short(self) -> bool:
        return self.fits < self.quantity

    @property
    def price_changed(self) -> bool:
        return self.price != self.seen

    @property
    def problem(self) -> str:
        """One sentence on why not all of it can be ordered now; "" when it can."""
        if self.reason:
            return self.reason
        if not self.is_short:
            return ""
        if self.fits == 0:
            if self.quantity < self.minimum:
                return _("At least %(n)s an order.") % {"n": self.minimum}
            if self.supply:
                words = ngettext("Only %(n)s is left", "Only %(n)s are left", self.supply) % {"n": self.supply}
                return _("%(left)s, and an order takes at least %(n)s.") % {"left": words, "n": self.minimum}
            return self.absence
        return ngettext("Only %(n)s is left.", "Only %(n)s are left.", self.fits) % {"n": self.fits}

    @property
    def absence(self) -> str:
        """The sentence for what was there when it was put in, and is there no more."""
        return _("Sold out meanwhile.")


@dataclass(frozen=True, kw_only=True)
class TicketLine(Line):
    entry: CalendarEntry
    ticket_type: TicketType | None
    tickets: Sequence[Ticket]

    @property
    def kind(self) -> LineKind:
        return LineKind.TICKET

    @property
    def rows(self) -> Sequence[Ticket]:
        return self.tickets

    @property
    def key(self) -> int:
        return self.ticket_type.pk if self.ticket_type else 0

    @property
    def identity(self) -> tuple[str, int, int]:
        return (self.kind, self.entry.pk, self.key)

    @property
    def name(self) -> str:
        return self.ticket_type.name if self.ticket_type else _("Ticket")

    @property
    def full_name(self) -> str:
        return f"{self.entry.title} – {self.name}"

    @property
    def sold(self) -> Sold:
        return {"entry": self.entry, "ticket_type": self.ticket_type}


@dataclass(frozen=True, kw_only=True)
class BookingLine(Line):
    """Time in a room; `blocks` is it with set-up and clean-up as they are now.

    `free_instead`: the nearest times that are free, when this one was taken meanwhile.
    """

    booking: CalendarEntry
    blocks: DateTimeTZRange | None = None
    free_instead: Sequence[Span] = ()

    @property
    def kind(self) -> LineKind:
        return LineKind.BOOKING

    @property
    def rows(self) -> Sequence[CalendarEntry]:
        return [self.booking]

    @property
    def identity(self) -> tuple[str, int, int]:
        return (self.kind, self.booking.pk, 0)

    @property
    def name(self) -> str:
        return _("Booking")

    @property
    def full_name(self) -> str:
        return self.booking.what

    @property
    def sold(self) -> Sold:
        return {"entry": self.booking}

    @property
    def absence(self) -> str:
        return _("This time was taken meanwhile.")


@dataclass(frozen=True, kw_only=True)
class ItemLine(Line):
    product: Product
    items: Sequence[ProductItem]

    @property
    def kind(self) -> LineKind:
        return LineKind.PRODUCT

    @property
    def rows(self) -> Sequence[ProductItem]:
        return self.items

    @property
    def identity(self) -> tuple[str, int, int]:
        return (self.kind, self.product.pk, 0)

    @property
    def name(self) -> str:
        return self.product.name

    @property
    def full_name(self) -> str:
        return self.product.name

    @property
    def sold(self) -> Sold:
        return {"product": self.product}
