"""A process of its own that does one thing, says "here" at a named point inside it, and waits there to be killed.

It is forked from a server that has loaded the application already, which would take longer than most of the tests. It
works on the database and the simulator of the test that starts it; the point NOWHERE lets it finish.
Nothing of the application knows of these points: they are put around its functions here.
"""

import multiprocessing
import os
import signal
import traceback
import uuid
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

import django
from django.apps import apps

if not apps.ready:  # in the server; a test has it
    django.setup()

from django.conf import settings
from django.db import connection, connections
from django.utils import timezone

from accounts.models import User
from cart.contents import cart_of
from config import environment
from events.models import Ticket
from orders.models import Order
from orders.placing import place
from payments.checkouts.ending import release
from payments.checkouts.opening import hosted_page
from payments.checkouts.settling import settle
from payments.jobs import sweep_once
from payments.models import Checkout
from payments.reconcile.pace import Pace
from payments.reconcile.round import Round
from payments.reconcile.running import reconcile
from payments.refunds.asking import Wish, request_refund
from payments.refunds.sending import send
from payments.states import RefundKind
from tests.jobs import run_jobs
from tests.simulator import SimulatorProcess

NOWHERE = "nowhere"
#: It tells when it begins, and is killed whenever its parent likes.
ANYWHERE = "anywhere"
PATIENCE = 180
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])


class Child:
    """The process, as its test sees it. `mail` is an EMAIL_URL."""

    def __init__(self, point: str, action: str, key: int, sumup: SimulatorProcess, *, mail: str = "memory:") -> None:
        self._channel, theirs = SERVER.Pipe()
        database = str(connection.settings_dict["NAME"])
        self._process = SERVER.Process(
            target=live, args=(theirs, action, point, key, database, sumup.url, mail), daemon=True
        )
        self._process.start()
        theirs.close()

    def says(self) -> str:
        """Its next word: "begins", "here" or "past", or what went wrong; "" when it is gone without one."""
        if not self._channel.poll(PATIENCE):
            raise TimeoutError(f"silent for {PATIENCE} seconds")
        try:
            return str(self._channel.recv())
        except EOFError:
            return ""

    def lives_on(self, seconds: float) -> bool:
        """Whether it is still at work after so long."""
        self._process.join(seconds)
        return self._process.is_alive()

    def kill(self) -> int:
        """End it by SIGKILL if it has not ended; its exit code."""
        self._process.kill()
        self._process.join(PATIENCE)
        self._channel.close()
        assert self._process.exitcode is not None
        return self._process.exitcode


def kill_at(point: str, action: str, key: int, sumup: SimulatorProcess, *, mail: str = "memory:") -> None:
    """Start a process that does `action`, wait until it is at `point`, and kill it there."""
    process = Child(point, action, key, sumup, mail=mail)
    said = process.says()
    assert said == "here", f"{point} was never reached: {said}"
    assert process.kill() == -signal.SIGKILL


# In the process itself

#: The way to its parent.
_channel: Connection


def stop_here() -> None:
    """Tell the parent, then wait for the end, which comes as SIGKILL."""
    _channel.send("here")
    try:
        _channel.recv()
    finally:
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
    "order committed, SumUp not called": ("payments.checkouts.opening", "_create_or_find", before),
    "checkout made, answer not stored": ("payments.checkouts.opening", "_create_or_find", after),
    "checkout stored, buyer not sent on": ("payments.checkouts.opening", "_record_open", after),
    "SumUp not asked": ("payments.checkouts.settling", "ask", before),
    "SumUp asked, answer not applied": ("payments.checkouts.settling", "ask", after),
    "goods given, not committed": ("payments.checkouts.settling", "fulfil", after),
    "capture recorded, goods not given": ("payments.checkouts.settling", "fulfil", before),
    "confirmed, mail not sent": ("payments.checkouts.settling", "retried", after),
    "mail not handed over": ("orders.jobs", "send_confirmation_mail", before),
    "mail handed over, job not done": ("orders.jobs", "send_confirmation_mail", after),
    "deactivated, not written": ("payments.checkouts.ending", "_write_expired", before),
    "expired, seats not freed": ("payments.checkouts.ending", "_free", before),
    "seats freed, not committed": ("payments.checkouts.ending", "free", after),
    "refund written, not committed": ("payments.refunds.asking", "write_lines", after),
    "refund committed, not begun": ("payments.refunds.sending", "_begin", before),
    "refund marked, not sent": ("payments.refunds.sending", "_call", before),
    "refund sent, answer not stored": ("payments.refunds.sending", "_call", after),
    "refund stored, not committed": ("payments.refunds.sending", "succeed", after),
    "refund stored, buyer not told": ("payments.refunds.mails", "lines_in_words", before),
    "sweep about to settle": ("payments.jobs", "settle", before),
    "sweep about to release": ("payments.jobs", "release", before),
    "reconcile began, nothing done": ("payments.reconcile.running", "_settle_open", before),
    "reconcile about to settle": ("payments.reconcile.running", "settle", before),
    "reconcile about to release": ("payments.reconcile.running", "release", before),
    "reconcile about to ask about a refund": ("payments.reconcile.running", "follow", before),
    "listed payment found, not settled": ("payments.reconcile.matching", "settle", before),
    "listed payment settled, page not done": ("payments.reconcile.matching", "settle", after),
    "stray about to be a case": ("payments.reconcile.matching", "open_stray", before),
    "stray is a case, page not done": ("payments.reconcile.matching", "open_stray", after),
    "refund at SumUp read, not booked": ("payments.reconcile.matching", "adopt_reports", before),
    "refund at SumUp booked, not committed": ("payments.refunds.reports_of_sumup", "book", after),
    "refund at SumUp booked, page not done": ("payments.reconcile.matching", "adopt_reports", after),
    "list read, run not ended": ("payments.reconcile.running", "_finished", before),
}


def install(point: str) -> None:
    module, name, side = POINTS[point]
    home = import_module(module)
    setattr(home, name, side(getattr(home, name)))


def live(channel: Connection, action: str, point: str, key: int, database: str, sumup: str, mail: str) -> None:
    """Set up the surroundings of the test, and do it."""
    global _channel
    _channel = channel
    connections.databases["default"]["NAME"] = database
    os.environ["EMAIL_URL"] = mail
    for name, value in {"SUMUP_API_URL": sumup, **environment.mail("EMAIL_URL", mail)}.items():
        setattr(settings, name, value)
    if point == ANYWHERE:
        channel.send("begins")
    elif point != NOWHERE:
        install(point)
    try:
        act(action, key)
    except Exception:
        channel.send(traceback.format_exc())
    else:
        channel.send("past")  # the point was never met


def act(action: str, key: int) -> None:
    now = timezone.now()
    match action:
        case "checkout":
            user = User.objects.get(pk=key)
            order = place(user, pages=None, token=uuid.uuid4(), seen=cart_of(user, at=now).digest(), at=now)
            hosted_page(order, at=now)
        case "settle":
            settle(Checkout.objects.get(order=key).pk, who="webhook", at=now)
        case "release":
            order = Order.objects.get(pk=key)
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
            checkout = Checkout.objects.get(order=key)
            wishes = [Wish(RefundKind.ROW, f"ticket:{row.pk}") for row in Ticket.objects.filter(order=key)]
            refund = request_refund(checkout.pk, wishes, reason="Ill", who="user:1", at=now)
            assert refund is not None
            send(refund.pk, who="refund", at=now)
            run_jobs()
        case _:
            raise ValueError(f"no such action: {action}")
