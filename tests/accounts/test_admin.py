"""People in the admin."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(email="boss@example.org", is_staff=True, is_superuser=True))
    return client


def test_admin_adds_a_user_who_signs_in_by_code(staff: Client) -> None:
    data = {"email": "New@example.org", "name": "New", "usable_password": "false"}
    assert staff.post("/admin/accounts/user/add/", data).status_code == 302
    user = User.objects.get(email="new@example.org")
    assert not user.has_usable_password()


def test_admin_refuses_an_address_that_another_user_has(staff: Client) -> None:
    UserFactory.create(email="ann@example.org")
    data = {"email": "ANN@example.org", "usable_password": "false"}
    assert staff.post("/admin/accounts/user/add/", data).status_code == 200
    assert User.objects.filter(email__iexact="ann@example.org").count() == 1


def test_admin_shows_and_changes_a_user(staff: Client) -> None:
    user = UserFactory.create(email="old@example.org")
    address = f"/admin/accounts/user/{user.pk}/change/"
    assert "old@example.org" in staff.get(address).content.decode()
    assert staff.post(address, {"email": "other@example.org", "name": "", "is_active": "on"}).status_code == 302
    user.refresh_from_db()
    assert user.email == "other@example.org"


@pytest.mark.parametrize("count", [1, 3])
def test_admin_lists_users_in_as_many_queries_whatever_their_number(
    staff: Client, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    UserFactory.create_batch(count)
    with django_assert_num_queries(5):
        assert staff.get("/admin/accounts/user/").status_code == 200
