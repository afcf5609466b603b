"""Paid after the seats were freed: what can still be held is given, the rest is owed, and the buyer is told."""

from datetime import timedelta

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client
from django.utils import timezone

import orders.fulfilling
from accounts.models import User
from events.models import CalendarEntry, Ticket, TicketType
from events.states import EntryState
from events.transitions import call_off_event
from orders.jobs import send_confirmation
from orders.models import Order
from orders.releasing import request_cancel
from orders.returning import put_back
from payments.books.checking import read_books
from payments.checkouts.accepting import accept_mismatch
from payments.checkouts.ending import LONGEST_DOUBT, Release, free_anyway, release
from payments.checkouts.settling import Verdict, settle
from payments.jobs import sweep_once
from payments.models import Case, Checkout
from payments.states import CaseKind, CheckoutState
from tests.factories import EventFactory, TicketTypeFactory, UserFactory
from tests.jobs import run_jobs
from tests.ledger.psql import run
from tests.simulator import SimulatorProcess
from tests.steps import (
    fill,
    held,
    later,
    opened,
    order_cart,
    ordered,
    paid_at_sumup,
    states_of,
    sumup_id,
)

pytestmark = pytest.mark.django_db(transaction=True)


def ended(entry: CalendarEntry, number: int = 2, user: User | None = None) -> tuple[Order, Checkout]:
    """An order whose hold is over and whose seats are free; its payment page was open."""
    order = ordered(entry, number, user)
    checkout = opened(order)
    assert release(order.pk, who="sweep", at=order.hold_until) is Release.FREED
    return order, checkout


def pay_late(sumup: SimulatorProcess, order: Order, checkout: Checkout) -> Checkout:
    """SumUp took the money although it had ended the checkout; we hear of it."""
    sumup.pay(sumup_id(checkout), force=True)
    Checkout.objects.filter(pk=checkout.pk).update(asked_at=None)
    assert settle(checkout.pk, who="webhook", at=later(minutes=40)) is Verdict.SETTLED
    order.refresh_from_db()
    checkout.refresh_from_db()
    return checkout


def agrees_with(sumup: SimulatorProcess) -> bool:
    """SumUp's captures are ours to the cent, and the books are in order."""
    ours = sorted((row.captured, row.captured_currency) for row in Checkout.objects.exclude(captured=None))
    theirs = sorted((row["amount"], row["currency"]) for row in sumup.ledger()["captures"])
    assert [(float(amount or 0), currency) for amount, currency in ours] == [
        (float(amount), currency) for amount, currency in theirs
    ]
    assert read_books() == []
    return True


def mail_about(order: Order) -> str:
    mail.outbox.clear()
    send_confirmation(order_id=order.pk)
    (sent,) = mail.outbox
    return f"{sent.subject}\n{sent.body}"


@pytest.mark.promise("paid-after-hold")
def test_seats_left_are_taken_again(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=2)
    order, checkout = ended(entry)
    assert held(entry) == 0

    checkout = pay_late(sumup, order, checkout)

    assert (order.state, checkout.is_applied, states_of(order), held(entry)) == ("paid", True, ["confirmed"] * 2, 2)
    assert "Your tickets: Event" in mail_about(order)
    assert agrees_with(sumup)


@pytest.mark.promise("paid-after-hold")
def test_some_seats_left_are_given_and_the_rest_is_owed(client: Client, sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=3)
    order, checkout = ended(entry, 3)
    rival = ordered(entry, 2)
    settle(paid_at_sumup(sumup, rival).pk, who="webhook", at=timezone.now())

    pay_late(sumup, order, checkout)

    assert (order.state, states_of(order), held(entry)) == ("paid", ["confirmed", "refund_due", "refund_due"], 3)
    told = mail_about(order)
    assert "money that we owe you" in told
    assert "We owe you € 24.00" in told
    client.force_login(order.user)
    assert "We owe you € 24.00" in client.get(order.get_absolute_url()).content.decode()
    assert agrees_with(sumup)


