"""What a search finds: however the word is typed, whatever wrote the row, and by an index when there are many."""

import re
import unicodedata
from datetime import UTC, datetime

import pytest
from django.contrib.admin import site
from django.db import connection
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from events.door.letting_in import door_of
from events.models import Calendar, CalendarEntry, Ticket
from events.programme.listing import coming
from events.searching import WORDS, fold, words_of
from events.states import EntryState
from tests.desk import house, signed_in_as
from tests.factories import CalendarFactory, EventFactory, PageFactory, ProductFactory, UserFactory
from tests.ledger.psql import run

NOON = datetime(2026, 12, 9, 12, tzinfo=UTC)
SOON = datetime(2026, 12, 12, 20, tzinfo=UTC)

#: What stands on a page, and what people type who look for it.
TYPED = [
    ("Forró", ["forro", "FORRÓ", "Forro\u0301", "orro"]),
    ("Forro\u0301", ["forro", "Forró"]),
    ("Große Straße", ["strasse", "STRASSE", "straße", "grosse strasse", "STRAẞE"]),
    ("İstanbul", ["istanbul", "ISTANBUL", "İSTANBUL", "ıstanbul"]),
    ("Ἀντιγόνη", ["αντιγόνη", "ΑΝΤΙΓΌΝΗ", "αντιγονη", "ΑΝΤΙΓΟΝΗ"]),
    ("Οδυσσέας", ["οδυσσεασ", "ΟΔΥΣΣΕΑΣ"]),
    ("Łódź Smørrebrød", ["lodz", "smorrebrod", "ŁÓDŹ"]),
    ("Œuvre", ["oeuvre", "œuvre"]),
    ("Rock’n’Roll – live", ["rock'n'roll - live", "ROCK’N’ROLL"]),
    ("Ｊａｚｚ №5 ﬁne", ["jazz", "no5", "fine"]),
    ("Don\u00adau\u200bwellen", ["donauwellen"]),
    ("Ёлка и чай", ["елка", "ЧАИ"]),
    ("100 % Soul_Food \\ live", ["%", "_", "\\", "100 %", "l_f"]),
]
PAIRS = [(title, typed) for title, all_typed in TYPED for typed in all_typed]


def titles(text: str) -> list[str]:
    return list(coming(CalendarEntry.objects.all(), at=NOON, text=text).values_list("title", flat=True))


@pytest.mark.django_db
@pytest.mark.parametrize(("title", "typed"), PAIRS)
@pytest.mark.promise("search-finds-word")
def test_an_event_is_found_however_its_words_are_typed(title: str, typed: str) -> None:
    EventFactory.create(title=title, starts_at=SOON)
    EventFactory.create(title="Puppets", starts_at=SOON)

    assert titles(typed) == [title]


@pytest.mark.django_db
def test_postgresql_folds_every_letter_of_europe_and_its_neighbours_as_python_does() -> None:
    letters = [chr(point) for point in (*range(1, 0x3400), *range(0xA490, 0xAC00), *range(0xF900, 0x10000))]
    letters = [letter for letter in letters if unicodedata.category(letter) not in ("Cn", "Co")]

    with connection.cursor() as cursor:
        cursor.execute("SELECT letter, foyer_fold(letter) FROM unnest(%s::text[]) AS letter", [letters])
        wrong = [letter for letter, folded in cursor.fetchall() if folded != fold(letter)]

    assert not wrong


@given(st.text(st.characters(exclude_categories=["Cs", "Cn"])))
def test_folding_twice_or_taken_apart_makes_no_difference(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert {fold(unicodedata.normalize(form, text)) for form in ("NFC", "NFD", "NFKC", "NFKD")} == {fold(text)}


@pytest.mark.django_db
@pytest.mark.promise("search-finds-word")
def test_what_update_and_psql_and_bulk_create_wrote_is_found() -> None:
    entry = EventFactory.create(title="Untitled", starts_at=SOON)
    CalendarEntry.objects.filter(pk=entry.pk).update(title="Forró")
    assert (titles("forro"), titles("untitled")) == (["Forró"], [])

    run(f"UPDATE events_calendarentry SET place = 'Große Straße' WHERE id = {entry.pk}")
    assert titles("forro strasse") == ["Forró"]

    Calendar.objects.filter(pk=entry.calendar_id).update(name="Çınaraltı")
    assert titles("cinaralti") == ["Forró"]

    entry.pk, entry.title, entry.state = None, "Évora", EntryState.DRAFT
    CalendarEntry.objects.bulk_create([entry])
    assert list(CalendarEntry.objects.matching("evora").values_list("title", flat=True)) == ["Évora"]
    assert titles("strasse") == ["Forró"]


@pytest.mark.django_db
def test_each_word_may_stand_in_another_place() -> None:
    page = PageFactory.create(name="Blåmann Klubb", place="Malmö")
    EventFactory.create(title="Forró", summary="Für Anfänger", calendar__page=page, starts_at=SOON)

    assert titles("forro blamann MALMO anfanger") == ["Forró"]
    assert titles("forro blamann attic") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  \u0301\u0308 \u00ad ", []),
        ("Jazz JAZZ jázz", ["jazz"]),
        (" ".join(f"w{n}" for n in range(40)), [f"w{n}" for n in range(WORDS)]),
    ],
)
def test_so_many_different_words_count(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["\u0301\u0308", "ö" * 10_000, "%%%%", "xyzzy", "\\"])
def test_what_nothing_matches_says_so(client: Client, text: str) -> None:
    EventFactory.create(title="Jazz")
    CalendarFactory.create(is_bookable=True)
    ProductFactory.create()

    body = client.get("/", {"q": text}).content.decode()

    assert "Nothing matches" in body
    assert "Show all events" in body


