"""kill -9 at a named point of a real process: afterwards nothing is lost, and nothing is given or asked for twice."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from email.message import Message as EmailMessage

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from events.models import CalendarEntry
from orders.models import Order
from orders.releasing import request_cancel
from payments.books.checking import read_books
from payments.checkouts.ending import Release, release
from payments.checkouts.opening import hosted_page
from payments.checkouts.settling import settle
from payments.jobs import rescue, sweep_once
from payments.models import Case, Checkout, Refund
from payments.refunds.asking import again
from payments.refunds.jobs import refunds_once
from payments.refunds.sending import Sent, send
from tests.dev.test_launcher import free_port
from tests.factories import EventFactory, UserFactory
from tests.faults.child import NOWHERE, POINTS, Child, kill_at
from tests.ledger.psql import run
from tests.simulator import PATIENCE, ROOT, SimulatorProcess
from tests.steps import MAIL_JOB, fill, held, later, mail_jobs, moves_to, opened, ordered, paid_at_sumup, states_of

pytestmark = pytest.mark.django_db(transaction=True)


def in_order(sumup: SimulatorProcess) -> None:
    """SumUp's captures are ours to the cent, one checkout an attempt, and the books have nothing to say."""
    ours = sorted(row.captured or Decimal(0) for row in Checkout.objects.exclude(captured=None))
    assert ours == sorted(Decimal(row["amount"]) for row in sumup.ledger()["captures"])
    references = [row["reference"] for row in sumup.ledger()["checkouts"]]
    assert len(references) == len(set(references))
    assert read_books() == []


@pytest.fixture
def entry() -> CalendarEntry:
    return EventFactory.create(capacity=2)


