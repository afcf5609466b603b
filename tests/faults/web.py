"""The shop as it is deployed, for faults that need its real processes: gunicorn with threads, a pool of connections."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import dj_database_url
from django.db import connection, connections

from dev.children import Child, wait_for_port
from tests.dev.test_launcher import free_port
from tests.simulator import ROOT, SimulatorProcess

THREADS = 4
POOL = 4
PATIENCE = 120  # seconds for a process to be there


def address_of_test_database() -> str:
    """DATABASE_URL of this test's own database: the one that was given, but for the name."""
    given = urlsplit(os.environ["DATABASE_URL"])
    return f"{given.scheme}://{given.netloc}/{quote(connection.settings_dict['NAME'])}?{given.query}".rstrip("?")


@contextlib.contextmanager
def web_server(sumup: SimulatorProcess, folder: Path, database: str, **environment: str) -> Iterator[str]:
    """One web process with THREADS threads on `database`; yields its host and port."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    command += ["--worker-class", "gthread", "--workers", "1", "--threads", str(THREADS), "--graceful-timeout", "1"]
    # One question a connection: the server would close one that a slow test has not used for two seconds, perhaps in
    # the moment in which it is written to.
    command += ["--keep-alive", "0"]
    surroundings = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",  # of production, but with the simulator
        "DATABASE_URL": database,
        "DATABASE_POOL": str(POOL),
        "SITE_URL": f"http://127.0.0.1:{port}",
        "SUMUP_API_URL": sumup.url,
        "LOG_LEVEL": "ERROR",
        **environment,
    }
    child = Child("web", [*command, "--chdir", str(ROOT)], environment=surroundings, log=folder / "web.log")
    child.quiet = True
    try:
        assert wait_for_port(port, alive=child.running, seconds=PATIENCE), child.epitaph()
        yield f"127.0.0.1:{port}"
    finally:
        child.stop(3)


@contextlib.contextmanager
def at_database(url: str) -> Iterator[None]:
    """What this thread does with the ORM happens in the database of `url`, as long as the block lasts."""
    before = connections["default"]
    elsewhere = before.copy()
    address = dj_database_url.parse(url)
    # All of it: the tests' own server may be one with a host, a port and a password.
    elsewhere.settings_dict |= {part: address.get(part, "") for part in ("HOST", "PORT", "USER", "PASSWORD", "NAME")}
    connections["default"] = elsewhere
    try:
        yield
    finally:
        elsewhere.close()
        connections["default"] = before
