"""Every moment that a person reads is on the page's clock: paper, pages, mails, lists, reports, exports.

A page in Auckland, half a day ahead: all happens at 11:30 in UTC on Monday, 15 March, where it is 0:30 on Tuesday; the
event and the booking are in the morning of the 21st there, which is the evening of the 20th in UTC.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core import mail
from django.db import transaction
from django.test import Client
from django.urls import reverse

from accounts.models import User
from events.models import CalendarEntry, Merchant, Page, Role, Ticket
from events.organising.calling_off import call_off
from events.organising.mails import tell_called_off, tell_moved, tell_other_time
from events.scoping import ScopedAdmin
from events.tickets.handing_on import send_on
from events.tickets.mails import tell_new_holder
from orders.fulfilling import fulfil
from orders.mails import send_confirmation_mail
from orders.models import Order
from payments.cases import open_case
from payments.models import Checkout, Refund, RefundBatch, SumUpReport
from payments.refunds.asking import Wish, request_refund
from payments.refunds.batches import start
from payments.refunds.mails import tell_refund
from payments.refunds.reminders import tell_called_off as tell_senders
from payments.refunds.reminders import tell_owed
from payments.states import CaseKind, RefundKind
from payments.transitions import mark_paid
from tests.desk import member, signed_in_as
from tests.factories import EventFactory, PageFactory, ProductFactory, RoomFactory, UserFactory
from tests.ledger.psql import run
from tests.papers import pages_of
from tests.steps import book, fill, order_cart, take

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2027, 3, 15, 11, 30, tzinfo=UTC)
STARTS, ENDS = datetime(2027, 3, 20, 19, 30, tzinfo=UTC), datetime(2027, 3, 20, 21, 15, tzinfo=UTC)
#: What a clock in UTC would have said: now, the hold's end, the event's times, the booking's; and the days.
IN_UTC = re.compile(
    r"\b(11:30|12:00|11:58|19:30|21:15|20:00|21:00)(:00)?\b(?!\+1)"
    r"|\b(Mon|Sat)[a-z]*,? (15|20)\b|\b(15|20) Mar|\bMar(ch)? (15|20)\b|2027-03-(15|20)"
)
#: For machines: attributes and addresses carry their zone or none is told.
MARKUP = re.compile(r"<script.*?</script>|<svg.*?</svg>|<[^>]*>", re.DOTALL)


@dataclass
class World:
    page: Page
    entry: CalendarEntry
    booking: CalendarEntry
    order: Order
    checkout: Checkout
    owner: User

    @property
    def tickets(self) -> list[Ticket]:
        return list(self.order.tickets.order_by("pk"))


@pytest.fixture
def world() -> Iterator[World]:
    """A paid order of two tickets, an hour in a room and a product; a part of it was paid back, a case is open."""
    with time_machine.travel(NOW, tick=False):
        merchant = Merchant.objects.create(code="MAUCK", name="Auck", currency="EUR", api_key="k", is_site=True)
        page = PageFactory.create(name="Auck house", slug="auck", time_zone="Pacific/Auckland", merchant=merchant)
        entry = EventFactory.create(calendar__page=page, starts_at=STARTS, ends_at=ENDS, capacity=9, ticket_price="12")
        room = RoomFactory.create(page=page, name="Rehearsal room", slug="room")
        user = UserFactory.create()
        fill(user, entry, 2)
        book(user, room, days=5, hour=9)
        take(user, ProductFactory.create(page=page, name="Tote bag", stock=3))
        order = order_cart(user)
        checkout = Checkout.objects.create(
            order=order, merchant=merchant, reference="auck", amount=order.total, currency="EUR",
            created_at=NOW, valid_until=order.hold_until - timedelta(minutes=2),
        )  # fmt: skip
        with transaction.atomic():
            fulfil(order, at=NOW)
            mark_paid(
                checkout, sumup_id="s", transaction_id="t", transaction_code="TC", captured=order.total,
                currency="EUR", at=NOW, answer={"said": "PAID"},
            )  # fmt: skip
            Checkout.objects.filter(pk=checkout.pk).update(is_applied=True)
        order.refresh_from_db()
        checkout.refresh_from_db()
        wish = Wish(RefundKind.GOODWILL, f"ticket:{order.tickets.latest('pk').pk}", Decimal(1))
        request_refund(checkout.pk, [wish], reason="Cold", who="user:1", at=NOW, elsewhere=True)
        SumUpReport.objects.create(
            merchant=merchant, transaction_id="t", event_id="1", kind="PAYOUT", status="PAID_OUT", amount=1,
            currency="EUR", happened_at=NOW, checkout=checkout, first_seen_at=NOW,
        )  # fmt: skip
        with transaction.atomic():
            open_case(CaseKind.REFUND, checkout, words="Look.", at=NOW)
        booking = CalendarEntry.objects.get(order=order)
        booking.calendar.page = page
        yield World(page, entry, booking, order, checkout, member((page, Role.OWNER), (page, Role.FINANCE)))


def now_in_the_database() -> None:
    """What the database has written by its own clock happened now."""
    for table in ("ledger_history", "payments_sumupanswer"):
        run(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        run(f"UPDATE {table} SET at = %s", NOW)
        run(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def read(client: Client, address: str) -> str:
    """The text of the answer at `address`."""
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return text_of(answer)


def text_of(answer: Any) -> str:
    """The text of an answer, a page's without its markup."""
    if answer["Content-Type"] == "application/pdf":
        return "\n".join(pages_of(answer.content))
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    text = content.decode()
    return MARKUP.sub(" ", text) if "html" in answer["Content-Type"] else text


