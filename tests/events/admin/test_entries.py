"""Events, ticket types and tickets in the admin: what the lists show, what the forms take and write."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from events.admin import EntryAdmin
from events.models import CalendarEntry, Page, PageMember, Role, Ticket, TicketType
from events.transitions import publish, unpublish
from ledger.arrows import IllegalTransition
from ledger.models import History
from tests.desk import House, change, member, ordered, question_at, sent, signed_in_as
from tests.factories import CalendarFactory, EventFactory, PageFactory, TicketTypeFactory, UserFactory

pytestmark = pytest.mark.django_db

ENTRIES = "/admin/events/calendarentry/"


def test_index_names_the_desks_an_organiser_has(organiser: Client) -> None:
    text = organiser.get("/admin/").content.decode()
    assert "Foyer box office" in text
    for name in ("Pages", "Calendars", "Events", "Ticket types", "Tickets", "Orders", "Checkouts", "Money to decide"):
        assert f">{name}</a>" in text, name
    for name in ("Merchants", "Users", "Procrastinate jobs", "Groups"):
        assert f">{name}</a>" not in text, name


def test_list_tells_sold_held_capacity_and_free(organiser: Client, home: House) -> None:
    assert home.page.merchant
    ordered({home.ticket_type: 3}, UserFactory.create(), home.page.merchant)  # reserved: held, not sold
    text = organiser.get(ENTRIES).content.decode()
    cells = {
        name: re.search(rf'class="field-{name}[^"]*">([^<]*)<', text) for name in ("sold", "held_now", "places", "free")
    }
    assert {name: cell and cell[1] for name, cell in cells.items()} == {
        "sold": "2", "held_now": "5", "places": "10", "free": "5",
    }  # fmt: skip


def test_list_is_filtered_by_time_state_and_calendar(organiser: Client, home: House) -> None:
    calendar = home.entry.calendar
    past = EventFactory.create(calendar=calendar, title="Long ago", starts_at=timezone.now() - timedelta(days=9))
    draft = EventFactory.create(calendar=CalendarFactory.create(page=home.page, name="Yard"), title="Maybe", draft=True)

    def found(**query: str | int) -> set[CalendarEntry]:
        answer = organiser.get(ENTRIES, query)
        return set(answer.context["cl"].queryset)

    assert found(when="coming") == {home.entry, draft}
    assert found(when="past") == {past}
    assert found(state="draft") == {draft}
    assert found(calendar__id__exact=calendar.pk) == {home.entry, past}
    assert found(calendar__page__id__exact=home.page.pk) == {home.entry, past, draft}
    assert found(q="ago") == {past}


def test_new_event_is_a_draft_in_the_pages_currency_and_on_its_clock(organiser: Client, home: House) -> None:
    Page.objects.filter(pk=home.page.pk).update(currency="CHF", time_zone="America/New_York")
    data = sent(organiser, f"{ENTRIES}add/", title="Late", starts_at="2027-07-01T20:00", ends_at="2027-07-01T23:30")
    answer = organiser.post(
        f"{ENTRIES}add/", {**data, "state": "confirmed", "currency": "EUR", "kind": "booking", "held": "9"}
    )
    entry = CalendarEntry.objects.get(title="Late")
    assert answer["Location"] == change(entry)
    assert (entry.state, entry.kind, entry.currency, entry.held) == ("draft", "event", "CHF", 0)
    assert entry.starts_at == datetime(2027, 7, 2, 0, 0, tzinfo=UTC)
    page = organiser.get(change(entry)).content.decode()
    assert 'value="2027-07-01T20:00"' in page
    assert "Time in America/New_York" in page
    assert "Thu 1 Jul 2027, 20:00" in organiser.get(ENTRIES).content.decode()


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        ("2027-03-28T02:30", "02:30 does not exist on 28 Mar 2027 in Europe/Berlin: the clocks go forward over it."),
        ("2027-10-31T02:30", "02:30 comes twice on 31 Oct 2027 in Europe/Berlin: the clocks go back then."),
        ("yesterday", "Enter a date and a time"),
        ("2027-10-31T02:30+02:00", "Enter a date and a time"),
        ("9999-12-31T23:59", "Enter a date and a time"),
    ],
)
def test_time_that_no_clock_shows_once_is_refused_in_clear_words(
    organiser: Client, home: House, clock: str, words: str
) -> None:
    answer = organiser.post(change(home.entry), sent(organiser, change(home.entry), starts_at=clock))
    assert answer.status_code == 200
    assert words in answer.context["adminform"].form.errors["starts_at"][0]


def test_read_only_times_are_told_on_the_pages_clock(home: House) -> None:
    CalendarEntry.objects.filter(pk=home.entry.pk).update(
        starts_at=datetime(2027, 7, 1, 18, 0, tzinfo=UTC), ends_at=datetime(2027, 7, 1, 21, 0, tzinfo=UTC)
    )
    page = signed_in_as(member((home.page, Role.BOX_OFFICE))).get(change(home.entry)).content.decode()
    assert "July 1, 2027, 8 p.m." in page


def test_event_saved_unchanged_writes_nothing(organiser: Client, home: House) -> None:
    organiser.post(change(home.entry), sent(organiser, change(home.entry)))
    assert LogEntry.objects.get().get_change_message() == "No fields changed."


def test_ticket_sold_while_the_form_is_open_survives_the_save(organiser: Client, home: House) -> None:
    data = sent(organiser, change(home.entry), title="Alpha later", capacity=20)
    assert home.page.merchant
    ordered({home.ticket_type: 4}, UserFactory.create(), home.page.merchant)
    assert organiser.post(change(home.entry), data).status_code == 302
    home.entry.refresh_from_db()
    assert (home.entry.title, home.entry.capacity, home.entry.held) == ("Alpha later", 20, 6)
    home.ticket_type.refresh_from_db()
    assert home.ticket_type.held == 6


def test_save_writes_changed_columns_only(organiser: Client, home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rival sells at the last moment, between the form's checks and its write."""
    data = sent(organiser, change(home.entry), title="Alpha later")
    save = EntryAdmin.save_model

    def rival_first(desk: EntryAdmin, request: Any, obj: CalendarEntry, form: Any, changing: bool) -> None:
        assert home.page.merchant
        ordered({home.ticket_type: 4}, UserFactory.create(), home.page.merchant)
        save(desk, request, obj, form, changing)

    monkeypatch.setattr(EntryAdmin, "save_model", rival_first)
    assert organiser.post(change(home.entry), data).status_code == 302
    home.entry.refresh_from_db()
    assert (home.entry.title, home.entry.held) == ("Alpha later", 6)