@pytest.mark.promise("paid-after-hold")
def test_no_seat_left_owes_all(client: Client, sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=2)
    order, checkout = ended(entry)
    ordered(entry, 2)

    pay_late(sumup, order, checkout)

    assert (order.state, states_of(order), held(entry)) == ("paid", ["refund_due"] * 2, 2)
    assert "too late, we owe it to you" in mail_about(order)
    client.force_login(order.user)
    page = client.get(order.get_absolute_url()).content.decode()
    assert "your money is owed to you" in page
    assert "Show the code" not in page
    assert agrees_with(sumup)


def test_a_type_that_is_full_owes_its_tickets_alone(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=10)
    few = TicketTypeFactory.create(entry=entry, capacity=1)
    many = TicketTypeFactory.create(entry=entry)
    user = UserFactory.create()
    fill(user, entry, {few.pk: 1, many.pk: 2})
    order = order_cart(user)
    checkout = opened(order)
    release(order.pk, who="sweep", at=order.hold_until)
    fill(rival := UserFactory.create(), entry, {few.pk: 1})
    order_cart(rival)

    pay_late(sumup, order, checkout)

    states = {(row.ticket_type_id, row.state) for row in Ticket.objects.filter(order=order)}
    assert states == {(few.pk, "refund_due"), (many.pk, "confirmed")}
    assert TicketType.objects.get(pk=few.pk).held == 1
    assert agrees_with(sumup)


@pytest.mark.parametrize("ending", ["cancelled", "over"])
@pytest.mark.promise("paid-after-hold")
def test_an_event_that_is_cancelled_or_over_owes_all(sumup: SimulatorProcess, ending: str) -> None:
    entry = EventFactory.create(capacity=2)
    order, checkout = ended(entry)
    if ending == "cancelled":
        call_off_event(entry)
        assert CalendarEntry.objects.get(pk=entry.pk).state == EntryState.CANCELLED
    else:
        now = timezone.now()
        CalendarEntry.objects.filter(pk=entry.pk).update(starts_at=now - timedelta(hours=2), ends_at=now)

    pay_late(sumup, order, checkout)

    assert states_of(order) == ["refund_due"] * 2
    assert agrees_with(sumup)


def test_a_cancelled_order_that_was_paid_all_the_same_is_given(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=2)
    order = ordered(entry, 2)
    checkout = opened(order)
    request_cancel(order, at=timezone.now())
    assert release(order.pk, who="buyer", at=timezone.now()) is Release.FREED

    pay_late(sumup, order, checkout)

    assert (order.state, states_of(order)) == ("paid", ["confirmed"] * 2)
    assert agrees_with(sumup)


def test_put_back_fills_the_cart_once(client: Client, sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=5)
    order, _checkout = ended(entry, 3)
    client.force_login(order.user)

    for _click in range(2):
        client.post(f"{order.get_absolute_url()}again/")

    copies = Ticket.objects.pending_for(order.user)
    assert {copy.replaces_id for copy in copies} == set(order.tickets.values_list("pk", flat=True))
    assert len(copies) == 3
    assert "Put it back in my cart" in client.get(order.get_absolute_url()).content.decode()


def test_nobody_puts_back_another_s_or_a_live_order(client: Client, sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=5)
    order, _checkout = ended(entry)
    live = ordered(entry)

    assert client.post(f"{order.get_absolute_url()}again/").status_code == 302
    client.force_login(UserFactory.create())
    assert client.post(f"{order.get_absolute_url()}again/").status_code == 404
    assert client.put(f"{order.get_absolute_url()}again/").status_code == 405
    assert put_back(live, at=timezone.now()) == 0
    assert not Ticket.objects.filter(state="pending").exists()


def test_what_is_no_longer_on_sale_is_not_put_back(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=5)
    order, _checkout = ended(entry)
    CalendarEntry.objects.filter(pk=entry.pk).update(sale_ends_at=timezone.now())

    assert put_back(order, at=timezone.now()) == 0


