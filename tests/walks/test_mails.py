"""Every kind of mail that leaves: who it is from, where an answer goes, what its subject names, and that both parts

say the same. A mail template that is not met here fails the walk.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from email.utils import getaddresses
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.core import mail
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

import accounts.mails
from accounts.adapter import Adapter
from accounts.models import User
from dev.shape import ROOMS
from events.models import CalendarEntry, Page, Role, Ticket
from events.organising.calling_off import call_off
from events.organising.mails import tell_about_booking, tell_called_off, tell_moved, tell_other_time
from events.tickets.handing_on import send_on
from events.tickets.mails import tell_new_holder
from events.tickets.paper import grouped
from orders.fulfilling import fulfil
from orders.mails import send_confirmation_mail, send_lapsed_mail, send_unpaid_mail
from orders.models import Order
from orders.releasing import free
from orders.states import OrderState
from payments.checkouts.mails import tell_mismatch, tell_surplus
from payments.models import Checkout
from payments.refunds.debts import owed_rows
from payments.refunds.mails import tell_refund
from payments.refunds.reminders import send_owed_mail
from payments.refunds.reminders import tell_called_off as tell_senders
from tests.desk import member
from tests.factories import EventFactory, PageFactory, ProductFactory, RoomFactory, UserFactory
from tests.ledger.lives import a_checkout, a_refund
from tests.steps import book, fill, order_cart, take

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]

CONTACT = "hello@moon-club.test"
TITLE = "Jazz <b>& more</b>"
TEMPLATES = Path(configured.BASE_DIR) / "templates"
STYLESHEET = (Path(configured.BASE_DIR) / "static" / "foyer.css").read_text().lower()
#: The sign-in mails have subjects of their own templates.
KINDS = sorted(
    str(path.relative_to(TEMPLATES).with_suffix(""))
    for pattern in ("*/mail/*.txt", "account/email/*_message.txt")
    for path in TEMPLATES.glob(pattern)
)
#: Mails of which no page is: the site's own.
SITES_OWN = ("account/email/login_code_message", "account/email/signup_code_message", "payments/mail/owed")


@dataclass
class Sent:
    page: Page
    entry: CalendarEntry
    paid: Order
    buyer: User

    @property
    def checkout(self) -> Checkout:
        return a_checkout("paid", order=self.paid)


@pytest.fixture
def sent(settings: Settings) -> Sent:
    """A page that wants answers, and a paid order of it with one thing of each kind."""
    settings.SITE_URL = "https://tickets.moon-club.test"
    settings.DEFAULT_FROM_EMAIL = "Moon Tickets <box@moon-club.test>"
    settings.MAIL_HOST = "tickets.moon-club.test"
    page = PageFactory.create(name='Moon "Club", Köln', contact_email=CONTACT)
    entry = EventFactory.create(calendar__page=page, title=TITLE, place="Cellar")
    buyer = UserFactory.create(email="ann@post.test")
    fill(buyer, entry, 2)
    book(buyer, RoomFactory.create(page=page))
    take(buyer, ProductFactory.create(page=page))
    order = order_cart(buyer)
    with transaction.atomic():
        fulfil(order, at=timezone.now())
    order.refresh_from_db()
    return Sent(page, entry, order, buyer)


def waiting(house: Sent) -> Order:
    fill(house.buyer, house.entry, 1)
    return order_cart(house.buyer)


def lapsed(house: Sent) -> int:
    order = waiting(house)
    with transaction.atomic():
        free(Order.objects.filter(pk=order.pk).locked().get(), ending=OrderState.EXPIRED)
    return order.pk


def sent_on(house: Sent) -> int:
    ticket = Ticket.objects.filter(order=house.paid).earliest("pk")
    send_on(ticket, to="friend@post.test", holder="Fay", who="user:1", at=timezone.now())
    return ticket.pk


def off(house: Sent) -> CalendarEntry:
    call_off(house.entry.pk, money_back=True, who="user:1", why="Rain")
    return house.entry


def owner(house: Sent) -> User:
    return member((house.page, Role.OWNER))


def owed(house: Sent) -> None:
    off(house)
    send_owed_mail(owner(house), owed_rows(), number=1)


def owed_called_off(house: Sent) -> None:
    owner(house)
    tell_senders(entry_id=off(house).pk)


def moved(house: Sent) -> None:
    tell_moved(house.entry.pk, house.paid.pk, (house.entry.starts_at + timedelta(days=1)).isoformat(), "Attic")


def other_time(house: Sent) -> None:
    booking = house.paid.bookings.get()
    tell_other_time(booking.pk, booking.starts_at.isoformat(), "", "Asia/Tokyo")


#: How each kind of mail is sent.
WAYS: dict[str, Callable[[Sent], object]] = {
    "account/email/login_code_message": lambda house: Adapter().send_mail(
        "account/email/login_code", house.buyer.email, {"code": "1234-5678"}
    ),
    "account/email/signup_code_message": lambda _house: Adapter().send_mail(
        "account/email/signup_code", "new@post.test", {"code": "1234-5678"}
    ),
    "events/mail/about_booking": lambda house: tell_about_booking(
        house.paid.bookings.get().pk, words="The key\nis at the bar."
    ),
    "events/mail/called_off": lambda house: tell_called_off(off(house).pk, house.paid.pk),
    "events/mail/moved": moved,
    "events/mail/other_time": other_time,
    "events/mail/sent": lambda house: tell_new_holder(sent_on(house)),
    "orders/mail/confirmation": lambda house: send_confirmation_mail(house.paid.pk),
    "orders/mail/lapsed": lambda house: send_lapsed_mail(lapsed(house)),
    "orders/mail/unpaid": lambda house: send_unpaid_mail(waiting(house).pk),
    "payments/mail/mismatch": lambda house: tell_mismatch(checkout_id=house.checkout.pk),
    "payments/mail/owed": owed,
    "payments/mail/owed_called_off": owed_called_off,
    "payments/mail/refund": lambda house: tell_refund(
        refund_id=a_refund("succeeded", checkout=house.checkout, amount=Decimal(1)).pk
    ),
    "payments/mail/surplus": lambda house: tell_surplus(checkout_id=house.checkout.pk),
}


def test_the_walk_meets_every_mail_template() -> None:
    assert sorted(WAYS) == KINDS
    assert [kind for kind in KINDS if not (TEMPLATES / f"{kind}.html").is_file()] == []


def test_nobody_else_makes_a_mail() -> None:
    """What does not go through accounts.mails has none of its headers."""
    makers = re.compile(r"EmailMultiAlternatives\(|EmailMessage\(|send_mail\(|mail_admins|mail_managers")
    found = {
        str(path.relative_to(configured.BASE_DIR))
        for folder in ROOMS
        for path in (Path(configured.BASE_DIR) / folder).rglob("*.py")
        if makers.search(path.read_text())
    }
    assert found == {"accounts/mails.py", "accounts/adapter.py", "accounts/codes.py"}  # the adapter's own send_mail


def posted(kind: str, house: Sent) -> mail.EmailMultiAlternatives:
    mail.outbox.clear()
    WAYS[kind](house)
    message = mail.outbox[-1]
    assert isinstance(message, mail.EmailMultiAlternatives)
    return message


@pytest.mark.parametrize("kind", sorted(WAYS))
@pytest.mark.promise("every-mail-names")
def test_every_mail_says_whose_it_is_and_where_an_answer_goes(kind: str, sent: Sent) -> None:
    message = posted(kind, sent)
    raw = message.message()

    name, address = getaddresses([message.from_email])[0]
    assert address == "box@moon-club.test"
    assert name == ("Moon Tickets" if kind in SITES_OWN else 'Moon "Club", Köln via Moon Tickets')
    assert message.reply_to == ([] if kind in SITES_OWN else [CONTACT])
    assert raw["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(r"<[\w.\-]+@tickets\.moon-club\.test>", str(raw["Message-ID"]))
    codes = [order.short_code for order in Order.objects.all()]
    house_room = sent.paid.bookings.get().title
    named = {"account": ["Moon Tickets"], "payments/mail/owed": [sent.page.name]}.get(
        kind if kind == "payments/mail/owed" else kind.partition("/")[0], [TITLE, house_room, *codes]
    )
    assert any(words in message.subject for words in named)
    for words in ("localhost", "example.com", "testserver", "127.0.0.1"):
        assert words not in raw.as_string()


@pytest.mark.parametrize("kind", sorted(WAYS))
@pytest.mark.promise("every-mail-names")
def test_every_mail_says_the_same_in_text_and_in_html(kind: str, sent: Sent) -> None:
    message = posted(kind, sent)
    text, html = str(message.body), str(message.alternatives[0][0])

    links = set(re.findall(r'href="([^"]+)"', html))
    assert links == set(re.findall(r"https?://\S+", text))
    assert len(links) > (0 if kind.startswith("account") else 1)  # the site's own address is in each
    assert "<b>" not in html
    assert "&amp;" not in text
    assert "&lt;" not in text
    if "&lt;b&gt;" in html.partition("</div>")[2]:  # behind what a mailbox shows of it
        assert TITLE in text
    assert "\n\n\n" not in text
    assert not re.search(r"{[{%#]|[#%}]}", text + html.replace("}\n}", ""))
    assert "<img" not in html  # readable, and whole, without pictures
    assert "<script" not in html
    # The shop's colours, and no others, by day and by night.
    assert {colour for colour in re.findall(r"#[0-9a-f]{6}\b", html)} <= set(
        re.findall(r"#[0-9a-f]{6}\b", STYLESHEET)
    ) | {"#ffffff"}
    assert "prefers-color-scheme: dark" in html


@pytest.mark.promise("every-mail-names")
def test_the_first_link_of_a_ticket_mail_opens_without_signing_in(sent: Sent, client: Client) -> None:
    message = posted("orders/mail/confirmation", sent)
    for part, pattern in ((message.body, r"https://\S+"), (message.alternatives[0][0], r'href="([^"]+)"')):
        first = re.findall(pattern, str(part))[0]
        page = client.get(first.removeprefix("https://tickets.moon-club.test"))
        assert page.status_code == 200
        for number, ticket in enumerate(Ticket.objects.filter(order=sent.paid)):
            assert grouped(ticket.code) in page.content.decode(), number
            assert f"{first}#ticket-{ticket.pk}" in str(part)
            assert f'id="ticket-{ticket.pk}"' in page.content.decode()


def test_calendar_files_name_their_letters(sent: Sent) -> None:
    for kind in ("orders/mail/confirmation", "events/mail/sent", "events/mail/moved", "events/mail/other_time"):
        (part,) = [part for part in posted(kind, sent).message().walk() if part.get_content_type() == "text/calendar"]
        assert part.get_content_charset() == "utf-8"


def test_a_subject_names_what_it_is_about_and_stays_short() -> None:
    assert accounts.mails.in_subject("Jazz", "Jazz", "Folk", "Mug") == "Jazz and 2 more"
    assert accounts.mails.in_subject("Jazz\r\nBcc: x@y.z") == "Jazz Bcc: x@y.z"
    assert len(accounts.mails.in_subject("x" * 160)) == accounts.mails.TITLE


def test_a_mail_of_several_pages_speaks_for_the_site_and_is_answered_by_all(sent: Sent) -> None:
    other = PageFactory.create(contact_email="barn@post.test")
    fill(sent.buyer, sent.entry, 1)
    fill(sent.buyer, EventFactory.create(calendar__page=other), 1)
    send_unpaid_mail(order_cart(sent.buyer).pk)
    message = mail.outbox[-1]
    assert message.reply_to == [CONTACT, "barn@post.test"]
    assert message.from_email == '"Moon Tickets" <box@moon-club.test>'
