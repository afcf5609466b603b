"""One buyer in several tabs, and buyers whose carts hold the same events in opposite order."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from functools import partial

import pytest
from django.db import models, transaction
from django.db.utils import OperationalError
from django.utils import timezone

import orders.placing
from accounts.models import User
from cart.adding import PurchaseRefusal, put_in_cart
from cart.changing import set_quantity
from cart.removing import remove_from_cart
from events.models import CalendarEntry, Ticket
from events.transitions import SoldTable, mark_reserved
from ledger.arrows import IllegalTransition
from ledger.locking import LockableQuerySet, locked_by_pk, retried, sqlstate
from orders.models import Order
from orders.placing import EmptyCart, OrderAwaiting, OrderRefusal
from tests.factories import EventFactory, UserFactory
from tests.races.threads import PATIENCE, at_once, in_a_thread
from tests.steps import at_its_address, fill, held, order_cart, shown, states_of

pytestmark = pytest.mark.usefixtures("merchant")

ROUNDS = 8


def pending(user: User) -> int:
    return Ticket.objects.pending_for(user).count()


@pytest.mark.promise("carts-filled-opposite")
def test_carts_filled_in_opposite_order_are_all_ordered_without_a_deadlock() -> None:
    calendar = EventFactory.create().calendar
    first, second = (EventFactory.create(calendar=calendar, capacity=500) for _ in range(2))
    for _ in range(ROUNDS):
        buyers = [UserFactory.create() for _ in range(8)]
        for number, buyer in enumerate(buyers):
            for entry in (first, second) if number % 2 else (second, first):
                fill(buyer, entry)

        answers = at_once([partial(order_cart, buyer, seen=shown(buyer).digest()) for buyer in buyers])

        assert [type(answer) for answer in answers] == [Order] * 8
    assert held(first) == held(second) == 8 * ROUNDS


def test_opposite_locks_do_deadlock_and_the_retry_hides_it_from_the_buyer() -> None:
    """The negative control: the same two rows locked by hand in opposite order are a deadlock in every round."""
    first, second = EventFactory.create(), EventFactory.create()
    both_hold_one = threading.Barrier(2)
    tries: Counter[str] = Counter()

    def lock(name: str, *pks: int) -> None:
        tries[name] += 1
        for pk in pks:
            CalendarEntry.objects.filter(pk=pk).locked().get()
            if tries[name] == 1 and pk == pks[0]:
                both_hold_one.wait(PATIENCE)

    def bare(name: str, *pks: int) -> None:
        with transaction.atomic():
            lock(name, *pks)

    orders_of_locks = {"up": (first.pk, second.pk), "down": (second.pk, first.pk)}
    bare_answers = at_once([partial(bare, name, *pks) for name, pks in orders_of_locks.items()])
    victims = [answer for answer in bare_answers if isinstance(answer, OperationalError)]
    assert [sqlstate(victim) for victim in victims] == ["40P01"]

    tries.clear()
    works: list[Callable[[], None]] = [
        partial(retried, partial(lock, name, *pks)) for name, pks in orders_of_locks.items()
    ]
    assert at_once(works) == [None, None]
    assert sum(tries.values()) == 3


@pytest.mark.promise("double-click-two")
def test_the_same_token_twice_at_once_is_one_order() -> None:
    for _ in range(ROUNDS):
        entry, buyer, token = EventFactory.create(capacity=10), UserFactory.create(), uuid.uuid4()
        fill(buyer, entry, 3)
        click = partial(order_cart, buyer, token=token, seen=shown(buyer).digest())

        answers = at_once([click, click])

        order = Order.objects.get(user=buyer)
        assert answers == [order, order]
        assert held(entry) == 3


def test_one_token_of_two_buyers_at_once_orders_for_one_and_refuses_the_other() -> None:
    for _ in range(ROUNDS):
        entry, token = EventFactory.create(capacity=10), uuid.uuid4()
        buyers = [UserFactory.create(), UserFactory.create()]
        for buyer in buyers:
            fill(buyer, entry)

        answers = at_once([partial(order_cart, buyer, token=token, seen=shown(buyer).digest()) for buyer in buyers])

        assert sorted(type(answer).__name__ for answer in answers) == ["CartChanged", "Order"]
        assert held(entry) == 1


@pytest.mark.promise("double-click-two")
def test_two_tabs_at_once_make_one_order() -> None:
    for _ in range(ROUNDS):
        entry, buyer = EventFactory.create(capacity=10), UserFactory.create()
        fill(buyer, entry, 2)
        click = partial(order_cart, buyer, seen=shown(buyer).digest())

        answers = at_once([click, click])

        assert Order.objects.filter(user=buyer).count() == 1
        assert held(entry) == 2
        (refused,) = [answer for answer in answers if not isinstance(answer, Order)]
        assert isinstance(refused, (OrderAwaiting, EmptyCart))


def test_without_the_buyer_s_lock_two_tabs_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: unlocked, both tabs read the same tickets, and the second claim runs into the first."""
    entry, buyer = EventFactory.create(capacity=10), UserFactory.create()
    fill(buyer, entry)
    both_have_read = threading.Barrier(2)
    claim = mark_reserved

    def claim_together(prices: Mapping[int, Decimal], *, order_id: int, of: SoldTable = Ticket) -> int:
        if of is Ticket:
            both_have_read.wait(PATIENCE)
        return claim(prices, order_id=order_id, of=of)

    def unlocked(rows: models.QuerySet[models.Model], **_how: object) -> models.QuerySet[models.Model]:
        return rows

    monkeypatch.setattr(models.QuerySet, "select_for_update", unlocked)
    monkeypatch.setattr("orders.placing.mark_reserved", claim_together)
    click = partial(order_cart, buyer, seen=shown(buyer).digest())

    answers = at_once([click, click])

    assert sorted(type(answer).__name__ for answer in answers) == [IllegalTransition.__name__, "Order"]
    assert Order.objects.count() == 1