def test_a_late_payment_takes_its_copies_out_of_the_cart(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=5)
    order, checkout = ended(entry)
    put_back(order, at=timezone.now())

    pay_late(sumup, order, checkout)

    assert states_of(order) == ["confirmed"] * 2
    assert not Ticket.objects.pending_for(order.user).exists()


def test_a_copy_of_a_copy_goes_too(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=5)
    order, checkout = ended(entry)
    put_back(order, at=timezone.now())
    second = order_cart(order.user)
    opened(second)
    release(second.pk, who="sweep", at=second.hold_until)
    put_back(second, at=timezone.now())

    pay_late(sumup, order, checkout)

    assert (states_of(order), states_of(second)) == (["confirmed"] * 2, ["cancelled"] * 2)
    assert not Ticket.objects.pending_for(order.user).exists()
    assert agrees_with(sumup)


def test_a_copy_that_was_ordered_again_leaves_the_original_owed(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=5)
    order, checkout = ended(entry)
    put_back(order, at=timezone.now())
    second = order_cart(order.user)
    settle(paid_at_sumup(sumup, second).pk, who="webhook", at=timezone.now())

    pay_late(sumup, order, checkout)

    assert (states_of(order), states_of(second), held(entry)) == (["refund_due"] * 2, ["confirmed"] * 2, 2)
    assert agrees_with(sumup)


@pytest.mark.promise("two-checkouts-one")
def test_a_second_payment_is_surplus_and_told_once(sumup: SimulatorProcess) -> None:
    """The first page was said to be dead and took the money all the same, after the second one was paid."""
    entry = EventFactory.create(capacity=5)
    order = ordered(entry, 2)
    first = opened(order)
    sumup.client().deactivate_checkout(sumup_id(first))
    settle(first.pk, who="poll", at=timezone.now())
    second = paid_at_sumup(sumup, order)
    assert second.pk != first.pk
    settle(second.pk, who="webhook", at=timezone.now())

    for _time in range(2):
        pay_late(sumup, order, first) if _time == 0 else settle(first.pk, who="sweep", at=later(minutes=50))

    case = Case.objects.get()
    assert (case.kind, case.amount, states_of(order)) == (CaseKind.SURPLUS, order.total, ["confirmed"] * 2)
    assert Checkout.objects.get(pk=first.pk).is_applied is False
    mail.outbox.clear()
    run_jobs()
    assert [sent.subject for sent in mail.outbox if "twice" in sent.subject] == [
        f"You paid twice: € 24.00 is owed to you, order {order.short_code} ({entry.title})"
    ]
    Case.objects.update(closed_at=timezone.now(), closed_by="user:1", decision="sent back by hand")
    settle(first.pk, who="webhook", at=later(minutes=60))
    assert not Case.objects.open().exists()  # what a person decided is not asked again


@pytest.mark.promise("another-amount-currency")
def test_a_mismatch_records_what_came_in_and_can_be_accepted(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=5)
    order = ordered(entry, 2)
    checkout = opened(order)
    sumup.pay(sumup_id(checkout))
    sumup.faults(tamper={"checkout_reference": "another"})
    settle(checkout.pk, who="webhook", at=timezone.now())
    checkout.refresh_from_db()
    assert (checkout.state, checkout.captured, checkout.captured_currency) == ("mismatch", order.total, "EUR")
    assert states_of(order) == ["reserved"] * 2
    case = Case.objects.get()

    assert accept_mismatch(case, who="user:1", reason="The reference was typed by SumUp's support.", at=timezone.now())
    assert not accept_mismatch(case, who="user:2", reason="Again.", at=timezone.now())

    order.refresh_from_db()
    assert (order.state, states_of(order)) == ("paid", ["confirmed"] * 2)
    assert Case.objects.get().closed_by == "user:1"
    assert read_books() == []


