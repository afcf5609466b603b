"""One order for tickets, time in a room and products: claimed, given, freed, owed and put back together."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from accounts.visitors import Visitor
from events.models import BookingRules, Calendar, CalendarEntry, Page, PeakPrice, Role, TicketType
from market.models import Product, ProductItem
from orders.jobs import send_confirmation
from orders.models import Order
from orders.placing import CartChanged, ShortLines
from orders.returning import put_back
from payments.books.checking import read_books
from payments.checkouts.ending import Release, release
from payments.checkouts.settling import Verdict, settle
from tests.desk import member, signed_in_as
from tests.factories import EventFactory, PageFactory, ProductFactory, RoomFactory, TicketTypeFactory, UserFactory
from tests.papers import codes_of, pages_of
from tests.simulator import SimulatorProcess
from tests.steps import (
    all_states_of,
    book,
    fill,
    later,
    opened,
    order_cart,
    paid_at_sumup,
    shown,
    sumup_id,
    take,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("merchant")]

TWO_THREE_ONE = {"tickets": 2, "bookings": 1, "items": 3}


@dataclass
class House:
    """A page that sells all three: seats at 12.00, a room at 20.00 an hour, a product at 5.00 of which there are 3."""

    page: Page
    seat: TicketType
    room: Calendar
    product: Product


@pytest.fixture
def house(db: None) -> House:
    page = PageFactory.create(name="Linde")
    seat = TicketTypeFactory.create(entry=EventFactory.create(calendar__page=page, capacity=2), name="Seat")
    room = RoomFactory.create(page=page, name="Rehearsal room", slug="room")
    return House(page, seat, room, ProductFactory.create(page=page, name="Tote bag", stock=3))


def filled(buyer: User, house: House) -> None:
    """Two tickets, an hour in the room, three bags: 24.00 + 20.00 + 15.00."""
    fill(buyer, house.seat.entry, {house.seat.pk: 2})
    book(buyer, house.room)
    take(buyer, house.product, 3)


def ordered(buyer: User, house: House) -> Order:
    filled(buyer, house)
    return order_cart(buyer)


def all_in(state: str) -> dict[str, list[str]]:
    return {kind: [state] * number for kind, number in TWO_THREE_ONE.items()}


def stock_held(house: House) -> int:
    return Product.objects.get(pk=house.product.pk).held


@pytest.mark.promise("all-three-claimed")
def test_one_order_holds_all_three_at_the_sum_of_its_lines(buyer: User, house: House) -> None:
    order = ordered(buyer, house)

    assert order.total == Decimal(59)
    assert sorted((line.kind, line.quantity, line.unit_price) for line in order.lines.all()) == [
        ("booking", 1, Decimal(20)),
        ("product", 3, Decimal(5)),
        ("ticket", 2, Decimal(12)),
    ]
    assert all_states_of(order) == all_in("reserved")
    assert stock_held(house) == 3
    assert read_books() == []


@pytest.mark.promise("all-three-claimed")
def test_paid_in_time_all_three_are_given(buyer: User, house: House, sumup: SimulatorProcess) -> None:
    order = ordered(buyer, house)
    assert settle(paid_at_sumup(sumup, order).pk, who="test", at=later()) is Verdict.SETTLED

    assert all_states_of(order) == all_in("confirmed")
    assert read_books() == []


@pytest.mark.promise("all-three-claimed")
def test_unpaid_all_three_are_free_again_and_can_be_put_back(
    buyer: User, house: House, sumup: SimulatorProcess
) -> None:
    order = ordered(buyer, house)
    opened(order)

    assert release(order.pk, who="sweep", at=order.hold_until) is Release.FREED

    assert all_states_of(order) == all_in("cancelled")
    assert stock_held(house) == 0
    assert put_back(order, at=timezone.now()) == 6
    assert put_back(order, at=timezone.now()) == 0
    assert (shown(buyer).ticket_count, shown(buyer).booking_count, shown(buyer).product_count) == (2, 1, 3)
    assert all_states_of(order_cart(buyer)) == all_in("reserved")
    assert read_books() == []


def paid_late(order: Order, sumup: SimulatorProcess) -> None:
    checkout = opened(order)
    assert release(order.pk, who="sweep", at=order.hold_until) is Release.FREED
    sumup.pay(sumup_id(checkout), force=True)


@pytest.mark.promise("paid-late-each")
def test_paid_late_what_is_still_there_is_given_and_copies_go(
    buyer: User, house: House, sumup: SimulatorProcess
) -> None:
    order = ordered(buyer, house)
    paid_late(order, sumup)
    put_back(order, at=timezone.now())

    settle(order.checkouts.get().pk, who="test", at=later())

    assert all_states_of(order) == all_in("confirmed")
    assert shown(buyer).count == 0
    assert read_books() == []


@pytest.mark.promise("paid-late-each")
def test_paid_late_each_kind_that_is_gone_is_owed(buyer: User, house: House, sumup: SimulatorProcess) -> None:
    order = ordered(buyer, house)
    paid_late(order, sumup)
    rival = UserFactory.create()
    fill(rival, house.seat.entry, {house.seat.pk: 1})
    book(rival, house.room, minutes=90)
    take(rival, house.product, 2)
    order_cart(rival)

    settle(order.checkouts.get().pk, who="test", at=later())

    assert all_states_of(order) == {
        "tickets": ["confirmed", "refund_due"],
        "bookings": ["refund_due"],
        "items": ["confirmed", "refund_due", "refund_due"],
    }
    assert read_books() == []


def test_paid_after_its_time_has_come_a_booking_is_owed(buyer: User, house: House, sumup: SimulatorProcess) -> None:
    booking = book(buyer, house.room)
    order = order_cart(buyer)
    paid_late(order, sumup)

    settle(order.checkouts.get().pk, who="test", at=booking.starts_at + timedelta(minutes=1))

    assert all_states_of(order)["bookings"] == ["refund_due"]
    assert read_books() == []


@pytest.mark.promise("paid-late-each")
def test_a_copy_that_was_ordered_again_wins_over_its_original(
    buyer: User, house: House, sumup: SimulatorProcess
) -> None:
    book(buyer, house.room)
    take(buyer, house.product)
    order = order_cart(buyer)
    paid_late(order, sumup)
    put_back(order, at=timezone.now())
    again = order_cart(buyer)

    settle(order.checkouts.get().pk, who="test", at=later())

    assert all_states_of(order) == {"tickets": [], "bookings": ["refund_due"], "items": ["refund_due"]}
    assert all_states_of(again) == {"tickets": [], "bookings": ["reserved"], "items": ["reserved"]}
    assert read_books() == []


@pytest.mark.promise("each-short-line")
def test_each_short_line_is_named_and_nothing_is_claimed(buyer: User, house: House) -> None:
    filled(buyer, house)
    rival = UserFactory.create()
    fill(rival, house.seat.entry, {house.seat.pk: 1})
    book(rival, house.room, minutes=90)
    take(rival, house.product, 1)
    order_cart(rival)

    with pytest.raises(ShortLines):
        order_cart(buyer)

    group = shown(buyer).groups[0]
    assert [line.problem for line in group.lines] == [
        "Only 1 is left.",
        "This time was taken meanwhile.",
        "Only 2 are left.",
    ]
    assert not Order.objects.filter(user=buyer).exists()
    rest = order_cart(buyer, seen=shown(buyer).digest_of_rest())
    assert all_states_of(rest) == {"tickets": ["reserved"], "bookings": [], "items": ["reserved"] * 2}
    assert shown(buyer).count == 3  # what could not be had stays in the cart


@pytest.mark.promise("each-short-line")
def test_a_taken_time_is_offered_with_the_nearest_free_ones(client: Client, buyer: User, house: House) -> None:
    booking = book(buyer, house.room)
    book(rival := UserFactory.create(), house.room)
    order_cart(rival)
    client.force_login(buyer)

    (line,) = shown(buyer).groups[0].bookings
    assert len(line.free_instead) == 3
    first = line.free_instead[0]
    page = client.get("/cart/").content.decode()
    assert "Free instead:" in page
    response = client.post(f"/cart/booking/{booking.pk}/", {"start": first.start.isoformat()})

    assert response.status_code == 302
    (moved,) = shown(buyer).groups[0].bookings
    assert (moved.booking.starts_at, moved.problem) == (first.start, "")


@pytest.mark.parametrize("typed", ["nonsense", "2026-13-45T99:00", "2026-12-04T10:00", "1900-01-01T10:00:00+00:00"])
def test_another_time_that_makes_no_sense_changes_nothing(
    client: Client, buyer: User, house: House, typed: str
) -> None:
    booking = book(buyer, house.room)
    client.force_login(buyer)

    assert client.post(f"/cart/booking/{booking.pk}/", {"start": typed}).status_code == 422
    assert [line.booking for line in shown(buyer).groups[0].bookings] == [booking]


def test_somebody_else_s_booking_is_not_found(client: Client, buyer: User, house: House) -> None:
    booking = book(UserFactory.create(), house.room)
    client.force_login(buyer)

    assert client.post(f"/cart/booking/{booking.pk}/").status_code == 404
    assert CalendarEntry.objects.filter(pk=booking.pk).exists()


def test_two_bookings_of_one_cart_that_overlap_cannot_both_be_ordered(buyer: User, house: House) -> None:
    book(buyer, house.room)
    book(buyer, house.room, minutes=120)

    (first, second) = shown(buyer).groups[0].bookings
    assert (first.problem, second.problem) == ("", "It overlaps another booking in your cart.")
    with pytest.raises(ShortLines):
        order_cart(buyer)


def test_a_price_rule_changed_since_it_was_shown_claims_nothing(buyer: User, house: House) -> None:
    booking = book(buyer, house.room)
    seen = shown(buyer).digest()
    zone = house.page.zone()
    PeakPrice.objects.create(
        calendar=house.room, starts=booking.starts_at.astimezone(zone).time(), ends="22:00", price=Decimal(33)
    )

    with pytest.raises(CartChanged):
        order_cart(buyer, seen=seen)
    assert order_cart(buyer).total == Decimal(33)


def test_set_up_that_became_longer_is_what_the_order_blocks(buyer: User, house: House) -> None:
    booking = book(buyer, house.room)
    BookingRules.objects.filter(calendar=house.room).update(setup_minutes=15, cleanup_minutes=45)

    order_cart(buyer)

    booking.refresh_from_db()
    assert booking.blocks
    assert booking.blocks.lower == booking.starts_at - timedelta(minutes=15)
    assert booking.blocks.upper == booking.ends_at + timedelta(minutes=45)


def test_a_room_that_is_closed_since_says_so_in_the_cart(buyer: User, house: House) -> None:
    book(buyer, house.room)
    house.room.opening_hours.all().delete()

    (line,) = shown(buyer).groups[0].bookings
    assert line.problem == "The room is closed at this time."


def test_a_free_order_of_all_three_is_confirmed_at_once(buyer: User, house: House) -> None:
    TicketType.objects.update(price=0)
    BookingRules.objects.update(price=0)
    Product.objects.update(price=0)

    order = ordered(buyer, house)

    assert all_states_of(order) == all_in("confirmed")
    assert read_books() == []


def test_page_mail_paper_and_calendar_show_all_three(
    client: Client, buyer: User, house: House, sumup: SimulatorProcess
) -> None:
    order = ordered(buyer, house)
    settle(paid_at_sumup(sumup, order).pk, who="test", at=later())
    client.force_login(buyer)
    codes = list(order.items.order_by("pk").values_list("code", flat=True))

    page = client.get(f"/orders/{order.code}/").content.decode()
    for words in ("Your tickets", "Your bookings", "Rehearsal room", "Your vouchers", "Tote bag"):
        assert words in page
    paper = client.get(f"/orders/{order.code}.pdf").content
    assert len(pages_of(paper)) == 1 + 2 + 3
    assert set(codes) <= set(codes_of(paper))
    dates = client.get(f"/orders/{order.code}.ics").content.decode()
    assert dates.count("BEGIN:VEVENT") == 2
    assert "Rehearsal room" in dates
    mail.outbox.clear()
    send_confirmation(order_id=order.pk)
    (sent,) = mail.outbox
    assert all(code in str(sent.body) for code in codes)
    assert "Rehearsal room" in str(sent.body)
    assert len(sent.attachments) == 2


def test_an_order_of_products_alone_has_no_calendar_file(buyer: User, sumup: SimulatorProcess) -> None:
    take(buyer, ProductFactory.create(price=0))
    order = order_cart(buyer)
    mail.outbox.clear()
    send_confirmation(order_id=order.pk)

    (sent,) = mail.outbox
    assert [attachment[0] for attachment in sent.attachments] == [f"order-{order.short_code}.pdf"]
    assert sent.subject == f"Thank you for your order: {order.lines.get().name}, order {order.short_code}"


def test_the_summary_has_each_kind_and_each_page(client: Client, buyer: User, house: House) -> None:
    filled(buyer, house)
    take(buyer, ProductFactory.create(page__slug="other", page__name="Other"), 2)
    client.force_login(buyer)

    told = client.get("/cart/summary.json").json()

    assert {name: told[name] for name in told if name != "pages"} == {
        "ticket_count": 2, "ticket_total": "24.00", "booking_count": 1, "booking_total": "20.00",
        "product_count": 5, "product_total": "25.00", "count": 8, "total": "69.00", "currency": "EUR",
    }  # fmt: skip
    assert told["pages"]["other"]["product_total"] == "10.00"
    assert told["pages"][house.page.slug]["count"] == 6


@pytest.mark.promise("browser-cart-joins")
def test_a_cart_key_s_things_join_the_account_once(client: Client, buyer: User, house: House) -> None:
    """Signed out, then signed in: the same time once, pieces up to the maximum, nothing of anybody else's."""
    Product.objects.update(max_per_order=4)
    book(buyer, house.room)
    take(buyer, house.product, 2)
    session = client.session
    session["cart_key"] = "a-browser"
    session.save()
    browser = Visitor(cart_key="a-browser")
    book(browser, house.room)
    book(browser, house.room, hour=15)
    take(browser, house.product, 3)
    take(Visitor(cart_key="another"), house.product)
    assert client.get("/cart/summary.json").json()["count"] == 5

    client.force_login(buyer)
    told = client.get("/cart/summary.json").json()

    assert (told["booking_count"], told["product_count"]) == (2, 4)
    assert "cart_key" not in client.session
    assert ProductItem.objects.filter(cart_key__isnull=False).count() == 1
    assert client.get("/cart/summary.json").json() == told


