"""Tickets in hand: on paper, in the calendar, with a name, sent to somebody else."""

import io
import re
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone
from fpdf.fonts import TTFFont
from icalendar import Calendar

from accounts.models import User
from events.models import CalendarEntry, Ticket
from events.tickets.mails import tell_new_holder
from events.tickets.paper import Paper, grouped, tickets_pdf
from events.transitions import call_off_event, mark_checked_in
from ledger.models import History
from tests.events.tickets.test_views import free_order, ticket_of
from tests.factories import EventFactory, UserFactory
from tests.papers import codes_in_png, codes_of, pages_of, pictures_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]

EUROPE = "Łukasz Ångström, Ωμέγα Ναΐς, Борис Ѓорѓи, Հայկ, ქართული"


@pytest.fixture
def ticket(buyer: User) -> Ticket:
    return ticket_of(free_order(buyer, title="Jazz", place="Am Wall 3"))


def address(ticket: Ticket, what: str) -> str:
    return f"/tickets/{ticket.code}/{what}/"


def fresh(ticket: Ticket) -> Ticket:
    return Ticket.objects.with_page().get(pk=ticket.pk)


def link_in(sent: mail.EmailMessage) -> str:
    found = re.search(r"http://testserver(/tickets/link/\S+)", str(sent.body))
    assert found
    return found[1]


def given(client: Client, ticket: Ticket, to: str = "jo@example.org") -> mail.EmailMessage:
    """The ticket, sent to `to`; the mail that went out."""
    assert client.post(address(ticket, "send"), {"email": to, "name": "Jo"}).status_code == 302
    mail.outbox.clear()
    tell_new_holder(ticket_id=ticket.pk)
    (sent,) = mail.outbox
    return sent


def test_the_pdf_says_all_and_its_code_is_read(client: Client, ticket: Ticket) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(holder=EUROPE)

    answer = client.get(f"/tickets/{ticket.code}.pdf")

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
    assert answer["Cache-Control"] == "private, no-store"
    (text,) = pages_of(answer.content)
    for words in ("Jazz", "Am Wall 3", EUROPE, "free", ticket.code[:4], ticket.order.code[:8] if ticket.order else ""):
        assert words.lower() in text.lower(), words
    assert codes_of(answer.content) == [ticket.code]


@pytest.mark.parametrize("words", ["日本語", "\U0001f3b7", "a\x00b\x1b[1m", "\u202eevil", "x" * 4000, "e\u0301"])
def test_any_text_makes_a_pdf(ticket: Ticket, words: str) -> None:
    ticket.entry.title = ticket.holder = words

    assert tickets_pdf([ticket])[:5] == b"%PDF-"


@pytest.mark.parametrize("lines", range(0, 60, 6))
def test_the_code_stands_with_its_letters_and_words_however_much_is_above(ticket: Ticket, lines: int) -> None:
    ticket.entry.title = "Donaudampfschifffahrtsgesellschaftskapitän" * 3
    ticket.entry.place = "https://kulturverein-am-wall.example.org/programm/herbst2026" * 3
    ticket.entry.summary = "\n".join(f"Line {number}" for number in range(lines))

    content = tickets_pdf([ticket])

    *above, last = pages_of(content)
    assert codes_in_png(content_of_page(content, -1)) == [ticket.code]
    for words in (
        grouped(ticket.code),
        "It lets one person in, once.",
        f"Order {ticket.order.short_code}" if ticket.order else "",
    ):
        assert words in last
    assert ticket.entry.title[:20] in (above or [last])[0]


def content_of_page(content: bytes, number: int) -> bytes:
    """A page as a PNG."""
    written = io.BytesIO()
    pictures_of(content)[number].save(written, "PNG")
    return written.getvalue()


def test_every_letter_of_europe_is_in_the_fonts() -> None:
    paper = Paper("")
    for font in paper.fonts.values():
        assert isinstance(font, TTFFont)
        assert not [letter for letter in EUROPE if ord(letter) not in font.cmap]
    paper.content()


