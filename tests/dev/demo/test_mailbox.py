"""The demo's mail page."""

import os
from pathlib import Path

import pytest
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from pytest_django import Settings

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    settings.DEBUG = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    (tmp_path / "secret.log").write_text("Subject: secret\n\nsecret\n" + "-" * 79 + "\n")
    return tmp_path / "mail"


def send(subject: str) -> None:
    message = EmailMultiAlternatives(subject, "See http://testserver/\n<b>text</b>", None, ["ann@example.org"])
    message.attach_alternative("<p>Zoë's <script>alert(1)</script></p>", "text/html")
    message.attach("ticket <1>.pdf", b"%PDF-1.4 \x00\xff", "application/pdf")
    message.send()


def first_link(client: Client) -> str:
    return "/mail/" + client.get("/mail/").content.decode().partition('href="/mail/')[2].partition('"')[0]


@pytest.mark.usefixtures("folder")
def test_mail_list_shows_what_was_sent(client: Client) -> None:
    assert "Nothing was sent yet" in client.get("/mail/").content.decode()
    send("Première <b>mail</b>")
    page = client.get("/mail/").content.decode()
    assert "Première &lt;b&gt;mail&lt;/b&gt;" in page
    assert "ann@example.org" in page


def test_mail_list_is_newest_first(client: Client, folder: Path) -> None:
    for age, subject in [(300, "middle"), (600, "oldest"), (0, "newest")]:
        known = set(folder.glob("*.log"))
        send(subject)
        (new,) = set(folder.glob("*.log")) - known
        new = new.rename(folder / f"{subject}.log")
        stat = new.stat()
        os.utime(new, (stat.st_atime - age, stat.st_mtime - age))
    page = client.get("/mail/").content.decode()
    assert page.index("newest") < page.index("middle") < page.index("oldest")


@pytest.mark.usefixtures("folder")
def test_mail_is_shown_as_escaped_text(client: Client) -> None:
    send("One")
    page = client.get(first_link(client)).content.decode()
    assert '<a href="http://testserver/"' in page
    assert "&lt;b&gt;text&lt;/b&gt;" in page
    assert "<script>alert" not in page


@pytest.mark.usefixtures("folder")
def test_html_part_is_served_in_a_sandbox(client: Client) -> None:
    send("One")
    answer = client.get(first_link(client) + "html/")
    assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "Zoë" in answer.content.decode()


@pytest.mark.usefixtures("folder")
def test_attachment_downloads(client: Client) -> None:
    send("One")
    answer = client.get(first_link(client) + "attachments/0/")
    assert answer.content == b"%PDF-1.4 \x00\xff"
    assert answer["Content-Disposition"].startswith("attachment;")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert client.get(first_link(client) + "attachments/1/").status_code == 404


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("key", ["..%2fsecret-0", "%2e%2e%2fsecret-0", "..\\secret-0", "secret-0", "nothing", "-0"])
def test_only_mails_of_the_folder_are_found(client: Client, key: str) -> None:
    send("One")
    for tail in ("", "html/", "attachments/0/"):
        assert client.get(f"/mail/{key}/{tail}").status_code == 404


def test_mail_kept_nowhere_says_so(client: Client, settings: Settings) -> None:
    settings.DEBUG = True
    assert "EMAIL_URL" in client.get("/mail/").content.decode()


def test_mail_page_does_not_exist_in_production(client: Client, folder: Path, settings: Settings) -> None:
    send("One")
    link = first_link(client)
    settings.DEBUG = False
    assert folder.exists()
    for address in ("/mail/", link, link + "html/", link + "attachments/0/"):
        assert client.get(address).status_code == 404


@pytest.mark.usefixtures("folder")
def test_mail_pages_take_no_post(client: Client) -> None:
    assert client.post("/mail/").status_code == 405
