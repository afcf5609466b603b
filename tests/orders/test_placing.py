"""Placing an order: what the buyer saw is what is ordered, all of it or nothing, and never at another price."""

import uuid
from collections.abc import Collection
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import orders.placing
from accounts.models import User
from accounts.visitors import Visitor
from cart.counting import rows_in_cart
from events.models import BookingRules, Calendar, CalendarEntry, Merchant, Page, Ticket, TicketType
from events.states import EntryState, LineKind
from events.transitions import call_off_event
from ledger.models import History
from market.models import Product
from orders.mails import send_confirmation_mail
from orders.models import Order, OrderLine
from orders.placing import (
    CartChanged,
    EmptyCart,
    Keys,
    OrderAwaiting,
    OrderRefusal,
    SeveralMerchants,
    ShortLines,
    place,
)
from orders.releasing import free, request_cancel
from orders.states import OrderState
from payments.models import Checkout
from tests.factories import (
    CalendarFactory,
    EventFactory,
    PageFactory,
    ProductFactory,
    RoomFactory,
    TicketTypeFactory,
    UserFactory,
)
from tests.ledger.lives import a_ticket, an_item, lead
from tests.ledger.locks import locks
from tests.simulator import OTHER_KEY, OTHER_MERCHANT
from tests.steps import book, fill, from_now, held, mail_jobs, order_cart, ordered, shown, states_of, take

pytestmark = pytest.mark.usefixtures("merchant")


def nothing_was_claimed(buyer: User, *, pending: int) -> bool:
    return (
        not Order.objects.exists()
        and not OrderLine.objects.exists()
        and Ticket.objects.pending_for(buyer).count() == pending
        and not CalendarEntry.objects.exclude(held=0).exists()
    )


def test_placing_freezes_what_was_bought_and_holds_the_seats(buyer: User, merchant: Merchant) -> None:
    entry = EventFactory.create(title="Jazz", capacity=10)
    adult, child = (
        TicketTypeFactory.create(entry=entry, name=name, price=Decimal(price))
        for name, price in (("Adult", "12.50"), ("Child", "5.00"))
    )
    fill(buyer, entry, {adult.pk: 2, child.pk: 1})

    order = order_cart(buyer)

    assert (order.state, order.merchant, order.money.amount) == ("awaiting_payment", merchant, Decimal("30.00"))
    assert order.hold_until - order.placed_at == timedelta(minutes=settings.HOLD_MINUTES) == timedelta(minutes=30)
    lines = order.lines.values_list("name", "unit_price", "quantity", "currency")
    assert set(lines) == {("Jazz – Adult", Decimal("12.50"), 2, "EUR"), ("Jazz – Child", Decimal("5.00"), 1, "EUR")}
    assert states_of(order) == ["reserved"] * 3
    assert held(entry) == 3
    history = History.objects.of(order.tickets.all()[0]).get(field="state")
    assert (history.old, history.new, history.actor) == ("pending", "reserved", f"user:{buyer.pk}")


def test_the_same_token_is_the_same_order(buyer: User) -> None:
    fill(buyer, EventFactory.create())
    token, seen = uuid.uuid4(), shown(buyer).digest()

    first = order_cart(buyer, token=token, seen=seen)
    fill(buyer, EventFactory.create())

    assert order_cart(buyer, token=token, seen=seen) == first
    assert Order.objects.count() == 1


def test_the_same_token_is_the_same_order_when_it_is_over(buyer: User) -> None:
    entry = EventFactory.create(ticket_price=Decimal(0))
    fill(buyer, entry)
    token = uuid.uuid4()
    first = order_cart(buyer, token=token)
    fill(buyer, entry)

    assert order_cart(buyer, token=token).pk == first.pk
    assert Ticket.objects.pending_for(buyer).count() == 1


def test_somebody_else_s_token_orders_nothing_and_shows_nothing(buyer: User) -> None:
    fill(buyer, EventFactory.create())
    other = ordered()

    with pytest.raises(CartChanged):
        order_cart(buyer, token=other.cart_token)
    assert Ticket.objects.pending_for(buyer).count() == 1


def test_an_empty_cart_is_no_order(buyer: User) -> None:
    with pytest.raises(EmptyCart):
        order_cart(buyer)


def test_a_page_without_anything_in_the_cart_is_an_empty_cart(buyer: User) -> None:
    fill(buyer, EventFactory.create())

    with pytest.raises(EmptyCart):
        order_cart(buyer, page=PageFactory.create())
    assert nothing_was_claimed(buyer, pending=1)