def test_the_calendar_file_has_the_event_once(client: Client, ticket: Ticket) -> None:
    answer = client.get(f"/tickets/{ticket.code}.ics")

    (event,) = Calendar.from_ical(answer.content).walk("VEVENT")
    assert (event["SUMMARY"], event["LOCATION"], event["STATUS"]) == ("Jazz", "Am Wall 3", "CONFIRMED")
    assert event.decoded("DTSTART") == ticket.entry.starts_at.replace(microsecond=0)
    assert event["UID"] == f"entry-{ticket.entry_id}@testserver"


@pytest.mark.parametrize("end", [".pdf", ".ics", "/holder/", "/send/"])
def test_nothing_of_another_s_ticket_is_found(client: Client, ticket: Ticket, end: str) -> None:
    method = client.post if end.endswith("/") else client.get
    client.logout()
    assert method(f"/tickets/{ticket.code}{end}").status_code == 302
    client.force_login(UserFactory.create())
    assert method(f"/tickets/{ticket.code}{end}", {"email": "a@example.org"}).status_code == 404
    assert fresh(ticket).sent_to == ""


@pytest.mark.parametrize("end", ["holder", "send"])
def test_changes_are_posts(client: Client, ticket: Ticket, end: str) -> None:
    assert client.get(address(ticket, end), {"email": "a@example.org", "holder": "A"}).status_code == 302
    assert client.put(address(ticket, end)).status_code == 405
    assert (fresh(ticket).sent_to, fresh(ticket).holder) == ("", "")


def test_feeds_tell_public_events_and_keep_cancelled_ones(client: Client) -> None:
    shown = EventFactory.create(title="Shown; with, signs\\")
    EventFactory.create(title="Draft", is_published=False)
    off = EventFactory.create(title="Off", calendar=shown.calendar)
    call_off_event(off)

    for feed in ("/feeds/events.ics", f"/p/{shown.calendar.page.slug}/events.ics"):
        events = Calendar.from_ical(client.get(feed).content).walk("VEVENT")
        told = {str(event["SUMMARY"]): str(event["STATUS"]) for event in events}
        assert told == {"Shown; with, signs\\": "CONFIRMED", "Off": "CANCELLED"}
    assert client.get("/p/none/events.ics").status_code == 404


def test_a_name_is_put_on_and_taken_off(client: Client, ticket: Ticket) -> None:
    client.post(address(ticket, "holder"), {"holder": "  <b>Łucja</b> "})
    assert fresh(ticket).holder == "<b>Łucja</b>"
    page = client.get(ticket.get_absolute_url()).content.decode()
    assert "<b>Łucja" not in page
    assert "&lt;b&gt;Łucja" in page

    client.post(address(ticket, "holder"), {"holder": ""})
    assert fresh(ticket).holder == ""


@pytest.mark.parametrize("name", ["a\nb", "a\r\nBcc: x@example.org", "\u202eevil", "x" * 121])
def test_a_bad_name_is_refused(client: Client, ticket: Ticket, name: str) -> None:
    assert client.post(address(ticket, "holder"), {"holder": name}).status_code == 422
    assert client.post(address(ticket, "send"), {"email": "jo@example.org", "name": name}).status_code == 422
    assert (fresh(ticket).holder, fresh(ticket).code) == ("", ticket.code)


@pytest.mark.parametrize("email", ["", "jo", "jo@", "jo@example.org\nBcc: x@example.org", "a@b.c, d@e.f"])
def test_a_bad_address_is_refused(client: Client, ticket: Ticket, email: str) -> None:
    assert client.post(address(ticket, "send"), {"email": email}).status_code == 422
    assert fresh(ticket).code == ticket.code


def test_a_sent_ticket_has_a_new_code_that_its_buyer_does_not_see(client: Client, ticket: Ticket) -> None:
    sent = given(client, ticket)
    now = fresh(ticket)

    assert (now.code != ticket.code, now.sent_to, now.holder, now.state) == (True, "jo@example.org", "Jo", "confirmed")
    assert sent.to == ["jo@example.org"]
    assert now.code in str(sent.body)
    assert [name for name, _content, _kind in sent.attachments] == ["ticket.pdf", "event.ics"]
    for code in (ticket.code, now.code):
        for end in ("/", ".pdf", ".ics"):
            assert client.get(f"/tickets/{code}{end}").status_code == 404
    assert now.order is not None
    page = client.get(now.order.get_absolute_url()).content.decode()
    assert now.code not in page
    assert "j…@example.org" in page
    (row,) = History.objects.filter(subject="ticket", subject_id=ticket.pk, field="sent_at")
    assert row.actor == f"user:{ticket.user_id}"
    assert now.code not in (row.new or "") + (row.old or "")


