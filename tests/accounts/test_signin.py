"""Signing in and up by code, over HTTP."""

from datetime import timedelta

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import SignInCode, User
from tests.accounts.steps import CONFIRM, LOGIN, ask_for_code, enter_code, is_signed_in, mailed_code, shown, wrong_code
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

UNSAFE = [
    "//evil.example",
    "https://evil.example/",
    "javascript:alert(1)",
    "/\\evil.example",
    "\\\\evil.example",
    "///evil",
]


def test_login_page_shows_one_form_for_address_and_password(client: Client) -> None:
    page = client.get(LOGIN).content.decode()
    assert page.count('name="login"') == 1
    assert page.count('name="password"') == 1


def test_login_refuses_other_methods_and_a_bad_address(client: Client) -> None:
    assert client.delete(LOGIN).status_code == 405
    for address in [
        "",
        "nobody",
        "a@b@c",
        "x" * 250 + "@example.org",
        "a@example.org\nBcc: b@example.org",
    ]:
        assert ask_for_code(client, address).status_code == 422, address
    assert mail.outbox == []


def test_known_address_gets_a_code_that_signs_in(client: Client) -> None:
    user = UserFactory.create(email="known@example.org")
    answer = ask_for_code(client, "Known@Example.org ")
    assert (answer.status_code, answer["Location"]) == (302, CONFIRM)
    assert mail.outbox[0].to == ["known@example.org"]
    assert "sign-in code" in mail.outbox[0].subject
    done = enter_code(client, mailed_code())
    assert (done.status_code, done["Location"]) == (302, "/")
    assert client.session["_auth_user_id"] == str(user.pk)
    assert EmailAddress.objects.get(user=user).verified


def test_unknown_address_becomes_a_user_only_when_its_code_is_proven(client: Client) -> None:
    assert ask_for_code(client, "new@example.org").status_code == 302
    assert "Welcome" in mail.outbox[0].subject
    assert enter_code(client, wrong_code()).status_code == 422
    assert not User.objects.exists()
    enter_code(client, mailed_code())
    user = User.objects.get()
    assert (user.email, user.has_usable_password(), user.is_staff) == ("new@example.org", False, False)
    assert EmailAddress.objects.get(user=user, verified=True, primary=True).email == "new@example.org"
    assert client.session["_auth_user_id"] == str(user.pk)


def test_code_may_be_typed_without_its_dash(client: Client) -> None:
    ask_for_code(client, "new@example.org")
    enter_code(client, mailed_code().replace("-", " "))
    assert is_signed_in(client)


def test_two_sessions_that_prove_one_new_address_make_one_user() -> None:
    first, second = Client(), Client()
    ask_for_code(first, "new@example.org")
    code = mailed_code()
    ask_for_code(second, "new@example.org")
    enter_code(second, mailed_code())
    enter_code(first, code)
    assert User.objects.count() == 1
    assert is_signed_in(first)
    assert is_signed_in(second)


def test_known_and_unknown_addresses_get_the_same_answers() -> None:
    UserFactory.create(email="known@example.org")
    UserFactory.create(email="gone@example.org", is_active=False)

    def answers(email: str) -> list[tuple[int, list[tuple[str, str]], str]]:
        client, seen = Client(), []
        for answer in (
            ask_for_code(client, email, next="/cart/"),
            client.get(CONFIRM + "?next=/cart/"),
            enter_code(client, wrong_code(), next="/cart/"),
            client.post(CONFIRM, {"action": "resend", "next": "/cart/"}),
            client.get(CONFIRM + "?next=/cart/"),
        ):
            # Expires is the time of the answer, the length is that of the page with its address, each has its own id.
            own = {"Content-Length", "Expires", "X-Request-ID"}
            headers = [item for item in answer.headers.items() if item[0] not in own]
            seen.append((answer.status_code, headers, shown(answer, email)))
        return seen

    known = answers("known@example.org")
    assert [status for status, _, _ in known] == [302, 200, 422, 302, 200]
    assert answers("other@example.org") == known
    assert answers("gone@example.org") == known


