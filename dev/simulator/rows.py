"""What the simulator remembers: flat records that go to its ledger file as they are."""

from dataclasses import dataclass, field

PENDING, FAILED, PAID, EXPIRED = "PENDING", "FAILED", "PAID", "EXPIRED"
SUCCESSFUL = "SUCCESSFUL"


@dataclass(frozen=True)
class Merchant:
    code: str
    key: str
    currency: str
    name: str


@dataclass
class Checkout:
    id: str
    reference: str
    merchant_code: str
    amount: str
    currency: str
    description: str
    return_url: str
    redirect_url: str
    created: str
    valid_until: str
    hosted: bool
    status: str = PENDING
    authorizing: bool = False
    reason: str = ""
    transactions: list[str] = field(default_factory=list)


@dataclass
class Transaction:
    """One attempt to pay; SUCCESSFUL is a capture and stays so after a refund, as at SumUp."""

    id: str
    code: str
    checkout_id: str
    merchant_code: str
    amount: str
    currency: str
    timestamp: str
    status: str
    description: str
    payment_type: str = "ECOM"
    entry_mode: str = "CUSTOMER_ENTRY"


@dataclass
class Refund:
    """Money that went back: a REFUND, or a CHARGE_BACK. `visible` is when its event shows."""

    id: str
    transaction_id: str
    merchant_code: str
    kind: str
    amount: str
    timestamp: str
    visible: str
    status: str = "REFUNDED"


@dataclass
class Webhook:
    id: str
    checkout_id: str
    url: str
    about: str
    created: str
    attempts: list[dict[str, str | int | float]] = field(default_factory=list)


Row = Checkout | Transaction | Refund | Webhook
