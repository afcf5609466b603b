"""The admin's scope, method by method: own rows, own choices, what may be written, and whose name stands under it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import Mock

import pytest
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextInputWidget
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, connection, models, transaction
from django.http import HttpRequest
from django.test import Client, RequestFactory
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from events.models import Calendar, CalendarEntry, Merchant, Page, PageMember, Role, TicketType
from events.scoping import (
    RUN,
    SEE_EVENTS,
    ScopedAdmin,
    ScopedFilter,
    ScopedInline,
    SuperuserAdmin,
    Team,
    choices_for,
    saved_fields,
    team_of,
)
from tests.desk import member, signed_in_as
from tests.factories import CalendarFactory, EventFactory, PageFactory, TicketTypeFactory, UserFactory
from tests.ledger.lives import a_merchant
from tests.ledger.locks import locks

pytestmark = pytest.mark.django_db


class Looking(ScopedAdmin[Calendar]):
    """Nothing of it may be changed."""

    sees = SEE_EVENTS
    edits = RUN
    page_path = "page_id"
    list_select_related = ("page",)


class Editing(Looking):
    def has_change_permission(self, request: HttpRequest, obj: Calendar | None = None) -> bool:
        return self.within(request, self.edits, obj)


class OfTheSite(SuperuserAdmin[Merchant]):
    pass


class Members(ScopedInline[PageMember, Page]):
    model = PageMember
    sees = frozenset({Role.FINANCE})
    edits = frozenset({Role.OWNER})


class Sight(ScopedInline[PageMember, Page]):
    model = PageMember
    sees = frozenset({Role.OWNER})


def asked(user: User | AnonymousUser, method: str = "get") -> HttpRequest:
    request: HttpRequest = getattr(RequestFactory(), method)("/admin/")
    request.user = user
    return request


def boss() -> User:
    return UserFactory.create(is_staff=True, is_superuser=True)


def signature() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('foyer.actor', true), current_setting('foyer.reason', true)")
        who, why = cursor.fetchone()
    return who, why


@dataclass
class Two:
    """Calendars of two pages of which somebody runs the first and stands at the door of the second; and of a third."""

    run: Calendar
    door: Calendar
    foreign: Calendar
    user: User


@pytest.fixture
def two() -> Two:
    run, door, foreign = (CalendarFactory.create() for _ in range(3))
    member((foreign.page, Role.OWNER))
    return Two(run, door, foreign, member((run.page, Role.ORGANISER), (door.page, Role.DOOR)))


# --- Who asks


def test_team_is_read_once_for_who_works_in_the_admin(
    two: Two, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    request = asked(two.user)
    team = Team(False, frozenset({(two.run.page_id, "organiser"), (two.door.page_id, "door")}))

    assert team_of(request) == team
    with django_assert_num_queries(0):
        assert team_of(request) == team


def test_nobody_else_has_a_team(two: Two) -> None:
    nobody = Team(False, frozenset())
    assert team_of(asked(AnonymousUser())) == nobody
    for flags in ({"is_staff": False}, {"is_active": False}, {"is_staff": False, "is_active": False}):
        for is_superuser in (False, True):
            User.objects.filter(pk=two.user.pk).update(
                **{"is_staff": True, "is_active": True, "is_superuser": is_superuser} | flags
            )
            assert team_of(asked(User.objects.get(pk=two.user.pk))) == nobody
    assert team_of(asked(member())) == nobody


def test_superuser_has_no_need_of_roles(two: Two) -> None:
    two.user.is_superuser = True

    assert team_of(asked(two.user)) == Team(True, frozenset())


def test_pages_are_those_of_the_roles() -> None:
    team = Team(False, frozenset({(1, "owner"), (2, "door"), (3, "owner"), (3, "door"), (4, "finance")}))

    assert team.pages({"owner"}) == {1, 3}
    assert team.pages(["door", "finance"]) == {2, 3, 4}
    assert team.pages([]) == set()


# --- What they see


def test_rows_are_seen_and_edited_as_the_role_on_their_page_allows(two: Two) -> None:
    desk, request, all_of_it = Looking(Calendar, admin.site), asked(two.user), asked(boss())

    assert set(desk.get_queryset(request)) == {two.run, two.door}
    assert set(desk.editable(request)) == {two.run}
    assert set(desk.get_queryset(all_of_it)) == set(desk.editable(all_of_it)) == {two.run, two.door, two.foreign}
    assert not desk.get_queryset(asked(member())).exists()
    rows = [two.run, two.door, two.foreign, None]
    assert [desk.within(request, desk.sees, row) for row in rows] == [True, True, False, True]
    assert [desk.within(request, desk.edits, row) for row in rows] == [True, False, False, True]
    assert [desk.within(request, {Role.FINANCE}, row) for row in rows] == [False] * 4
    assert [desk.within(all_of_it, frozenset(), row) for row in rows] == [True] * 4


def test_what_a_row_is_told_with_comes_at_once(two: Two, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    desk, request = Looking(Calendar, admin.site), asked(two.user)
    team_of(request)

    with django_assert_num_queries(1):
        assert {row.page.name for row in desk.get_queryset(request)} == {two.run.page.name, two.door.page.name}


def test_nothing_is_allowed_that_a_desk_does_not_allow_itself(two: Two) -> None:
    desk = Looking(Calendar, admin.site)
    for request in (asked(two.user), asked(boss())):
        assert desk.has_module_permission(request)
        assert desk.has_view_permission(request, two.run)
        assert not desk.has_add_permission(request)
        assert not desk.has_change_permission(request, two.run)
        assert not desk.has_delete_permission(request, two.run)


def test_no_role_opens_what_is_of_the_whole_site(two: Two) -> None:
    merchant, desk = a_merchant(), OfTheSite(Merchant, admin.site)
    for request, open_ in ((asked(two.user), False), (asked(boss()), True)):
        assert list(desk.get_queryset(request)) == ([merchant] if open_ else [])
        assert desk.has_view_permission(request, merchant) is open_
        assert desk.has_add_permission(request) is open_
        assert desk.has_change_permission(request, merchant) is open_
        assert desk.has_delete_permission(request, merchant) is open_
    assert desk.pages_of(merchant) == set()


def test_rows_of_a_parent_are_open_to_their_own_roles(two: Two) -> None:
    home = two.run.page
    owner, seer, other = (asked(member((home, role))) for role in (Role.OWNER, Role.FINANCE, Role.BOX_OFFICE))
    can: dict[str, Callable[..., bool]]
    for inline, request, allowed in [
        (Members, owner, "vacd"), (Members, seer, "v"), (Members, other, ""), (Members, asked(boss()), "vacd"),
        (Sight, owner, "v"), (Sight, seer, ""), (Sight, asked(boss()), "v"),
    ]:  # fmt: skip
        rows = inline(Page, admin.site)
        can = {
            "v": rows.has_view_permission,
            "a": rows.has_add_permission,
            "c": rows.has_change_permission,
            "d": rows.has_delete_permission,
        }
        assert "".join(letter for letter, may in can.items() if may(request, home)) == allowed
        assert [may(request, two.foreign.page) for may in can.values()].count(True) == (
            len(allowed) if request.user.is_superuser else 0
        )


def test_rows_of_a_parent_that_is_not_scoped_are_closed() -> None:
    class OfUsers(ScopedInline[PageMember, User]):
        model = PageMember
        sees = edits = frozenset({Role.OWNER})

    assert not OfUsers(User, admin.site).has_view_permission(asked(boss()), UserFactory.create())


# --- What they choose from


def test_a_form_offers_what_may_be_edited_and_of_other_tables_nothing(two: Two) -> None:
    page, user = Calendar._meta.get_field("page"), PageMember._meta.get_field("user")
    member_, all_of_it, users = asked(two.user), asked(boss()), set(User.objects.all())
    desk, rows = Looking(Calendar, admin.site), Members(Page, admin.site)

    def offered(by: Any, of: Any, request: HttpRequest, **given: Any) -> set[models.Model]:
        field = by.formfield_for_foreignkey(of, request, **given)
        return set(field.queryset)

    for by, field in ((desk, page), (rows, PageMember._meta.get_field("page"))):
        assert offered(by, field, member_) == {two.run.page}
        assert offered(by, field, all_of_it) == set(Page.objects.all())
        assert offered(by, field, member_, queryset=Page.objects.none()) == set()
    assert offered(rows, user, member_) == set()
    assert offered(rows, user, all_of_it) == {*users, all_of_it.user}
    bare = admin.AdminSite()
    assert set(choices_for(bare, page, member_)) == set()
    assert set(choices_for(bare, page, all_of_it)) == set(Page.objects.all())


def test_a_field_in_a_table_says_itself_what_it_is(two: Two) -> None:
    rows, field = Members(Page, admin.site), TicketType._meta.get_field("min_per_order")

    def label(**given: Any) -> str:
        found = rows.formfield_for_dbfield(field, asked(two.user), **given)
        assert found is not None
        return str(found.widget.attrs["aria-label"])

    assert label() == "An order at least"
    assert label(label="so many") == "So many"
    assert label(label="") == "An order at least"
    assert label(widget=AdminTextInputWidget(attrs={"aria-label": "Mine"})) == "Mine"


def test_a_filter_offers_own_rows(two: Two) -> None:
    desk = admin.site.get_model_admin(CalendarEntry)
    field = CalendarEntry._meta.get_field("calendar")

    def offered(user: User) -> list[tuple[str, str]]:
        filter_ = ScopedFilter(field, asked(user), {}, CalendarEntry, desk, "calendar")
        return sorted((key, str(name)) for key, name in filter_.lookup_choices)

    def choices(*calendars: Calendar) -> list[tuple[str, str]]:
        return sorted((str(row.pk), str(row)) for row in calendars)

    assert offered(two.user) == choices(two.run, two.door)
    assert offered(boss()) == choices(two.run, two.door, two.foreign)


# --- What they write


def test_a_row_is_locked_when_its_form_is_saved_by_who_may(two: Two) -> None:
    editing, looking = Editing(Calendar, admin.site), Looking(Calendar, admin.site)
    may = [("events_calendar", (two.run.pk,))]
    for desk, method, row, found, locked in [
        (editing, "post", two.run, two.run, may),
        (editing, "get", two.run, two.run, []),
        (editing, "post", two.door, two.door, []),
        (editing, "post", two.foreign, None, []),
        (looking, "post", two.run, two.run, []),
    ]:
        request = asked(two.user, method)
        with locks() as seen:
            assert desk.get_object(request, str(row.pk)) == found
        assert seen == locked


def test_what_is_written_is_what_the_form_changed_under_its_writer_s_name(two: Two) -> None:
    desk, request, form = Looking(Calendar, admin.site), asked(two.user), Mock()
    row = Calendar.objects.get(pk=two.run.pk)
    Calendar.objects.update(text="Written meanwhile")

    row.name, row.text = "New", "Stale"
    form.changed_data = ["name", "no column"]
    desk.save_model(request, row, form, change=True)

    assert signature() == (f"user:{two.user.pk}", "changed in the admin")
    kept = Calendar.objects.get(pk=row.pk)
    assert (kept.name, kept.text) == ("New", "Written meanwhile")
    row.name = "Newer"
    form.changed_data = ["no column"]
    desk.save_model(request, row, form, change=True)
    assert Calendar.objects.get(pk=row.pk).name == "New"
    assert [Calendar.objects.get(pk=each.pk).name for each in (two.door, two.foreign)] == [
        two.door.name,
        two.foreign.name,
    ]


def test_a_new_row_is_written_whole(two: Two) -> None:
    desk, form = Looking(Calendar, admin.site), Mock(changed_data=["name"])
    row = Calendar(page=two.run.page, name="Cellar", slug="cellar", text="Below")

    desk.save_model(asked(two.user), row, form, change=False)

    assert signature() == (f"user:{two.user.pk}", "made in the admin")
    kept = Calendar.objects.get(slug="cellar")
    assert (kept.page, kept.name, kept.text) == (two.run.page, "Cellar", "Below")


def test_what_is_deleted_is_deleted_under_its_deleter_s_name(two: Two) -> None:
    Looking(Calendar, admin.site).delete_model(asked(two.user), two.run)

    assert signature() == (f"user:{two.user.pk}", "deleted in the admin")
    assert set(Calendar.objects.all()) == {two.door, two.foreign}


def test_of_the_rows_of_a_form_each_is_deleted_changed_or_made() -> None:
    entry = EventFactory.create()
    gone, changed, same = (TicketTypeFactory.create(entry=entry, text="Kept") for _ in range(3))
    new = TicketTypeFactory.build(entry=entry, name="New")
    name_of_same = same.name
    for row in (changed, same):
        row.name, row.text = "Changed", "Stale"
    formset = Mock(
        deleted_objects=[gone], changed_objects=[(changed, ["name", "no column"]), (same, ["no column"])],
        new_objects=[new],
    )  # fmt: skip

    Looking(Calendar, admin.site).save_formset(asked(boss()), Mock(), formset, True)

    formset.save.assert_called_once_with(commit=False)
    formset.save_m2m.assert_called_once_with()
    assert list(TicketType.objects.order_by("pk").values_list("pk", "name", "text")) == [
        (changed.pk, "Changed", "Kept"),
        (same.pk, name_of_same, "Kept"),
        (new.pk, "New", ""),
    ]


def test_a_new_row_never_takes_the_place_of_one_that_is_there() -> None:
    kind = TicketTypeFactory.create()
    formset = Mock(
        deleted_objects=[], changed_objects=[], new_objects=[TicketType(pk=kind.pk, entry=kind.entry, price=1)]
    )

    with pytest.raises(IntegrityError), transaction.atomic():
        Looking(Calendar, admin.site).save_formset(asked(boss()), Mock(), formset, True)

    assert TicketType.objects.get(pk=kind.pk).price == kind.price


def test_columns_are_what_can_be_saved() -> None:
    assert saved_fields(Calendar(), ["text", "tickets", "name", "entries", "nothing"]) == ["text", "name"]


# --- What stands in an empty list


def first_words(client: Client, name: str) -> str:
    """What an empty list says first, with its link."""
    answer = client.get(f"/admin/{name}" + ("" if "?" in name else "/"))
    assert answer.status_code == 200
    found = re.search(r'<li class="info">(.*?)</li>', answer.content.decode())
    return found[1] if found else ""


def test_a_fresh_installation_leads_from_list_to_list() -> None:
    client = signed_in_as(boss())
    lists = (
        "events/page", "events/calendar", "events/calendarentry", "events/tickettype", "events/ticket",
        "events/booking", "market/product", "market/productitem",
    )  # fmt: skip
    for name in lists:
        assert "There is no page yet" in first_words(client, name), name
        assert 'href="/admin/events/page/add/"' in first_words(client, name), name
    for name in ("events/calendar", "events/calendarentry", "market/product"):
        assert "There is no page yet" in client.get(f"/admin/{name}/add/").content.decode()
    page = PageFactory.create()
    for name in lists[1:6]:
        assert "There is no calendar yet" in first_words(client, name), name
        assert 'href="/admin/events/calendar/add/"' in first_words(client, name), name
    assert first_words(client, "events/page") == ""
    for name in lists[6:]:
        assert 'href="/admin/market/product/add/"' in first_words(client, name), name
    assert "There is no calendar yet" in client.get("/admin/events/calendarentry/add/").content.decode()
    CalendarFactory.create(page=page)
    for name in lists[2:5]:
        assert 'href="/admin/events/calendarentry/add/"' in first_words(client, name), name
    assert 'href="/admin/events/calendar/">Calendars' in first_words(client, "events/booking")
    assert "There is no" not in client.get("/admin/events/calendarentry/add/").content.decode()
    EventFactory.create(calendar__page=page)
    for name in lists[3:5]:
        assert 'href="/admin/events/calendarentry/">Events' in first_words(client, name), name
    assert "There is no merchant yet" in first_words(client, "events/merchant")


def test_an_empty_list_leads_nobody_where_they_may_not_go() -> None:
    page = PageFactory.create()
    for role, name, link in [
        (Role.ORGANISER, "events/calendar", 'href="/admin/events/calendar/add/"'),
        (Role.BOX_OFFICE, "events/calendarentry", ""),
        (Role.DOOR, "events/ticket", ""),
        (Role.FINANCE, "events/booking", ""),
        (Role.FINANCE, "orders/order", ""),
        (Role.BOX_OFFICE, "market/product", ""),
    ]:
        words = first_words(signed_in_as(member((page, role))), name)
        assert words, (role, name)
        assert (link in words) if link else ("href" not in words), (role, name)
    assert "href" not in first_words(signed_in_as(member((page, Role.ORGANISER))), "events/page")


def test_a_list_that_is_only_filtered_away_says_nothing_of_it(two: Two) -> None:
    client = signed_in_as(two.user)
    assert first_words(client, "events/calendar") == first_words(client, "events/calendar/?q=nothing") == ""
    assert first_words(client, "events/calendarentry") != ""
