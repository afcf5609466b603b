"""The tests' own surroundings: nothing of the caller gets in, nothing is left behind."""

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis
import pytest

from dev import testing

PROJECT = Path(__file__).resolve().parents[2]
SHOW = "import os; print(os.environ['DATA_DIR'], os.environ['DATABASE_URL'], os.environ.get('SUMUP_API_KEY')); exit(7)"


def aged(folder: Path) -> Path:
    folder.mkdir()
    (folder / "lock").touch()
    os.utime(folder, (0, 0))
    return folder


def test_command_runs_with_a_server_that_is_gone_afterwards(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "SUMUP_API_KEY": "of the developer"}
    environment.pop("DATABASE_URL")
    command = [sys.executable, "-m", "dev.testing", sys.executable, "-c", SHOW]
    ended = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 7
    data, url, key = ended.stdout.split()
    assert data.startswith(str(tmp_path))
    assert url.startswith("postgresql://foyer@")
    assert key == "None"
    assert list(tmp_path.iterdir()) == []


def test_command_uses_the_database_that_is_named(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "DATABASE_URL": "postgresql:///mine"}
    command = [sys.executable, "-m", "dev.testing", sys.executable, "-c", SHOW]
    ended = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert ended.stdout.split()[1] == "postgresql:///mine"


def test_leftovers_of_killed_runs_go_and_living_runs_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed = aged(tmp_path / "foyer-test-killed")
    alive = aged(tmp_path / "foyer-test-alive")
    begun = tmp_path / "foyer-test-begun"
    begun.mkdir()
    other = aged(tmp_path / "other")
    with (alive / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        testing.remove_leftovers()
    assert not killed.exists()
    assert {folder.name for folder in tmp_path.iterdir()} == {alive.name, begun.name, other.name}


def test_tests_reach_no_payment_service() -> None:
    assert os.environ["SUMUP_API_URL"] == "http://127.0.0.1:9"
    assert "SUMUP_API_KEY" not in os.environ


def test_hypothesis_hurries_no_test() -> None:
    assert hypothesis.settings.default is not None
    assert hypothesis.settings.default.deadline is None
    assert hypothesis.HealthCheck.too_slow in hypothesis.settings.default.suppress_health_check
