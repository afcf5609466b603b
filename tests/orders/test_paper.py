"""An order in hand: PDF, calendar file, the mail with both, the mail once more, the link in it."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.core.cache import cache
from django.db.models import Max
from django.test import Client
from django.utils import timezone
from icalendar import Calendar
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import User
from events.models import CalendarEntry, Role
from events.tickets.paper import grouped
from orders.jobs import send_confirmation
from orders.models import Order
from tests.desk import answered, house, member, signed_in_as
from tests.factories import EventFactory, ProductFactory, RoomFactory, TicketTypeFactory, UserFactory
from tests.ledger.psql import run
from tests.papers import codes_of, pages_of
from tests.steps import book, fill, order_cart, take

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]


@pytest.fixture
def buyer(client: Client) -> User:
    cache.clear()
    user = UserFactory.create()
    client.force_login(user)
    return user


@pytest.fixture
def order(buyer: User) -> Order:
    """Three free tickets of two events, one of them with a type."""
    kind = TicketTypeFactory.create(entry=EventFactory.create(title="Jazz"), price=0, name="Seat")
    fill(buyer, kind.entry, {kind.pk: 2})
    fill(buyer, EventFactory.create(title="Film", ticket_price=0))
    return order_cart(buyer)


def mailed(order: Order, copy: int = 0) -> mail.EmailMessage:
    mail.outbox.clear()
    send_confirmation(order_id=order.pk, copy=copy)
    (sent,) = mail.outbox
    return sent


def link_in(sent: mail.EmailMessage) -> str:
    found = re.search(r"http://testserver(/orders/link/\S+)", str(sent.body))
    assert found
    return found[1]


def html_of(sent: mail.EmailMessage) -> str:
    assert isinstance(sent, mail.EmailMultiAlternatives)
    return str(sent.alternatives[0][0])


def codes(order: Order) -> list[str]:
    return list(order.tickets.order_by("pk").values_list("code", flat=True))


def test_the_pdf_has_the_bill_and_a_page_for_each_ticket(client: Client, order: Order) -> None:
    content = client.get(f"/orders/{order.code}.pdf").content

    bill, *tickets = pages_of(content)
    assert "2 × Jazz – Seat" in bill
    assert order.code in bill
    assert len(tickets) == 3
    assert codes_of(content) == codes(order)


def test_the_calendar_file_has_each_event_once(client: Client, order: Order) -> None:
    events = Calendar.from_ical(client.get(f"/orders/{order.code}.ics").content).walk("VEVENT")

    assert sorted(str(event["SUMMARY"]) for event in events) == ["Film", "Jazz"]


def test_the_mail_carries_both(order: Order) -> None:
    sent = mailed(order)

    (pdf, ics) = sent.attachments
    assert (pdf[0], pdf[2], ics[0]) == (
        f"order-{order.short_code}.pdf",
        "application/pdf",
        f"order-{order.short_code}.ics",
    )
    assert codes_of(pdf[1]) == codes(order)


def test_two_runs_of_one_job_have_one_message_id_and_a_new_mail_another(order: Order) -> None:
    ids = [mailed(order, copy).extra_headers["Message-ID"] for copy in (0, 0, 7)]

    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("end", [".pdf", ".ics", "/resend/", "/revoke/"])
def test_nothing_of_another_s_order_is_found(client: Client, order: Order, end: str) -> None:
    method = client.post if end.endswith("/") else client.get
    client.logout()
    assert method(f"/orders/{order.code}{end}").status_code == 302
    client.force_login(UserFactory.create())
    assert method(f"/orders/{order.code}{end}").status_code == 404


def test_the_mail_is_sent_again_once_in_a_while(client: Client, order: Order) -> None:
    before = ProcrastinateJob.objects.count()

    for _click in range(3):
        assert client.post(f"/orders/{order.code}/resend/").status_code == 302

    assert ProcrastinateJob.objects.count() == before + 1


def test_the_link_shows_this_order_s_tickets_and_nothing_to_change(order: Order) -> None:
    link, stranger = link_in(mailed(order)), Client()

    page = stranger.get(link)
    body = page.content.decode()
    assert all(grouped(code) in body for code in codes(order))
    assert 'method="post"' not in body.split("<main")[1].split("</main")[0]
    assert (page["Referrer-Policy"], page["Cache-Control"]) == ("no-referrer", "private, no-store")
    assert codes_of(stranger.get(link.rstrip("/") + ".pdf").content) == codes(order)
    assert stranger.get(f"/orders/{order.code}.pdf").status_code == 302


def test_a_forged_or_revoked_link_is_not_found(client: Client, order: Order) -> None:
    link = link_in(mailed(order))
    for forged in (link[:-9] + "AAAAAAAA/", "/orders/link/x/", "/orders/link/x.pdf"):
        assert Client().get(forged).status_code == 404

    client.post(f"/orders/{order.code}/revoke/")

    assert Client().get(link).status_code == 404
    assert Client().get(link.rstrip("/") + ".pdf").status_code == 404
    assert Client().get(link_in(mailed(order))).status_code == 200


@pytest.mark.parametrize(("role", "sends"), [(Role.BOX_OFFICE, True), (Role.ORGANISER, True), (Role.FINANCE, False)])
def test_the_admin_sends_again_and_revokes(role: Role, sends: bool) -> None:
    home = house("Alpha")
    client = signed_in_as(member((home.page, role)))
    before = ProcrastinateJob.objects.count()

    for action in ("resend", "revoke"):
        data = {"action": action, "_selected_action": [str(home.order.pk)]}
        if sends:
            answered(client, "/admin/orders/order/", data)
        else:
            assert client.post("/admin/orders/order/", data).status_code == 302

    assert ProcrastinateJob.objects.count() == before + sends
    assert Order.objects.get(pk=home.order.pk).link_version == int(sends)


def free_order_of(buyer: User, *kinds: str) -> Order:
    """An order, paid now, of an event in two days, an hour in a room, or a product; all of them free."""
    if "ticket" in kinds:
        fill(buyer, EventFactory.create(title="Jazz", ticket_price=0, starts_at=timezone.now() + timedelta(days=2)))
    if "booking" in kinds:
        book(buyer, RoomFactory.create(rules__price=0))
    if "product" in kinds:
        take(buyer, ProductFactory.create(price=0))
    return Order.objects.get(pk=order_cart(buyer).pk)


@pytest.mark.parametrize(
    ("kinds", "days_after", "of"),
    [
        (["ticket"], 30, "the last end"),
        (["booking"], 30, "the last end"),
        (["ticket", "booking"], 30, "the last end"),
        (["product"], 365, "payment"),
        (["ticket", "booking", "product"], 365, "payment"),
    ],
)
@pytest.mark.promise("link-mail-ends")
def test_the_link_ends_with_what_it_opens(buyer: User, kinds: list[str], days_after: int, of: str) -> None:
    order = free_order_of(buyer, *kinds)
    ends = order.lines.aggregate(last=Max("entry__ends_at"))["last"] if of == "the last end" else order.paid_at
    assert ends is not None
    link, stranger = link_in(mailed(order)), Client()
    ends += timedelta(days=days_after)
    for address in (link, link.rstrip("/") + ".pdf"):
        with time_machine.travel(ends - timedelta(minutes=1), tick=False):
            assert stranger.get(address).status_code == 200
        with time_machine.travel(ends + timedelta(minutes=1), tick=False):
            page = stranger.get(address)
            assert page.status_code == 410
            assert page["Cache-Control"] == "private, no-store"
            body = page.content.decode()
            assert "sign in with the address that the mail went to" in body
            assert f'href="/accounts/login/?next=%2Forders%2F{order.code}%2F"' in body
            assert not [secret for secret in [*codes(order), "Jazz", buyer.email] if secret in body]


def test_a_link_of_an_event_that_was_moved_moves_along(order: Order) -> None:
    link = link_in(mailed(order))
    last = CalendarEntry.objects.filter(tickets__order=order).latest("ends_at")
    with time_machine.travel(last.ends_at + timedelta(days=31), tick=False):
        assert Client().get(link).status_code == 410
        moved = timezone.now() + timedelta(days=7)
        CalendarEntry.objects.filter(pk=last.pk).update(starts_at=moved, ends_at=moved + timedelta(hours=2))
        assert Client().get(link).status_code == 200


@pytest.mark.promise("one-own-booking")
def test_what_to_know_of_a_room_is_on_all_that_its_booking_has_and_nowhere_else(client: Client, buyer: User) -> None:
    room = RoomFactory.create(access_note="The key is at the bar.", rules__price=0)
    book(buyer, room)
    order = order_cart(buyer)
    sent = mailed(order)
    unfolded = client.get(f"/orders/{order.code}.ics").content.decode().replace("\r\n ", "")
    texts = {
        "order": client.get(f"/orders/{order.code}/").content.decode(),
        "PDF": " ".join(pages_of(client.get(f"/orders/{order.code}.pdf").content)),
        "calendar": unfolded,
        "mail": str(sent.body),
        "mail in HTML": html_of(sent),
        "link": client.get(link_in(sent)).content.decode(),
    }
    assert {name: "The key is at the bar." in text for name, text in texts.items()} == dict.fromkeys(texts, True)

    client.logout()
    page = room.page
    for address in (
        room.get_absolute_url(),
        page.get_absolute_url(),
        "/feeds/events.ics",
        f"/p/{page.slug}/events.ics",
    ):
        assert "key is at the bar" not in client.get(address).content.decode()
    assert "key is at the bar" not in client.get(f"/orders/{order.code}/").content.decode()


def test_the_order_s_page_has_the_code_of_each_thing_for_the_browser_s_printer(client: Client, buyer: User) -> None:
    """Not of what was sent to somebody else, and not of what is no longer valid."""
    entry, mug = EventFactory.create(ticket_price=0), ProductFactory.create(price=0)
    fill(buyer, entry, 4)
    take(buyer, mug, 2)
    order = order_cart(buyer)
    kept, sent, given_up, _fourth = order.tickets.order_by("pk")
    client.post(f"/tickets/{sent.code}/send/", {"email": "jo@example.org"})
    run("UPDATE events_ticket SET state = 'cancelled' WHERE id = %s", given_up.pk)

    body = client.get(order.get_absolute_url()).content.decode()

    assert body.count('<div class="only-print"><div class="qr"><svg') == 4
    assert grouped(kept.code) in body
    assert grouped(given_up.code) not in body
    assert all(grouped(item.code) in body for item in order.items.all())