def test_a_price_that_changed_since_it_was_shown_claims_nothing(buyer: User) -> None:
    kind = TicketTypeFactory.create(price=Decimal("12.00"))
    fill(buyer, kind.entry, {kind.pk: 2})
    seen = shown(buyer).digest()
    TicketType.objects.filter(pk=kind.pk).update(price=Decimal("12.01"))

    with pytest.raises(CartChanged):
        order_cart(buyer, seen=seen)
    assert nothing_was_claimed(buyer, pending=2)
    assert order_cart(buyer).total == Decimal("24.02")


def test_a_lower_price_is_shown_first_too(buyer: User) -> None:
    entry = EventFactory.create(ticket_price=Decimal(12))
    fill(buyer, entry)
    seen = shown(buyer).digest()
    CalendarEntry.objects.filter(pk=entry.pk).update(ticket_price=0)

    with pytest.raises(CartChanged):
        order_cart(buyer, seen=seen)
    assert nothing_was_claimed(buyer, pending=1)


@pytest.mark.parametrize("seen", ["", "x", "0" * 64, "é\x00"])
def test_a_digest_that_is_none_claims_nothing(buyer: User, seen: str) -> None:
    fill(buyer, EventFactory.create())

    with pytest.raises(CartChanged):
        order_cart(buyer, seen=seen)
    assert nothing_was_claimed(buyer, pending=1)


def test_a_quantity_changed_in_another_tab_claims_nothing(buyer: User) -> None:
    entry = EventFactory.create()
    fill(buyer, entry)
    seen = shown(buyer).digest()
    fill(buyer, entry)

    with pytest.raises(CartChanged):
        order_cart(buyer, seen=seen)
    assert nothing_was_claimed(buyer, pending=2)


def test_one_short_line_keeps_everything_from_being_claimed(buyer: User) -> None:
    calendar = CalendarFactory.create()
    gone, there = EventFactory.create(calendar=calendar, capacity=1), EventFactory.create(calendar=calendar, capacity=9)
    fill(buyer, gone, 2)
    fill(buyer, there, 2)

    with pytest.raises(ShortLines):
        order_cart(buyer)
    assert nothing_was_claimed(buyer, pending=4)
    (short,) = shown(buyer).short
    assert (short.identity, short.fits, short.problem) == (("ticket", gone.pk, 0), 1, "Only 1 is left.")


def test_one_click_goes_on_without_the_short_lines_and_charges_exactly_the_rest(buyer: User) -> None:
    calendar = CalendarFactory.create()
    gone = EventFactory.create(calendar=calendar, capacity=1, ticket_price=Decimal("7.35"))
    none = EventFactory.create(calendar=calendar, capacity=0, ticket_price=Decimal("99.00"))
    there = EventFactory.create(calendar=calendar, capacity=9, ticket_price=Decimal("12.10"))
    for entry, number in ((gone, 3), (none, 1), (there, 2)):
        fill(buyer, entry, number)
    rest = shown(buyer)
    assert rest.rest_count == 3

    order = order_cart(buyer, seen=rest.digest_of_rest())

    assert order.total == Decimal("31.55")
    assert rest.rest_total == order.money
    assert {(line.entry_id, line.quantity) for line in order.lines.all()} == {(gone.pk, 1), (there.pk, 2)}
    assert [held(entry) for entry in (gone, none, there)] == [1, 0, 2]
    assert Ticket.objects.pending_for(buyer).count() == 3


def test_going_on_without_the_short_lines_is_refused_when_still_less_is_left(buyer: User) -> None:
    entry = EventFactory.create(capacity=3)
    fill(buyer, entry, 4)
    seen = shown(buyer).digest_of_rest()
    ordered(entry)

    with pytest.raises(CartChanged):
        order_cart(buyer, seen=seen)
    assert held(entry) == 1


def test_when_nothing_is_left_nothing_is_ordered_whatever_digest_is_sent(buyer: User) -> None:
    fill(buyer, EventFactory.create(capacity=0), 2)

    for seen in (shown(buyer).digest(), shown(buyer).digest_of_rest()):
        with pytest.raises(ShortLines):
            order_cart(buyer, seen=seen)
    assert nothing_was_claimed(buyer, pending=2)


def test_fewer_seats_than_the_least_an_order_are_none(buyer: User) -> None:
    kind = TicketTypeFactory.create(min_per_order=3, capacity=2)
    fill(buyer, kind.entry, {kind.pk: 3})

    (line,) = shown(buyer).lines
    assert line.fits == 0
    with pytest.raises(ShortLines):
        order_cart(buyer)


