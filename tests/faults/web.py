"""The shop as it is deployed, for faults that need its real processes: gunicorn with threads, a pool of connections."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from django.db import connection, connections

from config.children import Child, wait_for_port
from tests.config.test_launcher import free_port
from tests.simulator import ROOT, SimulatorProcess

THREADS = 4
POOL = 4


def address_of_test_database() -> str:
    """DATABASE_URL of this test's own database."""
    here = connection.settings_dict
    who = f"{here['USER']}:{here['PASSWORD'] or ''}@{quote(here['HOST'], safe='')}:{here['PORT'] or 5432}"
    return f"postgresql://{who}/{here['NAME']}"


@contextlib.contextmanager
def web_server(sumup: SimulatorProcess, folder: Path, database: str, **environment: str) -> Iterator[str]:
    """One web process with THREADS threads on `database`; yields its host and port."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    command += ["--worker-class", "gthread", "--workers", "1", "--threads", str(THREADS), "--graceful-timeout", "1"]
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
        assert wait_for_port(port, alive=child.running, seconds=30), child.epitaph()
        yield f"127.0.0.1:{port}"
    finally:
        child.stop(3)


@contextlib.contextmanager
def at_database(host: str, name: str) -> Iterator[None]:
    """What this thread does with the ORM happens in another database, as long as the block lasts."""
    before = connections["default"]
    elsewhere = before.copy()
    elsewhere.settings_dict.update(HOST=host, NAME=name)
    connections["default"] = elsewhere
    try:
        yield
    finally:
        elsewhere.close()
        connections["default"] = before