@pytest.mark.django_db
@pytest.mark.promise("search-finds-word")
def test_three_thousand_events_are_searched_by_an_index() -> None:
    entry = EventFactory.create(title="Forró", place="Große Straße", starts_at=SOON)
    run(
        "INSERT INTO events_calendarentry (calendar_id, kind, state, title, summary, text, place, starts_at, ends_at,"
        " is_published, created_at, held, max_per_order, currency, picture, picture_alt)"
        " SELECT calendar_id, kind, 'draft', 'Night ' || md5(n::text), summary, text, md5('p' || n), starts_at,"
        " ends_at,"
        " is_published, created_at, held, max_per_order, currency, picture, picture_alt"
        f" FROM events_calendarentry, generate_series(1, 3000) AS n WHERE id = {entry.pk}"
    )
    run("UPDATE events_calendarentry SET state = 'confirmed' WHERE state = 'draft'")
    run("ANALYZE events_calendarentry, events_calendar, events_page")  # those of other tests would be reckoned with

    found = coming(CalendarEntry.objects.all(), at=NOON, text="forro strasse")[:30]

    plan = found.explain()
    assert "Bitmap Index Scan on entry_told" in plan
    assert not re.search(
        r"Seq Scan on events_calendarentry.*\n +Filter:.*foyer_fold", plan
    )  # none is folded to be looked at
    assert titles("forro strasse") == ["Forró"]


@pytest.mark.django_db
def test_rooms_and_products_are_found_on_the_front_page_and_their_own(client: Client) -> None:
    here, there = PageFactory.create(name="Çafé"), PageFactory.create(name="Elsewhere")
    CalendarFactory.create(page=here, name="Probenräume", is_bookable=True)
    CalendarFactory.create(page=here, name="Räume ohne Buchung")
    CalendarFactory.create(page=there, name="Räucherei", is_bookable=True)
    CalendarFactory.create(name="Räume im Verborgenen", is_bookable=True, page__is_published=False)
    ProductFactory.create(page=here, name="Räucherkerze")
    ProductFactory.create(page=there, name="Kerze", summary="aus der Räucherei")
    ProductFactory.create(page=here, name="Räumungsverkauf", is_published=False)

    front = client.get("/", {"q": "rau"}).content.decode()
    assert [name in front for name in ("Probenräume", "Räucherei", "Räucherkerze", "Kerze")] == [True] * 4
    assert "No coming event matches" in front
    assert "Nothing matches" not in front
    assert not any(name in front for name in ("ohne Buchung", "im Verborgenen", "Räumungsverkauf"))

    own = client.get(here.get_absolute_url(), {"q": "rau cafe", "view": "week"}).content.decode()
    assert "Probenräume" in own
    assert "Räucherkerze" in own
    assert "Räucherei" not in own


@pytest.mark.django_db
def test_the_box_office_searches_in_the_same_way() -> None:
    chief = signed_in_as(UserFactory.create(is_staff=True, is_superuser=True))
    entry = EventFactory.create(title="Forró", starts_at=SOON)
    EventFactory.create(title="Puppets", starts_at=SOON)

    body = chief.get("/admin/events/calendarentry/", {"q": "forro"}).content.decode()

    assert (f"/{entry.pk}/change/" in body, "Puppets" in body) == (True, False)


#: Columns in which people wrote words.
WORDY = {"name", "title", "summary", "place", "text", "reason", "words", "holder"}


def test_every_search_of_the_admin_folds_what_people_wrote() -> None:
    searched = {name for admin in site._registry.values() for name in admin.search_fields}

    assert {name for name in searched if name.split("__")[-1] in WORDY} == set()
    assert {name.split("__")[-2] for name in searched if name.endswith("__finds")} <= WORDY


@pytest.mark.django_db
@pytest.mark.parametrize(("typed", "found"), [("jose", 1), ("JOSÉ", 1), ("nunez", 1), ("%", 0), ("\u0301", 0)])
def test_the_door_finds_a_name_however_it_is_typed(typed: str, found: int) -> None:
    home = house("Alpha", sold=2)
    Ticket.objects.filter(pk=home.ticket.pk).update(holder="José Núñez")

    assert len(door_of(home.entry).matches(typed)) == found
