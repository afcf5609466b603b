"""Settings from the environment: each a typed value or one clear line."""

import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import environment as env

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAME", raising=False)
    monkeypatch.delenv("NAME_FILE", raising=False)


def test_text_is_needed_unless_there_is_a_default() -> None:
    assert env.text("NAME", "default") == "default"
    with pytest.raises(ImproperlyConfigured, match="NAME is not set"):
        env.text("NAME")


def test_text_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush\n", encoding="utf-8")
    monkeypatch.setenv("NAME_FILE", str(tmp_path / "secret"))
    assert env.text("NAME") == "hush"
    monkeypatch.setenv("NAME", "aloud")
    with pytest.raises(ImproperlyConfigured, match="both set"):
        env.text("NAME")


def test_text_of_an_unreadable_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAME_FILE", str(tmp_path / "missing"))
    with pytest.raises(ImproperlyConfigured, match="NAME_FILE: cannot read"):
        env.text("NAME")


@pytest.mark.parametrize(
    ("value", "meaning"), [("1", True), ("On", True), ("true", True), ("0", False), ("no", False), ("", False)]
)
def test_flag_is_on_or_off(monkeypatch: pytest.MonkeyPatch, value: str, meaning: bool) -> None:
    monkeypatch.setenv("NAME", value)
    assert env.flag("NAME", default=not meaning) is meaning


def test_words_drop_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", " a, ,b ,")
    assert env.words("NAME") == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("https://tickets.example.org/", "https://tickets.example.org"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_web_address_loses_its_last_slash(monkeypatch: pytest.MonkeyPatch, value: str, meaning: str) -> None:
    monkeypatch.setenv("NAME", value)
    assert env.web_address("NAME") == meaning


READERS: dict[str, Callable[[str], object]] = {
    "flag": lambda name: env.flag(name, default=False),
    "number": lambda name: env.number(name, 30, least=8, most=99),
    "choice": lambda name: env.choice(name, "a", ("a", "b")),
    "address": env.web_address,
    "mail": lambda name: env.mail(name, "console:"),
}


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        ("flag", "perhaps"),
        ("number", "7"),
        ("number", "100"),
        ("number", "-9"),
        ("number", "9.5"),
        ("number", "٣٠"),
        ("number", ""),
        ("choice", "c"),
        ("address", "tickets.example.org"),
        ("address", "ftp://tickets.example.org"),
        ("address", "https://tickets.example.org:port"),
        ("address", "https://tickets.example.org/?a=b"),
        ("address", "https://[tickets"),
        ("mail", "smtp:"),
        ("mail", "pigeon://loft"),
        ("mail", "smtp://mail.example.org:port"),
    ],
)
def test_bad_value_is_one_line_that_names_its_setting(monkeypatch: pytest.MonkeyPatch, reader: str, value: str) -> None:
    monkeypatch.setenv("NAME", value)
    with pytest.raises(ImproperlyConfigured) as refused:
        READERS[reader]("NAME")
    assert str(refused.value).startswith("NAME")
    assert "\n" not in str(refused.value)


def test_mail_by_smtp_reads_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "smtp+tls://me%40home:p%2Fw@mail.example.org?from=Box%20office%20%3Cbox@example.org%3E")
    settings = env.mail("NAME", "console:")
    assert settings["EMAIL_HOST"] == "mail.example.org"
    assert settings["EMAIL_PORT"] == 587
    assert settings["EMAIL_HOST_USER"] == "me@home"
    assert settings["EMAIL_HOST_PASSWORD"] == "p/w"
    assert settings["EMAIL_USE_TLS"] is True
    assert settings["EMAIL_USE_SSL"] is False
    assert settings["DEFAULT_FROM_EMAIL"] == "Box office <box@example.org>"


@pytest.mark.parametrize(
    ("value", "sender"),
    [
        ("smtp://mail.example.org?from=box+office@example.org", "box+office@example.org"),
        ("console:?from=a+b@example.org", "a+b@example.org"),
        ("file:///var/mail@home?from=A%20%26%20B%20%3Ca%2Bb@example.org%3E", "A & B <a+b@example.org>"),
        ("smtp://mail.example.org", "Foyer <tickets@foyer.example>"),
    ],
)
def test_a_plus_of_the_sender_stays_a_plus(monkeypatch: pytest.MonkeyPatch, value: str, sender: str) -> None:
    monkeypatch.setenv("NAME", value)
    assert env.mail("NAME", "console:")["DEFAULT_FROM_EMAIL"] == sender


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ("shop.test", "shop.test"),
        ("localhost", "else.test"),
        ("192.168.1.4", "else.test"),
        ("::1", "else.test"),
    ],
)
def test_a_mail_comes_from_a_host_of_the_world(monkeypatch: pytest.MonkeyPatch, site: str, expected: str) -> None:
    monkeypatch.setenv("NAME", "console:?from=Box%20%3Cbox@else.test%3E")
    assert env.mail("NAME", "console:", host=site)["MAIL_HOST"] == expected