def test_the_maximum_is_asked_again_at_checkout(buyer: User) -> None:
    entry = EventFactory.create(max_per_order=5)
    fill(buyer, entry, 5)
    CalendarEntry.objects.filter(pk=entry.pk).update(max_per_order=2)

    with pytest.raises(ShortLines):
        order_cart(buyer)
    assert order_cart(buyer, seen=shown(buyer).digest_of_rest()).total == Decimal("24.00")


@pytest.mark.parametrize(
    "change",
    [
        {"is_published": False},
        {"starts_at": -timedelta(days=2), "ends_at": -timedelta(days=1)},
        {"sale_starts_at": timedelta(hours=1)},
        {"sale_ends_at": -timedelta(hours=1)},
        {"ticket_price": None},
        {"state": EntryState.DRAFT},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_entry_no_longer_on_sale_is_refused_at_checkout(buyer: User, change: dict[str, object]) -> None:
    entry = EventFactory.create()
    fill(buyer, entry)
    CalendarEntry.objects.filter(pk=entry.pk).update(**from_now(change))

    for seen in (shown(buyer).digest(), shown(buyer).digest_of_rest()):
        with pytest.raises(OrderRefusal):
            order_cart(buyer, seen=seen)
    assert nothing_was_claimed(buyer, pending=1)


def test_a_cancelled_entry_is_refused_at_checkout(buyer: User) -> None:
    entry = EventFactory.create()
    fill(buyer, entry)
    call_off_event(entry)

    with pytest.raises(ShortLines):
        order_cart(buyer)
    assert shown(buyer).lines[0].problem == "This event has been cancelled."


@pytest.mark.parametrize("field", ["sale_starts_at", "sale_ends_at"])
def test_a_type_outside_its_own_window_is_refused_at_checkout(buyer: User, field: str) -> None:
    kind = TicketTypeFactory.create()
    fill(buyer, kind.entry, {kind.pk: 1})
    offset = timedelta(hours=1 if field == "sale_starts_at" else -1)
    TicketType.objects.filter(pk=kind.pk).update(**{field: timezone.now() + offset})

    with pytest.raises(ShortLines):
        order_cart(buyer)


def test_an_unpublished_page_sells_nothing_at_checkout(buyer: User) -> None:
    entry = EventFactory.create()
    fill(buyer, entry)
    Page.objects.update(is_published=False)

    with pytest.raises(ShortLines):
        order_cart(buyer)


def test_a_free_order_is_confirmed_at_once_without_sumup_and_mailed(buyer: User) -> None:
    entry = EventFactory.create(ticket_price=Decimal(0), capacity=5)
    Merchant.objects.all().delete()
    fill(buyer, entry, 2)

    order = order_cart(buyer)

    order.refresh_from_db()
    assert (order.state, order.merchant, order.total) == ("paid", None, Decimal(0))
    assert states_of(order) == ["confirmed", "confirmed"]
    assert held(entry) == 2
    assert not Checkout.objects.exists()
    assert mail_jobs() == 1
    send_confirmation_mail(order.pk)
    assert "your order is confirmed" in str(mail.outbox[0].body)


def test_an_order_that_awaits_payment_is_offered_before_another_is_made(buyer: User) -> None:
    page = PageFactory.create()
    first, second = (EventFactory.create(calendar__page=page) for _ in range(2))
    waiting = ordered(first, user=buyer)
    fill(buyer, second)

    with pytest.raises(OrderAwaiting) as refusal:
        order_cart(buyer)
    assert refusal.value.order == waiting
    request_cancel(waiting, at=timezone.now())
    with pytest.raises(OrderAwaiting):  # cancelled is not over: SumUp has to confirm it first
        order_cart(buyer)
    assert Order.objects.count() == 1


def test_an_order_of_one_page_does_not_stand_in_the_way_of_another_page_s(buyer: User) -> None:
    ordered(user=buyer)
    fill(buyer, EventFactory.create())

    assert order_cart(buyer).state == OrderState.AWAITING_PAYMENT


def test_only_the_buyer_s_own_cart_is_ordered(buyer: User) -> None:
    entry, other = EventFactory.create(), UserFactory.create()
    fill(buyer, entry)
    fill(other, entry, 3)

    order = order_cart(buyer)

    assert order.tickets.count() == 1
    assert Ticket.objects.pending_for(other).count() == 3


def test_a_hundred_rows_at_seven_prices_add_up_to_the_total(buyer: User) -> None:
    entry = EventFactory.create(capacity=100)
    kinds = [TicketTypeFactory.create(entry=entry, price=Decimal(f"{n}.{n}{n}"), max_per_order=15) for n in range(1, 8)]
    fill(buyer, entry, {kind.pk: 14 for kind in kinds})

    order = order_cart(buyer)

    assert sum(line.amount.amount for line in order.lines.all()) == order.total == Decimal("435.12")
    assert sum(ticket.price for ticket in order.tickets.all()) == order.total


def test_place_reads_the_clock_that_it_is_given(buyer: User) -> None:
    entry = EventFactory.create(sale_starts_at=timezone.now() + timedelta(hours=1))
    Ticket.objects.create(entry=entry, user=buyer, price=12, currency="EUR")
    at = timezone.now() + timedelta(hours=2)

    order = place(buyer, pages=None, token=uuid.uuid4(), seen=shown(buyer).digest(), at=at)

    assert order.placed_at == at


# --- One token, one order


def test_the_same_token_is_the_same_order_when_it_is_over_and_the_cart_empty(buyer: User) -> None:
    fill(buyer, EventFactory.create(ticket_price=Decimal(0)))
    token = uuid.uuid4()
    first = order_cart(buyer, token=token)

    assert order_cart(buyer, token=token).pk == first.pk


def test_who_comes_second_with_a_token_has_the_order_if_it_is_their_own(
    monkeypatch: pytest.MonkeyPatch, buyer: User
) -> None:
    theirs, mine = ordered(), ordered(user=buyer)

    def refused(*_arguments: object) -> Order:
        raise IntegrityError

    monkeypatch.setattr(orders.placing, "_place", refused)

    def second(token: uuid.UUID) -> Order:
        return place(buyer, pages=None, token=token, seen="", at=timezone.now())

    assert second(mine.cart_token) == mine
    with pytest.raises(CartChanged):
        second(theirs.cart_token)
    with pytest.raises(IntegrityError):
        second(uuid.uuid4())


def test_what_was_ordered_before_makes_no_more_questions(buyer: User) -> None:
    entry, new = EventFactory.create(), UserFactory.create()
    fill(new, entry)
    seen = shown(new).digest()
    with CaptureQueriesContext(connection) as first:
        order_cart(new, seen=seen)
    over = ordered(entry, user=buyer)
    with transaction.atomic():
        free(Order.objects.filter(pk=over.pk).locked().get(), ending=OrderState.EXPIRED)

    fill(buyer, entry)
    with CaptureQueriesContext(connection) as second:
        order_cart(buyer, seen=seen)

    assert len(second) == len(first)


# --- All three kinds


def mixed(buyer: User) -> tuple[TicketType, Calendar, Product]:
    """A seat of a type, an hour in a room and a piece in the cart, all of one page."""
    page = PageFactory.create()
    seat = TicketTypeFactory.create(entry=EventFactory.create(calendar__page=page))
    room, bag = RoomFactory.create(page=page), ProductFactory.create(page=page)
    fill(buyer, seat.entry, {seat.pk: 1})
    book(buyer, room)
    take(buyer, bag)
    return seat, room, bag


def test_what_is_ordered_is_locked_and_nothing_else(buyer: User) -> None:
    mixed(UserFactory.create())
    seat, room, bag = mixed(buyer)
    booking, item = buyer.bookings.get(), buyer.items.get()
    ticket, seen = buyer.tickets.get(), shown(buyer).digest()

    with locks() as locked:
        order_cart(buyer, seen=seen)

    assert [(table, set(given)) for table, given in locked] == [
        ("accounts_user", {buyer.pk}),
        ("events_calendar", {room.pk}),
        ("events_calendarentry", {seat.entry_id, booking.pk}),
        ("events_tickettype", {seat.pk}),
        ("market_product", {bag.pk}),
        ("events_ticket", {buyer.pk, "pending", ticket.pk}),
        ("market_productitem", {buyer.pk, "pending", item.pk}),
    ]


def test_what_left_the_cart_before_it_was_locked_is_not_ordered(monkeypatch: pytest.MonkeyPatch, buyer: User) -> None:
    """Somebody else's, ordered already, or gone."""
    seat, room, bag = mixed(buyer)
    mine = (buyer.tickets.get(), buyer.bookings.get(), buyer.items.get())
    seen, gone = shown(buyer).digest(), 0
    left: dict[LineKind, list[Any]] = {
        LineKind.TICKET: [a_ticket(ticket_type=seat), a_ticket("reserved", ticket_type=seat, user=buyer)],
        LineKind.BOOKING: [book(UserFactory.create(), room, days=8), book(buyer, room, days=9)],
        LineKind.PRODUCT: [an_item(product=bag), an_item("reserved", product=bag, user=buyer)],
    }
    lead("events_calendarentry", left[LineKind.BOOKING][1].pk, ["reserved"], None, buyer)
    against = {LineKind.TICKET: seat.entry_id, LineKind.BOOKING: room.pk, LineKind.PRODUCT: bag.pk}

    def columns() -> list[Any]:
        return [type(row).objects.filter(pk=row.pk).values().get() for rows in left.values() for row in rows]

    before = columns()
    read = orders.placing._pending_keys

    def too_early(user: User, pages: Collection[Page] | None) -> dict[LineKind, Keys]:
        keys = read(user, pages)
        for kind, rows in left.items():
            keys[kind].pks |= {*(row.pk for row in rows), gone}
            keys[kind].parents.add(against[kind])
        keys[LineKind.TICKET].untyped.add(seat.entry_id)
        return keys

    monkeypatch.setattr(orders.placing, "_pending_keys", too_early)

    order = order_cart(buyer, seen=seen)

    assert (order.tickets.get(), order.bookings.get(), order.items.get()) == mine
    assert columns() == before


def test_a_page_s_part_of_the_cart_is_ordered_without_the_rest(buyer: User) -> None:
    seat, _room, _bag = mixed(buyer)
    mixed(buyer)

    order = order_cart(buyer, page=seat.entry.calendar.page)

    assert {line.page for line in order.lines.all()} == {seat.entry.calendar.page}
    assert [order.tickets.count(), order.bookings.count(), order.items.count()] == [1, 1, 1]
    assert rows_in_cart(Visitor(user=buyer)) == 3


def test_lines_stand_in_the_order_in_which_they_came(buyer: User) -> None:
    page = PageFactory.create()
    second, first = (RoomFactory.create(page=page) for _ in range(2))
    for room in (first, second):
        book(buyer, room)

    order = order_cart(buyer)

    assert [line.entry.room for line in order.lines.all() if line.entry] == [first, second]
    assert order.first_page == page


def test_a_room_is_blocked_as_it_is_set_up_now(buyer: User) -> None:
    room = RoomFactory.create()
    booking, other = book(buyer, room), book(UserFactory.create(), room, days=4)
    BookingRules.objects.update(setup_minutes=15, cleanup_minutes=30)

    order_cart(buyer)

    booking.refresh_from_db()
    assert (booking.state, booking.blocks.lower, booking.blocks.upper) == (
        "reserved",
        booking.starts_at - timedelta(minutes=15),
        booking.ends_at + timedelta(minutes=30),
    )
    blocks = other.blocks
    other.refresh_from_db()
    assert other.blocks == blocks


def test_checkout_is_the_reason_in_the_history_of_all_three(buyer: User) -> None:
    mixed(buyer)

    order_cart(buyer)

    rows = History.objects.filter(field="state", new="reserved").values_list("subject", "actor", "reason")
    assert set(rows) == {
        (subject, f"user:{buyer.pk}", "checkout") for subject in ("ticket", "calendarentry", "productitem")
    }


def test_one_merchant_and_one_currency_make_an_order_and_no_more(buyer: User, merchant: Merchant) -> None:
    """What is free asks for no merchant, and still for its currency."""
    other = Merchant.objects.create(code=OTHER_MERCHANT, name="Other", api_key=OTHER_KEY, currency="EUR")
    pages = [PageFactory.create(), PageFactory.create(merchant=other), PageFactory.create(currency="CHF")]
    here, there, francs = (EventFactory.create(calendar__page=page) for page in pages)
    free_there = EventFactory.create(calendar__page=pages[1], ticket_price=Decimal(0))
    CalendarEntry.objects.filter(pk=francs.pk).update(ticket_price=0)
    for entries in ((here, there), (here, francs)):
        rival = UserFactory.create()
        for entry in entries:
            fill(rival, entry)
        with pytest.raises(SeveralMerchants):
            order_cart(rival)
        assert nothing_was_claimed(rival, pending=2)
    fill(buyer, here)
    fill(buyer, free_there)

    order = order_cart(buyer)

    assert (order.merchant, order.total, order.currency) == (merchant, Decimal(12), "EUR")
    assert set(order.lines.values_list("entry", "unit_price")) == {(here.pk, Decimal(12)), (free_there.pk, Decimal(0))}
