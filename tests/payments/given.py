"""Orders that were paid, without SumUp being asked: what tests of single functions start from."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from orders.models import Order
from payments.checkouts.settling import record_by_hand
from payments.models import Case, Checkout, Refund, RefundLine, SumUpReport
from payments.refunds.rows import key_of
from payments.states import RefundKind
from payments.sumup import CheckoutAnswer
from payments.sumup.answers import checkout_from
from payments.transitions import mark_open
from tests.factories import UserFactory
from tests.ledger.lives import a_refund
from tests.payments.mixed import Shop
from tests.steps import all_states_of, book, fill, order_cart, take

LOCK = re.compile(r'^SELECT .*? FROM "(\w+)".* FOR NO KEY UPDATE OF "(\w+)"', re.DOTALL)


def ordered(shop: Shop, *, days: int = 3) -> Order:
    """A ticket at 12.00, an hour in the room at 20.00 and two bags at 5.00, of a new buyer; it awaits payment."""
    user = UserFactory.create()
    fill(user, shop.entry, 1)
    book(user, shop.room, days=days)
    take(user, shop.product, 2)
    return order_cart(user)


def a_page(order: Order, **columns: Any) -> Checkout:
    """A payment page of the order, not yet known to SumUp."""
    now = timezone.now()
    told: dict[str, Any] = {
        "reference": f"{order.code}-{order.checkouts.count() + 1}", "amount": order.total, "currency": order.currency,
        "created_at": now, "valid_until": now + timedelta(minutes=28), "merchant": order.merchant,
    }  # fmt: skip
    return Checkout.objects.create(order=order, **(told | columns))


def paid(order: Order, amount: Decimal | None = None, *, at: datetime | None = None) -> Checkout:
    """A payment of the order's very amount, or of another one: given, else a surplus or a mismatch."""
    checkout = a_page(order)
    transaction_told = (f"t-{checkout.pk}", f"T{checkout.pk}")
    with transaction.atomic():
        row = Order.objects.filter(pk=order.pk).locked().get()
        captured = row.total if amount is None else amount
        moment = at or timezone.now()
        record_by_hand(row, checkout, captured, row.currency, transaction_told, words="It came.", at=moment)
    order.refresh_from_db()
    return Checkout.objects.select_related("order", "merchant").get(pk=checkout.pk)


def sold(shop: Shop, *, days: int = 3) -> tuple[Order, Checkout]:
    """An order of all three kinds, paid and given."""
    order = ordered(shop, days=days)
    checkout = paid(order)
    assert checkout.is_applied
    return order, checkout


def a_refund_of(checkout: Checkout, state: str, *lines: tuple[str, Any, str], origin: str = "ours") -> Refund:
    """A refund in a state, of so much (kind, thing, amount) each; a surplus is of no thing."""
    total = sum((Decimal(amount) for _kind, _thing, amount in lines), Decimal(0))
    refund = a_refund(state, checkout=checkout, amount=total, origin=origin)
    for kind, thing, amount in lines:
        line = RefundLine(refund=refund, kind=RefundKind(kind), amount=Decimal(amount), currency=checkout.currency)
        if thing is not None:
            setattr(line, NAMES[type(thing).__name__], thing)
        line.save()
        assert thing is None or key_of(line)[1] == thing.pk
    refund.refresh_from_db()
    return refund


NAMES = {"Ticket": "ticket", "CalendarEntry": "booking", "ProductItem": "item"}


def an_event(checkout: Checkout, amount: str | None, *, kind: str = "REFUND", **columns: Any) -> SumUpReport:
    """Something that SumUp reports of a payment, explained by no refund of ours."""
    told: dict[str, Any] = {
        "event_id": f"e-{SumUpReport.objects.count()}", "status": "SUCCESSFUL", "currency": checkout.currency,
        "happened_at": timezone.now(), "first_seen_at": timezone.now(), "transaction_id": checkout.transaction_id,
    }  # fmt: skip
    return SumUpReport.objects.create(
        merchant=checkout.merchant,
        checkout=checkout,
        kind=kind,
        amount=None if amount is None else Decimal(amount),
        **(told | columns),
    )


def flat(order: Order) -> list[str]:
    """The states of the ticket, the booking and the bags."""
    found = all_states_of(order)
    return [*found["tickets"], *found["bookings"], *found["items"]]


@contextmanager
def locks() -> Iterator[list[tuple[str, list[int]]]]:
    """Each row lock that is asked for meanwhile: the table, and the primary keys of the rows that it locks."""
    found: list[tuple[str, list[int]]] = []

    def hook(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if lock := LOCK.match(sql):
            assert connection.connection is not None
            with connection.connection.cursor() as cursor:
                cursor.execute(sql, params)
                found.append((lock[2], [row[0] for row in cursor.fetchall()]))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(hook):
        yield found


def a_case(kind: str, checkout: Checkout, **columns: Any) -> Case:
    told: dict[str, Any] = {"words": "Somebody should look.", "opened_at": timezone.now()}
    return Case.objects.create(
        kind=kind, order=checkout.order, checkout=checkout, merchant=checkout.merchant, **(told | columns)
    )


def jobs(task: str) -> list[dict[str, Any]]:
    """What jobs of that name were enqueued for, oldest first."""
    return list(ProcrastinateJob.objects.filter(task_name=task).order_by("id").values_list("args", flat=True))


# --- What SumUp says


def opened(order: Order, **columns: Any) -> Checkout:
    """Its payment page, open at SumUp."""
    checkout = a_page(order)
    mark_open(checkout, sumup_id=f"co-{checkout.pk}", hosted_url="https://pay.example/1", status="PENDING")
    Checkout.objects.filter(pk=checkout.pk).update(**({"asked_at": None} | columns))
    return Checkout.objects.select_related("order", "merchant").get(pk=checkout.pk)


def a_payment(checkout: Checkout, number: int = 1, **changes: Any) -> dict[str, Any]:
    """A successful transaction of the very amount, as SumUp shows it."""
    told = {
        "id": f"t-{checkout.pk}-{number}", "transaction_code": f"T{checkout.pk}N{number}", "status": "SUCCESSFUL",
        "amount": checkout.amount, "currency": checkout.currency,
    }  # fmt: skip
    return told | changes


def answer(checkout: Checkout, status: str = "PAID", *payments: dict[str, Any], **changes: Any) -> CheckoutAnswer:
    """What SumUp says of a page; PAID shows its one payment, unless others are named."""
    shown = list(payments) or ([a_payment(checkout)] if status == "PAID" else [])
    told = {
        "id": checkout.sumup_id or f"co-{checkout.pk}", "checkout_reference": checkout.reference,
        "amount": checkout.amount, "currency": checkout.currency, "merchant_code": checkout.merchant.code,
        "status": status, "transactions": shown, "hosted_checkout_url": "https://pay.example/1",
    }  # fmt: skip
    return checkout_from(told | changes)


def kept_word(checkout: Checkout, name: str) -> object:
    """What is kept of SumUp's last answer."""
    assert isinstance(checkout.sumup_answer, dict)
    return checkout.sumup_answer[name]
