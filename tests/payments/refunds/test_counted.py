"""Every sum that counts refunds counts those that went back or may have, and none that failed or was withdrawn."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from events.models import CalendarEntry, Ticket
from ledger.money import Money
from orders.holdings import Holdings
from orders.models import Order
from payments.balance import left_of, unexplained
from payments.books.checking import read_books
from payments.books.reports import report
from payments.books.rules import MONEY_PARTS
from payments.models import Checkout, Refund, RefundLine
from payments.refunds.asking import RefundRefused, request_refund, withdraw
from payments.refunds.debts import debt_of, goodwill_of, left_for, owed_sums, worth_of
from payments.refunds.losses import beyond_price
from payments.refunds.rows import rows_of
from payments.states import LIVE, RefundState
from payments.templatetags.refunds import refunds_of
from tests.factories import EventFactory
from tests.ledger.psql import rows
from tests.payments.money import goodwill, requested, sent, sold, whole
from tests.simulator import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)

PRICE, PART = Decimal(12), Decimal(3)


def parts(order: Order) -> dict[str, Decimal]:
    """Where the books say that the money is; what is nowhere is left out."""
    found = {}
    for part, sql in MONEY_PARTS.items():
        query = f"SELECT coalesce(sum(amount), 0) FROM ({sql}) AS given (order_id, currency, amount)"
        ((amount,),) = rows(f"{query} WHERE order_id = %s", order.pk)
        if amount:
            found[part] = amount
    return found


def largest_refund(checkout: Checkout) -> Decimal:
    """What the database lets go back, found by trying (and nothing stays of it)."""
    amount = checkout.captured or Decimal(0)
    while amount > 0:
        try:
            with transaction.atomic():
                Refund.objects.create(
                    checkout=checkout, amount=amount, currency="EUR", reason="r", requested_by="t",
                    requested_at=timezone.now(), origin="elsewhere",
                )  # fmt: skip
                transaction.set_rollback(True)
            return amount
        except IntegrityError:
            amount -= 1
    return amount


#: Every sum over refunds that code, pages or the database make, by what each is of: the first ticket has something
#: going back, in whatever state; the second is as it was bought.
SUMS: dict[str, Callable[[Order, Checkout, CalendarEntry], object]] = {
    "left of the payment": lambda _order, checkout, _entry: left_of(checkout),
    "left of each row": lambda order, _checkout, _entry: [
        (row.repayment, row.rest, row.pending) for row in rows_of(order)
    ],
    "beyond a price": lambda _order, checkout, _entry: beyond_price(checkout),
    "unexplained": lambda _order, checkout, _entry: list(unexplained(checkout)),
    "goodwill": lambda order, _checkout, _entry: goodwill_of(list(order.tickets.all())),
    "left for tickets": lambda order, _checkout, _entry: left_for(list(order.tickets.order_by("pk"))),
    "worth of the event": lambda _order, _checkout, entry: worth_of(entry),
    "owed in all": lambda _order, _checkout, _entry: owed_sums(),
    "owed to the buyer": lambda order, _checkout, _entry: debt_of(
        order, [row for row in Holdings.of(order, list(order.lines.all())).owed]
    ),
    "what the order's page tells": lambda order, _checkout, _entry: refunds_of(order)["refunds"],
    "reports": lambda _order, _checkout, _entry: report("entry", pages=None),
    "books": lambda order, _checkout, _entry: parts(order),
    "most that the database lets go back": lambda _order, checkout, _entry: largest_refund(checkout),
}


def told(order: Order, checkout: Checkout) -> dict[str, object]:
    entry = CalendarEntry.objects.get(pk=Ticket.objects.filter(order=order)[0].entry_id)
    return {name: look(order, checkout, entry) for name, look in SUMS.items()}


@pytest.mark.parametrize("state", ["failed", "withdrawn"])
@pytest.mark.promise("refund-failed-withdrawn")
def test_what_failed_or_was_withdrawn_counts_in_no_sum(sumup: SimulatorProcess, state: str) -> None:
    order, checkout = sold(sumup, EventFactory.create(capacity=10), 2)
    before = told(order, checkout)
    assert before["left of the payment"] == 2 * PRICE
    for _time in range(2):
        refund = requested(checkout, [goodwill(order.tickets.order_by("pk")[0], str(PART))])
        during = told(order, checkout)
        changed = {name for name in SUMS if during[name] != before[name]}
        # Sensitive: while it is on its way all of them but those of owed things count it.
        assert changed == set(SUMS) - {"beyond a price", "unexplained", "owed in all", "owed to the buyer"}
        end(sumup, refund, state)
        assert refund.state == state
        assert told(order, checkout) == before
    assert read_books() == []


@pytest.mark.parametrize("state", ["failed", "withdrawn"])
def test_what_failed_or_was_withdrawn_is_owed_whole(sumup: SimulatorProcess, state: str) -> None:
    order, checkout = sold(sumup, EventFactory.create(capacity=10), 2)
    refund = requested(checkout, whole(order, 1))
    assert (told(order, checkout)["owed in all"], told(order, checkout)["owed to the buyer"]) == ([], None)
    end(sumup, refund, state)
    (owed,) = owed_sums()
    assert (owed.number, owed.money) == (1, Money(PRICE, "EUR"))
    debt = told(order, checkout)["owed to the buyer"]
    assert getattr(debt, "total", None) == Money(PRICE, "EUR")
    assert parts(order) == {"fulfilled": PRICE, "owed": PRICE}
    assert [(row.rest, row.pending) for row in rows_of(order)] == [(PRICE, False)] * 2


def end(sumup: SimulatorProcess, refund: Refund, state: str) -> None:
    if state == "withdrawn":
        assert withdraw(refund.pk, reason="A mistake.", who="user:1", at=timezone.now())
    else:
        sumup.faults(refund="not_refundable", times=1)
        sent(refund)
    refund.refresh_from_db()


@pytest.mark.parametrize("state", RefundState.values)
def test_a_refund_counts_by_its_state_alone(sumup: SimulatorProcess, state: str) -> None:
    """Each state, brought about by bare SQL: what is left is less by it, or is not."""
    order, checkout = sold(sumup, EventFactory.create(capacity=10), 2)
    requested(checkout, [goodwill(order.tickets.order_by("pk")[0], str(PART))])
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "UPDATE payments_refund SET state = %s, sent_at = now(), finished_at = now(), events_before = 0", [state]
        )
        cursor.execute("SET session_replication_role = origin")
    counts = state in LIVE
    assert counts == (state not in ("failed", "withdrawn"))
    gone = PART if counts else Decimal(0)
    assert left_of(checkout) == 2 * PRICE - gone
    assert rows_of(order)[0].rest == PRICE - gone
    assert sum(goodwill_of(list(order.tickets.all())).values()) == gone
    assert RefundLine.objects.live().exists() == counts
    assert bool(refunds_of(order)["refunds"]) == counts
    assert len(Refund.objects.live()) == counts
    # More than what is left is refused, to the cent.
    if state not in ("requested", "sending", "unknown"):
        wish = goodwill(order.tickets.order_by("pk")[0], str(PRICE - gone + Decimal("0.01")))
        with pytest.raises(RefundRefused):
            request_refund(checkout.pk, [wish], reason="r", who="user:1", at=timezone.now())
