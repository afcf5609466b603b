"""What the sign-in mails say, and what never gets into them."""

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from pytest_django import Settings

from accounts.adapter import Adapter
from tests.accounts.steps import ask_for_code, mailed_code
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def parts(message: mail.EmailMessage) -> tuple[str, str]:
    assert isinstance(message, EmailMultiAlternatives)
    return str(message.body), str(message.alternatives[0][0])


@pytest.mark.parametrize("known", [True, False])
def test_mail_has_the_code_as_text_and_html(client: Client, known: bool) -> None:
    if known:
        UserFactory.create(email="ann@example.org")
    ask_for_code(client, "ann@example.org")
    text, html = parts(mail.outbox[0])
    assert mailed_code() in text
    assert mailed_code() in html
    assert "http://testserver" in text
    assert 'href="http://testserver"' in html


@pytest.mark.parametrize("known", [True, False])
def test_host_headers_never_reach_a_mail(client: Client, settings: Settings, known: bool) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.USE_X_FORWARDED_HOST = True
    settings.SITE_URL = "https://tickets.example.org"
    if known:
        UserFactory.create(email="ann@example.org")
    headers = {"HOST": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher"}
    answer = client.post("/accounts/login/", {"login": "ann@example.org"}, headers=headers)
    assert answer.status_code == 302
    sent = mail.outbox[0].message().as_string()
    assert "evil" not in sent
    assert "gopher" not in sent
    assert "for Foyer" in mail.outbox[0].subject


def test_markup_and_line_breaks_stay_harmless(settings: Settings) -> None:
    settings.SITE_URL = "https://tickets.example.org\r\nBcc: all@example.org"
    Adapter().send_mail("account/email/signup_code", "<b>x</b>@example.org", {"code": "1234-5678"})
    message = mail.outbox[0]
    assert "\n" not in message.subject
    assert "\r" not in message.subject
    assert "Bcc" not in message.message()
    assert "<b>" not in parts(message)[1]