def test_session_keys_of_the_cart_survive_and_the_session_key_changes(client: Client) -> None:
    session = client.session
    session["cart_key"] = "kept"
    session.save()
    ask_for_code(client, "new@example.org")
    before = client.session.session_key
    enter_code(client, mailed_code())
    assert client.session["cart_key"] == "kept"
    assert client.session.session_key != before


def test_next_is_followed_after_the_code(client: Client) -> None:
    assert 'value="/e/7-jazz/?a=1&amp;b=2"' in client.get(LOGIN, {"next": "/e/7-jazz/?a=1&b=2"}).content.decode()
    asked = ask_for_code(client, "new@example.org", next="/e/7-jazz/?a=1&b=2")
    page = client.get(asked["Location"]).content.decode()
    assert 'name="next" value="/e/7-jazz/?a=1&amp;b=2"' in page
    assert enter_code(client, mailed_code(), next="/e/7-jazz/?a=1&b=2")["Location"] == "/e/7-jazz/?a=1&b=2"


@pytest.mark.parametrize("unsafe", [*UNSAFE, "http://testserver@evil.example", "https://testserver/cart/"])
def test_next_to_another_site_is_refused(client: Client, unsafe: str) -> None:
    assert 'name="next"' not in client.get(LOGIN, {"next": unsafe}).content.decode()
    assert ask_for_code(client, "new@example.org", next=unsafe)["Location"] == CONFIRM
    assert enter_code(client, mailed_code(), next=unsafe)["Location"] == "/"
    assert client.get(LOGIN, {"next": unsafe})["Location"] == "/"


def test_signed_in_visitor_is_sent_on(client: Client) -> None:
    client.force_login(UserFactory.create())
    for address in (LOGIN, CONFIRM):
        answer = client.get(address, {"next": "/cart/"})
        assert (answer.status_code, answer["Location"]) == (302, "/cart/")


@pytest.mark.parametrize("address", ["/accounts/signup/", "/accounts/login/code/"])
def test_signing_up_leads_to_the_one_form(client: Client, address: str) -> None:
    assert client.get(address, {"next": "/cart/"})["Location"] == f"{LOGIN}?next=%2Fcart%2F"
    assert client.get(address, {"next": "//evil.example"})["Location"] == LOGIN
    assert client.post(address).status_code == 405


def test_wrong_code_says_so_and_five_end_it(client: Client) -> None:
    ask_for_code(client, "new@example.org")
    code, wrong = mailed_code(), wrong_code()
    for _ in range(4):
        answer = enter_code(client, wrong, next="/cart/")
        assert answer.status_code == 422
        assert "not the code we sent" in answer.content.decode()
    assert enter_code(client, wrong, next="/cart/")["Location"] == f"{LOGIN}?next=%2Fcart%2F"
    assert "Too many wrong codes" in client.get(LOGIN).content.decode()
    enter_code(client, code)
    assert not is_signed_in(client)


def test_code_works_once(client: Client) -> None:
    ask_for_code(client, "new@example.org")
    code = mailed_code()
    enter_code(client, code)
    client.post("/accounts/logout/")
    assert enter_code(client, code)["Location"] == LOGIN
    assert not is_signed_in(client)


def test_code_of_another_session_does_not_work() -> None:
    victim, thief = Client(), Client()
    ask_for_code(victim, "new@example.org")
    code = mailed_code()
    ask_for_code(thief, "thief@example.org")
    assert enter_code(thief, code).status_code == 422


def test_code_works_for_fifteen_minutes(client: Client) -> None:
    ask_for_code(client, "new@example.org")
    with time_machine.travel(timezone.now() + timedelta(minutes=14, seconds=45)):
        enter_code(client, mailed_code())
        assert is_signed_in(client)


