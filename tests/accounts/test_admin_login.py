"""The admin is entered through the site's sign-in."""

import pytest
from django.test import Client

from tests.accounts.steps import PASSWORD, ask_for_code, enter_code, mailed_code
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def test_signed_out_visitor_comes_back_to_the_admin_page_wanted(client: Client) -> None:
    UserFactory.create(email="ann@example.org", is_staff=True, is_superuser=True)
    first = client.get("/admin/accounts/")["Location"]
    assert first == "/admin/login/?next=/admin/accounts/"
    assert client.get(first)["Location"] == "/accounts/login/?next=%2Fadmin%2Faccounts%2F"
    ask_for_code(client, "ann@example.org", next="/admin/accounts/")
    assert enter_code(client, mailed_code(), next="/admin/accounts/")["Location"] == "/admin/accounts/"
    assert client.get("/admin/").status_code == 200


def test_admin_login_checks_no_password_of_its_own(client: Client) -> None:
    UserFactory.create(email="ann@example.org", password=PASSWORD, is_staff=True)
    answer = client.post("/admin/login/", {"username": "ann@example.org", "password": PASSWORD})
    assert answer["Location"].startswith("/accounts/login/?next=")
    assert client.get("/admin/").status_code == 302


def test_staff_cannot_guess_another_ones_password_at_the_admin_login(client: Client) -> None:
    UserFactory.create(email="boss@example.org", password=PASSWORD, is_staff=True, is_superuser=True)
    client.force_login(UserFactory.create(is_staff=True))
    client.post("/admin/login/", {"username": "boss@example.org", "password": PASSWORD})
    assert client.get("/admin/accounts/user/").status_code == 403


def test_brute_force_on_the_admin_ends_in_429() -> None:
    UserFactory.create(email="boss@example.org", password=PASSWORD, is_staff=True)
    client = Client()
    statuses = [
        ask_for_code(client, "boss@example.org", password=f"guess {n}", next="/admin/").status_code for n in range(6)
    ]
    assert statuses == [422] * 5 + [429]


def test_who_is_no_staff_is_told_so(client: Client) -> None:
    client.force_login(UserFactory.create(email="buyer@example.org"))
    answer = client.get("/admin/", follow=True)
    assert answer.status_code == 403
    assert "buyer@example.org, which may not open the box office" in answer.content.decode()


@pytest.mark.parametrize("unsafe", ["//evil.example", "https://evil.example/", "/\\evil.example"])
def test_admin_login_stays_on_the_site(client: Client, unsafe: str) -> None:
    asked = client.get("/admin/login/", {"next": unsafe})["Location"]
    assert asked.startswith("/accounts/login/?next=%2Fadmin%2Flogin%2F")
    client.force_login(UserFactory.create(is_staff=True))
    assert client.get("/admin/login/", {"next": unsafe})["Location"] == "/admin/"


def test_admins_password_page_is_the_sites(client: Client) -> None:
    assert client.get("/admin/password_change/")["Location"] == "/accounts/password/"
