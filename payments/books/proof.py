"""The proof of an order, for a dispute: every fact in order, what SumUp said, what we concluded, who clicked, why."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q

from events.models import CalendarEntry, Ticket
from events.states import EntryKind
from ledger.models import History
from market.models import ProductItem
from orders.models import Order
from payments.models import Case, Checkout, Refund, SumUpAnswer, SumUpReport

#: The form of the file; it changes when a name in it changes its meaning.
VERSION = 1


def proof_of(order: Order) -> dict[str, Any]:
    """All that is on record about `order`, as plain JSON; times are UTC, amounts are text in major units."""
    payments = list(Checkout.objects.filter(order=order).select_related("merchant").order_by("pk"))
    goods = list(_goods(order))
    refunds = list(Refund.objects.filter(checkout__order=order).prefetch_related("lines__loss").order_by("pk"))
    return {
        "version": VERSION,
        "order": {
            **_row(order, "code", "state", "total", "currency", "placed_at", "hold_until", "paid_at"),
            "id": order.pk,
            "cancel_requested_at": _plain(order.cancel_requested_at),
            "buyer": f"user:{order.user_id}",
            "buyer_address": order.user.email,
        },
        "lines": [_row(line, "kind", "name", "quantity", "unit_price", "currency") for line in order.lines.all()],
        "goods": [fact for _subject, fact in goods],
        "payments": [_payment(row) for row in payments],
        "what_sumup_said": [
            {**_row(row, "at", "status", "body"), "payment": row.checkout_id}
            for row in SumUpAnswer.objects.filter(checkout__order=order)
        ],
        "refunds": [_refund(row) for row in refunds],
        "what_sumup_reported": [
            {
                **_row(row, "kind", "status", "amount", "currency", "happened_at", "first_seen_at", "transaction_id"),
                "payment": row.checkout_id,
                "refund": row.refund_id,
            }
            for row in SumUpReport.objects.filter(checkout__order=order)
        ],
        "cases": [
            _row(row, "kind", "words", "amount", "currency", "opened_at", "closed_at", "closed_by", "decision")
            for row in Case.objects.filter(order=order).order_by("pk")
        ],
        "history": _history(order, payments, refunds, [subject for subject, _fact in goods]),
    }


def _goods(order: Order) -> Iterable[tuple[tuple[str, int], dict[str, Any]]]:
    """Each sold thing by what history calls it, with its facts."""
    for ticket in Ticket.objects.filter(order=order).select_related("entry").order_by("pk"):
        yield ("ticket", ticket.pk), _thing("ticket", ticket, ticket.entry.title, ticket.checked_in_at)
    bookings = CalendarEntry.objects.filter(order=order, kind=EntryKind.BOOKING)
    for booking in bookings.select_related("calendar__page").order_by("pk"):
        yield ("calendarentry", booking.pk), _thing("booking", booking, booking.what, None)
    for item in ProductItem.objects.filter(order=order).select_related("product").order_by("pk"):
        yield ("productitem", item.pk), _thing("product", item, item.product.name, item.checked_in_at)


def _thing(kind: str, row: Any, name: str, used_at: object) -> dict[str, Any]:
    facts = _row(row, "state", "price", "currency")
    return {"kind": kind, "id": row.pk, "name": name, **facts, "used_at": _plain(used_at)}


def _payment(row: Checkout) -> dict[str, Any]:
    names = (
        "reference", "state", "amount", "currency", "created_at", "valid_until", "sumup_id", "sumup_status", "problem",
        "transaction_id", "transaction_code", "captured", "captured_currency", "paid_at", "is_applied", "listed_at",
    )  # fmt: skip
    return {"id": row.pk, "merchant": row.merchant.code, **_row(row, *names)}


def _refund(row: Refund) -> dict[str, Any]:
    names = ("origin", "state", "amount", "currency", "reason", "requested_by", "requested_at", "sent_at", "words")
    lines = [
        {
            **_row(line, "kind", "amount", "currency"),
            "of": line.ticket_id or line.booking_id or line.item_id,
            "loss": str(line.loss.amount) if hasattr(line, "loss") else None,  # what of it a person took as a loss
        }
        for line in row.lines.all()
    ]
    return {"id": row.pk, "payment": row.checkout_id, **_row(row, *names, "finished_at"), "lines": lines}


def _history(
    order: Order, payments: Iterable[Checkout], refunds: Iterable[Refund], goods: Iterable[tuple[str, int]]
) -> list[dict[str, Any]]:
    """Each change of a state, oldest first, with who made it and why."""
    about = Q(subject="order", subject_id=order.pk)
    about |= Q(subject="checkout", subject_id__in=[row.pk for row in payments])
    about |= Q(subject="refund", subject_id__in=[row.pk for row in refunds])
    for subject in ("ticket", "calendarentry", "productitem"):
        about |= Q(subject=subject, subject_id__in=[pk for name, pk in goods if name == subject])
    names = ("at", "subject", "subject_id", "field", "old", "new", "actor", "reason")
    return [_row(row, *names) for row in History.objects.filter(about).order_by("id")]


def _row(row: Any, *names: str) -> dict[str, Any]:
    return {name: _plain(getattr(row, name)) for name in names}


def _plain(value: Any) -> Any:
    """What JSON knows, or its text: ISO for times, plain digits for amounts."""
    if value is None or isinstance(value, (bool, int, str, dict, list)):
        return str(value) if isinstance(value, str) else value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
