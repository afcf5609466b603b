"""The staff's sign-ins in the log, and the end of a session that nobody used."""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from accounts.watching import network_of
from ledger.tracing import JsonFormatter
from tests.accounts.steps import PASSWORD, ask_for_code, enter_code, is_signed_in, mailed_code, wrong_code
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

MAILBOX = "boss@example.org"


@pytest.fixture
def boss() -> User:
    user: User = UserFactory.create(email=MAILBOX, password=PASSWORD, is_staff=True, is_superuser=True)
    return user


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """What the log said of signing in since it was last looked at; no line holds an e-mail address."""

    def lines() -> list[str]:
        found = [record for record in caplog.records if record.name == "accounts.watching"]
        caplog.clear()
        assert not [line for line in map(JsonFormatter().format, found) if "@" in line or "example.org" in line]
        return [record.getMessage() for record in found]

    with caplog.at_level(logging.INFO):
        yield lines


def at(moment: datetime) -> time_machine.travel:
    return time_machine.travel(moment, tick=False)


@pytest.mark.promise("staff-signed-out")
def test_staff_signing_in_and_out_is_written_down(boss: User, said: Callable[[], list[str]]) -> None:
    client = Client(REMOTE_ADDR="192.0.2.77")
    ask_for_code(client, MAILBOX)
    assert said() == []
    enter_code(client, mailed_code())
    assert said() == [f"staff signed in: user {boss.pk}, by code, from 192.0.2.0/24"]
    client.post("/accounts/logout/")
    assert said() == [f"staff signed out: user {boss.pk}, from 192.0.2.0/24"]
    client = Client(REMOTE_ADDR="2001:db8:1:2:3::4")
    ask_for_code(client, MAILBOX, password=PASSWORD)
    assert said() == [f"staff signed in: user {boss.pk}, by password, from 2001:db8:1::/48"]
    client.post("/admin/logout/")
    assert said() == [f"staff signed out: user {boss.pk}, from 2001:db8:1::/48"]


@pytest.mark.promise("staff-signed-out")
def test_failed_tries_are_written_down_without_an_address(boss: User, said: Callable[[], list[str]]) -> None:
    UserFactory.create(email="buyer@example.org", password=PASSWORD)
    for email, who in ((MAILBOX, str(boss.pk)), ("BOSS@example.org", str(boss.pk)), ("buyer@example.org", "unknown")):
        ask_for_code(Client(), email, password="wrong")
        assert said() == [f"sign-in failed: user {who}, by a password, from 127.0.0.0/24"]
    client = Client()
    ask_for_code(client, MAILBOX)
    enter_code(client, wrong_code())
    assert said() == [f"sign-in failed: user {boss.pk}, by a code, from 127.0.0.0/24"]
    ask_for_code(Client(), "nobody@example.org", password="wrong")
    assert said() == ["sign-in failed: user unknown, by a password, from 127.0.0.0/24"]


def test_tries_beyond_the_limits_are_written_down(
    boss: User, said: Callable[[], list[str]], settings: Settings
) -> None:
    settings.ACCOUNT_RATE_LIMITS = {
        **settings.ACCOUNT_RATE_LIMITS, "login_failed": "1/5m/key", "login_code_attempt": "1/h/key",
    }  # fmt: skip
    for _ in range(2):
        ask_for_code(Client(), MAILBOX, password="wrong")
    client = Client()
    ask_for_code(client, MAILBOX)
    for _ in range(2):
        enter_code(client, wrong_code())
    assert [line.partition(", by ")[2].partition(", from")[0] for line in said()] == [
        "a password", "a password, too many tries", "a code", "a code, too many tries",
    ]  # fmt: skip


def test_buyers_are_not_written_down(said: Callable[[], list[str]]) -> None:
    client = Client()
    ask_for_code(client, "buyer@example.org")
    enter_code(client, mailed_code())
    client.post("/accounts/logout/")
    assert said() == []


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.0/24"), ("2001:db8:aaaa:bbbb::1", "2001:db8:aaaa::/48"),
        ("::ffff:203.0.113.9", "203.0.113.0/24"), ("", "unknown"), ("a name", "unknown"),
    ],
)  # fmt: skip
def test_an_address_is_shortened(client: Client, address: str, network: str) -> None:
    assert network_of(client.get("/healthz", REMOTE_ADDR=address).wsgi_request) == network


@pytest.mark.parametrize(("address", "network"), [("192.0.2.1", "192.0.2.0/24"), ("", "unknown")])
def test_who_did_not_come_by_our_proxies_is_whom_we_see(settings: Settings, address: str, network: str) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 2
    client = Client(REMOTE_ADDR=address, headers={"X-Forwarded-For": "203.0.113.9"})
    assert network_of(client.get("/healthz").wsgi_request) == network


@pytest.mark.promise("session-staff-ends")
def test_an_idle_session_of_the_staff_ends_after_twelve_hours(boss: User, said: Callable[[], list[str]]) -> None:
    client, begun = Client(), timezone.now()
    client.force_login(boss)
    with at(begun + timedelta(hours=11, minutes=59)):
        assert client.get("/admin/").status_code == 200
    with at(begun + timedelta(hours=23)):
        assert client.get("/admin/").status_code == 200
    said()
    with at(begun + timedelta(hours=35, minutes=1)):
        answer = client.get("/admin/", follow=True)
        assert answer.redirect_chain[-1][0].startswith("/accounts/login/")
        assert "nothing was done here for 12 hours" in answer.content.decode()
        assert Session.objects.count() == 0
        assert not is_signed_in(client)
    assert said() == [f"staff session ended, unused for 12 hours: user {boss.pk}, from 127.0.0.0/24"]


def test_a_post_from_an_idle_session_changes_nothing(boss: User) -> None:
    client = Client()
    client.force_login(boss)
    with at(timezone.now() + timedelta(hours=12, minutes=1)):
        client.post(f"/admin/accounts/user/{boss.pk}/change/", {"email": "thief@example.org", "is_active": "on"})
    boss.refresh_from_db()
    assert boss.email == MAILBOX


def test_the_last_use_is_written_every_ten_minutes_at_most(
    boss: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client, begun = Client(), timezone.now()
    client.force_login(boss)
    read, written = 2, 5  # session and user; and the session's savepoint, row and release
    for minutes, statements in ((9, read), (10, written), (19, read), (20, written), (5, written)):  # a clock put right
        with at(begun + timedelta(minutes=minutes, seconds=1)):
            session = client.session.session_key
            with django_assert_num_queries(statements):
                client.get("/healthz")
            seen = client.session["seen_at"]
            assert (seen == timezone.now().isoformat()) is (statements == written), minutes
            assert client.session.session_key == session


def test_a_session_of_before_is_noted_at_its_first_use(boss: User) -> None:
    client = Client()
    client.force_login(boss)
    session = client.session
    del session["seen_at"]
    session.save()
    client.get("/admin/")
    with at(timezone.now() + timedelta(hours=12, minutes=1)):
        assert client.get("/admin/").status_code == 302


@pytest.mark.promise("session-staff-ends")
def test_a_buyers_session_lasts_thirty_days_and_is_not_written(client: Client) -> None:
    client.force_login(UserFactory.create())
    before = Session.objects.get()
    with at(timezone.now() + timedelta(days=29)):
        assert is_signed_in(client)
        assert "sessionid" not in client.get("/").cookies
    assert Session.objects.values_list("session_data", "expire_date").get() == (
        before.session_data, before.expire_date,
    )  # fmt: skip
    with at(timezone.now() + timedelta(days=30, minutes=1)):
        assert not is_signed_in(client)
