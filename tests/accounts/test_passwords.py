"""Signing in with a password, and choosing one."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone

from tests.accounts.steps import LOGIN, PASSWORD, ask_for_code, enter_code, is_signed_in, mailed_code, shown
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

PAGE = "/accounts/password/"
OTHER = "quite another passphrase"


def test_password_signs_in_and_goes_on(client: Client) -> None:
    UserFactory.create(email="ann@example.org", password=PASSWORD)
    answer = ask_for_code(client, "Ann@example.org", password=PASSWORD, next="/cart/")
    assert (answer.status_code, answer["Location"]) == (302, "/cart/")
    assert is_signed_in(client)
    assert mail.outbox == []


def test_page_of_choosing_one_does_not_jump_to_a_field(client: Client) -> None:
    user = UserFactory.create(email="ann@example.org", password=PASSWORD)
    for known in (True, False):
        client.force_login(user)
        page = client.get(PAGE).content.decode()
        assert ('name="old_password"' in page, "autofocus" in page) == (known, False)
        user.set_unusable_password()
        user.save()


def test_session_keys_survive_signing_in_with_a_password(client: Client) -> None:
    UserFactory.create(email="ann@example.org", password=PASSWORD)
    session = client.session
    session["cart_key"] = "kept"
    session.save()
    ask_for_code(client, "ann@example.org", password=PASSWORD)
    assert client.session["cart_key"] == "kept"
    assert client.session.session_key != session.session_key


def test_wrong_password_gets_the_same_answer_for_known_and_unknown_addresses() -> None:
    UserFactory.create(email="ann@example.org", password=PASSWORD)
    UserFactory.create(email="bob@example.org")
    UserFactory.create(email="gone@example.org", password=PASSWORD, is_active=False)
    pages = {
        shown(ask_for_code(Client(), email, password="wrong"), email)
        for email in ("ann@example.org", "bob@example.org", "gone@example.org", "eve@example.org")
    }
    assert len(pages) == 1
    assert "do not fit" in pages.pop()


def test_closed_account_does_not_sign_in_with_its_password(client: Client) -> None:
    UserFactory.create(email="gone@example.org", password=PASSWORD, is_active=False)
    assert ask_for_code(client, "gone@example.org", password=PASSWORD)["Location"] == "/accounts/inactive/"
    assert not is_signed_in(client)


@pytest.mark.parametrize("unsafe", ["//evil.example", "https://evil.example/", "/\\evil.example"])
def test_password_sign_in_stays_on_the_site(client: Client, unsafe: str) -> None:
    UserFactory.create(email="ann@example.org", password=PASSWORD)
    assert ask_for_code(client, "ann@example.org", password=PASSWORD, next=unsafe)["Location"] == "/"


def test_password_page_is_for_the_signed_in(client: Client) -> None:
    assert client.get(PAGE)["Location"] == f"{LOGIN}?next={PAGE}"
    assert client.post(PAGE, {"new_password1": OTHER, "new_password2": OTHER})["Location"] == f"{LOGIN}?next={PAGE}"
    client.force_login(UserFactory.create())
    assert client.delete(PAGE).status_code == 405


def test_first_password_is_set_without_an_old_one(client: Client) -> None:
    user = UserFactory.create(email="ann@example.org")
    client.force_login(user)
    assert client.post(PAGE, {"new_password1": OTHER, "new_password2": OTHER}).status_code == 302
    user.refresh_from_db()
    assert user.check_password(OTHER)
    assert is_signed_in(client)


def test_weak_or_unequal_passwords_are_refused(client: Client) -> None:
    user = UserFactory.create()
    client.force_login(user)
    for first, second in [("short", "short"), ("password1234", "password1234"), (OTHER, OTHER + "x")]:
        assert client.post(PAGE, {"new_password1": first, "new_password2": second}).status_code == 422
    user.refresh_from_db()
    assert not user.has_usable_password()


def test_changing_a_password_needs_the_old_one_and_ends_other_sessions() -> None:
    user = UserFactory.create(email="ann@example.org", password=PASSWORD)
    here, elsewhere = Client(), Client()
    here.force_login(user)
    elsewhere.force_login(user)
    new = {"new_password1": OTHER, "new_password2": OTHER}
    assert here.post(PAGE, new).status_code == 422
    assert here.post(PAGE, {"old_password": "wrong", **new}).status_code == 422
    assert is_signed_in(elsewhere)
    assert here.post(PAGE, {"old_password": PASSWORD, **new}).status_code == 302
    assert is_signed_in(here)
    assert not is_signed_in(elsewhere)


def test_guessing_the_old_password_is_limited(client: Client) -> None:
    client.force_login(UserFactory.create(password=PASSWORD))
    statuses = [client.post(PAGE, {"old_password": f"guess {n}"}).status_code for n in range(6)]
    assert statuses == [422] * 5 + [429]


def test_forgotten_password_is_replaced_after_signing_in_by_code(client: Client) -> None:
    user = UserFactory.create(email="ann@example.org", password=PASSWORD)
    ask_for_code(client, "ann@example.org")
    enter_code(client, mailed_code())
    assert "old_password" not in client.get(PAGE).content.decode()
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        assert "old_password" in client.get(PAGE).content.decode()
    assert client.post(PAGE, {"new_password1": OTHER, "new_password2": OTHER}).status_code == 302
    user.refresh_from_db()
    assert user.check_password(OTHER)
