"""The demo as `make run` starts it: its books are in order, after the first start and after the second."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.dev.test_launcher import PROJECT, eventually, free_port, processes_with

pytestmark = pytest.mark.soak  # the seed pays its orders one by one through the simulator: about half a minute


def has_started(foyer: subprocess.Popen[bytes], told: Path) -> bool:
    """It said how to stop it, or has stopped already."""
    return "Ctrl-C" in told.read_text() or foyer.poll() is not None


def test_books_of_the_demo_are_in_order_also_after_a_restart(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "DATA_DIR": str(tmp_path / "data"),
        "PORT": str(free_port()),
        "SIMULATOR_PORT": str(free_port()),
    }
    for start in ("first", "second"):
        told = tmp_path / f"{start}.txt"
        with told.open("w") as output:
            foyer = subprocess.Popen(
                [sys.executable, "-m", "dev.launcher", "run"], cwd=PROJECT, env=environment, stdout=output
            )
        try:
            eventually(partial(has_started, foyer, told), patience=600)
            books = subprocess.run(
                [sys.executable, "-m", "dev.launcher", "manage", "check_books"],
                cwd=PROJECT,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert "The books are in order" in books.stdout, books.stdout + books.stderr
            assert books.returncode == 0
        finally:
            foyer.send_signal(signal.SIGTERM)
            foyer.wait(180)
    assert processes_with(str(tmp_path)) == {}
