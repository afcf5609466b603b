"""What a list of the admin answers: its own filters' questions, and nothing about a column that it does not show.

Every ModelAdmin that is registered, every filter of it, every role.
"""

import re
from collections import deque
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin import DateFieldListFilter
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import User
from events.models import Booking, Calendar, CalendarEntry, Merchant, Page, PageMember, Role, Ticket, TicketType
from market.models import Product, ProductItem
from orders.models import Order
from payments.models import Case, Checkout, ReconcileRun, Refund
from tests.desk import House, member, signed_in_as
from tests.factories import UserFactory
from tests.payments.admin.test_scope import address, house

pytestmark = pytest.mark.django_db

#: By list: the parameters by which its own filters, and links from other pages, ask. No others may be asked.
TRUTHS = ("exact", "isnull")
FORMS: dict[type[models.Model], set[str]] = {
    User: {f"{name}__{form}" for name in ("is_staff", "is_superuser", "is_active") for form in TRUTHS},
    Merchant: set(),
    ReconcileRun: {f"{name}__{form}" for name in ("outcome", "is_dry") for form in TRUTHS},
    ProcrastinateJob: {
        "status__exact", "status__isnull", "scheduled_at__gte", "scheduled_at__lt", "scheduled_at__isnull",
        *("queue_name", "task_name", "lock", "queueing_lock", "priority"),
        *(f"{name}__isnull" for name in ("queue_name", "task_name", "lock", "queueing_lock", "priority")),
    },
    Page: {f"is_published__{form}" for form in TRUTHS},
    Calendar: {"page__id__exact", "page__isnull"},
    CalendarEntry: {"when", "state", "calendar__page__id__exact", "calendar__page__isnull", "calendar__id__exact",
                    "calendar__isnull"},
    Booking: {"when", "state", "calendar__page__id__exact", "calendar__page__isnull", "calendar__id__exact",
              "calendar__isnull", "order__id__exact"},
    TicketType: {"entry__calendar__page__id__exact", "entry__calendar__page__isnull"},
    Ticket: {"state__exact", "state__isnull", "entry__calendar__page__id__exact", "entry__calendar__page__isnull",
             "entry__id__exact", "order__id__exact"},
    Product: {"page__id__exact", "page__isnull", "is_published__exact", "is_published__isnull"},
    ProductItem: {"state__exact", "state__isnull", "product__page__id__exact", "product__page__isnull",
                  "product__id__exact", "order__id__exact"},
    Order: {"state__exact", "state__isnull", "page"},
    Checkout: {f"{name}__{form}" for name in ("state", "is_applied") for form in TRUTHS},
    Refund: {"page", *(f"{name}__{form}" for name in ("state", "origin") for form in TRUTHS)},
    Case: {"decided", "kind__exact", "kind__isnull"},
}  # fmt: skip
#: What nobody may read by counting rows: what opens something, and whose it is.
SECRETS: list[tuple[type[models.Model], str]] = [
    (User, "password"), (Ticket, "code"), (Order, "code"), (Merchant, "api_key"), (PageMember, "role"),
]  # fmt: skip
LOOKUPS = ["exact", "startswith", "regex", "gt", "in", "isnull", "icontains"]
#: Who asks: every role, on two pages of three, and those who have none.
ASKING = [*Role, "superuser", "staff", "buyer"]


def asking(who: str, pages: list[House]) -> User:
    if who == "superuser":
        return UserFactory.create(is_staff=True, is_superuser=True)
    if who in ("staff", "buyer"):
        return UserFactory.create(is_staff=who == "staff")
    return member(*((home.page, Role(who)) for home in pages))


@pytest.fixture
def houses() -> list[House]:
    """Two of the asking member's own, and a foreign one."""
    now = timezone.now()
    for outcome in ("in_order", "killed"):
        ReconcileRun.objects.create(
            started_at=now, finished_at=now, outcome=outcome, is_dry=outcome == "killed", who="test"
        )
    return [house(name) for name in ("Alpha", "Gamma", "Beta")]


# --- Nothing but its own filters