def test_pieces_are_changed_in_place_and_removed(client: Client, buyer: User, house: House) -> None:
    take(buyer, house.product)
    client.force_login(buyer)
    address = f"/cart/pieces/{house.product.pk}/"

    assert client.post(address, {"quantity": "3"}, headers={"HX-Request": "true"}).status_code == 200
    assert shown(buyer).product_count == 3
    assert client.post(address, {"quantity": "11"}).status_code == 422
    assert client.post(address, {"quantity": "1.5"}).status_code == 422
    assert shown(buyer).product_count == 3
    assert client.post(address, {"quantity": "0"}).status_code == 302
    assert shown(buyer).count == 0


def test_the_admin_shows_all_three_of_an_order(buyer: User, house: House, sumup: SimulatorProcess) -> None:
    order = ordered(buyer, house)
    settle(paid_at_sumup(sumup, order).pk, who="test", at=later())
    owner = signed_in_as(member((house.page, Role.OWNER)))
    stranger = signed_in_as(member((PageFactory.create(), Role.OWNER)))

    page = owner.get(f"/admin/orders/order/{order.pk}/change/").content.decode()

    for words in ("Seat", "Rehearsal room", "Tote bag", order.items.all()[0].code[:4]):
        assert words in page
    assert stranger.get(f"/admin/orders/order/{order.pk}/change/").status_code == 302


@pytest.mark.parametrize("pages", [1, 6])
@pytest.mark.promise("cart-sixty-lines")
def test_a_mixed_cart_asks_a_fixed_number_of_times(
    client: Client, buyer: User, django_assert_num_queries: DjangoAssertNumQueries, pages: int
) -> None:
    """One line of each kind, or sixty lines over six pages."""
    for number in range(pages):
        page = PageFactory.create()
        room = RoomFactory.create(page=page, slug="room")
        for each in range(1 if pages == 1 else 3):
            fill(buyer, EventFactory.create(calendar__page=page))
            book(buyer, room, hour=9 + 2 * each, days=3 + number)
            take(buyer, ProductFactory.create(page=page))
    client.force_login(buyer)

    with django_assert_num_queries(9):  # at most 10
        assert client.get("/cart/").status_code == 200
    with django_assert_num_queries(8):
        assert client.get("/cart/summary.json").status_code == 200
