"""A list in the admin answers what its own filters ask, and nothing beside."""

from collections.abc import Mapping

import pytest
from django.contrib import admin
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.test import RequestFactory

from accounts.lists import OwnFilters
from accounts.models import User
from tests.factories import UserFactory


class Desk(OwnFilters, admin.ModelAdmin[User]):
    list_filter = ("is_staff",)
    extra_lookups = ("name",)


class BareDesk(OwnFilters, admin.ModelAdmin[User]):
    pass


def request(query: Mapping[str, str]) -> HttpRequest:
    found = RequestFactory().get("/admin/", query)
    found.user = User(is_superuser=True, is_staff=True)
    return found


def listed(desk: type[admin.ModelAdmin[User]], query: Mapping[str, str]) -> set[User]:
    found: ChangeList = desk(User, admin.site).get_changelist_instance(request(query))
    return set(found.get_queryset(request(query)))


@pytest.mark.django_db
def test_filters_and_the_lookups_of_links_are_answered() -> None:
    buyer, ada = UserFactory.create(), UserFactory.create(name="Ada", is_staff=True)
    other = UserFactory.create(is_staff=True)

    assert listed(Desk, {}) == {buyer, ada, other}
    assert listed(Desk, {"is_staff__exact": "1"}) == {ada, other}
    assert listed(Desk, {"name": "Ada"}) == {ada}
    assert listed(Desk, {"is_staff__exact": "0", "name": "Ada"}) == set()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query",
    [
        {"name__startswith": "A"},
        {"password__startswith": "pbkdf2"},
        {"email": "ann@example.org"},
        {"name": "Ada", "tickets__code__startswith": "A"},
        {"is_staff__exact": "1", "is_active__exact": "1"},
    ],
)
def test_nothing_else_is(query: dict[str, str]) -> None:
    with pytest.raises(DisallowedModelAdminLookup):
        listed(Desk, query)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["name", "is_staff__exact"])
def test_a_list_without_filters_answers_none(name: str) -> None:
    with pytest.raises(DisallowedModelAdminLookup):
        listed(BareDesk, {name: "1"})


@pytest.mark.parametrize(
    ("column", "allowed"),
    [("id", True), ("email", False), ("password", False), ("tickets", False), ("nothing", False), ("", False)],
)
def test_a_popup_hands_out_the_key_alone(column: str, allowed: bool) -> None:
    assert Desk(User, admin.site).to_field_allowed(request({}), column) is allowed
