"""Money: a decimal amount with its currency, rounded once and never mixed."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from django.utils.formats import number_format
from django.utils.translation import gettext as _

#: Currencies that SumUp takes (SumUp: POST /v0.1/checkouts, currency) and their decimal places.
PLACES = {
    "BRL": 2, "CHF": 2, "CLP": 0, "COP": 2, "CZK": 2, "DKK": 2, "EUR": 2, "GBP": 2,
    "HUF": 2, "NOK": 2, "PLN": 2, "RON": 2, "SEK": 2, "USD": 2,
}  # fmt: skip
SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$"}
CURRENCY_CHOICES = [(code, code) for code in sorted(PLACES)]


#: The largest amount that a column of money holds.
MOST = Decimal("99999999.99")


class MixedCurrencies(Exception):
    """Two amounts in different currencies were added."""


def rounded(amount: Decimal, currency: str) -> Decimal:
    """`amount` with the places of `currency`, half up: the one rounding."""
    return amount.quantize(Decimal(1).scaleb(-PLACES[currency]), rounding=ROUND_HALF_UP)


def storable(amount: Decimal | None, currency: str) -> Decimal | None:
    """What somebody else told of an amount above 0, as a column of money holds it; None for what fits none."""
    if amount is None or currency not in PLACES or not 0 < amount <= MOST:
        return None
    return rounded(amount, currency) or None


@dataclass(frozen=True, order=False)
class Money:
    """An amount in major units of `currency`, already rounded to its places."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "amount", rounded(Decimal(self.amount), self.currency))

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise MixedCurrencies(f"{self.currency} and {other.currency}")
        return Money(self.amount + other.amount, self.currency)

    def __mul__(self, quantity: int) -> "Money":
        return Money(self.amount * quantity, self.currency)

    def __str__(self) -> str:
        """For people: `€ 12.50`, `CHF 12.50`."""
        digits = number_format(self.amount, PLACES[self.currency], use_l10n=True, force_grouping=True)
        return f"{SYMBOLS.get(self.currency, self.currency)} {digits}"

    def or_free(self) -> str:
        return str(self) if self.amount else _("Free")


def total(parts: Iterable[Money], currency: str) -> Money:
    """The sum of `parts`, all in `currency`."""
    result = Money(Decimal(0), currency)
    for part in parts:
        result = result + part
    return result
