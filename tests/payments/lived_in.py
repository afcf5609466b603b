"""A database in which much has happened, all of it through the shop's own functions and the simulator."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from cart.adding import put_in_cart
from cart.contents import cart_of
from cart.removing import remove_from_cart
from events.models import CalendarEntry, Ticket, TicketType
from events.transitions import mark_checked_in
from ledger.moves import move
from ledger.signing import sign
from orders.models import Order
from orders.placing import place
from orders.releasing import request_cancel
from payments.checkouts.ending import Release, release
from payments.checkouts.opening import hosted_page
from payments.checkouts.settling import Verdict, settle
from payments.models import Checkout
from payments.refunds.asking import Wish, request_refund
from payments.refunds.reports_of_sumup import adopt_reports
from payments.refunds.sending import send
from payments.states import RefundKind
from tests.factories import EventFactory, ProductFactory, RoomFactory, TicketTypeFactory, UserFactory
from tests.simulator import SimulatorProcess
from tests.steps import book, take


@dataclass
class LivedIn:
    """One order of each kind, by the way it went."""

    entry: CalendarEntry
    paid: Order
    free: Order
    awaiting: Order
    expired: Order
    cancelled: Order
    called_off: Order
    twice: Order
    late: Order
    mismatch: Order
    mixed: Order
    mixed_late: Order
    returned: Order
    doubtful: Order
    outside: Order


def ordered(entry: CalendarEntry, number: int = 2) -> Order:
    """An order of so many tickets of `entry` (of its first type, if it has any), by a new buyer."""
    user, at = UserFactory.create(), timezone.now()
    put_in_cart(user, entry, {_key(entry): number}, at=at)
    return place(user, pages=None, token=uuid.uuid4(), seen=cart_of(user, at=at).digest(), at=at)


def _key(entry: CalendarEntry) -> int:
    kind = entry.ticket_types.first()
    return kind.pk if kind else 0


def opened(order: Order) -> Checkout:
    hosted_page(order, at=timezone.now())
    return Checkout.objects.filter(order=order).latest("pk")


def settled(checkout: Checkout) -> Verdict:
    return settle(checkout.pk, who="webhook", at=timezone.now() + timedelta(seconds=5))


def paid(sumup: SimulatorProcess, order: Order) -> Order:
    checkout = opened(order)
    sumup.pay(str(checkout.sumup_id))
    assert settled(checkout) is Verdict.SETTLED
    return order


def ended(order: Order, *, by_buyer: bool) -> Order:
    at = timezone.now() if by_buyer else order.hold_until
    if by_buyer:
        request_cancel(order, at=at)
    assert release(order.pk, who="sweep", at=at) is Release.FREED
    return order


def paid_again(sumup: SimulatorProcess, order: Order) -> None:
    """A second payment of one order: an older page of it was still paid, after the new one."""
    first = Checkout.objects.get(order=order)
    with transaction.atomic():
        list(Order.objects.filter(pk=order.pk).locked())
        second = Checkout.objects.create(
            order=order,
            merchant=first.merchant,
            reference=f"{order.code}-2",
            amount=order.total,
            currency=order.currency,
            created_at=first.created_at,
            valid_until=first.valid_until,
        )
    answer = sumup.create(checkout_reference=second.reference, amount=float(second.amount))
    sumup.pay(answer["id"])
    assert settled(second) is Verdict.SETTLED


def live_in(sumup: SimulatorProcess, *, typed: bool = False) -> LivedIn:
    """`typed`: every event sells by ticket types; else some sell at their own price."""
    entry = EventFactory.create(capacity=40)
    for price in (12, 8):
        TicketTypeFactory.create(entry=entry, price=price, capacity=30)
    free, gone = EventFactory.create(ticket_price=0), EventFactory.create(capacity=5)
    if typed:
        TicketTypeFactory.create(entry=free, price=0)
        TicketTypeFactory.create(entry=gone)
    browser, key = UserFactory.create(), _key(free)
    put_in_cart(browser, free, {key: 3}, at=timezone.now())
    remove_from_cart(browser, free, key, 1)

    called_off = ordered(gone)
    payment = opened(called_off)
    call_off(gone)
    sumup.pay(str(payment.sumup_id))
    settled(payment)

    lived = LivedIn(
        entry=entry,
        paid=paid(sumup, ordered(entry, 3)),
        free=ordered(free),
        awaiting=ordered(entry),
        expired=_expired(entry),
        cancelled=ended(ordered(entry), by_buyer=True),
        called_off=called_off,
        twice=paid(sumup, ordered(entry, 1)),
        late=_late(sumup, ordered(entry, 1)),
        mismatch=ordered(entry, 1),
        mixed=paid(sumup, mixed()),
        mixed_late=_late(sumup, mixed()),
        returned=paid(sumup, ordered(entry, 3)),
        doubtful=paid(sumup, ordered(entry, 1)),
        outside=paid(sumup, ordered(entry, 1)),
    )
    opened(lived.awaiting)
    paid_again(sumup, lived.twice)
    _mismatched(sumup, lived.mismatch)
    _returned(lived.returned)
    sumup.faults(refund="500")
    _paid_back(lived.doubtful, [_whole(lived.doubtful.tickets.get())])
    sumup.faults(refund="ok")
    _partly_paid_back_at_sumup(sumup, lived.outside)
    let_in(lived.paid)
    return lived


def call_off(entry: CalendarEntry) -> None:
    """The organiser cancels it while somebody is paying."""
    with transaction.atomic():
        sign(who="organiser", why="called off")
        list(CalendarEntry.objects.filter(pk=entry.pk).locked())
        move(CalendarEntry.objects.all(), [entry.pk], source="confirmed", target="cancelled")


def let_in(order: Order) -> None:
    """The first ticket of an order is scanned at the door."""
    with transaction.atomic():
        sign(who="door", why="scanned")
        list(Order.objects.filter(pk=order.pk).locked())
        rows = Ticket.objects.filter(order=order)
        list(CalendarEntry.objects.filter(pk__in=rows.values("entry_id")).locked())
        list(TicketType.objects.filter(pk__in=rows.values("ticket_type_id")).locked())
        ticket = rows.locked()[0]
        mark_checked_in([ticket.pk], at=timezone.now())


def _expired(entry: CalendarEntry) -> Order:
    order = ordered(entry)
    opened(order)
    return ended(order, by_buyer=False)


def _mismatched(sumup: SimulatorProcess, order: Order) -> None:
    """SumUp reports another amount than was asked for."""
    checkout = opened(order)
    sumup.pay(str(checkout.sumup_id))
    sumup.faults(tamper={"amount": 1})
    settled(checkout)
    sumup.faults(tamper={})


def mixed() -> Order:
    """An order of an hour in a room and two pieces of a product."""
    user, at = UserFactory.create(), timezone.now()
    book(user, RoomFactory.create())
    take(user, ProductFactory.create(stock=2), 2)
    return place(user, pages=None, token=uuid.uuid4(), seen=cart_of(user, at=at).digest(), at=at)


def _late(sumup: SimulatorProcess, order: Order) -> Order:
    """Paid after its places were freed."""
    checkout = opened(order)
    ended(order, by_buyer=False)
    sumup.pay(str(checkout.sumup_id), force=True)
    settled(checkout)
    return order


def _whole(ticket: Ticket) -> Wish:
    return Wish(RefundKind.ROW, f"ticket:{ticket.pk}")


def _paid_back(order: Order, wishes: list[Wish], *, elsewhere: bool = False) -> None:
    at, checkout = timezone.now(), Checkout.objects.get(order=order)
    refund = request_refund(checkout.pk, wishes, reason="Ill", who="user:1", at=at, elsewhere=elsewhere)
    assert refund is not None
    if not elsewhere:
        send(refund.pk, who="refund", at=at)


def _returned(order: Order) -> None:
    """One ticket was paid back, one in part and stays valid, one in cash."""
    whole, part, cash = order.tickets.order_by("pk")
    _paid_back(order, [_whole(whole), Wish(RefundKind.GOODWILL, f"ticket:{part.pk}", Decimal(2))])
    _paid_back(order, [_whole(cash)], elsewhere=True)


def _partly_paid_back_at_sumup(sumup: SimulatorProcess, order: Order) -> None:
    """Somebody paid one euro back in SumUp's dashboard, and nobody has said what for."""
    checkout = Checkout.objects.get(order=order)
    sumup.control(f"refund/{checkout.transaction_id}", {"amount": 1})
    answer = sumup.client().read_transaction(checkout.transaction_id)
    adopt_reports(checkout, answer, at=timezone.now(), who="reconcile")