def in_utc(texts: dict[str, str]) -> dict[str, list[str]]:
    """Where a moment is told in UTC, with the words around it."""
    return {
        name: [text[max(0, hit.start() - 60) : hit.end() + 20].strip() for hit in IN_UTC.finditer(text)]
        for name, text in texts.items()
        if IN_UTC.search(text)
    }


def missing(texts: dict[str, str], expected: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    """(where, what) of each moment that does not stand where it must."""
    return [
        (name, words)
        for name, wanted in expected.items()
        for words in wanted
        if not re.search(words, " ".join(texts[name].split()))
    ]


EVENT = r"21 Mar(ch)?( 2027)?,? (at )?0?8:30"
BOOKING = r"21 Mar(ch)?( 2027)?,? 0?9:00"


@pytest.mark.promise("every-moment-person")
def test_a_buyers_pages_and_papers_are_on_the_pages_clock(world: World) -> None:
    buyer, visitor = signed_in_as(world.order.user), Client()
    ticket = world.tickets[0]
    addresses = {
        "order": world.order.get_absolute_url(),
        "orders": reverse("orders"),
        "order.pdf": reverse("order_pdf", args=[world.order.code]),
        "tickets": reverse("tickets"),
        "ticket": ticket.get_absolute_url(),
        "ticket.pdf": reverse("ticket_pdf", args=[ticket.code]),
        "event": world.entry.get_absolute_url(),
        "page": world.page.get_absolute_url(),
        "index": "/",
        "month": "/?view=month&date=2027-03-21",
        "room": reverse("calendar", args=["auck", "room"]) + "?date=2027-03-21",
    }
    texts = {name: read(visitor if "?" in address else buyer, address) for name, address in addresses.items()}
    fill(world.order.user, world.entry, 1)
    book(world.order.user, world.booking.calendar, days=6, hour=9)
    texts["cart"] = read(buyer, "/cart/")
    waits = order_cart(world.order.user)
    texts["unpaid"] = read(buyer, waits.get_absolute_url())
    del texts["room"], texts["month"]  # their free times and days are every time and day
    assert in_utc(texts) == {}
    assert (
        missing(
            texts,
            {
                "order": (EVENT, BOOKING, "16 March 2027, 00:30"),
                "orders": ("16 Mar 2027, 00:30",),
                "order.pdf": (EVENT, BOOKING, "16 March 2027, 00:30"),
                "tickets": (EVENT,),
                "ticket": (EVENT,),
                "ticket.pdf": (EVENT,),
                "event": ("21 March 2027", "08:30", "10:15"),
                "page": ("21", "08:30"),
                "index": ("21", "08:30"),
                "cart": (EVENT, "22 Mar 2027, 09:00"),
                "unpaid": (EVENT, "01:00"),
            },
        )
        == []
    )


@pytest.mark.promise("every-moment-person")
def test_calendar_files_name_the_very_moment(world: World) -> None:
    """In UTC with its Z, which each calendar shows on its reader's clock."""
    buyer = signed_in_as(world.order.user)
    for address in (reverse("ticket_ics", args=[world.tickets[0].code]), "/feeds/events.ics", "/p/auck/events.ics"):
        assert "DTSTART:20270320T193000Z" in read(buyer, address)
    assert "DTSTART:20270320T200000Z" in read(buyer, reverse("order_ics", args=[world.order.code]))


def sent_mails() -> dict[str, str]:
    texts: dict[str, str] = {}
    for row in mail.outbox:
        assert isinstance(row, mail.EmailMultiAlternatives)
        texts[str(row.subject)] = f"{row.subject}\n{row.body}"
        texts[f"{row.subject} (html)"] = MARKUP.sub(" ", str(row.alternatives[0][0]))
        for name, content, kind in row.attachments:
            if kind == "application/pdf":
                texts[f"{row.subject}: {name}"] = "\n".join(pages_of(content))
    return texts


@pytest.mark.promise("every-moment-person")
def test_mails_are_on_the_pages_clock(world: World) -> None:
    entry, order = world.entry, world.order
    send_confirmation_mail(order.pk)
    tell_refund(refund_id=Refund.objects.get().pk)
    tell_moved(entry.pk, order.pk, (STARTS + timedelta(days=2)).isoformat(), "")
    tell_other_time(world.booking.pk, (STARTS + timedelta(days=2)).isoformat(), "", "")
    send_on(world.tickets[0], to="friend@example.org", holder="A friend", who="user:1", at=NOW)
    tell_new_holder(world.tickets[0].pk)
    call_off(entry.pk, money_back=True, who="user:1", why="Rain", may_send=False)
    tell_called_off(entry.pk, order.pk)
    now_in_the_database()
    tell_senders(entry_id=entry.pk)
    tell_owed(user_id=world.owner.pk, number=1)
    texts = sent_mails()
    assert in_utc(texts) == {}
    found = {name: bool(re.search(EVENT, " ".join(text.split()))) for name, text in texts.items()}
    without = {name for name, told in found.items() if not told}
    assert {name.partition(",")[0] for name in without} == {
        "€ 1.00 goes back to you", "Called off", "€ 23.00 is owed to buyers and has not been sent: Auck house",
        "€ 23.00 is owed to buyers and has not been sent: Auck house (html)", "New time or place: Rehearsal room",
        "New time or place: Rehearsal room (html)",
    }  # fmt: skip
    told = texts["€ 23.00 is owed to buyers and has not been sent: Auck house"]
    assert "since Tue 16 Mar 2027, 00:30" in told


@pytest.mark.promise("every-moment-person")
def test_the_admin_is_on_the_pages_clock(world: World) -> None:
    """Every list, every page of a row, every history, and what stands beside them, as each of two readers."""
    ticket = world.tickets[0]
    run("UPDATE events_ticket SET checked_in_at = %s, state = 'checked_in' WHERE id = %s", NOW, ticket.pk)
    call_off(world.entry.pk, money_back=True, who="user:1", why="Rain")
    batch = start(world.entry, reason="Rain", who="user:1", at=NOW)
    RefundBatch.objects.filter(pk=batch.pk).update(finished_at=NOW)  # an earlier one
    ours = request_refund(
        world.checkout.pk, [Wish(RefundKind.GOODWILL, f"booking:{world.booking.pk}", Decimal(1))], reason="Cold",
        who="user:1", at=NOW,
    )  # fmt: skip
    assert ours is not None
    LogEntry.objects.create(
        user=world.owner, content_type=ContentType.objects.get_for_model(CalendarEntry), object_id=str(world.entry.pk),
        object_repr="x", action_flag=CHANGE, change_message="", action_time=NOW,
    )  # fmt: skip
    now_in_the_database()
    above = UserFactory.create(is_staff=True, is_superuser=True)
    order = world.order.pk
    others = [
        f"/admin/orders/order/{order}/proof/page/", f"/admin/payments/refund/{ours.pk}/do/withdraw/",
        f"/admin/payments/refund/batch/{batch.pk}/",
        f"/admin/payments/refund/of/{world.checkout.pk}/", f"/admin/payments/refund/entry/{world.entry.pk}/",
        "/admin/payments/refund/owed/", "/admin/", f"/admin/orders/order/reports/event/{world.entry.pk}/",
        *(f"/admin/orders/order/reports/?kind={kind}" for kind in ("day", "entry", "product", "merchant")),
        *(f"/admin/orders/order/reports/{kind}.csv" for kind in ("day", "entry", "product", "merchant")),
        f"/admin/orders/order/reports/event/{world.entry.pk}/guests.csv", "/door/", f"/door/{world.entry.pk}/",
    ]  # fmt: skip
    for user in (world.owner, above):
        client = signed_in_as(user)
        texts = {}
        for address in (*others, *admin_addresses(client)):
            answer = client.get(address)
            if answer.status_code in (302, 403, 404):
                continue  # not for this reader, or it leads on
            assert answer.status_code == 200, (address, answer.status_code)
            texts[address] = text_of(answer)
        assert len(texts) > 30
        assert in_utc(texts) == {}
        day = "/admin/orders/order/reports/day.csv"
        assert "2027-03-16" in texts[day]
        assert "2027-03-21 08:30" in texts["/admin/orders/order/reports/entry.csv"]
        assert "March 16, 2027, 12:30 a.m." in texts[f"/admin/events/calendarentry/{world.entry.pk}/history/"]
        for address in (f"/admin/orders/order/{order}/change/", f"/admin/orders/order/{order}/proof/page/"):
            assert "16 Mar 2027, 00:30" in texts[address]


def admin_addresses(client: Client) -> Iterator[str]:
    """The list of each kind of row, and the page and the history of its first row."""
    for model, desk in admin.site._registry.items():
        if isinstance(desk, ScopedAdmin):
            base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
            yield base
            for pk in model._default_manager.order_by("pk").values_list("pk", flat=True)[:2]:
                yield from (f"{base}{pk}/change/", f"{base}{pk}/history/")
