"""What SumUp's document says of a question's fields: types, lengths, words, times. It imports nothing of the shop."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from dev.simulator.reply import Refused


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CURRENCIES = _words("BGN BRL CHF CLP COP CZK DKK EUR GBP HRK HUF NOK PLN RON SEK USD")
PURPOSES = frozenset({"CHECKOUT", "SETUP_RECURRING_PAYMENT"})
PAYMENT_TYPES = _words("CASH POS ECOM RECURRING BITCOIN BALANCE MOTO BOLETO DIRECT_DEBIT APM UNKNOWN")
ENTRY_MODES = _words(
    "BOLETO SOFORT IDEAL BANCONTACT EPS MYBANK SATISPAY BLIK P24 GIROPAY PIX QR_CODE_PIX APPLE_PAY GOOGLE_PAY PAYPAL"
    " TWINT NONE CHIP MANUAL_ENTRY CUSTOMER_ENTRY MAGSTRIPE_FALLBACK MAGSTRIPE DIRECT_DEBIT CONTACTLESS MOTO"
    " CONTACTLESS_MAGSTRIPE N/A"
)
STATUSES = frozenset({"SUCCESSFUL", "CANCELLED", "FAILED", "REFUNDED", "CHARGE_BACK"})
TYPES = frozenset({"PAYMENT", "REFUND", "CHARGE_BACK"})
REQUIRED = ("amount", "checkout_reference", "currency", "merchant_code")
#: The longest reference of the document; the newest SDK says 64.
REFERENCE_MOST, REFERENCE_SEEN = 90, 64
AMOUNT_MOST = Decimal(10**9)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def places_of(currency: str) -> int:
    """Of the currencies that SumUp takes one has no cents."""
    return 0 if currency == "CLP" else 2


def is_amount(value: object, currency: str) -> bool:
    """A number above 0 in whole cents."""
    if not isinstance(value, Decimal) or not value.is_finite() or not 0 < value < AMOUNT_MOST:
        return False
    return value == round(value, places_of(currency))


def moment_from(value: object) -> datetime | None:
    """A date-time of RFC 3339, whose zone is told; None for anything else."""
    if not isinstance(value, str) or not MOMENT.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def day_from(value: str) -> date | None:
    try:
        return date.fromisoformat(value) if DAY.fullmatch(value) else None
    except ValueError:
        return None


def is_address(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://"))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_hosted(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("enabled"), bool)


def wrong_fields(body: Mapping[str, object], currency: str, *, seen: bool) -> list[tuple[str, str]]:
    """(name, code) of each bad field of a new checkout; what is missing is told alone."""
    missing = [(name, "MISSING") for name in REQUIRED if body.get(name) in (None, "")]
    if missing:
        return missing
    most = REFERENCE_SEEN if seen else REFERENCE_MOST
    fields: dict[str, Callable[[object], bool]] = {
        "checkout_reference": lambda value: isinstance(value, str) and len(value) <= most,
        "amount": lambda value: is_amount(numeral(value) if seen else value, currency),
        "currency": lambda value: isinstance(value, str) and value in CURRENCIES and value == currency,
        "merchant_code": _is_text,
        "description": _is_text,
        "return_url": is_address,
        "redirect_url": is_address,
        "customer_id": _is_text,
        "purpose": lambda value: isinstance(value, str) and value in PURPOSES,
        "valid_until": lambda value: value is None or moment_from(value) is not None,
        "hosted_checkout": _is_hosted,
    }
    return [(name, "INVALID") for name, is_good in fields.items() if name in body and not is_good(body[name])]


def numeral(value: object) -> object:
    """A numeral in a string as the number it is: SumUp took such amounts in 2023."""
    if isinstance(value, str):
        try:
            return Decimal(value)
        except InvalidOperation:
            return None
    return value


def object_from(body: bytes) -> dict[str, object]:
    """The JSON object, its numbers as Decimal; raises Refused."""
    try:
        value: object = json.loads(body, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        value = None
    if not isinstance(value, dict):
        raise Refused(400, "INVALID", "Invalid JSON in the body")
    return value