def test_two_buys_at_once_do_not_pass_the_maximum_together() -> None:
    for _ in range(ROUNDS):
        entry, buyer = EventFactory.create(max_per_order=5), UserFactory.create()
        shown_entry = at_its_address(entry)
        buy = partial(put_in_cart, buyer, shown_entry, {0: 3}, at=timezone.now())

        answers = at_once([buy, buy])

        assert sorted(map(str, answers))[0] == "3"
        assert Counter(map(type, answers)) == {int: 1, PurchaseRefusal: 1}
        assert pending(buyer) == 3


def test_two_buys_at_once_do_not_pass_the_hundred_rows_of_a_cart_together() -> None:
    buyer, calendar = UserFactory.create(), EventFactory.create().calendar
    entries = [EventFactory.create(calendar=calendar, max_per_order=60) for _ in range(2)]
    works = [partial(put_in_cart, buyer, at_its_address(entry), {0: 60}, at=timezone.now()) for entry in entries]

    answers = at_once(works)

    assert Counter(map(type, answers)) == {int: 1, PurchaseRefusal: 1}
    assert pending(buyer) == 60


def test_the_same_quantity_set_twice_at_once_is_that_quantity() -> None:
    for _ in range(ROUNDS):
        buyer, entry = UserFactory.create(), at_its_address(EventFactory.create())
        fill(buyer, entry, 2)
        click = partial(set_quantity, buyer, entry, 0, 4, at=timezone.now())

        assert at_once([click, click]) == [None, None]
        assert pending(buyer) == 4


def test_a_removal_against_a_checkout_leaves_every_ticket_whole() -> None:
    """The tickets are all ordered, or gone before the claim (then the cart changed); none is half of both."""
    for _ in range(ROUNDS):
        buyer, entry = UserFactory.create(), EventFactory.create(capacity=10)
        fill(buyer, entry, 3)
        remove = partial(remove_from_cart, buyer, entry, 0, 1)
        works: list[Callable[[], object]] = [partial(order_cart, buyer, seen=shown(buyer).digest()), remove]

        ordered, removed = at_once(works)

        if isinstance(ordered, Order):
            assert (removed, states_of(ordered), pending(buyer)) == (0, ["reserved"] * 3, 0)
        else:
            assert isinstance(ordered, OrderRefusal)
            assert (removed, held(entry), pending(buyer)) == (1, 0, 2)


def test_a_removal_between_reading_and_locking_the_cart_is_a_changed_cart(monkeypatch: pytest.MonkeyPatch) -> None:
    buyer, entry = UserFactory.create(), EventFactory.create(capacity=10)
    fill(buyer, entry, 3)
    seen = shown(buyer).digest()
    removed: list[int] = []
    real = locked_by_pk

    def rival_first(rows: LockableQuerySet[models.Model], pks: Collection[int]) -> dict[int, models.Model]:
        if not removed:  # the first table that is locked: the keys of the tickets are known by then
            removed.append(in_a_thread(partial(remove_from_cart, buyer, entry, 0, 1)))
        return real(rows, pks)

    monkeypatch.setattr(orders.placing, "locked_by_pk", rival_first)

    with pytest.raises(orders.placing.CartChanged):
        order_cart(buyer, seen=seen)
    assert (removed, pending(buyer), held(entry)) == ([1], 2, 0)
