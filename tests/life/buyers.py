"""What buyers do: fill carts, sign in, order, pay on the hosted page, decline, cancel, put back."""

import contextlib
import uuid
from datetime import timedelta

from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from accounts.models import User
from accounts.visitors import Visitor
from cart.adding import PurchaseRefusal, put_in_cart
from cart.adopting import adopt
from cart.counting import rows_in_cart
from market.models import ProductItem
from orders.models import Order
from orders.placing import OrderRefusal, place
from orders.releasing import request_cancel
from orders.returning import put_back
from payments.checkouts.ending import Release, release
from payments.checkouts.opening import NotPayable, PageUnavailable, PaymentRefused, hosted_page
from payments.models import Checkout
from tests.life.world import BUYERS, CHECKOUTS, ORDERS, World, there_is, which
from tests.steps import all_states_of, at_its_address, book, shown, take

create_faults = st.sampled_from(["ok", "ok", "ok", "lost_answer", "500", "403"])
deactivate_faults = st.sampled_from(["ok", "ok", "ok", "lost_answer", "500", "authorizing"])


class Buyers(World):
    @initialize(user=which, entry=which, hour=st.integers(9, 15), what=st.integers(1, 7))
    def begin(self, user: int, entry: int, hour: int, what: int) -> None:
        """Every story begins with somebody who buys and pays."""
        self.furnish()
        self.shops(user, entry, hour, what)

    @rule(user=which, entry=which, number=st.integers(1, 3))
    def wants_tickets(self, user: int, entry: int, number: int) -> None:
        chosen = at_its_address(self.entries[entry % 2])
        offer = 0 if entry % 2 == 0 else self.types[entry // 2 % 2].pk
        try:
            put_in_cart(self.users[user % BUYERS], chosen, {offer: number}, at=timezone.now())
        except PurchaseRefusal:
            mine = shown(self.users[user % BUYERS]).ticket_count
            assert chosen.state != "confirmed" or mine + number > chosen.max_per_order

    @rule(visitor=which, hour=st.integers(9, 13), halves=st.integers(2, 5))
    def wants_the_room(self, visitor: int, hour: int, halves: int) -> None:
        who = self.visitor(visitor)
        before = rows_in_cart(who)
        with contextlib.suppress(PurchaseRefusal):  # taken, or the rules say no
            book(who, self.room, hour=hour, minutes=30 * halves)
        assert rows_in_cart(who) - before in (0, 1)

    @rule(visitor=which, product=which, number=st.integers(1, 3))
    def wants_a_thing(self, visitor: int, product: int, number: int) -> None:
        try:
            take(self.visitor(visitor), self.products[product % 2], number)
        except PurchaseRefusal:
            of = ProductItem.objects.in_cart_of(self.visitor(visitor)).filter(product=self.products[product % 2])
            assert of.count() + number > self.products[product % 2].max_per_order

    @rule(user=which)
    def signs_in(self, user: int) -> None:
        """What lay in the browser lies in the account; no row is in two carts, and nobody else's cart is touched."""
        person, browser = self.users[user % BUYERS], Visitor(cart_key=self.cart_key)
        others = [each for each in self.users if each != person]
        before = [rows_in_cart(Visitor(user=each)) for each in others]
        both = rows_in_cart(Visitor(user=person)) + rows_in_cart(browser)
        joined = adopt(person, self.cart_key, at=timezone.now())
        assert rows_in_cart(browser) == 0
        assert joined <= both
        assert rows_in_cart(Visitor(user=person)) <= both
        assert [rows_in_cart(Visitor(user=each)) for each in others] == before
        self.browsers += 1

    @rule(user=which, house=st.integers(0, 3), without_short=st.booleans(), fault=create_faults)
    def checks_out(self, user: int, house: int, without_short: bool, fault: str) -> None:
        self.order_of(self.users[user % BUYERS], house, without_short, fault)

    def order_of(self, buyer: User, house: int, without_short: bool, fault: str = "ok") -> Order | None:
        """All that the cart holds, or (`house` 0 and 1) what it holds of one page; then off to the hosted page."""
        page = self.entries[house].calendar.page if house < 2 else None
        cart = shown(buyer) if page is None else shown(buyer).of_page(page)
        seen = cart.digest_of_rest() if without_short else cart.digest()
        wanted = cart.rest_count if without_short else cart.count
        try:
            order = place(buyer, pages=[page] if page else None, token=uuid.uuid4(), seen=seen, at=timezone.now())
        except OrderRefusal:
            return None
        states = [state for kind in all_states_of(order).values() for state in kind]
        assert states == ["reserved" if order.total else "confirmed"] * wanted
        self.goes_to_pay(order, fault)
        return order

    def goes_to_pay(self, order: Order, fault: str) -> None:
        """The hosted page, which SumUp may refuse, or make and not tell us of."""
        with self.stumbling(create=fault):
            try:
                hosted_page(order, at=timezone.now())
            except NotPayable:
                order.refresh_from_db()
                done = Checkout.objects.filter(order=order).exclude(state__in=["new", "open", "refused", "expired"])
                assert order.state != "awaiting_payment" or order.cancel_requested_at or done.exists()
            except PageUnavailable:
                assert fault in ("500", "lost_answer")
            except PaymentRefused:
                assert fault == "403"
                assert Checkout.objects.filter(order=order).latest("pk").state == "refused"
            else:
                assert Checkout.objects.filter(order=order).latest("pk").state == "open"
                assert not Order.objects.get(pk=order.pk).money_came

    @there_is(ORDERS)
    @rule(number=which, fault=create_faults)
    def pays_again(self, number: int, fault: str) -> None:
        order = self.an_order(number)
        if order is not None:
            self.goes_to_pay(order, fault)

    @there_is(CHECKOUTS)
    @rule(number=which, late=st.booleans())
    def pays(self, number: int, late: bool) -> None:
        """On the hosted page; `late`: SumUp takes the money although it had ended the checkout."""
        checkout = self.a_checkout(number)
        if checkout is not None and self.status_at_sumup(checkout) != "PAID":
            try:
                self.sumup.pay(str(checkout.sumup_id), force=late)
            except ValueError:
                assert not late  # closed: the page takes no payment

    @there_is(CHECKOUTS)
    @rule(number=which)
    def declines(self, number: int) -> None:
        checkout = self.a_checkout(number)
        if checkout is not None and self.status_at_sumup(checkout) in ("PENDING", "FAILED"):
            with contextlib.suppress(ValueError):  # it has ended meanwhile
                self.sumup.decline(str(checkout.sumup_id))

    @rule(user=which, entry=which, hour=st.integers(9, 15), what=st.integers(1, 7))
    def shops(self, user: int, entry: int, hour: int, what: int) -> None:
        """A buyer's whole way at once, of any mix of the three kinds: into the cart, to the hosted page, paid."""
        checkout = self.chooses(user, entry, hour, what)
        if checkout is not None:
            with contextlib.suppress(ValueError):  # SumUp's clock is ahead of ours: the page has ended
                self.sumup.pay(str(checkout.sumup_id))
            self.ask(checkout)

    def chooses(self, user: int, entry: int, hour: int, what: int, fault: str = "ok") -> Checkout | None:
        """The way up to the hosted page, where there is something to pay; `what`: the three kinds as bits."""
        if what & 1:
            self.wants_tickets(user, entry, 2)
        if what & 2:
            self.wants_the_room(user % BUYERS, hour, 2)
        if what & 4:
            self.wants_a_thing(user % BUYERS, entry, 1)
        order = self.order_of(self.users[user % BUYERS], 2, without_short=True, fault=fault)
        return Checkout.objects.filter(order=order).latest("pk") if order is not None and order.total else None

    @rule(user=which, entry=which, hour=st.integers(9, 15), what=st.integers(1, 7))
    def is_refused(self, user: int, entry: int, hour: int, what: int) -> None:
        """SumUp makes no payment page for a first order."""
        self.chooses(user, entry, hour, what, "403")

    @rule(user=which, entry=which, hour=st.integers(9, 15), what=st.integers(1, 7), rival=st.booleans())
    def comes_too_late(self, user: int, entry: int, hour: int, what: int, rival: bool) -> None:
        """The hold ends, then SumUp takes the money all the same; a `rival` was quicker to order the same."""
        checkout = self.chooses(user, entry, hour, what)
        if checkout is None:
            return
        order = Order.objects.get(pk=checkout.order_id)
        release(order.pk, who="sweep", at=order.hold_until + timedelta(minutes=1))
        if rival:
            for _more in range(2):
                self.chooses(user + 1, entry, hour, what)
                self.shops(user + 2, entry, hour, what)
        self.sumup.pay(str(checkout.sumup_id), force=True)
        self.ask(checkout)

    @there_is(ORDERS)
    @rule(number=which, fault=deactivate_faults)
    def cancels(self, number: int, fault: str) -> None:
        order = self.an_order(number)
        if order is not None and request_cancel(order, at=timezone.now()):
            with self.stumbling(deactivate=fault):
                released = release(order.pk, who="buyer", at=timezone.now())
            self.has_ended(order, released, fault)

    @there_is(ORDERS)
    @rule(number=which, fault=deactivate_faults)
    def lapses(self, number: int, fault: str) -> None:
        order = self.an_order(number)
        if order is not None:
            with self.stumbling(deactivate=fault):
                released = release(order.pk, who="sweep", at=order.hold_until + timedelta(minutes=1))
            self.has_ended(order, released, fault)

    def has_ended(self, order: Order, released: Release, fault: str) -> None:
        """Freed: nothing of it is held. Kept: SumUp might still take, or has taken, a payment for it."""
        states = {state for kind in all_states_of(order).values() for state in kind}
        if released is Release.FREED:
            assert states == {"cancelled"}
        elif released is Release.KEPT and fault == "ok":
            words = {self.status_at_sumup(row) for row in Checkout.objects.filter(order=order)}
            assert words - {"EXPIRED"}

    @there_is(ORDERS)
    @rule(number=which)
    def puts_back(self, number: int) -> None:
        order = self.an_order(number)
        if order is not None:
            before = rows_in_cart(Visitor(user=order.user))
            added = put_back(order, at=timezone.now())
            assert rows_in_cart(Visitor(user=order.user)) == before + added
            assert put_back(order, at=timezone.now()) == 0  # a second click
