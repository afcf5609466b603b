"""A small box office in which orders live: two houses, two events, a room, two products, three buyers, a browser.

What is always true of it is checked after each step; in the end SumUp's ledger and ours are laid side by side.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar

from django.db import models
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition

from accounts.models import User
from accounts.visitors import Visitor
from events.models import CalendarEntry, Merchant, Ticket
from events.states import HELD
from market.models import ProductItem
from orders.models import Order
from payments.books.checking import read_books
from payments.checkouts.ending import release
from payments.checkouts.settling import Verdict, settle
from payments.models import Checkout, Refund, SumUpReport
from payments.refunds.jobs import refunds_once
from payments.refunds.reports_of_sumup import adopt_reports
from payments.refunds.rows import rows_of
from payments.refunds.sending import follow, send
from tests.factories import (
    CalendarFactory,
    EventFactory,
    PageFactory,
    ProductFactory,
    RoomFactory,
    TicketTypeFactory,
    UserFactory,
)
from tests.ledger.psql import rows, run
from tests.simulator import KEY, MERCHANT, SimulatorProcess

CAPACITY = 4
BUYERS = 3
#: A number that picks one of whatever there is by then.
which = st.integers(0, 99)
#: Held, recounted, and as many as there may be.
COUNTED = " UNION ALL ".join(
    f"SELECT '{name}', one.id, one.held, (SELECT count(*) FROM {of} AS sold WHERE sold.{key} = one.id"
    f" AND sold.state IN {tuple(sorted(HELD))}), coalesce({most}, 999) FROM {table} AS one WHERE {which_ones}"
    for name, table, most, which_ones, of, key in (
        ("entry", "events_calendarentry", "capacity", "kind = 'event'", "events_ticket", "entry_id"),
        ("type", "events_tickettype", "capacity", "true", "events_ticket", "ticket_type_id"),
        ("product", "market_product", "stock", "true", "market_productitem", "product_id"),
    )
)
OVERLAPPING = f"""SELECT one.id, other.id FROM events_calendarentry AS one JOIN events_calendarentry AS other
    ON one.id < other.id AND one.room_id = other.room_id AND one.blocks && other.blocks
    WHERE one.state IN {tuple(sorted(HELD))} AND other.state IN {tuple(sorted(HELD))}"""
#: Whether goods were kept back, then what there is for rules to act on.
ORDERS, CHECKOUTS, CAPTURES, REQUESTED, SENT, EVENTS, MISMATCHES, OWED = range(8)
THERE = """SELECT EXISTS (SELECT FROM payments_case WHERE kind = 'goods'),
    EXISTS (SELECT FROM orders_order),
    EXISTS (SELECT FROM payments_checkout),
    EXISTS (SELECT FROM payments_checkout WHERE captured IS NOT NULL),
    EXISTS (SELECT FROM payments_refund WHERE state = 'requested' AND origin = 'ours'),
    EXISTS (SELECT FROM payments_refund WHERE sent_at IS NOT NULL AND origin = 'ours'),
    EXISTS (SELECT FROM payments_sumupevent WHERE refund_id IS NULL AND kind IN ('REFUND', 'CHARGE_BACK')),
    EXISTS (SELECT FROM payments_case WHERE kind = 'mismatch' AND closed_at IS NULL),
    EXISTS (SELECT FROM events_ticket WHERE state = 'refund_due')
        OR EXISTS (SELECT FROM market_productitem WHERE state = 'refund_due')
        OR EXISTS (SELECT FROM events_calendarentry WHERE state = 'refund_due')"""
Row = TypeVar("Row")
Stored = TypeVar("Stored", bound=models.Model)


def there_is(what: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The rule below it is played once there is such a thing."""
    return precondition(lambda self: self.there[what])


def picked(found: Sequence[Row], number: int) -> Row | None:
    return found[number % len(found)] if found else None


