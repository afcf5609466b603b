"""Payments in any state with what SumUp told of them, made by bare rows; and SumUp's answers, made by hand."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from accounts.models import User
from events.models import Merchant, Ticket
from orders.models import Order
from payments.models import Case, Checkout, Refund, RefundLine, SumUpReport
from payments.reconcile.pace import Pace
from payments.reconcile.round import Round
from payments.states import CaseKind
from payments.sumup import EventAnswer, FullTransactionAnswer, HistoryItem
from tests.factories import UserFactory
from tests.ledger.lives import PRICE, an_order, numbers


def another_merchant(code: str = "M-OTHER") -> Merchant:
    return Merchant.objects.get_or_create(code=code, defaults={"name": "Other", "currency": "EUR"})[0]


def an_order_of(merchant: Merchant, *, user: User | None = None, total: Decimal = PRICE) -> Order:
    """An order that awaits payment to `merchant`."""
    now = timezone.now()
    return Order.objects.create(
        user=user or UserFactory.create(),
        merchant=merchant,
        total=total,
        currency="EUR",
        placed_at=now,
        hold_until=now + timedelta(minutes=30),
    )


def a_capture(state: str = "paid", *, order: Order | None = None, **facts: object) -> Checkout:
    """A checkout in `state` with `facts`; what is paid or a mismatch captured its amount, unless they say otherwise."""
    now, order = timezone.now(), order or an_order()
    assert order.merchant is not None
    checkout = Checkout.objects.create(
        order=order,
        merchant=order.merchant,
        reference=f"made-{next(numbers)}-{order.code}",
        amount=order.total,
        currency=order.currency,
        created_at=now,
        valid_until=now + timedelta(minutes=28),
    )
    known: dict[str, object] = {"state": state, "sumup_id": f"co-{checkout.pk}"}
    if state in ("paid", "mismatch"):
        known |= {"captured": order.total, "captured_currency": order.currency, "paid_at": now}
    Checkout.objects.filter(pk=checkout.pk).update(**(known | facts))
    checkout.refresh_from_db()
    return checkout


def a_case(kind: CaseKind, checkout: Checkout | None = None, **facts: object) -> Case:
    """An open case about `checkout`."""
    known: dict[str, object] = {"kind": kind, "checkout": checkout, "words": "Words", "opened_at": timezone.now()}
    if checkout is not None:
        known |= {"order": checkout.order, "merchant": checkout.merchant}
    return Case.objects.create(**(known | facts))


def an_event(checkout: Checkout, number: str, amount: str | None = "12.00", **facts: object) -> SumUpReport:
    """A refund that SumUp reports of `checkout`, as it is written down."""
    known: dict[str, object] = {
        "merchant": checkout.merchant, "transaction_id": checkout.transaction_id, "event_id": number, "kind": "REFUND",
        "status": "REFUNDED", "amount": None if amount is None else Decimal(amount), "currency": "EUR",
        "checkout": checkout, "first_seen_at": timezone.now(),
    }  # fmt: skip
    return SumUpReport.objects.create(**(known | facts))


def a_line(refund: Refund, ticket: Ticket | None, amount: str = "12.00", kind: str = "row") -> RefundLine:
    return RefundLine.objects.create(
        refund=refund, ticket=ticket, kind="surplus" if ticket is None else kind, amount=Decimal(amount), currency="EUR"
    )


def told(number: str, amount: str | None = "12.00", **facts: object) -> EventAnswer:
    """A refund as SumUp tells it."""
    known: dict[str, object] = {
        "id": number, "kind": "REFUND", "status": "REFUNDED", "amount": None if amount is None else Decimal(amount),
        "happened_at": None,
    }  # fmt: skip
    return EventAnswer(**(known | facts))  # type: ignore[arg-type]  # a table of changes


def answer(*events: EventAnswer, **facts: object) -> FullTransactionAnswer:
    """What SumUp says of the transaction t1 (C1) of 12.00 EUR, with `events`."""
    known: dict[str, object] = {
        "id": "t1", "code": "C1", "status": "SUCCESSFUL", "amount": Decimal("12.00"), "currency": "EUR",
        "timestamp": "", "summary": "", "events": events, "raw": {},
    }  # fmt: skip
    return FullTransactionAnswer(**(known | facts))  # type: ignore[arg-type]  # the same


def listed(kind: str = "PAYMENT", **facts: object) -> HistoryItem:
    """The transaction t1 (C1) of 12.00 EUR as SumUp's list shows it, or what went back of it."""
    known: dict[str, object] = {
        "id": "i", "transaction_id": "t1", "transaction_code": "C1", "type": kind, "status": "SUCCESSFUL",
        "payment_type": "ECOM", "amount": Decimal("12.00"), "currency": "EUR", "refunded": None, "summary": "",
        "timestamp": "2026-01-02T03:04:05.678Z", "raw": {},
    }  # fmt: skip
    return HistoryItem(**(known | facts))  # type: ignore[arg-type]  # the same


class Asked(Pace):
    """Waits for nobody; `calls` are the merchants that were about to be asked, or to be left alone for so long."""

    def __init__(self) -> None:
        super().__init__(0)
        self.calls: list[object] = []

    def __call__(self, merchant_pk: int) -> None:
        self.calls.append(merchant_pk)

    def hold(self, merchant_pk: int, seconds: float | None) -> bool:
        self.calls.append((merchant_pk, seconds))
        return True


class Run(Round):
    """A run at one moment; `lines` and `steps` are what it tells, `asked` whom it asks."""

    def __init__(self, at: datetime, *, is_dry: bool = False) -> None:
        self.lines: list[str] = []
        self.steps: list[tuple[str, int, int | None]] = []
        self.asked = Asked()
        super().__init__(
            is_dry=is_dry,
            pace=self.asked,
            told=self.lines.append,
            progress=lambda *step: self.steps.append(step),
            clock=lambda: at,
        )

    def found(self) -> dict[str, int]:
        """Its counts that are not 0."""
        return {name: number for name, number in self.counts.items() if number}


def pks(rows: Iterable[Checkout]) -> list[int]:
    return [row.pk for row in rows]
