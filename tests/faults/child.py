"""A process of its own that does one thing, says "here" at a named point inside it, and waits there to be killed.

`python -m tests.faults.child ACTION POINT KEY`; the point "nowhere" lets it finish. It works on the database and the
simulator of the test that starts it.
Nothing of the application knows of these points: they are put around its functions here.
"""

import os
import sys
import uuid
from collections.abc import Callable
from importlib import import_module
from typing import Any

import django

NOWHERE = "nowhere"
#: It tells when it begins, and is killed whenever its parent likes.
ANYWHERE = "anywhere"


def stop_here() -> None:
    """Tell the parent, then wait for the end, which comes as SIGKILL."""
    sys.stdout.write("here\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(9)  # the parent is gone


def before(function: Callable[..., Any]) -> Callable[..., Any]:
    def stopped(*args: Any, **named: Any) -> Any:
        stop_here()
        return function(*args, **named)

    return stopped


def after(function: Callable[..., Any]) -> Callable[..., Any]:
    def stopped(*args: Any, **named: Any) -> Any:
        function(*args, **named)
        stop_here()

    return stopped


#: Point -> the function around which it lies, by module and name, and on which side.
POINTS: dict[str, tuple[str, str, Callable[..., Any]]] = {
    "order claimed, not committed": ("orders.placing", "mark_reserved", after),
    "order committed, SumUp not called": ("payments.opening", "_create_or_find", before),
    "checkout made, answer not stored": ("payments.opening", "_create_or_find", after),
    "checkout stored, buyer not sent on": ("payments.opening", "_record_open", after),
    "SumUp not asked": ("payments.settling", "ask", before),
    "SumUp asked, answer not applied": ("payments.settling", "ask", after),
    "goods given, not committed": ("payments.settling", "fulfil", after),
    "capture recorded, goods not given": ("payments.settling", "fulfil", before),
    "confirmed, mail not sent": ("payments.settling", "retried", after),
    "mail not handed over": ("orders.jobs", "send_confirmation_mail", before),
    "mail handed over, job not done": ("orders.jobs", "send_confirmation_mail", after),
    "deactivated, not written": ("payments.releasing", "_write_expired", before),
    "expired, seats not freed": ("payments.releasing", "_free", before),
    "seats freed, not committed": ("payments.releasing", "free", after),
    "refund written, not committed": ("payments.refunding", "write_lines", after),
    "refund committed, not begun": ("payments.refund_sending", "_begin", before),
    "refund marked, not sent": ("payments.refund_sending", "_call", before),
    "refund sent, answer not stored": ("payments.refund_sending", "_call", after),
    "refund stored, not committed": ("payments.refund_sending", "succeed", after),
    "refund stored, buyer not told": ("payments.mails", "told_lines", before),
    "sweep about to settle": ("payments.jobs", "settle", before),
    "sweep about to release": ("payments.jobs", "release", before),
    "reconcile began, nothing done": ("payments.reconciling", "_settle_open", before),
    "reconcile about to settle": ("payments.reconciling", "settle", before),
    "reconcile about to release": ("payments.reconciling", "release", before),
    "reconcile about to ask about a refund": ("payments.reconciling", "follow", before),
    "listed payment found, not settled": ("payments.matching", "settle", before),
    "listed payment settled, page not done": ("payments.matching", "settle", after),
    "stray about to be a case": ("payments.matching", "open_stray", before),
    "stray is a case, page not done": ("payments.matching", "open_stray", after),
    "refund at SumUp read, not booked": ("payments.matching", "adopt_events", before),
    "refund at SumUp booked, not committed": ("payments.adopting", "book", after),
    "refund at SumUp booked, page not done": ("payments.matching", "adopt_events", after),
    "list read, run not ended": ("payments.reconciling", "_finished", before),
}


def install(point: str) -> None:
    module, name, side = POINTS[point]
    home = import_module(module)
    setattr(home, name, side(getattr(home, name)))


def main(action: str, point: str, key: str) -> None:
    django.setup()
    from django.utils import timezone

    from accounts.models import User
    from cart.contents import cart_of
    from events.models import Ticket
    from orders.models import Order
    from orders.placing import place
    from payments.jobs import sweep_once
    from payments.models import Checkout
    from payments.opening import hosted_page
    from payments.pacing import Pace
    from payments.reconciling import reconcile
    from payments.refund_sending import send
    from payments.refunding import Wish, request_refund
    from payments.releasing import release
    from payments.rounds import Round
    from payments.settling import settle
    from payments.states import RefundKind
    from tests.jobs import run_jobs

    if point == ANYWHERE:
        sys.stdout.write("begins\n")
        sys.stdout.flush()
    elif point != NOWHERE:
        install(point)
    now = timezone.now()
    match action:
        case "checkout":
            user = User.objects.get(pk=int(key))
            order = place(user, page=None, token=uuid.uuid4(), seen=cart_of(user, at=now).digest(), at=now)
            hosted_page(order, at=now)
        case "settle":
            settle(Checkout.objects.get(order=int(key)).pk, who="webhook", at=now)
        case "release":
            order = Order.objects.get(pk=int(key))
            release(order.pk, who="sweep", at=order.hold_until)
        case "jobs":
            run_jobs()
        case "refunds":
            run_jobs("payments")
        case "sweep":
            sweep_once()
        case "reconcile":
            reconcile(Round(pace=Pace(0)))
        case "refund":
            checkout = Checkout.objects.get(order=int(key))
            wishes = [Wish(RefundKind.ROW, f"ticket:{row.pk}") for row in Ticket.objects.filter(order=int(key))]
            refund = request_refund(checkout.pk, wishes, reason="Ill", who="user:1", at=now)
            assert refund is not None
            send(refund.pk, who="refund", at=now)
            run_jobs()
        case _:
            raise SystemExit(f"no such action: {action}")
    sys.stdout.write("past\n")  # the point was never met


if __name__ == "__main__":
    main(*sys.argv[1:])
