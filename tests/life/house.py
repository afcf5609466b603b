"""What organisers do: capacity, stock, prices, a room's rules, publishing, calling off, the door and the counter."""

import contextlib
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import rule

from events.door.desk import Light
from events.door.letting_in import door_of
from events.models import BookingRules, CalendarEntry, Ticket
from events.organising.calling_off import call_off
from events.transitions import publish, unpublish
from ledger.arrows import IllegalTransition
from ledger.signing import sign
from market.counter.handing_out import counter_of
from market.models import Product, ProductItem
from tests.life.buyers import Buyers
from tests.life.world import CAPACITY, ORDERS, there_is, which

WHO = "user:0"
LIGHTS = {"confirmed": Light.GREEN, "checked_in": Light.AMBER}


class Organisers(Buyers):
    def event(self, number: int) -> CalendarEntry:
        return CalendarEntry.objects.with_page().get(pk=self.entries[number % 2].pk)

    @rule(entry=which, capacity=st.integers(0, CAPACITY + 2))
    def changes_capacity(self, entry: int, capacity: int) -> None:
        try:
            with transaction.atomic():
                sign(who=WHO, why="another hall")
                CalendarEntry.objects.filter(pk=self.event(entry).pk).update(capacity=capacity)
        except IntegrityError:
            assert self.event(entry).held > capacity

    @rule(product=which, stock=st.integers(0, 5))
    def counts_stock(self, product: int, stock: int) -> None:
        try:
            with transaction.atomic():
                sign(who=WHO, why="counted")
                Product.objects.filter(pk=self.products[product % 2].pk).update(stock=stock)
        except IntegrityError:
            assert Product.objects.get(pk=self.products[product % 2].pk).held > stock

    @rule(what=which, price=st.sampled_from(["0", "8.00", "12.50"]))
    def changes_price(self, what: int, price: str) -> None:
        if what % 2:
            CalendarEntry.objects.filter(pk=self.entries[0].pk).update(ticket_price=Decimal(price))
        else:
            Product.objects.filter(pk=self.products[what // 2 % 2].pk).update(price=Decimal(price))

    @rule(
        cleanup=st.sampled_from([0, 30, 90]),
        setup=st.sampled_from([0, 30]),
        price=st.sampled_from(["0", "20", "33.33"]),
    )
    def changes_the_rooms_rules(self, cleanup: int, setup: int, price: str) -> None:
        rules = BookingRules.objects.filter(calendar=self.room)
        rules.update(cleanup_minutes=cleanup, setup_minutes=setup, price=Decimal(price))

    @rule(entry=which)
    def takes_back_to_draft(self, entry: int) -> None:
        """Only while nothing of it was ordered; it is published again later."""
        event = self.event(entry)
        ordered = Ticket.objects.filter(entry=event).exclude(state="pending").exists()
        try:
            with transaction.atomic():
                sign(who=WHO, why="not yet")
                unpublish(event)
        except IllegalTransition:
            assert ordered or event.state == "cancelled"
        else:
            assert self.event(entry).state == "draft"

    @rule(entry=which)
    def publishes(self, entry: int) -> None:
        event = self.event(entry)
        if event.state == "draft":
            with transaction.atomic():
                sign(who=WHO, why="ready")
                assert publish(event) == 1
            assert self.event(entry).state == "confirmed"

    @there_is(ORDERS)
    @rule(entry=which, money_back=st.booleans())
    def calls_off(self, entry: int, money_back: bool) -> None:
        event = self.event(entry)
        if not Ticket.objects.filter(entry=event).exclude(state="pending").exists():
            return  # there is nobody whom it concerns: it would only end the story
        valid = set(
            Ticket.objects.filter(entry=event, state__in=["confirmed", "checked_in"]).values_list("pk", flat=True)
        )
        try:
            call_off(event.pk, money_back=money_back, who=WHO, why="Rain.")
        except IllegalTransition:
            assert event.state == "cancelled"
            return
        assert self.event(entry).state == "cancelled"
        for ticket in Ticket.objects.filter(pk__in=valid):
            assert ticket.state == ("refund_due" if money_back and ticket.price else "cancelled")

    @rule(user=which, entry=which, money_back=st.booleans())
    def is_called_off_before_it_is_paid(self, user: int, entry: int, money_back: bool) -> None:
        """What was held for a buyer who pays now all the same cannot be given: its price is owed."""
        checkout = self.chooses(user, entry, 9, 1)
        self.calls_off(entry, money_back)
        if checkout is not None:
            with contextlib.suppress(ValueError):  # SumUp's clock is ahead of ours: the page has ended
                self.sumup.pay(str(checkout.sumup_id))
            self.ask(checkout)

    @there_is(ORDERS)
    @rule(number=which, back=st.booleans())
    def stands_at_the_door(self, number: int, back: bool) -> None:
        ticket = self.one(Ticket.objects.with_page().exclude(state="pending"), number)
        if ticket is None:
            return
        before = ticket.state
        answer = door_of(ticket.entry).let_in(ticket.code, who=WHO, at=timezone.now())
        closed = ticket.entry.state != "confirmed"
        assert answer.light is (Light.RED if closed else LIGHTS.get(before, Light.RED))
        expected = "checked_in" if answer.light is Light.GREEN else before
        if back:
            assert door_of(ticket.entry).take_back(ticket.pk, who=WHO) == (expected == "checked_in")
            expected = "confirmed" if expected == "checked_in" else expected
        ticket.refresh_from_db(fields=["state"])
        assert ticket.state == expected

    @there_is(ORDERS)
    @rule(number=which, back=st.booleans())
    def stands_at_the_counter(self, number: int, back: bool) -> None:
        item = self.one(ProductItem.objects.with_page().exclude(state="pending"), number)
        if item is None:
            return
        before, counter = item.state, counter_of(item.product.page)
        answer = counter.let_in(item.code, who=WHO, at=timezone.now())
        assert answer.light is LIGHTS.get(before, Light.RED)
        expected = "checked_in" if answer.light is Light.GREEN else before
        if back:
            assert counter.take_back(item.pk, who=WHO) == (expected == "checked_in")
            expected = "confirmed" if expected == "checked_in" else expected
        item.refresh_from_db(fields=["state"])
        assert item.state == expected