def test_capacity_below_held_is_refused_with_the_number(organiser: Client, home: House) -> None:
    answer = organiser.post(change(home.entry), sent(organiser, change(home.entry), capacity=1))
    words = "2 tickets are held: the capacity cannot be lower than that."
    assert answer.context["adminform"].form.errors["capacity"] == [words]
    answer = organiser.post(change(home.ticket_type), sent(organiser, change(home.ticket_type), capacity=1))
    assert answer.context["adminform"].form.errors["capacity"] == [words]
    inline = {"ticket_types-0-capacity": 1}
    answer = organiser.post(change(home.entry), sent(organiser, change(home.entry), **inline))
    assert words in answer.content.decode()
    assert organiser.post(change(home.entry), sent(organiser, change(home.entry), capacity=2)).status_code == 302


def test_history_names_who_changed_price_and_capacity(organiser: Client, home: House) -> None:
    data = sent(organiser, change(home.entry), ticket_price="15.00", capacity="", **{"ticket_types-0-price": "9.50"})
    assert organiser.post(change(home.entry), data).status_code == 302
    user = PageMember.objects.get().user
    rows = History.objects.filter(field__in=["ticket_price", "capacity", "price"])
    assert set(rows.values_list("subject", "field", "old", "new", "actor", "reason")) == {
        ("calendarentry", "ticket_price", "12.00", "15.00", f"user:{user.pk}", "changed in the admin"),
        ("calendarentry", "capacity", "10", None, f"user:{user.pk}", "changed in the admin"),
        ("tickettype", "price", "12.00", "9.50", f"user:{user.pk}", "changed in the admin"),
    }
    text = organiser.get(change(home.entry)).content.decode()
    assert "Ticket type Alpha seat: price from 12.00 to 9.50." in text
    assert user.email in text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("ends_at", "2020-01-01T10:00", "An event ends after it starts."),
        ("ticket_price", "-1", "A price is never below zero."),
        ("max_per_order", "0", "At least one."),
        ("sale_ends_at", "2020-01-01T10:00", "The sale ends after it starts."),
    ],
)
def test_event_form_says_what_is_wrong(organiser: Client, home: House, field: str, value: str, words: str) -> None:
    data = sent(organiser, change(home.entry), sale_starts_at="2021-01-01T10:00")
    answer = organiser.post(change(home.entry), {**data, field: value})
    assert answer.context["adminform"].form.errors[field] == [words]


