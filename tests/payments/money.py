"""Steps that refund tests share: an order that was paid, what to pay back of it, and both ledgers side by side."""

from collections.abc import Collection
from decimal import Decimal

from django.utils import timezone

from accounts.models import User
from events.models import CalendarEntry, Ticket
from orders.models import Order
from payments.books.checking import read_books
from payments.checkouts.settling import settle
from payments.models import Checkout, Refund
from payments.refunds.asking import Wish, request_refund
from payments.refunds.sending import Sent, send
from payments.states import RefundKind
from tests.simulator import PATIENCE, SimulatorProcess, until
from tests.steps import ordered, paid_at_sumup


def sold(
    sumup: SimulatorProcess, entry: CalendarEntry | None = None, number: int = 2, user: User | None = None
) -> tuple[Order, Checkout]:
    """An order of `number` tickets that was paid and given."""
    order = ordered(entry, number, user)
    checkout = paid_at_sumup(sumup, order)
    apply(checkout)
    order.refresh_from_db()
    return order, checkout


def apply(checkout: Checkout) -> None:
    """Settle it; where a server runs, SumUp's webhook may be at it at the same moment, and then that one does."""
    settle(checkout.pk, who="webhook", at=timezone.now())
    until(lambda: Checkout.objects.filter(pk=checkout.pk, is_applied=True).exists())
    checkout.refresh_from_db()


def whole(order: Order, number: int | None = None) -> list[Wish]:
    """The first `number` tickets of an order, else all, each whole."""
    rows = Ticket.objects.filter(order=order).order_by("pk")[:number]
    return [Wish(RefundKind.ROW, f"ticket:{row.pk}") for row in rows]


def goodwill(ticket: Ticket, amount: str) -> Wish:
    return Wish(RefundKind.GOODWILL, f"ticket:{ticket.pk}", Decimal(amount))


def requested(checkout: Checkout, wishes: Collection[Wish]) -> Refund:
    refund = request_refund(checkout.pk, wishes, reason="Ill", who="user:1", at=timezone.now())
    assert refund is not None
    return refund


def sent(refund: Refund, *, deadline: float = PATIENCE) -> Sent:
    outcome = send(refund.pk, who="refund", at=timezone.now(), deadline=deadline)
    refund.refresh_from_db()
    return outcome


def refunded(sumup: SimulatorProcess, checkout: Checkout, wishes: Collection[Wish]) -> Refund:
    """A refund that went through."""
    refund = requested(checkout, wishes)
    assert sent(refund) is Sent.SUCCEEDED
    return refund


def at_sumup(sumup: SimulatorProcess, *, kind: str = "REFUND") -> list[Decimal]:
    """The refunds that SumUp's own ledger holds, oldest first."""
    rows = [row for row in sumup.ledger()["refunds"] if row["kind"] == kind and row["status"] != "FAILED"]
    return [Decimal(row["amount"]) for row in rows]


def ledgers_agree(sumup: SimulatorProcess) -> bool:
    """By transaction and to the cent: what SumUp says went back is what we say went back, and the books are clean."""
    assert read_books() == []
    theirs: dict[str, Decimal] = {}
    for row in sumup.ledger()["refunds"]:
        if row["status"] != "FAILED":
            theirs[row["transaction_id"]] = theirs.get(row["transaction_id"], Decimal(0)) + Decimal(row["amount"])
    ours: dict[str, Decimal] = {}
    for refund in Refund.objects.filter(state="succeeded").exclude(origin="elsewhere").select_related("checkout"):
        key = refund.checkout.transaction_id
        ours[key] = ours.get(key, Decimal(0)) + refund.amount
    return ours == theirs