#: Marks that end a part of an address, and what they may stand between.
MARKS = ["#", "/", "?", "[", "]", "?&", "?x=", "/x/", "\n", "??"]
PASSWORDS = ["hush{}hush", "12{}hush", "{}hush", "hush{}", "12{}12", "a@b{}c"]
SECRET_ADDRESSES = {
    "DATABASE_URL": [
        "postgresql://u:{}@db.example.org/foyer",
        "postgres://u:{}@db.example.org:5432/foyer?sslmode=require",
    ],
    "EMAIL_URL": [
        "smtp+tls://u:{}@mail.example.org:587?from=a@example.org",
        "smtp://u:{}@mail.example.org?from=a@example.org",
        "smtps://u:{}@mail.example.org",
        "smtps://u:{}@mail.example.org:465",
    ],
}


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("name", SECRET_ADDRESSES)
@pytest.mark.promise("nothing-password-address")
def test_a_password_s_mark_is_told_of_and_nothing_of_it_quoted(
    monkeypatch: pytest.MonkeyPatch, name: str, mark: str
) -> None:
    for form in SECRET_ADDRESSES[name]:
        for password in (form.format(mark) for form in PASSWORDS):
            monkeypatch.setenv("NAME", form.format(password))
            reader = env.database if name == "DATABASE_URL" else partial(env.mail, default="")
            with pytest.raises(ImproperlyConfigured, match="Percent-encode") as refused:
                reader("NAME")
            told = "".join(traceback.format_exception(refused.value))
            assert not re.search("hush|12|example", told.rpartition("ImproperlyConfigured")[2])
            assert "\n" not in str(refused.value)
            assert refused.value.__cause__ is None
            assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize("password", ["#/?[]@:%&=+ \\'\"$", "+", "a@b", "ü€"])
def test_a_password_that_is_percent_encoded_is_what_it_was(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    encoded = quote(password, safe="+" if password == "+" else "@" if password == "a@b" else "")
    for form in SECRET_ADDRESSES["EMAIL_URL"]:
        monkeypatch.setenv("NAME", form.format(encoded))
        assert env.mail("NAME", "")["EMAIL_HOST_PASSWORD"] == password
    for form in SECRET_ADDRESSES["DATABASE_URL"]:
        monkeypatch.setenv("NAME", form.format(encoded))
        found = env.database("NAME")
        assert (found["PASSWORD"], found["HOST"], found["NAME"]) == (password, "db.example.org", "foyer")


@pytest.mark.parametrize(
    ("value", "facts"),
    [
        ("postgresql:///foyer", {"HOST": "", "NAME": "foyer", "USER": ""}),
        ("postgresql://foyer@%2Fvar%2Frun%2Fpostgresql/foyer", {"HOST": "/var/run/postgresql", "USER": "foyer"}),
        ("postgresql://u:p@[::1]:6432/a%2Fb", {"HOST": "::1", "PORT": 6432, "NAME": "a/b"}),
        ("postgresql://u@h/n?sslrootcert=/etc/a+b.pem", {"OPTIONS": {"sslrootcert": "/etc/a+b.pem"}}),
    ],
)
def test_database_reads_every_part(monkeypatch: pytest.MonkeyPatch, value: str, facts: dict[str, object]) -> None:
    monkeypatch.setenv("NAME", value)
    assert env.database("NAME").items() >= facts.items()


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://u@h", "postgresql://u@h/", "postgresql://u@h/n?nonsense=1", "postgresql://u@h/n?sslmode",
        "postgresql://u@h/n?sslmode=a&sslmode=b", "mysql://u:hush@h/n", "", "u:hush@h/n",
    ],
)  # fmt: skip
def test_a_database_s_bad_address_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("NAME", value)
    with pytest.raises(ImproperlyConfigured, match=r"^NAME") as refused:
        env.database("NAME")
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "backend"),
    [("console:", "console"), ("memory:", "locmem"), ("file:///var/mail%20box", "filebased")],
)
def test_mail_without_a_server_has_its_backend(monkeypatch: pytest.MonkeyPatch, value: str, backend: str) -> None:
    monkeypatch.setenv("NAME", value)
    settings = env.mail("NAME", "console:")
    assert settings["EMAIL_BACKEND"] == f"django.core.mail.backends.{backend}.EmailBackend"
    assert settings.get("EMAIL_FILE_PATH") == ("/var/mail box" if backend == "filebased" else None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "short"),
        ("SECRET_KEY_FALLBACKS", f"{'long enough ' * 3},short"),
        ("STATUS_TOKEN", "fifteen letters"),
        ("FIELD_KEYS", ","),
        ("SITE_URL", "localhost"),
        ("DATABASE_URL", "sqlite:///foyer.db"),
        ("DATABASE_URL", "what is this"),
        ("DATABASE_URL", "postgresql://u:12#3@db.example.org/foyer"),
        ("EMAIL_URL", "smtp://u:12/3@mail.example.org"),
        ("DATABASE_POOL", "many"),
        ("HOLD_MINUTES", "3"),
        ("SUMUP_API_KEY", "without a merchant"),
        ("LOG_LEVEL", "LOUD"),
        ("EMAIL_URL", "pigeon://loft"),
    ],
)
def test_command_stops_with_one_line_at_a_bad_setting(name: str, value: str) -> None:
    command = [sys.executable, "manage.py", "check"]
    ended = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, name: value}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith("foyer: ")
    assert name in ended.stderr
