"""Codes, passwords and mails at the same moment: no limit lets one more through than it says."""

import copy
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.models import SignInCode, User
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
from tests.factories import UserFactory
from tests.ledger.psql import run
from tests.races.threads import at_once

ROUNDS = 3
TRIED = "not the code we sent"


def twin(client: Client, address: str = "127.0.0.1") -> Client:
    """Another browser with the same cookies, perhaps on another machine."""
    other = Client(REMOTE_ADDR=address)
    other.cookies = copy.deepcopy(client.cookies)
    return other


def outcome(code: str, client: Client) -> str:
    """What one try came to."""
    answer = enter_code(client, code)
    if answer.status_code == 302:
        return "back" if answer["Location"] == LOGIN else "in"
    return "tried" if TRIED in answer.content.decode() else str(answer.status_code)


def asked(email: str) -> Client:
    client = Client()
    assert ask_for_code(client, email).status_code == 302
    return client


def sessions_signed_in() -> int:
    return sum("_auth_user_id" in row.get_decoded() for row in Session.objects.all())


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.promise("any-number-tries")
def test_of_eighteen_wrong_codes_at_once_five_are_tried(round_: int) -> None:
    client = asked("new@example.org")
    code, wrong = mailed_code(), wrong_code()
    browsers = [twin(client, f"192.0.2.{number}") for number in range(18)]

    answers = Counter(at_once([partial(outcome, wrong, browser) for browser in browsers]))

    assert answers["tried"] <= 5, answers
    assert SignInCode.objects.get().tries <= 5  # also of those that were told to ask for a new one
    assert set(answers) <= {"tried", "back", "429"}, answers
    assert outcome(code, twin(client, "192.0.2.99")) in ("back", "429")
    assert User.objects.count() == 0


def test_the_right_code_among_wrong_ones_is_one_of_five_tries() -> None:
    """Whoever copies the cookies gets five tries with the buyer, not five more."""
    client = asked("new@example.org")
    for number in range(5):
        outcome(wrong_code(), twin(client, f"192.0.2.{number}"))
    assert outcome(mailed_code(), client) == "back"
    assert sessions_signed_in() == 0


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.promise("any-number-tries")
def test_one_right_code_in_four_requests_signs_one_session_in(round_: int) -> None:
    client = asked("new@example.org")
    browsers = [twin(client) for _ in range(4)]

    answers = Counter(at_once([partial(outcome, mailed_code(), browser) for browser in browsers]))

    assert answers == {"in": 1, "back": 3}
    assert sessions_signed_in() == 1
    (loser, *_others) = [browser for browser in browsers if not is_signed_in(browser)]
    assert "has expired or was used" in loser.get(LOGIN).content.decode()


@pytest.mark.promise("any-number-tries")
def test_a_code_is_used_up_for_a_cookie_that_was_copied_before(client: Client) -> None:
    """The copied session lives on when its row does; the code in it does not."""
    ask_for_code(client, "new@example.org")
    kept = Session.objects.get()
    thief = twin(client)
    assert outcome(mailed_code(), client) == "in"
    kept.save(force_insert=True)
    assert outcome(mailed_code(), thief) == "back"
    assert sessions_signed_in() == 1


def test_a_code_is_sent_again_three_times_at_most_whoever_asks_at_once() -> None:
    client = asked("new@example.org")
    run("DELETE FROM foyer_cache")  # what guards the mailbox is not what is looked at here
    browsers = [twin(client, f"192.0.2.{number}") for number in range(9)]
    for _ in range(3):
        at_once([partial(browser.post, CONFIRM, {"action": "resend"}) for browser in browsers])
        run("DELETE FROM foyer_cache")
    assert len(mail.outbox) == 1 + 3


def password_at(number: int) -> int:
    browser = Client(REMOTE_ADDR=f"192.0.2.{number}")
    return ask_for_code(browser, "ann@example.org", password=f"guess {number}").status_code


def code_for(number: int) -> int:
    return ask_for_code(Client(REMOTE_ADDR=f"192.0.2.{number}"), "ann@example.org").status_code


def another_password(client: Client, _number: int) -> int:
    data = {"old_password": "wrong", "new_password1": PASSWORD, "new_password2": PASSWORD}
    return twin(client).post("/accounts/password/", data).status_code


@pytest.mark.parametrize(
    ("limit", "passed", "most"), [("login_failed", 422, 5), ("request_login_code", 302, 3), ("change_password", 422, 5)]
)
@pytest.mark.parametrize("is_stale", [False, True])
@pytest.mark.promise("limit-tries-exact")
def test_a_limit_is_exact_for_eighteen_at_once(limit: str, passed: int, most: int, is_stale: bool) -> None:
    """`is_stale`: a process was killed at its count, and what it held is past its time."""
    client, ann = Client(), UserFactory.create(email="ann@example.org", password=PASSWORD)
    client.force_login(ann)
    works: dict[str, Callable[[int], int]] = {
        "login_failed": password_at,
        "request_login_code": code_for,
        "change_password": partial(another_password, client),
    }
    if is_stale:
        works[limit](99)
        run("INSERT INTO foyer_cache SELECT cache_key || ':lock', '', now() - interval '1 hour' FROM foyer_cache")
        run("UPDATE foyer_cache SET expires = now() - interval '1 hour'")

    answers = Counter(at_once([partial(works[limit], number) for number in range(18)]))

    assert 0 < answers[passed] <= most, answers
    assert set(answers) == {passed, 429}, answers


@pytest.mark.parametrize("kept", ["nothing", "something past its time", "something"])
@pytest.mark.promise("limit-tries-exact")
def test_one_of_many_adds_what_was_not_there(kept: str) -> None:
    if kept != "nothing":
        cache.set("resend:7", 1, 300)
    if kept == "something past its time":
        run("UPDATE foyer_cache SET expires = %s", timezone.now() - timedelta(minutes=1))

    answers = at_once([partial(cache.add, "resend:7", number, 300) for number in range(18)])

    assert sorted(map(bool, answers)) == [False] * (18 if kept == "something" else 17) + [True] * (kept != "something")
    assert cache.get("resend:7") == (1 if kept == "something" else answers.index(True))
