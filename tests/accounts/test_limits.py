"""Brute force: counted in the database, by address and by IP, and answered with 429."""

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from pytest_django import Settings

from tests.accounts.steps import (
    CONFIRM,
    LOGIN,
    PASSWORD,
    ask_for_code,
    enter_code,
    is_signed_in,
    mailed_code,
    wrong_code,
)
from tests.factories import ProductFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_guessing_a_password_ends_after_five_tries_even_from_other_machines() -> None:
    UserFactory.create(email="ann@example.org", password=PASSWORD)
    for guess in range(5):
        client = Client(REMOTE_ADDR=f"192.0.2.{guess}")
        assert ask_for_code(client, "ann@example.org", password=f"guess {guess}").status_code == 422
    client = Client(REMOTE_ADDR="192.0.2.99")
    answer = ask_for_code(client, "ann@example.org", password=PASSWORD)
    assert answer.status_code == 429
    assert "Too many tries" in answer.content.decode()
    assert not is_signed_in(client)


def test_guessing_from_one_machine_ends_whatever_the_address() -> None:
    client = Client(REMOTE_ADDR="192.0.2.1")
    for guess in range(10):
        assert ask_for_code(client, f"user{guess}@example.org", password="guess").status_code == 422
    assert ask_for_code(client, "another@example.org", password="guess").status_code == 429


def test_tries_with_the_right_password_do_not_count() -> None:
    UserFactory.create(email="ann@example.org", password=PASSWORD)
    for _ in range(7):
        assert ask_for_code(Client(), "ann@example.org", password=PASSWORD).status_code == 302


def test_one_mailbox_is_not_flooded_with_codes() -> None:
    for machine in range(3):
        assert ask_for_code(Client(REMOTE_ADDR=f"192.0.2.{machine}"), "ann@example.org").status_code == 302
    assert ask_for_code(Client(), "ann@example.org").status_code == 429
    assert ask_for_code(Client(), "ANN@example.org").status_code == 429
    assert len(mail.outbox) == 3


def test_resending_counts_as_asking(client: Client) -> None:
    ask_for_code(client, "ann@example.org")
    statuses = [client.post(CONFIRM, {"action": "resend"}).status_code for _ in range(3)]
    assert statuses == [302, 302, 429]
    assert len(mail.outbox) == 3


def test_one_machine_cannot_ask_for_codes_of_many() -> None:
    client = Client(REMOTE_ADDR="192.0.2.1")
    for number in range(20):
        assert ask_for_code(client, f"user{number}@example.org").status_code == 302
    assert ask_for_code(client, "another@example.org").status_code == 429


def test_wrong_codes_are_counted_across_sessions(settings: Settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "login_code_attempt": "2/h/key"}
    one, two = Client(), Client()
    ask_for_code(one, "ann@example.org")
    assert enter_code(one, wrong_code()).status_code == 422
    ask_for_code(two, "ann@example.org")
    assert enter_code(two, wrong_code()).status_code == 422
    assert enter_code(two, mailed_code()).status_code == 429
    assert not is_signed_in(two)


def test_any_post_of_the_form_is_limited(client: Client) -> None:
    for _ in range(30):
        assert client.post(LOGIN, {"login": "nobody"}).status_code == 422
    assert client.post(LOGIN, {"login": "nobody"}).status_code == 429
    assert client.get(LOGIN).status_code == 200


def test_tries_are_counted_in_the_database(client: Client) -> None:
    ask_for_code(client, "ann@example.org", password="guess")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM foyer_cache WHERE cache_key LIKE '%%login_failed%%'")
        assert cursor.fetchone()[0] == 2


def test_a_forged_forwarded_address_does_not_reset_the_count(settings: Settings) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 0
    for guess in range(10):
        headers = {"X-Forwarded-For": f"203.0.113.{guess}"}
        client = Client(REMOTE_ADDR="192.0.2.1", headers=headers)
        assert ask_for_code(client, f"user{guess}@example.org", password="guess").status_code == 422
    assert ask_for_code(client, "another@example.org", password="guess").status_code == 429


@pytest.mark.parametrize(("address", "status"), [("192.0.2.1", 302), ("", 403)])
@pytest.mark.promise("whoever-did-come")
def test_who_did_not_come_by_our_proxies_gets_a_page(settings: Settings, address: str, status: int) -> None:
    """Somebody who found the server's own port, or one proxy fewer than the settings say: no error of ours."""
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 2
    client = Client(REMOTE_ADDR=address, headers={"X-Forwarded-For": "203.0.113.9"})
    assert ask_for_code(client, "ann@example.org").status_code == status
    product = ProductFactory.create()
    assert client.post(f"{product.get_absolute_url()}buy/", {"quantity": "1"}).status_code == status