class World(RuleBasedStateMachine):
    """What there is, how a rule finds it, and what must hold of it."""

    sumup: SimulatorProcess

    there: Sequence[bool] = [False] * 8

    def furnish(self) -> None:
        self.sumup.reset()
        run("TRUNCATE accounts_user, events_merchant, ledger_history, procrastinate_jobs CASCADE")
        Merchant.objects.create(code=MERCHANT, name="Demo", api_key=KEY, currency="EUR", is_site=True)
        houses = [PageFactory.create(), PageFactory.create()]
        self.entries = [
            EventFactory.create(calendar=CalendarFactory.create(page=house), capacity=CAPACITY - number)
            for number, house in enumerate(houses)
        ]
        self.types = [
            TicketTypeFactory.create(entry=self.entries[1], capacity=2, price=Decimal(price)) for price in (7, 0)
        ]
        self.room = RoomFactory.create(page=houses[0])
        self.products = [ProductFactory.create(page=house, stock=3) for house in houses]
        self.users: list[User] = [UserFactory.create() for _ in range(BUYERS)]
        self.browsers = 0
        self.ahead = 0

    # Who and what a rule is about

    def visitor(self, number: int) -> Visitor:
        """One of the buyers, or the browser in which nobody has signed in yet."""
        number %= BUYERS + 1
        return Visitor(user=self.users[number]) if number < BUYERS else Visitor(cart_key=self.cart_key)

    @property
    def cart_key(self) -> str:
        return f"browser-{self.browsers}"

    def one(self, found: "models.QuerySet[Stored]", number: int) -> Stored | None:
        return picked(list(found.order_by("pk")), number)

    def an_order(self, number: int) -> Order | None:
        return self.one(Order.objects.all(), number)

    def a_checkout(self, number: int) -> Checkout | None:
        """One that SumUp has told us of."""
        return self.one(Checkout.objects.exclude(sumup_id=None).select_related("order"), number)

    def a_capture(self, number: int) -> Checkout | None:
        return self.one(Checkout.objects.exclude(captured=None).select_related("order"), number)

    # What SumUp knows

    def status_at_sumup(self, checkout: Checkout) -> str:
        """PENDING, FAILED, PAID or EXPIRED; "" for what SumUp never made."""
        known = [row for row in self.sumup.ledger()["checkouts"] if row["reference"] == checkout.reference]
        return str(known[0]["status"]) if known else ""

    def ask(self, checkout: Checkout) -> None:
        """Settle, whenever it was asked last; our word is then SumUp's, and what was paid is given or owed."""
        Checkout.objects.filter(pk=checkout.pk).update(asked_at=None)
        before = Order.objects.get(pk=checkout.order_id).state
        verdict = settle(checkout.pk, who="webhook", at=timezone.now())
        after = Checkout.objects.select_related("order").get(pk=checkout.pk)
        if verdict in (Verdict.SETTLED, Verdict.WAITING):
            theirs = self.status_at_sumup(after)
            allowed = {"PAID": {"paid", "mismatch"}, "EXPIRED": {"expired"}, "PENDING": {"open"}, "FAILED": {"open"}}
            assert after.state in allowed[theirs] or (theirs != "PAID" and after.state == "expired")
        if before != "paid" and after.order.state == "paid":
            # What has just been paid is given or owed, late or in time; only what was free is dropped.
            gone = {row.state for row in rows_of(after.order) if row.price} - {"confirmed", "refund_due"}
            assert gone == set()
            assert not [row.key for row in rows_of(after.order) if row.is_owed and not row.price]

    def read_back(self, checkout: Checkout) -> None:
        """Take what SumUp says of refunds and chargebacks into the books: they are then those of SumUp."""
        answer = self.sumup.client().read_transaction(checkout.transaction_id)
        adopt_reports(checkout, answer, at=timezone.now(), who="reconcile")
        ledger = self.sumup.ledger()
        made = [row for row in ledger["refunds"] if row["transaction_id"] == checkout.transaction_id]
        shown = Counter(Decimal(row["amount"]) for row in made if row["visible"] <= ledger["now"])
        assert self.refunded_for_nothing(checkout.order) == []
        stored = SumUpReport.objects.filter(checkout=checkout, kind__in=["REFUND", "CHARGE_BACK"])
        known = Counter(row.amount for row in stored)
        # What was read while SumUp's clock was ahead stays known.
        assert shown <= known <= Counter(Decimal(row["amount"]) for row in made)

    @contextlib.contextmanager
    def stumbling(self, **faults: str) -> Iterator[None]:
        """SumUp has these faults meanwhile."""
        real = {name: fault for name, fault in faults.items() if fault != "ok"}
        if real:
            self.sumup.faults(**real)
        yield
        if real:
            self.sumup.faults(**dict.fromkeys(real, "ok"))

    def refunded_for_nothing(self, order: Order) -> list[str]:
        """Rows that say that their money went back while some of it did not."""
        return [row.key for row in rows_of(order) if row.state == "refunded" and row.rest > 0]

    # What is always true

    @invariant()
    def what_is_held_is_counted(self) -> None:
        """Each counter is a recount, within its limit; no two held bookings overlap; no goods are kept back."""
        assert [row for row in rows(COUNTED) if row[2] != row[3] or row[3] > row[4]] == []
        assert rows(OVERLAPPING) == []
        ((stuck, *self.there),) = rows(THERE)
        assert not stuck

    @invariant()
    def the_books_are_clean(self) -> None:
        assert read_books() == []

    # The end of it

    def teardown(self) -> None:
        """SumUp works again and is asked about everything: to the cent its ledger is ours, and nothing is in doubt."""
        if not hasattr(self, "browsers"):
            return
        self.sumup.faults(refund_event_delay=0)
        self.sumup.shift_clock(3600)  # every event shows, and what was not paid by now never will be
        for checkout in Checkout.objects.order_by("pk"):
            if checkout.sumup_id or self.status_at_sumup(checkout):
                self.ask(checkout)
        for order in Order.objects.order_by("pk"):
            for minutes in (1, 2):  # what SumUp never knew is asked about twice
                release(order.pk, who="sweep", at=order.hold_until + timedelta(minutes=minutes))
        Refund.objects.filter(state="requested").update(not_before=None)  # SumUp has time again
        for refund in Refund.objects.filter(state="requested", origin="ours").order_by("pk"):
            send(refund.pk, who="sweep", at=timezone.now())
        for refund in Refund.objects.filter(state__in=["sending", "unknown"]).order_by("pk"):
            follow(refund.pk, who="sweep", at=timezone.now() + timedelta(minutes=3))
        for checkout in Checkout.objects.exclude(captured=None).order_by("pk"):
            self.read_back(checkout)
        refunds_once(at=timezone.now() + timedelta(hours=25))
        self.ledgers_agree()

    def ledgers_agree(self) -> None:
        captures = sorted(Checkout.objects.exclude(captured=None).values_list("captured", flat=True), key=str)
        ledger = self.sumup.ledger()
        assert captures == sorted((Decimal(row["amount"]) for row in ledger["captures"]), key=str)
        theirs: dict[str, Decimal] = {}
        for row in ledger["refunds"]:
            if row["status"] != "FAILED":
                key = row["transaction_id"]
                theirs[key] = theirs.get(key, Decimal(0)) + Decimal(row["amount"])
        ours: dict[str, Decimal] = {}
        gone = Refund.objects.filter(state="succeeded").exclude(origin="elsewhere").select_related("checkout")
        waiting = SumUpReport.objects.counted().filter(refund=None, kind__in=["REFUND", "CHARGE_BACK"])
        for each in (*gone, *waiting.select_related("checkout")):
            assert each.checkout is not None
            assert each.amount is not None
            key = each.checkout.transaction_id
            ours[key] = ours.get(key, Decimal(0)) + each.amount
        assert ours == theirs
        for kind in (Ticket, ProductItem, CalendarEntry):
            held = kind._default_manager.filter(state="reserved")
            assert not held.exclude(order__checkouts__state="mismatch").exists()  # which a person decides about
        for order in Order.objects.all():
            assert self.refunded_for_nothing(order) == []
            assert [row.name for row in rows_of(order) if row.is_owed and not row.pending and row.rest <= 0] == []
        assert read_books() == []
