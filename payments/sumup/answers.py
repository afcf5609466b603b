"""SumUp's answers as frozen values: what is missing is None or "", what is unknown survives in `raw`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import TypeGuard

from payments.sumup.problems import Unreadable

TEXT_MOST = 255
ADDRESS_MOST = 2000
# Beyond any price; keeps an amount such as 1e999999 from stopping a later calculation.
LARGEST_EXPONENT = 15
#: No currency that SumUp takes has more places. An amount that was a float on its way: 12.3 as 12.300000190734863.
SMALLEST = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class TransactionAnswer:
    """One attempt to pay a checkout (SumUp: an item of `transactions`)."""

    id: str
    code: str
    status: str
    amount: Decimal | None
    currency: str
    timestamp: str


@dataclass(frozen=True, slots=True)
class CheckoutAnswer:
    """A checkout as SumUp tells it. `amount` is in major units; `status` is SumUp's word, whatever it is."""

    id: str
    reference: str
    amount: Decimal | None
    currency: str
    merchant_code: str
    status: str
    hosted_url: str
    transactions: tuple[TransactionAnswer, ...]
    transaction_id: str
    transaction_code: str
    raw: Mapping[str, object] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class MerchantAnswer:
    """A merchant account. `sandbox` is None when SumUp does not say."""

    merchant_code: str
    name: str
    country: str
    currency: str
    sandbox: bool | None
    raw: Mapping[str, object] = field(repr=False, compare=False)


def checkout_from(body: object) -> CheckoutAnswer:
    """A checkout from parsed JSON; raises Unreadable when it is no object with an id and a status."""
    facts = _object(body)
    if not id_of(facts, "id") or not text_of(facts, "status"):
        raise Unreadable("SumUp's answer is not a checkout.")
    attempts = facts.get("transactions")
    return CheckoutAnswer(
        id=id_of(facts, "id"),
        reference=text_of(facts, "checkout_reference"),
        amount=amount_of(facts, "amount"),
        currency=text_of(facts, "currency"),
        merchant_code=text_of(facts, "merchant_code"),
        status=text_of(facts, "status"),
        hosted_url=_address(facts, "hosted_checkout_url"),
        transactions=tuple(
            TransactionAnswer(
                id=id_of(item, "id"),
                code=id_of(item, "transaction_code"),
                status=text_of(item, "status"),
                amount=amount_of(item, "amount"),
                currency=text_of(item, "currency"),
                timestamp=text_of(item, "timestamp"),
            )
            for item in (attempts if isinstance(attempts, list) else [])
            if isinstance(item, dict)
        ),
        transaction_id=id_of(facts, "transaction_id"),
        transaction_code=id_of(facts, "transaction_code"),
        raw=facts,
    )


def checkouts_from(body: object) -> list[CheckoutAnswer]:
    """Checkouts from a bare JSON array; one item that cannot be read makes the whole answer unknown."""
    if not isinstance(body, list):
        raise Unreadable("SumUp's answer is not a list of checkouts.")
    return [checkout_from(item) for item in body]


def merchant_from(body: object) -> MerchantAnswer:
    """A merchant from parsed JSON; raises Unreadable when it has no code."""
    facts = _object(body)
    if not text_of(facts, "merchant_code"):
        raise Unreadable("SumUp's answer is not a merchant.")
    profile, company, sandbox = facts.get("business_profile"), facts.get("company"), facts.get("sandbox")
    named = [text_of(part, "name") for part in (profile, company) if isinstance(part, dict)]
    return MerchantAnswer(
        merchant_code=text_of(facts, "merchant_code"),
        name=next(filter(None, [*named, text_of(facts, "alias")]), ""),
        country=text_of(facts, "country"),
        currency=text_of(facts, "default_currency"),
        sandbox=sandbox if isinstance(sandbox, bool) else None,
        raw=facts,
    )


def _object(body: object) -> Mapping[str, object]:
    if isinstance(body, dict):
        return body
    raise Unreadable("SumUp's answer is not a JSON object.")


def text_of(facts: Mapping[str, object], name: str, most: int = TEXT_MOST) -> str:
    """The text at `name`, cut at `most`; "" for anything that is none."""
    value = facts.get(name)
    return value[:most] if isinstance(value, str) else ""


def is_id(value: object) -> TypeGuard[str]:
    """Whether `value` can be SumUp's id or code of something: 1 to 255 printable characters, not dots alone.

    Any such text can be stored and asked for again, and the webhook takes it; whatever is none is never stored.
    """
    return isinstance(value, str) and 0 < len(value) <= TEXT_MOST and value.isprintable() and set(value) != {"."}


def id_of(facts: Mapping[str, object], name: str) -> str:
    """The id or code at `name`, whole; "" for anything that is none."""
    value = facts.get(name)
    return value if is_id(value) else ""


def _address(facts: Mapping[str, object], name: str) -> str:
    value = facts.get(name)
    usable = isinstance(value, str) and value.startswith(("https://", "http://")) and len(value) <= ADDRESS_MOST
    return str(value) if usable else ""


def amount_of(facts: Mapping[str, object], name: str) -> Decimal | None:
    """A number (parsed to Decimal) or a numeral in a string, to the cent; None for anything that is no plain amount."""
    value = facts.get(name)
    if isinstance(value, str) and len(value) < 40:
        try:
            value = Decimal(value)
        except InvalidOperation:
            return None
    if not isinstance(value, Decimal) or not value.is_finite() or abs(value.adjusted()) > LARGEST_EXPONENT:
        return None
    return value.quantize(SMALLEST, rounding=ROUND_HALF_UP)