def steps(model: type[models.Model]) -> Iterator[tuple[str, type[models.Model]]]:
    """The names by which a lookup goes on from `model` to another one, forwards and backwards."""
    for field in model._meta.get_fields():
        related = field.related_model
        if field.is_relation and isinstance(related, type):
            yield field.name, related


@cache
def way(model: type[models.Model], target: type[models.Model]) -> str | None:
    """The shortest chain of relations from `model` to `target`, ready to be gone on from; None: there is none."""
    seen, ways = {model}, deque([("", model)])
    while ways:
        path, here = ways.popleft()
        if here is target:
            return path
        for name, there in steps(here):
            if there not in seen:
                seen.add(there)
                ways.append((f"{path}{name}__", there))
    return None


def questions(desk: admin.ModelAdmin[Any], request: HttpRequest) -> set[str]:
    """Lookups that the list might be asked: each filter in every form, each column, and all chains to each secret."""
    asked = {f"{name}__{lookup}" for name, lookup in zip(columns(desk.model), cycle(LOOKUPS))}
    starts: list[tuple[str, type[models.Model]]] = [("", desk.model)]
    for item in desk.get_list_filter(request):
        named = item[0] if isinstance(item, (list, tuple)) else item
        name = named if isinstance(named, str) else str(getattr(named, "parameter_name", ""))
        asked |= {name} | {f"{name}__{lookup}" for lookup in LOOKUPS}
        related = get_fields_from_path(desk.model, name)[-1].related_model if name is named else None
        if isinstance(related, type):
            starts.append((f"{name}__", related))
    for start, here in starts:
        chains = [f"{start}{way(here, secret)}{column}" for secret, column in SECRETS if way(here, secret) is not None]
        asked |= {f"{chain}__{lookup}" for chain in chains for lookup in ("startswith", "regex", "gt")}
    return asked


def columns(model: type[models.Model]) -> list[str]:
    return ["pk", *(field.name for field in model._meta.concrete_fields)]


def request_of(user: User, model: type[models.Model], query: dict[str, str]) -> HttpRequest:
    request = RequestFactory().get(address(model), query)
    request.user = user
    return request


def test_every_list_is_in_the_table() -> None:
    assert set(FORMS) == set(admin.site._registry)


@pytest.mark.parametrize("who", ASKING)
@pytest.mark.promise("list-admin-answers")
def test_list_refuses_what_its_filters_do_not_ask(who: str, houses: list[House]) -> None:
    """No role, not a superuser either, learns by counting rows what stands in a column: nothing is even asked."""
    user = asking(who, houses[:2])
    refused = answered = 0
    for model, desk in admin.site._registry.items():
        bare = request_of(user, model, {})
        if not desk.has_view_permission(bare):
            assert signed_in_as(user).get(address(model), {"pk__gt": "0"}).status_code in (302, 403)
            continue
        for name in questions(desk, bare):
            if name in FORMS[model]:
                answered += 1
                continue
            assert is_refused(desk, request_of(user, model, {name: "1"})), f"{model.__name__} answers {name}"
            refused += 1
    assert (refused > 300 and answered > 10) or who in ("staff", "buyer", Role.FINANCE), (refused, answered)


def is_refused(desk: admin.ModelAdmin[Any], request: HttpRequest) -> bool:
    try:
        desk.get_changelist_instance(request)
    except (DisallowedModelAdminLookup, IncorrectLookupParameters):
        return True
    return False


@pytest.mark.parametrize("model", FORMS)
@pytest.mark.promise("list-admin-answers")
def test_refusal_is_one_page_whatever_the_column_holds(model: type[models.Model], houses: list[House]) -> None:
    """The client sees no more than that it may not ask: a code that begins so and one that does not are alike."""
    client = signed_in_as(asking("superuser", houses))
    column = "password" if model is User else "id"
    told = {(answer.status_code, answer.content) for answer in asked(client, model, column)}
    assert [status for status, _content in told] == [400]


def asked(client: Client, model: type[models.Model], column: str) -> Iterator[Any]:
    for lookup in ("startswith", "regex", "gt", "in"):
        for value in ("0", "p", "zzz", "9999"):
            yield client.get(address(model), {f"{column}__{lookup}": value})