def test_the_receiver_opens_it_by_the_link(client: Client, ticket: Ticket) -> None:
    link = link_in(given(client, ticket))
    stranger = Client()

    page = stranger.get(link)
    assert page["Referrer-Policy"] == "no-referrer"
    assert page["Cache-Control"] == "private, no-store"
    assert "<svg" in page.content.decode()
    assert codes_of(stranger.get(link.rstrip("/") + ".pdf").content) == [fresh(ticket).code]
    for forged in (link[:-9] + "AAAAAAAA/", "/tickets/link/x/", "/tickets/link/eyJ9/"):
        assert stranger.get(forged).status_code == 404


def test_the_receiver_with_an_account_has_it_under_my_tickets(client: Client, ticket: Ticket) -> None:
    given(client, ticket)
    client.force_login(UserFactory.create(email="Jo@example.org"))

    assert "Jazz" in client.get("/tickets/").content.decode()
    assert client.get(fresh(ticket).get_absolute_url()).status_code == 200


def test_sent_on_again_the_first_link_dies(client: Client, ticket: Ticket) -> None:
    first = link_in(given(client, ticket))
    client.force_login(UserFactory.create(email="jo@example.org"))

    second = link_in(given(client, fresh(ticket), to="kim@example.org"))

    assert Client().get(first).status_code == 404
    assert Client().get(second).status_code == 200


def test_a_second_click_sends_once(client: Client, ticket: Ticket) -> None:
    given(client, ticket)
    code = fresh(ticket).code

    assert client.post(address(ticket, "send"), {"email": "eve@example.org"}).status_code == 404
    assert (fresh(ticket).code, fresh(ticket).sent_to) == (code, "jo@example.org")


@pytest.mark.parametrize("why", ["checked in", "over"])
def test_a_ticket_that_is_used_or_over_is_neither_renamed_nor_sent(client: Client, ticket: Ticket, why: str) -> None:
    now = timezone.now()
    if why == "checked in":
        mark_checked_in([ticket.pk], at=now)
    else:
        past = now - timedelta(hours=1)
        CalendarEntry.objects.filter(pk=ticket.entry_id).update(starts_at=past - timedelta(hours=1), ends_at=past)

    client.post(address(ticket, "holder"), {"holder": "Eve"})
    client.post(address(ticket, "send"), {"email": "eve@example.org"})

    assert (fresh(ticket).code, fresh(ticket).holder) == (ticket.code, "")
    assert "Send this ticket" not in client.get(ticket.get_absolute_url()).content.decode()


def test_a_title_with_a_line_break_makes_no_header(client: Client, ticket: Ticket) -> None:
    CalendarEntry.objects.filter(pk=ticket.entry_id).update(title="Jazz\r\nBcc: x@example.org")

    assert given(client, ticket).subject == "A ticket for you: Jazz Bcc: x@example.org"


@pytest.mark.promise("link-mail-ends")
def test_the_link_ends_thirty_days_after_the_event(client: Client, ticket: Ticket) -> None:
    link = link_in(given(client, ticket))
    ends, stranger = ticket.entry.ends_at + timedelta(days=30), Client()
    for address_ in (link, link.rstrip("/") + ".pdf"):
        with time_machine.travel(ends - timedelta(minutes=1), tick=False):
            assert stranger.get(address_).status_code == 200
        with time_machine.travel(ends + timedelta(minutes=1), tick=False):
            page = stranger.get(address_)
            assert page.status_code == 410
            assert 'href="/accounts/login/?next=%2Ftickets%2F"' in page.content.decode()
            assert not [secret for secret in (fresh(ticket).code, "Jazz") if secret in page.content.decode()]
