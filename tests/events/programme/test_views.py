"""The public pages over HTTP: who sees what, at which address, with how many queries."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from events.transitions import call_off_event
from tests.factories import CalendarFactory, EventFactory, PageFactory, RoomFactory, TicketTypeFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]


def text_of(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return response.content.decode()


@pytest.mark.parametrize(
    ("address", "queries"),
    [("/", 4), ("/?view=month", 3), ("/?view=week", 3), ("/?past=1", 3), ("/p/house/", 5), ("/p/house/stage/", 3)],
)
def test_lists_ask_as_often_for_three_events_as_for_one(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries, address: str, queries: int
) -> None:
    calendar = CalendarFactory.create(page__slug="house", slug="stage")
    soon = timezone.now() + timedelta(minutes=10)
    for title in ("One", "Two", "Three"):
        start = soon - timedelta(days=1) if "past" in address else soon
        TicketTypeFactory.create(entry=EventFactory.create(title=title, calendar=calendar, starts_at=start))
        if title in {"One", "Three"}:
            with django_assert_num_queries(queries):
                body = text_of(client, address)
            assert f">{title}<" in body


def test_front_page_names_the_organisers_and_their_rooms(client: Client) -> None:
    room = RoomFactory.create(page__name="Kulturhof", page__slug="hof", name="Studio", slug="studio")
    CalendarFactory.create(page=room.page, name="Stage", slug="stage")
    PageFactory.create(name="Secret", is_published=False)

    body = text_of(client, "/")
    assert ("Kulturhof" in body, "Book: Studio" in body, 'href="/p/hof/studio/"' in body) == (True, True, True)
    assert ("Secret" in body, "Stage" in body) == (False, False)
    for address in ("/?q=Kulturhof", "/?view=week", "/?past=1", "/?page=2"):
        assert ("Book: Studio" in text_of(client, address)) is (address == "/?page=2")  # there is one page


@pytest.mark.parametrize(
    "address", ["/", "/?view=month", "/?view=week", "/p/house/", "/p/house/stage/", "/p/house/?past=1"]
)
def test_lists_say_so_when_nothing_is_on(client: Client, address: str) -> None:
    CalendarFactory.create(page__slug="house", slug="stage")

    body = text_of(client, address)

    assert "Nothing is planned" in body or "Nothing more is planned" in body or "No past events" in body


@pytest.mark.parametrize("address", ["/", "/p/house/", "/p/house/stage/"])
def test_lists_show_dates_in_the_page_s_time_zone(client: Client, address: str) -> None:
    calendar = CalendarFactory.create(page__slug="house", page__time_zone="Asia/Tokyo", slug="stage")
    EventFactory.create(calendar=calendar, starts_at=datetime(2190, 12, 31, 20, 30, tzinfo=UTC))

    body = text_of(client, address)

    assert 'datetime="2191-01-01T05:30:00+09:00"' in body
    assert "<b>1</b><span>Jan</span>" in body


def test_index_search_finds_by_title_and_says_how_many(client: Client) -> None:
    EventFactory.create(title="Jazz night")
    EventFactory.create(title="Puppets")

    body = text_of(client, "/?q=jazz")

    assert "Jazz night" in body
    assert "Puppets" not in body
    assert "One event matches “jazz”" in body
    assert "Nothing matches" in text_of(client, "/?q=opera")


def test_index_search_shows_what_was_typed_as_text(client: Client) -> None:
    body = text_of(client, "/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")

    assert "<script>alert" not in body
    assert "&lt;script&gt;alert" in body


@pytest.mark.parametrize(
    "query", ["view=x", "date=x", "date=9999-12-31", "page=x", "page=99", "view=month&date=2199-12-31"]
)
def test_index_survives_addresses_that_make_no_sense(client: Client, query: str) -> None:
    EventFactory.create(title="Jazz night")

    assert "What's on" in text_of(client, f"/?{query}").replace("&#x27;", "'")


@pytest.mark.parametrize(("search", "total"), [("", ""), ("q=number&", " of 2")])
def test_index_has_thirty_events_a_page(client: Client, search: str, total: str) -> None:
    """They are counted in a search only."""
    calendar = CalendarFactory.create()
    for n in range(31):
        EventFactory.create(calendar=calendar, title=f"Number {n}", starts_at=timezone.now() + timedelta(days=1 + n))

    first, second = text_of(client, f"/?{search}page=1"), text_of(client, f"/?{search}page=2")

    assert first.count('class="event-card"') == 30
    assert f"<span>Page 1{total}</span>" in first
    assert f"?{search.replace('&', '&amp;')}page=2" in first
    assert second.count('class="event-card"') == 1
    assert f"<span>Page 2{total}</span>" in second
    assert 'rel="next"' not in second
    assert "Number 30" in second


def test_month_keeps_the_search_when_it_leads_on(client: Client) -> None:
    body = text_of(client, "/?q=jazz&view=month&date=2190-05-20")

    assert "May 2190" in body
    assert "?q=jazz&amp;view=month&amp;date=2190-06-01" in body
    assert "?q=jazz&amp;view=month&amp;date=2190-04-30" in body


@pytest.mark.parametrize("address", ["/", "/p/house/", "/p/house/stage/"])
def test_lists_are_read_only(client: Client, address: str) -> None:
    CalendarFactory.create(page__slug="house", slug="stage")

    assert client.post(address).status_code == 405


def test_page_shows_its_own_calendars_and_events_and_past_ones_behind_a_link(client: Client) -> None:
    calendar = CalendarFactory.create(page__slug="house", page__text="We play.", name="Big stage")
    EventFactory.create(calendar=calendar, title="To come")
    EventFactory.create(calendar=calendar, title="Long gone", starts_at=timezone.now() - timedelta(days=3))
    EventFactory.create(title="Elsewhere")

    body = text_of(client, "/p/house/")
    assert "We play." in body
    assert "Big stage" in body
    assert "To come" in body
    assert "Long gone" not in body
    assert "Elsewhere" not in body
    assert 'href="/p/house/?past=1"' in body
    assert "Long gone" in text_of(client, "/p/house/?past=1")


def test_calendar_shows_its_own_events(client: Client) -> None:
    calendar = CalendarFactory.create(page__slug="house", slug="stage")
    EventFactory.create(calendar=calendar, title="On stage")
    EventFactory.create(calendar=CalendarFactory.create(page=calendar.page), title="In the bar")

    body = text_of(client, "/p/house/stage/")

    assert "On stage" in body
    assert "In the bar" not in body


def test_page_and_calendar_of_an_unpublished_page_are_not_found(client: Client) -> None:
    CalendarFactory.create(page__slug="house", page__is_published=False, slug="stage")
    PageFactory.create(slug="other")

    for address in ("/p/house/", "/p/house/stage/", "/p/other/stage/", "/p/nobody/"):
        text_of(client, address, 404)


def test_entry_is_shown_at_its_own_address_only(client: Client) -> None:
    entry = EventFactory.create(title="Jazz night")

    assert f"/e/{entry.pk}-jazz-night/" == entry.get_absolute_url()
    assert "Jazz night" in text_of(client, entry.get_absolute_url())
    moved = client.get(f"/e/{entry.pk}-old-title/")
    assert (moved.status_code, moved["Location"]) == (301, entry.get_absolute_url())


@pytest.mark.parametrize("fields", [{"draft": True}, {"is_published": False}, {"calendar__page__is_published": False}])
def test_entry_that_is_not_public_is_not_found(client: Client, fields: dict[str, object]) -> None:
    text_of(client, EventFactory.create(**fields).get_absolute_url(), 404)
    text_of(client, f"/e/{2**80}-x/", 404)


def test_entry_that_is_cancelled_or_past_says_so_and_sells_nothing(client: Client) -> None:
    cancelled = EventFactory.create()
    call_off_event(cancelled)
    over = EventFactory.create(starts_at=timezone.now() - timedelta(days=2))

    for entry, words in ((cancelled, "has been cancelled"), (over, "This event is over")):
        body = text_of(client, entry.get_absolute_url())
        assert words in body
        assert "Sign in to buy" not in body


def test_entry_shows_time_price_and_place(client: Client) -> None:
    entry = EventFactory.create(
        starts_at=datetime(2190, 7, 1, 18, 0, tzinfo=UTC), calendar__page__time_zone="Europe/Berlin", place="River 12"
    )
    TicketTypeFactory.create(entry=entry, name="Adult", price=Decimal("18.50"))

    body = text_of(client, entry.get_absolute_url())

    assert "1 July 2190" in body
    assert "1 July 2190, 20:00–22:00 CEST</time>" in body
    assert "River 12" in body
    assert "€ 18.50" in body


def test_entry_asks_a_visitor_to_sign_in_and_leads_back(client: Client) -> None:
    entry = EventFactory.create(title="Jazz night")

    body = text_of(client, entry.get_absolute_url())

    assert f'href="/accounts/login/?next=/e/{entry.pk}-jazz-night/%23buy"' in body
    assert 'name="quantity-' not in body


def test_entry_offers_a_stepper_for_each_kind_that_can_be_bought(client: Client) -> None:
    client.force_login(UserFactory.create())
    entry = EventFactory.create()
    adult, gone = (
        TicketTypeFactory.create(entry=entry, max_per_order=4),
        TicketTypeFactory.create(entry=entry, capacity=0),
    )

    body = text_of(client, entry.get_absolute_url())

    assert f'name="quantity-{adult.pk}"' in body
    assert 'max="4"' in body
    assert f'name="quantity-{gone.pk}"' not in body
    assert body.count("Sold out") == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"capacity": 0}, "All tickets are taken"),
        ({"sale_starts_at": datetime(2190, 1, 1, tzinfo=UTC)}, "Not on sale yet"),
        ({"sale_ends_at": datetime(2020, 1, 1, tzinfo=UTC)}, "Sales closed"),
        ({"ticket_price": None}, "No tickets are sold here"),
    ],
)
def test_entry_that_cannot_be_bought_says_why_and_has_no_button(
    client: Client, fields: dict[str, object], words: str
) -> None:
    client.force_login(UserFactory.create())

    body = text_of(client, EventFactory.create(**fields).get_absolute_url())

    assert words in body
    assert 'id="buy-button"' not in body


def test_entry_asks_thrice_whatever_it_sells(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    entry = EventFactory.create()
    for count in (1, 3):
        while entry.ticket_types.count() < count:
            TicketTypeFactory.create(entry=entry)
        with django_assert_num_queries(3):  # the event, its types, who takes the money
            text_of(client, entry.get_absolute_url())