# --- What its filters do ask


def shown(client: Client, model: type[models.Model], query: str) -> ChangeList:
    answer = client.get(f"{address(model)}{query}")
    assert answer.status_code == 200, query
    changelist: ChangeList = answer.context["cl"]
    return changelist


def pks(changelist: ChangeList) -> set[int]:
    return set(changelist.queryset.values_list("pk", flat=True))


@pytest.mark.parametrize("who", [*Role, "superuser"])
@pytest.mark.promise("list-admin-answers")
def test_links_of_each_filter_sort_the_own_rows(who: str, houses: list[House]) -> None:
    """Every choice answers; together they show each row of the list once; the number beside it is what it shows."""
    user = asking(who, houses[:2])
    client, used = signed_in_as(user), set()
    for model, desk in admin.site._registry.items():
        if not desk.has_view_permission(request_of(user, model, {})):
            continue
        every = shown(client, model, "?_facets=True")
        rows = sorted(pks(every))
        for place, spec in enumerate(every.filter_specs):
            if isinstance(spec, DateFieldListFilter):
                continue  # its spans lie in each other
            found: list[int] = []
            for choice in list(spec.choices(every))[1:]:
                query = dict(parse_qsl(str(choice["query_string"]).removeprefix("?")))
                del query["_facets"]
                assert set(query) <= FORMS[model], query
                used |= {(model, name) for name in query}
                chosen = desk.get_changelist_instance(request_of(user, model, query))
                sorts = pks(chosen)
                counted = re.search(r"\((\d+)\)$", str(choice["display"]))
                assert counted is not None
                assert int(counted[1]) == len(sorts), (query, choice)
                assert [one["selected"] for one in chosen.filter_specs[place].choices(chosen)].count(True) == 1
                found += sorts
            assert sorted(found) == rows, (model.__name__, spec.title)
    assert len(used) > 3


def test_page_that_is_no_choice_is_not_asked_about(houses: list[House]) -> None:
    """Whose order goes to a foreign house, too, is not told by choosing that house in the address."""
    own, _other, foreign = houses
    client = signed_in_as(member((own.page, Role.OWNER)))
    for model in (Order, Refund):
        every = pks(shown(client, model, ""))
        assert every
        assert pks(shown(client, model, f"?page={foreign.page.pk}")) == every
        assert pks(shown(client, model, f"?page={own.page.pk}")) == every


# --- What is searched for


def letters(code: str, shown_letters: int) -> tuple[str, str]:
    """`code` as far as it is shown and two letters on, right and wrong."""
    right = code[: shown_letters + 2]
    return right, right[:-1] + ("A" if right[-1] != "A" else "B")


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.FINANCE])
@pytest.mark.promise("search-tells-more")
def test_search_at_the_door_tells_no_more_of_an_orders_code_than_is_shown(role: Role, houses: list[House]) -> None:
    home = houses[0]
    client = signed_in_as(member((home.page, role)))
    for door in (f"/door/{home.entry.pk}/", f"/door/products/{home.page.slug}/"):
        right, wrong = (client.get(door, {"name": term}) for term in letters(home.order.code, 8))
        assert home.order.short_code in right.content.decode()
        assert home.order.short_code in wrong.content.decode()


def test_search_at_the_door_finds_an_address_that_is_not_shown_as_a_whole_only(houses: list[House]) -> None:
    home = houses[0]
    client = signed_in_as(member((home.page, Role.DOOR)))
    Ticket.objects.filter(pk=home.ticket.pk).update(sent_to="jo@example.org", holder="Jo")
    for term, found in [("jo@example.org", True), ("JO@example.ORG", True), ("jo@ex", False), ("@example.org/", False)]:
        answer = client.get(f"/door/{home.entry.pk}/", {"name": term}).content.decode()
        assert (f'value="{home.ticket.code}"' in answer) is found, term
        assert "jo@example.org" not in answer.replace(f'value="{term}"', "").lower() or not found
    Ticket.objects.filter(pk=home.ticket.pk).update(holder="")
    assert f'value="{home.ticket.code}"' in client.get(f"/door/{home.entry.pk}/", {"name": "jo@ex"}).content.decode()