def test_goods_given_on_a_later_try_close_their_case(sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    order = ordered(EventFactory.create(capacity=5), 2)
    checkout = paid_at_sumup(sumup, order)

    def broken(_tickets: object) -> int:
        raise ZeroDivisionError("the printer")

    with monkeypatch.context() as patch:
        patch.setattr(orders.fulfilling, "mark_confirmed", broken)
        settle(checkout.pk, who="webhook", at=timezone.now())
    assert Case.objects.open().get().kind == CaseKind.GOODS

    settle(checkout.pk, who="sweep", at=later(minutes=2))

    order.refresh_from_db()
    assert (order.state, states_of(order)) == ("paid", ["confirmed"] * 2)
    assert Case.objects.get().decision == "The goods were given on a later try."


@pytest.mark.promise("sumup-silent-day")
def test_a_hold_of_a_day_without_an_answer_is_for_a_person(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=2)
    order = ordered(entry, 2)
    checkout = opened(order)
    sumup.faults(deactivate="503", read="503")
    day_after = order.hold_until + LONGEST_DOUBT

    assert release(order.pk, who="sweep", at=day_after - timedelta(seconds=1)) is Release.KEPT
    assert not Case.objects.exists()
    for _time in range(2):
        assert release(order.pk, who="sweep", at=day_after) is Release.KEPT
    case = Case.objects.get()
    assert (case.kind, held(entry)) == (CaseKind.HELD, 2)

    assert free_anyway(case, who="user:7", reason="SumUp is gone, the bank shows nothing.", at=day_after)
    assert not free_anyway(case, who="user:8", reason="Again.", at=day_after)

    order.refresh_from_db()
    assert (order.state, states_of(order), held(entry)) == ("expired", ["cancelled"] * 2, 0)
    sumup.faults(deactivate="ok", read="ok")
    pay_late(sumup, order, checkout)
    assert states_of(order) == ["confirmed"] * 2
    assert agrees_with(sumup)


def test_an_answer_after_a_day_closes_the_case(sumup: SimulatorProcess) -> None:
    order = ordered(EventFactory.create(capacity=2), 2)
    opened(order)
    sumup.faults(deactivate="503", read="503")
    release(order.pk, who="sweep", at=order.hold_until + LONGEST_DOUBT)
    case = Case.objects.get()
    sumup.faults(deactivate="ok", read="ok")

    assert release(order.pk, who="sweep", at=order.hold_until + LONGEST_DOUBT) is Release.FREED

    case.refresh_from_db()
    assert case.decision == "SumUp has answered."
    assert not free_anyway(case, who="user:7", reason="Too late.", at=order.hold_until + LONGEST_DOUBT)


@pytest.mark.parametrize(
    ("after", "asked", "is_due"),
    [
        (timedelta(minutes=59), timedelta(0), False),
        (timedelta(hours=1), timedelta(0), True),
        (timedelta(hours=2), timedelta(hours=1), False),
        (timedelta(days=1), timedelta(hours=1), True),
        (timedelta(days=2), timedelta(days=1), False),
        (timedelta(days=7), timedelta(days=1), True),
        (timedelta(days=7, hours=2), timedelta(days=7), False),
        (timedelta(days=9), timedelta(days=1), False),
    ],
)
def test_an_expired_checkout_is_asked_again_after_an_hour_a_day_and_a_week(
    sumup: SimulatorProcess, after: timedelta, asked: timedelta, is_due: bool
) -> None:
    _order, checkout = ended(EventFactory.create(capacity=2))
    assert Checkout.objects.get().state == CheckoutState.EXPIRED
    Checkout.objects.update(asked_at=checkout.valid_until + asked)

    assert Checkout.objects.to_ask_again(at=checkout.valid_until + after).exists() is is_due


def test_the_sweep_finds_a_late_payment_that_nobody_told(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=2)
    order, checkout = ended(entry)
    sumup.pay(sumup_id(checkout), force=True)
    then = timezone.now() - timedelta(hours=3)
    with transaction.atomic():
        run("SET LOCAL session_replication_role = replica")  # as if three hours had passed
        Checkout.objects.update(valid_until=then, asked_at=then)

    sweep_once()

    order.refresh_from_db()
    assert (order.state, states_of(order)) == ("paid", ["confirmed"] * 2)