@pytest.mark.promise("killed-before-order")
def test_killed_before_the_order_is_committed_there_is_none(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    fill(user := UserFactory.create(), entry, 2)

    kill_at("order claimed, not committed", "checkout", user.pk, sumup)

    assert (Order.objects.count(), held(entry)) == (0, 0)
    assert sumup.ledger()["checkouts"] == []
    in_order(sumup)


@pytest.mark.parametrize(
    "point",
    [
        "order committed, SumUp not called",
        "checkout made, answer not stored",
        "checkout stored, buyer not sent on",
    ],
)
@pytest.mark.parametrize("buyer", ["goes on", "is gone"])
@pytest.mark.promise("killed-before-sumup")
def test_killed_on_the_way_to_sumup_the_buyer_goes_on_or_the_seat_is_free(
    sumup: SimulatorProcess, entry: CalendarEntry, point: str, buyer: str
) -> None:
    fill(user := UserFactory.create(), entry, 2)

    kill_at(point, "checkout", user.pk, sumup)

    order = Order.objects.get()
    assert (order.state, held(entry)) == ("awaiting_payment", 2)
    if buyer == "goes on":
        page = hosted_page(order, at=timezone.now())
        (known,) = sumup.ledger()["checkouts"]
        assert page.endswith(known["id"]) or known["id"] in page
        sumup.pay(known["id"])
        settle(Checkout.objects.get().pk, who="webhook", at=later(seconds=5))
        assert states_of(order) == ["confirmed"] * 2
    else:
        end = order.hold_until
        for minutes in (0, 1):  # what SumUp does not know is dead when it says so twice
            release(order.pk, who="sweep", at=end + timedelta(minutes=minutes))
        assert (states_of(order), held(entry)) == (["cancelled"] * 2, 0)
    assert len(sumup.ledger()["checkouts"]) <= 1
    in_order(sumup)


@pytest.mark.parametrize(
    "point",
    [
        "SumUp not asked",
        "SumUp asked, answer not applied",
        "capture recorded, goods not given",
        "goods given, not committed",
        "confirmed, mail not sent",
    ],
)
@pytest.mark.promise("killed-webhook-before")
def test_killed_in_the_webhook_it_is_confirmed_once_later(
    sumup: SimulatorProcess, entry: CalendarEntry, point: str
) -> None:
    order = ordered(entry, 2)
    checkout = paid_at_sumup(sumup, order)

    kill_at(point, "settle", order.pk, sumup)
    Checkout.objects.filter(pk=checkout.pk).update(asked_at=None)
    sweep_once()

    order.refresh_from_db()
    assert (order.state, moves_to("confirmed", order), mail_jobs()) == ("paid", [1, 1], 1)
    in_order(sumup)


@pytest.mark.parametrize(
    "point", ["deactivated, not written", "expired, seats not freed", "seats freed, not committed"]
)
@pytest.mark.promise("killed-sweep-end")
def test_killed_at_the_end_of_a_hold_the_next_sweep_frees_the_seats(
    sumup: SimulatorProcess, entry: CalendarEntry, point: str
) -> None:
    order = ordered(entry, 2)
    opened(order)

    kill_at(point, "release", order.pk, sumup)
    assert held(entry) == 2
    assert release(order.pk, who="sweep", at=order.hold_until + timedelta(minutes=1)) is Release.FREED

    assert (states_of(order), held(entry)) == (["cancelled"] * 2, 0)
    in_order(sumup)


@pytest.mark.parametrize("point", ["sweep about to settle", "sweep about to release"])
@pytest.mark.promise("killed-sweep-end")
def test_killed_in_the_sweep_the_next_one_does_the_rest(
    sumup: SimulatorProcess, entry: CalendarEntry, point: str
) -> None:
    paid = ordered(entry)
    checkout = paid_at_sumup(sumup, paid)
    given_up = ordered(entry)
    opened(given_up)
    request_cancel(given_up, at=timezone.now())

    kill_at(point, "sweep", 0, sumup)
    Checkout.objects.filter(pk=checkout.pk).update(asked_at=None)
    sweep_once()

    assert (states_of(paid), states_of(given_up), held(entry)) == (["confirmed"], ["cancelled"], 1)
    in_order(sumup)


# Refunds (faults 10 and 11)


def sold(sumup: SimulatorProcess, entry: CalendarEntry) -> Order:
    order = ordered(entry, 2)
    settle(paid_at_sumup(sumup, order).pk, who="webhook", at=timezone.now())
    return order


def refunded_at_sumup(sumup: SimulatorProcess) -> list[Decimal]:
    return [Decimal(row["amount"]) for row in sumup.ledger()["refunds"]]


def test_killed_before_the_refund_is_committed_there_is_none(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order = sold(sumup, entry)

    kill_at("refund written, not committed", "refund", order.pk, sumup)
    refunds_once(at=later(minutes=10))

    assert (Refund.objects.count(), states_of(order), refunded_at_sumup(sumup)) == (0, ["confirmed"] * 2, [])
    in_order(sumup)


@pytest.mark.promise("killed-after-refund")
def test_killed_before_it_was_marked_the_refund_is_sent_by_itself(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order = sold(sumup, entry)

    kill_at("refund committed, not begun", "refund", order.pk, sumup)
    assert Refund.objects.get().state == "requested"
    refunds_once(at=later(minutes=10))

    assert (states_of(order), refunded_at_sumup(sumup)) == (["refunded"] * 2, [Decimal(24)])
    in_order(sumup)


@pytest.mark.promise("killed-after-refund")
def test_killed_after_it_was_marked_only_a_person_sends_the_refund(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order = sold(sumup, entry)

    kill_at("refund marked, not sent", "refund", order.pk, sumup)
    for hours in (1, 2, 26):
        refunds_once(at=later(minutes=60 * hours))
    refund = Refund.objects.get()
    assert (refund.state, states_of(order), refunded_at_sumup(sumup)) == ("unknown", ["refund_due"] * 2, [])
    assert Case.objects.open().filter(kind="refund").count() == 1
    in_order(sumup)

    second = again(refund.pk, reason="SumUp shows nothing", who="user:1", at=timezone.now())
    assert second is not None
    assert send(second.pk, who="refund", at=timezone.now()) is Sent.SUCCEEDED
    assert (states_of(order), refunded_at_sumup(sumup)) == (["refunded"] * 2, [Decimal(24)])
    in_order(sumup)


@pytest.mark.parametrize("point", ["refund sent, answer not stored", "refund stored, not committed"])
@pytest.mark.promise("killed-after-sumup")
def test_killed_after_sumup_refunded_it_is_read_back_and_not_sent_again(
    sumup: SimulatorProcess, entry: CalendarEntry, point: str
) -> None:
    order = sold(sumup, entry)

    kill_at(point, "refund", order.pk, sumup)
    assert Refund.objects.get().state == "sending"
    for minutes in (5, 10):
        refunds_once(at=later(minutes=minutes))

    assert (Refund.objects.get().state, states_of(order)) == ("succeeded", ["refunded"] * 2)
    assert (refunded_at_sumup(sumup), sumup.calls("refund")) == ([Decimal(24)], 1)
    in_order(sumup)


def test_killed_before_the_buyer_is_told_the_mail_goes_out(
    sumup: SimulatorProcess, entry: CalendarEntry, postbox: tuple["Postbox", str]
) -> None:
    box, url = postbox
    order = sold(sumup, entry)

    kill_at("refund stored, buyer not told", "refund", order.pk, sumup, mail=url)
    run("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'")
    rescue.configure(queueing_lock="by hand").defer(timestamp=0)
    assert Child(NOWHERE, "jobs", 0, sumup, mail=url).says() == "past"

    assert len([name for name in box.ids if name.startswith(f"<refund.{Refund.objects.get().pk}@")]) == 1
    in_order(sumup)


# Mail


class Postbox(Message):
    """A mail server's box: the Message-IDs of what it took."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []

    def handle_message(self, message: EmailMessage) -> None:
        self.ids.append(str(message["Message-ID"]))


@pytest.fixture
def postbox() -> Iterator[tuple[Postbox, str]]:
    box = Postbox()
    port = free_port()
    server = Controller(box, hostname="127.0.0.1", port=port, ready_timeout=PATIENCE)
    server.start()
    yield box, f"smtp://127.0.0.1:{port}?from=box@example.org"
    server.stop()


@pytest.mark.parametrize(("point", "copies"), [("mail not handed over", 1), ("mail handed over, job not done", 2)])
@pytest.mark.promise("killed-before-mail")
def test_killed_at_the_mail_it_goes_out_at_most_twice_under_one_message_id(
    sumup: SimulatorProcess, entry: CalendarEntry, postbox: tuple[Postbox, str], point: str, copies: int
) -> None:
    box, url = postbox
    order = ordered(entry, 2)
    settle(paid_at_sumup(sumup, order).pk, who="webhook", at=timezone.now())

    kill_at(point, "jobs", 0, sumup, mail=url)
    assert ProcrastinateJob.objects.get(task_name=MAIL_JOB).status == "doing"
    assert len(box.ids) == copies - 1
    run("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'")  # the worker is long gone
    rescue.configure(queueing_lock="by hand").defer(timestamp=0)
    assert Child(NOWHERE, "jobs", 0, sumup, mail=url).says() == "past"

    assert ProcrastinateJob.objects.get(task_name=MAIL_JOB).status == "succeeded"
    assert len(box.ids) == copies
    assert len(set(box.ids)) == 1


def test_each_point_is_used() -> None:
    """No point is named that no test goes to."""
    source = "".join(path.read_text() for path in (ROOT / "tests" / "faults").glob("test_*.py"))
    assert [point for point in POINTS if f'"{point}"' not in source] == []