@pytest.mark.parametrize("seconds", [60, 15 * 60])
def test_expired_code_leads_back_with_a_reason(client: Client, settings: Settings, seconds: int) -> None:
    settings.ACCOUNT_LOGIN_BY_CODE_TIMEOUT = seconds
    ask_for_code(client, "new@example.org")
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds + 1)):
        assert enter_code(client, mailed_code(), next="/cart/")["Location"] == f"{LOGIN}?next=%2Fcart%2F"
        assert "has expired" in client.get(LOGIN).content.decode()
        assert not is_signed_in(client)


def test_code_page_without_a_code_on_its_way_leads_back(client: Client) -> None:
    assert client.get(CONFIRM)["Location"] == LOGIN
    assert enter_code(client, "1234-5678")["Location"] == LOGIN


def test_resend_replaces_the_code(client: Client) -> None:
    ask_for_code(client, "new@example.org")
    first = mailed_code()
    assert client.post(CONFIRM, {"action": "resend", "next": "/cart/"})["Location"] == f"{CONFIRM}?next=%2Fcart%2F"
    assert len(mail.outbox) == 2
    assert mailed_code() != first
    assert enter_code(client, first).status_code == 422
    enter_code(client, mailed_code())
    assert is_signed_in(client)


def test_mistyped_address_can_be_corrected_while_a_code_is_on_its_way(client: Client) -> None:
    ask_for_code(client, "tpyo@example.org")
    assert client.get(LOGIN).status_code == 200
    ask_for_code(client, "typo@example.org")
    enter_code(client, mailed_code())
    assert User.objects.get().email == "typo@example.org"


def test_closed_account_is_told_so_by_the_right_code_only(client: Client) -> None:
    UserFactory.create(email="gone@example.org", is_active=False)
    ask_for_code(client, "gone@example.org")
    answer = enter_code(client, mailed_code())
    assert answer["Location"] == "/accounts/inactive/"
    assert "was closed" in client.get(answer["Location"]).content.decode()
    assert not is_signed_in(client)


def test_address_that_only_looks_like_a_users_is_another_mailbox(client: Client) -> None:
    admin = UserFactory.create(email="admin@example.org", is_staff=True)
    ask_for_code(client, "adm\u0131n@example.org")  # a dotless i, which upper() makes an I
    if mail.outbox:
        enter_code(client, mailed_code())
    assert client.session.get("_auth_user_id") != str(admin.pk)


def test_mail_server_out_of_reach_is_an_honest_page(client: Client, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    answer = ask_for_code(client, "new@example.org")
    assert answer.status_code == 503
    assert "cannot send mail" in answer.content.decode()
    assert client.get(CONFIRM)["Location"] == LOGIN


def test_logout_needs_a_post(client: Client) -> None:
    client.force_login(UserFactory.create())
    assert client.get("/accounts/logout/").status_code == 200
    assert is_signed_in(client)
    assert client.post("/accounts/logout/")["Location"] == "/"
    assert not is_signed_in(client)


@pytest.mark.parametrize("address", [LOGIN, CONFIRM, "/accounts/logout/", "/accounts/password/", "/admin/login/"])
def test_post_without_a_csrf_token_is_refused(address: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(UserFactory.create())
    assert client.post(address, {"login": "new@example.org"}).status_code == 403
    assert mail.outbox == []


def test_demo_accounts_are_listed_in_debug_only(client: Client, settings: Settings) -> None:
    assert "organiser@example.org" not in client.get(LOGIN).content.decode()
    settings.DEBUG = True
    page = client.get(LOGIN).content.decode()
    assert "organiser@example.org" in page
    assert "foyer-demo" in page


def test_rows_of_codes_are_gone_a_day_later(client: Client) -> None:
    ask_for_code(client, "old@example.org")
    with time_machine.travel(timezone.now() + timedelta(days=1, minutes=1)):
        ask_for_code(client, "new@example.org")
        assert SignInCode.objects.count() == 1
        enter_code(client, mailed_code())
        assert is_signed_in(client)