def test_price_keeps_to_the_coins_of_its_currency(organiser: Client, home: House) -> None:
    CalendarEntry.objects.filter(pk=home.entry.pk).update(currency="CLP")
    answer = organiser.post(change(home.entry), sent(organiser, change(home.entry), ticket_price="10.50"))
    assert answer.context["adminform"].form.errors["ticket_price"] == ["CLP has no such small coins."]


def test_ticket_type_is_added_on_the_events_page_and_deleted_while_unsold(organiser: Client, home: House) -> None:
    data = sent(organiser, change(home.entry))
    new = {"ticket_types-TOTAL_FORMS": "2", "ticket_types-1-name": "Child", "ticket_types-1-price": "5",
           "ticket_types-1-min_per_order": "1", "ticket_types-1-max_per_order": "4", "ticket_types-1-position": "1",
           "ticket_types-1-entry": str(home.entry.pk), "ticket_types-1-sale_ends_at": "2027-01-01T12:00"}  # fmt: skip
    assert organiser.post(change(home.entry), {**data, **new}).status_code == 302
    child = TicketType.objects.get(name="Child")
    assert child.price == Decimal(5)
    assert child.sale_ends_at == datetime(2027, 1, 1, 11, 0, tzinfo=UTC)
    gone = sent(organiser, change(home.entry), **{"ticket_types-1-DELETE": "on"})
    assert organiser.post(change(home.entry), gone).status_code == 302
    assert not TicketType.objects.filter(pk=child.pk).exists()
    kept = sent(organiser, change(home.entry), **{"ticket_types-0-DELETE": "on"})
    assert organiser.post(change(home.entry), kept).status_code == 200
    assert TicketType.objects.filter(pk=home.ticket_type.pk).exists()


def test_draft_is_published_and_sent_back_signed_by_its_organiser(organiser: Client, home: House) -> None:
    entry = EventFactory.create(calendar=home.entry.calendar, draft=True)
    assert "Publish" in organiser.get(change(entry)).content.decode()
    assert "Visitors will see this event" in organiser.get(change(entry, "move/publish/")).content.decode()
    entry.refresh_from_db()
    assert entry.state == "draft"  # looking moves nothing
    organiser.post(change(entry, "move/publish/"))
    entry.refresh_from_db()
    assert entry.state == "confirmed"
    Ticket.objects.create(entry=entry, user=UserFactory.create(), price=12, currency="EUR")  # in a cart: no obstacle
    organiser.post(change(entry, "move/back-to-draft/"))
    entry.refresh_from_db()
    assert entry.state == "draft"
    user = PageMember.objects.get().user
    assert set(History.objects.of(entry).filter(actor=f"user:{user.pk}").values_list("new", flat=True)) == {
        "draft",
        "confirmed",
    }


def test_event_with_orders_stays_published(organiser: Client, home: House) -> None:
    answer = organiser.post(change(home.entry, "move/back-to-draft/"), follow=True)
    assert "tickets of it were ordered" in answer.content.decode()
    home.entry.refresh_from_db()
    assert home.entry.state == "confirmed"
    with pytest.raises(IllegalTransition):
        unpublish(home.entry)


def test_unsold_event_is_called_off(organiser: Client, home: House) -> None:
    entry = EventFactory.create(calendar=home.entry.calendar)
    organiser.post(change(entry, "move/call-off/"), {"money": "back", "reason": "The singer is ill."})
    entry.refresh_from_db()
    assert entry.state == "cancelled"
    assert organiser.post(change(entry, "move/publish/"), follow=True).status_code == 200
    entry.refresh_from_db()
    assert entry.state == "cancelled"
    assert organiser.get(change(entry, "move/nonsense/")).status_code == 404


def test_draft_is_deleted_with_its_types_and_what_carts_hold(organiser: Client, home: House) -> None:
    entry = EventFactory.create(calendar=home.entry.calendar, draft=True)
    kind = TicketTypeFactory.create(entry=entry)
    Ticket.objects.create(entry=entry, ticket_type=kind, user=UserFactory.create(), price=12, currency="EUR")
    assert organiser.post(change(entry, "delete/"), {"post": "yes"}).status_code == 302
    assert not CalendarEntry.objects.filter(pk=entry.pk).exists()
    assert organiser.post(change(home.entry, "delete/"), {"post": "yes"}).status_code == 403


