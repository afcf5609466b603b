"""Settings from the environment: each a typed value or one clear line."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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
