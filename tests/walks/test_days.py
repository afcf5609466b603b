"""A day is that of the page, wherever days are counted: half a day ahead of UTC, and a third of one behind it.

At 20:00 in UTC on 1 December it is the morning of the 2nd in Auckland and noon of the 1st in Los Angeles. Each page has
an event whose day in UTC is another one than its own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.db import transaction
from django.test import Client

from dev.shape import ROOMS
from events.door.letting_in import opens_at
from events.models import BookingRules, CalendarEntry, ClosedDays, Page
from orders.fulfilling import fulfil
from orders.models import Order
from payments.books.reports import Span, report, sales_of
from payments.reconcile.payouts import paid_out
from payments.transitions import mark_paid
from tests.factories import EventFactory, PageFactory, RoomFactory, UserFactory
from tests.ledger.lives import a_checkout
from tests.ledger.psql import run
from tests.steps import fill, order_cart

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]

NOW = datetime(2026, 12, 1, 20, tzinfo=UTC)
ZONES = {"Pacific/Auckland": date(2026, 12, 2), "America/Los_Angeles": date(2026, 12, 1)}


@dataclass
class House:
    """A page, what day it is there, and an event of that day whose day in UTC is another."""

    page: Page
    today: date
    entry: CalendarEntry


@pytest.fixture(params=ZONES)
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    with time_machine.travel(NOW, tick=False):
        yield built(request.param)


def built(zone: str) -> House:
    page = PageFactory.create(slug=zone.rpartition("/")[2].lower(), time_zone=zone)
    today = ZONES[zone]
    # In the evening by the clock of the one, which is the next day in UTC; at nine in the morning by the other's.
    starts = datetime.combine(today, time(20 if zone.startswith("A") else 9, 30), page.zone())
    entry = EventFactory.create(calendar__page=page, starts_at=starts, title=f"Tonight in {page.slug}")
    assert entry.starts_at.astimezone(UTC).date() != today
    return House(page, today, entry)


def cell_of(body: str, today: date) -> str:
    """What the month or the week shows as today, without its markup."""
    (cell,) = re.findall(r'<(?:td|li) class="[^"]*\btoday\b[^"]*">(.*?)</(?:td>|li>\s*(?:<li class|</ol>))', body, re.S)
    text = " ".join(re.sub(r"<[^>]+>", " ", cell).split())
    assert re.search(rf"\b{today.day}\b", text)
    return text


@pytest.mark.parametrize("view", ["month", "week"])
@pytest.mark.parametrize("whole_site", [True, False])
@pytest.mark.promise("time-told-whole")
def test_month_and_week_begin_and_mark_the_pages_own_day(
    client: Client, house: House, view: str, whole_site: bool
) -> None:
    address = "/" if whole_site else house.page.get_absolute_url()
    assert house.entry.title in cell_of(client.get(address, {"view": view}).content.decode(), house.today)


def test_the_list_from_a_day_on_counts_it_on_each_pages_clock(client: Client) -> None:
    with time_machine.travel(NOW, tick=False):
        for house in map(built, ZONES):
            after = (house.today + timedelta(days=1)).isoformat()
            for address in ("/", house.page.get_absolute_url()):
                assert house.entry.title in client.get(address, {"date": house.today.isoformat()}).content.decode()
                assert house.entry.title not in client.get(address, {"date": after}).content.decode()


def test_a_list_of_several_pages_calls_no_day_past_that_is_not_so_for_all(client: Client) -> None:
    with time_machine.travel(NOW, tick=False):
        houses = [built(zone) for zone in ZONES]
        body = client.get("/", {"view": "month"}).content.decode()
    assert houses[1].entry.title in cell_of(body, date(2026, 12, 1))
    assert len(re.findall(r'class="[^"]*\btoday\b', body)) == 1


def test_an_event_until_midnight_is_not_listed_on_the_next_day(client: Client, house: House) -> None:
    ends = datetime.combine(house.today + timedelta(days=1), time(0), house.page.zone())
    CalendarEntry.objects.filter(pk=house.entry.pk).update(ends_at=ends)
    next_day = (house.today + timedelta(days=1)).isoformat()
    assert house.entry.title not in client.get("/", {"date": next_day}).content.decode()


def test_the_door_opens_with_the_pages_day_before(house: House) -> None:
    opens = opens_at(CalendarEntry.objects.with_page().get(pk=house.entry.pk)).astimezone(house.page.zone())
    assert (opens.date(), opens.time()) == (house.today - timedelta(days=1), time(0))


def test_a_room_shows_the_pages_day_first_and_is_closed_on_it(client: Client, house: House) -> None:
    room = RoomFactory.create(page=house.page, slug="room")
    assert BookingRules.objects.filter(calendar=room).exists()
    body = client.get(f"/p/{house.page.slug}/room/", {"view": "week"}).content.decode()
    (cell,) = re.findall(r'<li class="panel stack today">(.*?)</li>\s*<li class="panel', body, re.S)[:1]
    assert f"{house.today.day} Dec" in cell
    ClosedDays.objects.create(calendar=room, first_day=house.today, last_day=house.today, reason="Piano tuner")
    page = client.get(f"/p/{house.page.slug}/room/", {"date": house.today.isoformat()}).content.decode()
    assert "Piano tuner" in page


def paid_now(house: House) -> Order:
    user = UserFactory.create()
    fill(user, house.entry, 1)
    order = order_cart(user)
    checkout = a_checkout(order=order)
    with transaction.atomic():
        fulfil(order, at=NOW)
        mark_paid(
            checkout, sumup_id=f"s{order.pk}", transaction_id=f"t{order.pk}", transaction_code=f"T{order.pk}",
            captured=order.total, currency="EUR", at=NOW, answer={},
        )  # fmt: skip
    return order


def test_statements_count_a_payment_on_the_pages_day(house: House) -> None:
    order = paid_now(house)
    run("UPDATE payments_checkout SET paid_at = %s WHERE order_id = %s", NOW, order.pk)
    today, around = house.today, [house.today - timedelta(days=1), house.today + timedelta(days=1)]
    assert [line.key for line in report("day", pages=None)] == [today.isoformat()]
    assert sales_of(house.entry.pk) == [(today, 1)]
    assert [line.sold for line in report("day", pages=None, span=Span(today, today))] == [Decimal(12)]
    assert [row.payments for row in paid_out(None, first=today, last=today)] == [1]
    for day in around:
        assert report("day", pages=None, span=Span(day, day)) == []
        assert paid_out(None, first=day, last=day) == []


#: Who may say which day it is without a page: what no page has, and what SumUp is asked, whose days are its own.
WITHOUT_A_PAGE = {
    "payments/reconcile/payouts.py",
    "dev/demo/mailbox.py",
    "config/backups.py",
    "payments/management/commands/reconcile_payments.py",
}
DAY = re.compile(
    r"localdate\(|__date|Trunc(?!ator)\w*\(|(?:at|now|clock)(?:\(\))?\.date\(\)|date\.today|timezone\.localtime\("
)
#: Zones of their own are at hand in the same statement, or a line above.
IN_A_ZONE = re.compile(r"astimezone\(|override\(|clock\.date\(\)")


@pytest.mark.promise("time-told-whole")
def test_nobody_else_counts_days_by_the_servers_clock() -> None:
    """The walk over the code: what it finds is either on the list, or stands beside the zone that it is told in."""
    found = set()
    for folder in ROOMS:
        for path in sorted((Path(settings.BASE_DIR) / folder).rglob("*.py")):
            name = str(path.relative_to(settings.BASE_DIR))
            if "/migrations/" in name or "/simulator/" in name:
                continue
            lines = path.read_text().splitlines()
            for at, line in enumerate(lines):
                beside = " ".join(lines[max(at - 1, 0) : at + 1])
                if DAY.search(line) and not IN_A_ZONE.search(beside):
                    found.add(name)
    assert found - WITHOUT_A_PAGE == set()
