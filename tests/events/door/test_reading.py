"""What scanners and people type for a code, on whichever keyboard: read, and never a help for who guesses."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from events.door.letting_in import door_of
from events.door.reading import read_codes
from events.models import CalendarEntry, Ticket
from market.counter.handing_out import counter_of
from market.models import ProductItem
from tests.desk import House, house
from tests.ledger.lives import an_item
from tests.ledger.psql import run

CODE = "AQWZYM234567ABCDEFGHIJKLNO"
TYPED = {
    "address": f"https://foyer.example.org/T/{CODE}",
    "address with a query": f"https://foyer.example.org/T/{CODE}?fbclid=IWAR2ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    "ticket's address with a query": f"https://foyer.example.org/tickets/{CODE}/?utm_source=mail#top",
    "file": f"https://foyer.example.org/tickets/{CODE}.pdf",
    "groups": "aqwz ym23-4567 abcd–efgh·ijkl no",
    "0 for O": "AQWZYM234567ABCDEFGHIJKLN0",
    "1 for I": "AQWZYM234567ABCDEFGH1JKLNO",
    "1 for L": "AQWZYM234567ABCDEFGHIJK1NO",
    "1 for both, and 0": "aqwzym234567abcdefgh1jk1n0",
    "8 for B": "AQWZYM234567A8CDEFGHIJKLNO",
    "US scanner, German computer": "AQWYZM234567ABCDEFGHIJKLNO",
    "its address": "httpsÖ--foyer.example.org-T-AQWYZM234567ABCDEFGHIJKLNO_fbclid´Ix-y",
    "in small letters": "httpsö--fozer.example.org-t-aqwyzm234567abcdefghijklno",
    "US scanner, French computer": "QAZWY?é\"'(-èQBCDEFGHIJKLNO",
    "with small letters": "qazwy,é\"'(-èqbcdefghijklno",
    "with groups": "QAZW Y?é\" '(-è QBCD EFGH IJKL NO",
    "address there": "httpsM!!foyer:exqmple:org!T!QAZWY?é\"'(-èQBCDEFGHIJKLNO§fbclid=IzAR",
    "German scanner, US computer": "https>&&foyer.example.org&T&AQWYZM234567ABCDEFGHIJKLNO_fbclid)x",
    "French scanner, US computer": "QAZWY:@#$%^&QBCDEFGHIJKLNO",
}


@pytest.fixture
def home(db: None) -> House:
    home = house("Alpha", sold=3)
    run(f"UPDATE events_ticket SET code = '{CODE}' WHERE id = {home.ticket.pk}")
    return home


def headline(home: House, typed: str) -> str:
    entry = CalendarEntry.objects.with_page().get(pk=home.entry.pk)
    return door_of(entry).let_in(typed, who="user:1", at=timezone.now()).headline


@pytest.mark.parametrize("typed", TYPED.values(), ids=TYPED)
@pytest.mark.promise("code-typed-scanner")
def test_a_ticket_is_found_whatever_keyboard_typed_its_code(home: House, typed: str) -> None:
    assert headline(home, typed) == "Come in"
    assert headline(home, typed) == "Already in"


@pytest.mark.django_db
@pytest.mark.parametrize("typed", ["QAZWY?é\"'(-èQBCDEFGHIJKLNO", "AQWYZM234567ABCDEFGHIJK1NO"])
def test_a_voucher_is_found_in_the_same_way(typed: str) -> None:
    item = an_item("confirmed")
    run(f"UPDATE market_productitem SET code = '{CODE}' WHERE id = {item.pk}")
    page = ProductItem.objects.with_page().get(pk=item.pk).product.page

    assert counter_of(page).let_in(typed, who="user:1", at=timezone.now()).headline == "Hand it out"


@pytest.mark.promise("code-typed-scanner")
def test_what_may_be_two_tickets_is_none(home: House) -> None:
    other = Ticket.objects.filter(order=home.order).exclude(pk=home.ticket.pk)[0]
    run(f"UPDATE events_ticket SET code = 'AQWZYM234567ABCDEFGHLJKLNO' WHERE id = {other.pk}")

    assert headline(home, "AQWZYM234567ABCDEFGH1JKLNO") == "Not a ticket"
    assert headline(home, CODE) == "Come in"


def test_the_code_as_spelled_goes_before_what_a_keyboard_may_have_made_of_another(home: House) -> None:
    other = Ticket.objects.filter(order=home.order).exclude(pk=home.ticket.pk)[0]
    run(f"UPDATE events_ticket SET code = 'AQWYZM234567ABCDEFGHIJKLNO' WHERE id = {other.pk}")

    assert headline(home, CODE) == "Come in"
    home.ticket.refresh_from_db()
    assert (home.ticket.state, Ticket.objects.get(pk=other.pk).state) == ("checked_in", "confirmed")


@pytest.mark.promise("code-typed-scanner")
def test_another_house_s_ticket_is_found_as_spelled_only(home: House) -> None:
    there = house("Beta")

    assert headline(there, CODE) == "Wrong event"
    for typed in (TYPED["US scanner, French computer"], TYPED["1 for I"]):
        assert headline(there, typed) == "Not a ticket"
    assert headline(home, CODE) == "Come in"


@pytest.mark.parametrize("typed", ["1" * 26, CODE, "IL10" * 6 + "ZY", CODE.replace("I", "1").replace("L", "1")])
def test_few_codes_are_looked_for_in_one_query(
    home: House, typed: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    assert 1 <= len(read_codes(typed)) <= 40
    entry = CalendarEntry.objects.with_page().get(pk=home.entry.pk)

    with django_assert_num_queries(1):
        door_of(entry).let_in(typed, who="user:1", at=timezone.now() - timedelta(days=400))
