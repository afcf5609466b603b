"""What takes too long is given up by a web process, and by nothing else."""

import http.client
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.slow_urls import LIMITS
from tests.faults.web import address_of_test_database, web_server
from tests.simulator import ROOT, SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)

SLOW = "tests.faults.slow"
PATIENCE = 60


def asked(host: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.promise("statement-web-process")
def test_web_process_gives_up_a_long_statement(sumup: SimulatorProcess, tmp_path: Path) -> None:
    """After the limit PostgreSQL ends it: the page that says "try again", once; the connection serves the next one."""
    here = {"DJANGO_SETTINGS_MODULE": SLOW, "STATEMENT_SECONDS": "1", "DATABASE_POOL": "1", "LOG_LEVEL": "INFO"}
    with web_server(sumup, tmp_path, address_of_test_database(), **here) as host:
        assert asked(host, "/limits") == (200, "('1s 900ms',)")
        status, page = asked(host, "/slow")
        assert status == 503
        assert "500" not in page
        assert asked(host, "/limits")[0] == 200
    log = (tmp_path / "web.log").read_text()
    assert log.count("canceling statement due to statement timeout") >= 1


@pytest.mark.parametrize("pool", ["0", "2"])
@pytest.mark.promise("statement-web-process")
def test_limit_is_ten_seconds_unless_told_otherwise(sumup: SimulatorProcess, tmp_path: Path, pool: str) -> None:
    database = address_of_test_database()
    with web_server(sumup, tmp_path, database, DJANGO_SETTINGS_MODULE=SLOW, DATABASE_POOL=pool) as host:
        assert asked(host, "/limits") == (200, "('10s 9s',)")


@pytest.mark.promise("statement-web-process")
def test_commands_and_the_worker_have_no_limit() -> None:
    """A comparison of the books may take its time. Both read the settings as they stand; wsgi alone adds to them."""
    words = f"from django.db import connection as c; k = c.cursor(); k.execute({LIMITS!r}); print(k.fetchone())"
    asks = [sys.executable, "manage.py", "shell", "--no-imports", "-c", words]
    surroundings = {**os.environ, "DATABASE_URL": address_of_test_database(), "STATEMENT_SECONDS": "1"}
    told = subprocess.run(asks, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "('0 10s',)"
