"""No request sends more than is read of it, whoever asks and wherever: 413 by its length, before a byte is read."""

import contextlib
import re
import socket
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve

from config.limits import picture_forms
from events.models import Role
from tests.desk import change, house, member, signed_in_as
from tests.factories import ProductFactory, UserFactory
from tests.faults.web import address_of_test_database, web_server
from tests.simulator import SimulatorProcess
from tests.steps import WEBHOOK

pytestmark = pytest.mark.django_db

FORM = "multipart/form-data; boundary=x"
HUGE = 150 * 1024 * 1024


class Untouched(BytesIO):
    """A body that is as long as its header says, and says when somebody reads it."""

    def read(self, *_args: object) -> bytes:
        raise AssertionError("the body was read")

    readline = read


def addresses(patterns: list[URLPattern | URLResolver] | None = None, before: str = "") -> Iterator[str]:
    """A path for each address that the resolver knows, made of its own patterns."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = before + filled(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, path)
        else:
            yield path


def filled(pattern: str) -> str:
    pattern = re.sub(r"\(\?P<\w+>[^)]*\)", "x", pattern)  # a regular expression's group
    pattern = re.sub(r"<int:\w+>", "1", pattern)
    pattern = re.sub(r"<uuid:\w+>", "7c0f3c3e-6a5a-4b7e-9a3e-0d1f6b1d2c3a", pattern)
    pattern = re.sub(r"<(?:\w+:)?\w+>", "x", pattern)
    return pattern.lstrip("^").removesuffix(r"\Z").removesuffix("$").replace("\\", "")


def answer_to(client: Client, path: str, length: object) -> Any:
    body: dict[str, Any] = {"wsgi.input": Untouched(), "CONTENT_LENGTH": str(length)}
    return client.generic("POST", path, content_type=FORM, **body)


def sent(client: Client, path: str, length: object) -> int:
    return int(answer_to(client, path, length).status_code)


def test_addresses_are_all_there() -> None:
    found = set(addresses())
    assert {"accounts/login/", "cart/line/1/1/", "admin/events/page/add/", WEBHOOK.lstrip("/")} <= found
    assert len(found) > 150


@pytest.mark.promise("body-over-256")
def test_nothing_over_the_limit_is_read_at_any_address() -> None:
    """Signed out, signed in, and as staff where no picture may come: one way of saying no, and no session made."""
    staff = signed_in_as(member((house("One").page, Role.OWNER)))
    buyer = signed_in_as(UserFactory.create())
    sessions = Session.objects.count()
    everywhere = list(addresses())
    elsewhere = [path for path in everywhere if resolve(f"/{path}").view_name not in picture_forms()]
    for client, small_only in ((Client(), everywhere), (buyer, everywhere), (staff, elsewhere)):
        assert {path for path in everywhere if sent(client, f"/{path}", HUGE) != 413} == set()
        assert {path for path in small_only if sent(client, f"/{path}", settings.BODY_MOST + 1) != 413} == set()
    assert Session.objects.count() == sessions


@pytest.mark.promise("body-over-256")
def test_picture_forms_take_a_picture_of_staff_and_of_nobody_else() -> None:
    one = house("One")
    product = ProductFactory.create(page=one.page)
    forms = [change(row) for row in (one.page, one.entry, product)]
    forms += [f"/admin/{model}/add/" for model in ("events/page", "events/calendarentry", "market/product")]
    assert len(picture_forms()) == len(forms)

    owner, buyer = signed_in_as(member((one.page, Role.OWNER))), signed_in_as(UserFactory.create())
    large = b"no picture" * (settings.BODY_MOST // 10 + 1)

    for form in forms:
        taken = 403 if form == "/admin/events/page/add/" else 200  # only a superuser adds one
        for client, status in ((owner, taken), (buyer, 413), (Client(), 413)):
            assert client.post(form, {"picture": SimpleUploadedFile("a.jpg", large)}).status_code == status, form
        assert sent(owner, form, settings.PICTURE_BODY_MOST + 1) == 413


def test_a_body_without_a_length_is_as_empty() -> None:
    client = Client()
    for length in ("", "many", "-1"):
        assert sent(client, "/accounts/login/", length) == 422, "a form with nothing in it"


def test_the_page_says_what_now_and_needs_nothing() -> None:
    answer = answer_to(Client(), "/accounts/login/", HUGE)
    body = answer.content.decode()
    assert "That is too much at once" in body
    assert "12 MB" in body
    assert "Content-Security-Policy" in answer.headers


def test_the_webhook_keeps_its_own_limit() -> None:
    assert sent(Client(), WEBHOOK, 16 * 1024 + 1) == 400
    assert sent(Client(), WEBHOOK, settings.BODY_MOST + 1) == 413


def test_fields_of_a_form_are_limited_where_a_picture_may_come(client: Client) -> None:
    one = house("One")
    client.force_login(member((one.page, Role.OWNER)))
    text = "x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    assert client.post(change(one.page), {"text": text}).status_code == 400


def test_what_is_taken_is_kept_in_memory() -> None:
    """One number each: what the middleware lets pass is what Django takes, and no handler writes a file."""
    assert settings.DATA_UPLOAD_MAX_MEMORY_SIZE == settings.BODY_MOST == 256 * 1024
    assert settings.FILE_UPLOAD_MAX_MEMORY_SIZE == settings.PICTURE_BODY_MOST == 13 * 1024 * 1024
    assert settings.FILE_UPLOAD_HANDLERS == ["django.core.files.uploadhandler.MemoryFileUploadHandler"]


# --- The server as it is deployed


def poured(host: str, length: str, body: bytes, times: int) -> bytes:
    """What the server answers to a form that is `times` times `body`; it may hang up while it is sent."""
    name, port = host.split(":")
    head = f"POST /accounts/login/ HTTP/1.1\r\nHost: {host}\r\nContent-Type: {FORM}\r\n{length}\r\n\r\n"
    with socket.create_connection((name, int(port)), timeout=30) as line:
        line.sendall(head.encode())
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _time in range(times):
                line.sendall(body)
        with contextlib.suppress(ConnectionResetError):
            return line.recv(65536)
    return b""


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("150-mb-stranger")
def test_150_mb_of_a_stranger_leave_nothing_behind(sumup: SimulatorProcess, tmp_path: Path) -> None:
    """Over the real server, with a temporary folder of its own: a form with a file, and one in pieces of no length."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    start = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f.jpg"\r\n\r\n'
    megabyte = b"x" * 1024 * 1024
    with web_server(sumup, tmp_path, address_of_test_database(), TMPDIR=str(folder)) as host:
        before = sorted(folder.rglob("*"))

        answer = poured(host, f"Content-Length: {HUGE}", start, 1)
        assert answer.startswith(b"HTTP/1.1 413"), "while the body is still to come"
        poured(host, f"Content-Length: {HUGE}", start + megabyte, 149)
        piece = b"%x\r\n%s\r\n" % (len(start + megabyte), start + megabyte)
        answer = poured(host, "Transfer-Encoding: chunked", piece * 3 + b"0\r\n\r\n", 1)
        assert answer.startswith(b"HTTP/1.1 403"), "a form with nothing in it has no token"

        assert sorted(folder.rglob("*")) == before
        assert not Session.objects.exists()
