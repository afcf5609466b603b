"""The one browser of a test process: Playwright's loop lives in the tests' thread, and there is room for one only."""

import os
from collections.abc import Iterator

import pytest
from django.db import connections
from playwright.sync_api import Browser, expect, sync_playwright

#: Debian's, playwright's own download is not used; the shell has no windows, and a third of the cost.
CHROMIUM = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"]
PATIENCE = 90_000  # milliseconds; the machine may be busy, nobody who looks at a page is in a hurry
FLAGS = [
    "--no-sandbox",  # the tests may run as root, and visit our own pages only
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all; a missing one is a failure, never a skip."""
    expect.set_options(timeout=PATIENCE)
    connections.close_all()  # beside a running loop Django opens others, and these would stay open to the end
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=next(filter(os.path.exists, CHROMIUM), CHROMIUM[0]), args=FLAGS, timeout=PATIENCE
        )
