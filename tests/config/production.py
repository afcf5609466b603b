"""The shop in production's own settings: a web process as README's gunicorn line starts it, asked over HTTP."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from dev.children import Child, wait_for_port
from tests.dev.test_launcher import free_port
from tests.faults.web import address_of_test_database
from tests.simulator import ROOT

HOST = "tickets.example.org"
TOKEN = "a-status-token-of-the-test"
#: What a proxy that speaks https adds to a visitor's request.
PROXIED = {"Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}


def environment(data: Path, **more: str) -> dict[str, str]:
    """All that the process knows: what an operator sets, and nothing of the tests' surroundings."""
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": address_of_test_database(),
        "SECRET_KEY": os.environ["SECRET_KEY"],  # the tests make sessions that it reads …
        "FIELD_KEYS": os.environ["FIELD_KEYS"],  # … and a merchant's key
        "SITE_URL": f"https://{HOST}",
        "DATA_DIR": str(data),
        "EMAIL_URL": "smtp://127.0.0.1:9",
        "STATUS_TOKEN": TOKEN,
        **more,
    }


Headers = Mapping[str, str | None]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]  # by lower-case name
    cookies: list[str]
    body: str


@dataclass(frozen=True)
class Production:
    port: int
    data: Path

    def ask(
        self, path: str, method: str = "GET", body: bytes = b"", *, cookie: str = "", headers: Headers | None = None
    ) -> Answer:
        """What a visitor behind the proxy gets; one of `headers` replaces the proxy's, None takes it away."""
        given = headers or {}
        sent = {**PROXIED, **({"Cookie": cookie} if cookie else {}), **given}
        if body:
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body or None, {k: v for k, v in sent.items() if v is not None})
            answer = connection.getresponse()
            told = answer.headers
            return Answer(
                answer.status,
                {name.lower(): value for name, value in told.items() if name.lower() != "set-cookie"},
                told.get_all("Set-Cookie") or [],
                answer.read().decode(errors="replace"),
            )


@contextlib.contextmanager
def production(data: Path) -> Iterator[Production]:
    """Collects the static files and starts the web process; Foyer's database is the test's."""
    port, surroundings = free_port(), environment(data)
    collect = [sys.executable, "manage.py", "collectstatic", "--no-input"]
    subprocess.run(collect, cwd=ROOT, env=surroundings, check=True, capture_output=True)
    command = [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    command += ["--worker-class", "gthread", "--workers", "1", "--threads", "4", "--chdir", str(ROOT)]
    child = Child("web", command, environment=surroundings, log=data / "web.log")
    child.quiet = True
    try:
        assert wait_for_port(port, alive=child.running, seconds=60), child.epitaph()
        yield Production(port, data)
    finally:
        child.stop(3)


def told_by_settings(data: Path, code: str) -> object:
    """The JSON that `code` prints in a process of production's, Django set up."""
    program = f"import django, json; django.setup(); {code}"
    surroundings = environment(data) | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=surroundings, capture_output=True, text=True, check=True
    )
    told: object = json.loads(ended.stdout)
    return told