@pytest.mark.promise("search-tells-more")
def test_search_for_orders_tells_finance_no_more_of_a_tickets_code_than_is_shown(houses: list[House]) -> None:
    home = houses[0]
    user = member((home.page, Role.FINANCE))
    assert not admin.site.get_model_admin(Ticket).has_view_permission(request_of(user, Ticket, {}))
    for term in (home.ticket.code[:8], *letters(home.ticket.code, 8)):
        assert pks(shown(signed_in_as(user), Order, f"?q={term}")) == {home.order.pk}, term


def test_search_for_tickets_tells_the_door_nothing_of_an_orders_code(houses: list[House]) -> None:
    """Its list shows the first letters; who sees orders sees all of it, and may search by all of it."""
    home = houses[0]
    found = {}
    for role in (Role.DOOR, Role.BOX_OFFICE):
        client = signed_in_as(member((home.page, role)))
        found[role] = [pks(shown(client, Ticket, f"?q={term}")) for term in letters(home.order.code, 8)]
    assert found[Role.DOOR] == [set(), set()]
    assert [bool(rows) for rows in found[Role.BOX_OFFICE]] == [True, False]


# --- Whose rows a field's completion offers


@pytest.mark.parametrize("who", ASKING)
def test_completion_offers_own_rows_only(who: str, houses: list[House]) -> None:
    """`admin/autocomplete/` takes any foreign key of any model, whether a form has such a field or not."""
    user = asking(who, houses[:2])
    client, offered = signed_in_as(user), 0
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if not isinstance(field, models.ForeignKey):
                continue
            names = {
                "app_label": model._meta.app_label,
                "model_name": str(model._meta.model_name),
                "field_name": field.name,
            }
            answer = client.get("/admin/autocomplete/", {**names, "term": ""})
            assert answer.status_code in (200, 302, 403, 404), names
            if answer.status_code == 200:
                desk = admin.site.get_model_admin(field.remote_field.model)
                rows = desk.get_queryset(request_of(user, field.remote_field.model, {}))
                told = {int(row["id"]) for row in answer.json()["results"]}
                assert told <= set(rows.values_list("pk", flat=True)), names
                assert who == "superuser" or "beta" not in answer.content.decode().lower()
                offered += 1
    assert bool(offered) == (who not in ("staff", "buyer"))


@pytest.mark.parametrize(
    "query", ["_to_field=password", "_to_field=code", "_to_field=api_key", "_popup=1&_to_field=page"]
)
def test_popup_names_rows_by_their_number_only(query: str, houses: list[House]) -> None:
    client = signed_in_as(asking("superuser", houses))
    for model in FORMS:
        answer = client.get(f"{address(model)}?{query}")
        assert answer.status_code == 400, (model, query)


@pytest.mark.parametrize("who", [*Role, "superuser"])
def test_lists_are_sorted_by_what_they_show_only(who: str, houses: list[House]) -> None:
    """Numbers of columns that there are not, names, and chains sort nothing."""
    user = asking(who, houses[:2])
    for model, desk in admin.site._registry.items():
        bare = request_of(user, model, {})
        if not desk.has_view_permission(bare):
            continue
        usual = ordering(desk, bare)
        shown_columns = {usual_ for usual_ in map(str, usual)} | sortable(desk)
        for asked_for in ("0", "1", "-3", "99", "-99", "password", "user__password", "1.password", "..", "1.-2.3"):
            for one in ordering(desk, request_of(user, model, {"o": asked_for})):
                assert one in shown_columns, (model.__name__, asked_for, one)


def ordering(desk: admin.ModelAdmin[Any], request: HttpRequest) -> list[str]:
    changelist = desk.get_changelist_instance(request)
    return [str(one).lstrip("-") for one in changelist.get_ordering(request, changelist.queryset)]


def sortable(desk: admin.ModelAdmin[Any]) -> set[str]:
    """What a column of the list may be sorted by: a column of the row that is shown, or what is named for it."""
    named = [getattr(getattr(desk, str(name), None), "admin_order_field", name) for name in desk.list_display]
    return {"pk", "-pk", "id", *map(str, named)}