def test_event_moves_between_the_calendars_of_its_page_only(organiser: Client, home: House) -> None:
    yard = CalendarFactory.create(page=home.page, name="Yard")
    other = CalendarFactory.create(page=PageFactory.create(name="Second"))
    PageMember.objects.create(page=other.page, user=PageMember.objects.get().user, role=Role.ORGANISER)
    for calendar, status in ((other, 200), (yard, 302)):
        data = sent(organiser, change(home.entry), calendar=calendar.pk)
        assert organiser.post(change(home.entry), data).status_code == status
    home.entry.refresh_from_db()
    assert home.entry.calendar == yard


@pytest.mark.parametrize("spelling", ["{code}", "{lower}", "{apart}", " {short} "])
def test_ticket_is_found_by_its_code_however_typed(organiser: Client, home: House, spelling: str) -> None:
    code = home.ticket.code
    apart = " ".join(code[at : at + 4] for at in range(0, len(code), 4)).lower()
    term = spelling.format(code=code, lower=code.lower(), apart=apart, short=code[:8])
    assert list(organiser.get("/admin/events/ticket/", {"q": term}).context["cl"].queryset) == [home.ticket]


def test_ticket_is_found_by_order_buyer_and_event(organiser: Client, home: House) -> None:
    for term in (home.order.code, home.order.code[:8].lower(), "alpha-buyer@", "Alpha night"):
        assert len(organiser.get("/admin/events/ticket/", {"q": term}).context["cl"].queryset) == 2, term
    assert not organiser.get("/admin/events/ticket/", {"q": "nobody@example.org"}).context["cl"].queryset


def test_ticket_page_is_read_only_with_its_history_and_links(organiser: Client, home: House) -> None:
    page = organiser.get(change(home.ticket)).content.decode()
    assert change(home.order) in page
    assert change(home.entry) in page
    assert f"Ticket {home.ticket.code} is valid." in page
    assert 'name="_save"' not in page
    assert organiser.post(change(home.ticket), {"state": "refunded"}).status_code == 403
    assert organiser.get("/admin/events/ticket/add/").status_code == 403
    assert organiser.post(change(home.ticket, "delete/"), {"post": "yes"}).status_code == 403


def test_door_sees_a_ticket_without_a_way_to_its_order(home: House) -> None:
    page = signed_in_as(member((home.page, Role.DOOR))).get(change(home.ticket)).content.decode()
    assert change(home.order) not in page
    assert home.order.short_code in page


@pytest.mark.parametrize("count", [1, 3])
def test_event_page_asks_as_often_whatever_its_types(
    organiser: Client, home: House, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _each in range(count - 1):
        TicketTypeFactory.create(entry=home.entry)
    organiser.get(change(home.entry))
    with django_assert_num_queries(13):
        organiser.get(change(home.entry))


def test_unpublish_moves_a_draft_no_further() -> None:
    entry = EventFactory.create(draft=True)
    assert unpublish(entry) == 0  # a replay is quiet
    assert publish(entry) == 1
    Ticket.objects.create(entry=entry, user=UserFactory.create(), price=12, currency="EUR")
    assert unpublish(entry) == 1


@pytest.mark.parametrize(("price", "warns"), [("12.00", True), ("0.00", False)])
def test_publishing_what_nobody_can_pay_for_says_so_and_why(
    organiser: Client, home: House, price: str, warns: bool
) -> None:
    Page.objects.filter(pk=home.page.pk).update(merchant=None)
    entry = EventFactory.create(calendar=home.entry.calendar, draft=True, ticket_price=price)
    words = "none that costs something can be sold: There is no merchant for this page, and none of the site"

    asked = organiser.get(change(entry, "move/publish/")).content.decode()
    listed = question_at(
        organiser, "/admin/events/calendarentry/", {"action": "publish_all", "_selected_action": entry.pk}
    )

    assert (words in asked) is warns
    assert any(words in sentence and entry.title in sentence for sentence in listed.words) is warns
    TicketTypeFactory.create(entry=entry, price=5)
    assert words in organiser.get(change(entry, "move/publish/")).content.decode()
