"""The life of orders in any order of events, on real PostgreSQL and against SumUp's simulator over HTTP.

Whatever buyers, SumUp, the clock and the organiser do next, seats, money and history agree after each step.
"""

import contextlib
import os
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import orders.fulfilling
import orders.releasing
from events.buying import PurchaseRefusal, put_in_cart
from events.calling_off import call_off
from events.door import check_in, undo
from events.models import CalendarEntry, Merchant, Ticket
from events.states import HELD
from ledger.arrows import IllegalTransition
from ledger.signing import sign
from orders.models import Order
from orders.placing import OrderRefusal
from orders.releasing import request_cancel
from orders.returning import put_back
from payments.books import read_books
from payments.models import Checkout
from payments.opening import NotPayable, hosted_page
from payments.releasing import release
from payments.settling import settle
from tests.cart.steps import at_its_address, order_cart, states_of
from tests.factories import EventFactory, UserFactory
from tests.ledger.psql import run
from tests.simulator import KEY, MERCHANT, SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)

SLICE, STEPS = 8, 30
SOAK_STEPS = int(os.environ.get("SOAK_STEPS", "20000"))
CAPACITY = 4
which = st.integers(0, 99)


class Life(RuleBasedStateMachine):
    """Two small events, three buyers, and everything that can happen to their orders."""

    sumup: SimulatorProcess

    @initialize()
    def begin(self) -> None:
        self.sumup.reset()
        run("TRUNCATE accounts_user, events_merchant, ledger_history, procrastinate_jobs CASCADE")
        Merchant.objects.create(code=MERCHANT, name="Demo", api_key=KEY, currency="EUR", is_site=True)
        self.entries = [EventFactory.create(capacity=CAPACITY), EventFactory.create(capacity=CAPACITY - 1)]
        self.users = [UserFactory.create() for _ in range(3)]

    def orders(self) -> list[Order]:
        return list(Order.objects.order_by("pk"))

    def checkouts(self) -> list[Checkout]:
        return list(Checkout.objects.order_by("pk"))

    def one_order(self, number: int) -> Order | None:
        rows = self.orders()
        return rows[number % len(rows)] if rows else None

    def one_checkout(self, number: int) -> Checkout | None:
        rows = [row for row in self.checkouts() if row.sumup_id]
        return rows[number % len(rows)] if rows else None

    # Buyers

    @rule(user=which, entry=which, number=st.integers(1, 3))
    def buys(self, user: int, entry: int, number: int) -> None:
        chosen = at_its_address(self.entries[entry % 2])
        try:
            put_in_cart(self.users[user % 3], chosen, {0: number}, at=timezone.now())
        except PurchaseRefusal:
            assert chosen.state == "cancelled" or number  # beyond a limit, or no longer on sale

    @rule(user=which)
    def checks_out(self, user: int) -> None:
        with contextlib.suppress(OrderRefusal, NotPayable):
            hosted_page(order_cart(self.users[user % 3]), at=timezone.now())

    @rule(number=which)
    def pays_again(self, number: int) -> None:
        order = self.one_order(number)
        if order is not None:
            try:
                hosted_page(order, at=timezone.now())
            except NotPayable:
                assert order.state != "awaiting_payment" or order.cancel_requested_at or self.has_unapplied(order)

    def has_unapplied(self, order: Order) -> bool:
        return Checkout.objects.filter(order=order).exclude(state__in=["new", "open"]).exists()

    @rule(number=which, late=st.booleans())
    def pays(self, number: int, late: bool) -> None:
        """On the hosted page; `late`: SumUp takes the money although it had ended the checkout."""
        checkout = self.one_checkout(number)
        if checkout is not None and not self.paid_at_sumup(checkout):
            try:
                self.sumup.pay(str(checkout.sumup_id), force=late)
            except ValueError:
                assert not late  # closed: the page takes no payment

    def paid_at_sumup(self, checkout: Checkout) -> bool:
        return any(row["checkout_id"] == checkout.sumup_id for row in self.sumup.ledger()["captures"])

    @rule(number=which)
    def declines(self, number: int) -> None:
        checkout = self.one_checkout(number)
        if checkout is not None and not self.paid_at_sumup(checkout):
            with contextlib.suppress(ValueError):  # the page is closed
                self.sumup.decline(str(checkout.sumup_id))

    @rule(number=which)
    def cancels(self, number: int) -> None:
        order = self.one_order(number)
        if order is not None and request_cancel(order, at=timezone.now()):
            release(order.pk, who="buyer", at=timezone.now())

    @rule(number=which)
    def puts_back(self, number: int) -> None:
        order = self.one_order(number)
        if order is not None:
            put_back(order, at=timezone.now())

    # SumUp's word, and the clock

    @rule(number=which, times=st.integers(1, 2))
    def is_settled(self, number: int, times: int) -> None:
        checkout = self.one_checkout(number)
        if checkout is not None:
            for _time in range(times):
                self.ask(checkout, timezone.now())

    def ask(self, checkout: Checkout, at: datetime) -> None:
        Checkout.objects.filter(pk=checkout.pk).update(asked_at=None)
        before = Order.objects.get(pk=checkout.order_id).state
        settle(checkout.pk, who="webhook", at=at)
        if before != "paid" and Order.objects.get(pk=checkout.order_id).state == "paid":
            # What has just been paid is given or owed, late or in time; only an organiser keeps money without goods.
            assert set(states_of(checkout.order)) <= {"confirmed", "refund_due"}

    @rule(number=which)
    def lapses(self, number: int) -> None:
        order = self.one_order(number)
        if order is not None:
            release(order.pk, who="sweep", at=order.hold_until + timedelta(minutes=1))

    # The organiser

    @rule(entry=which, capacity=st.integers(0, CAPACITY + 2))
    def changes_capacity(self, entry: int, capacity: int) -> None:
        try:
            with transaction.atomic():
                sign(who="user:0", why="another hall")
                CalendarEntry.objects.filter(pk=self.entries[entry % 2].pk).update(capacity=capacity)
        except IntegrityError:
            assert CalendarEntry.objects.get(pk=self.entries[entry % 2].pk).held > capacity

    @rule(entry=which, price=st.sampled_from(["0", "8.00", "12.50"]))
    def changes_price(self, entry: int, price: str) -> None:
        CalendarEntry.objects.filter(pk=self.entries[entry % 2].pk).update(ticket_price=Decimal(price))

    @precondition(lambda _self: Order.objects.exists())
    @rule(entry=which, money_back=st.booleans())
    def calls_off(self, entry: int, money_back: bool) -> None:
        try:
            call_off(self.entries[entry % 2].pk, money_back=money_back, who="user:0", why="Rain.")
        except IllegalTransition:
            assert CalendarEntry.objects.get(pk=self.entries[entry % 2].pk).state == "cancelled"

    @rule(number=which, back=st.booleans())
    def stands_at_the_door(self, number: int, back: bool) -> None:
        tickets = list(Ticket.objects.with_page().exclude(state="pending").order_by("pk"))
        if tickets:
            ticket = tickets[number % len(tickets)]
            if back:
                undo(ticket.entry, ticket.pk, who="user:0")
            else:
                check_in(ticket.entry, ticket.code, who="user:0", at=timezone.now())

    # What is always true

    @invariant()
    def seats_and_books_agree(self) -> None:
        for entry in CalendarEntry.objects.filter(pk__in=[entry.pk for entry in self.entries]):
            counted = Ticket.objects.filter(entry=entry, state__in=sorted(HELD)).count()
            assert entry.held == counted
            assert entry.capacity is None or counted <= entry.capacity
        assert read_books() == []

    def teardown(self) -> None:
        """In the end SumUp is asked about everything: its ledger is ours to the cent, and no seat is left in doubt."""
        if not hasattr(self, "users"):
            return
        for checkout in self.checkouts():
            if checkout.sumup_id:
                self.ask(checkout, timezone.now())
        for order in self.orders():
            release(order.pk, who="sweep", at=order.hold_until + timedelta(minutes=1))
        ours = sorted(checkout.captured for checkout in self.checkouts() if checkout.captured is not None)
        assert ours == sorted(Decimal(row["amount"]) for row in self.sumup.ledger()["captures"])
        assert not Ticket.objects.filter(state="reserved").exists()
        assert read_books() == []


def lived(sumup: SimulatorProcess, examples: int, *, shrinks: bool = True) -> None:
    Life.sumup = sumup
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            phases=[Phase.generate, Phase.shrink] if shrinks else [Phase.generate],
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_slice_of_life(sumup: SimulatorProcess) -> None:
    lived(sumup, SLICE)


@pytest.mark.soak
def test_a_long_life(sumup: SimulatorProcess) -> None:
    lived(sumup, SOAK_STEPS // STEPS)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("module", "name"),
    [
        (orders.fulfilling, "mark_confirmed"),
        (orders.fulfilling, "mark_confirmed_late"),
        (orders.fulfilling, "mark_unfulfillable"),
        (orders.fulfilling, "mark_unfulfillable_late"),
        (orders.releasing, "mark_released"),
    ],
)
def test_a_transition_that_does_nothing_is_found(
    sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    """The machine can fail: each arrow, planted to move nothing, turns it red."""
    monkeypatch.setattr(module, name, lambda _tickets: 0)

    with pytest.raises(AssertionError):
        lived(sumup, 400, shrinks=False)
