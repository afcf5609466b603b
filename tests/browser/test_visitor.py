"""The visitor's own patience: a page that is on its way is waited for, not looked at half."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import django_htmx
import pytest
from django.db import connection
from playwright.sync_api import Browser

from tests.browser.visitor import AT_A_DESK, Visitor
from tests.simulator import until

LATE = 0.3  # seconds between the head of the answer, at which Chromium leaves the old page, and its body


HTMX = Path(django_htmx.__file__).parent / "static" / "django_htmx" / "htmx-2.min.js"
PAGE = b"""<!doctype html><title>Slow</title>
<meta name="htmx-config" content='{"defaultSettleDelay": 300}'>
<script src="/htmx.js"></script>
<main><a href="/slow">Go on</a><form method="post" hx-post="/" hx-swap="outerHTML"><button>Ask</button></form></main>"""


class Slow(BaseHTTPRequestHandler):
    """`/` links to `/slow`, which tells at once that it comes, and comes late; its form is swapped and settles late."""

    asked: ClassVar[list[bool]] = []  # whether it was by htmx

    def do_GET(self) -> None:
        self.send_response(200)
        script = self.path == "/htmx.js"
        self.send_header("Content-Type", "text/javascript" if script else "text/html; charset=utf-8")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.path == "/slow":
            self.wfile.flush()
            threading.Event().wait(LATE)
        self.wfile.write(HTMX.read_bytes() if script else PAGE)

    def do_POST(self) -> None:
        """The form anew, and how often htmx has asked."""
        self.asked.append("HX-Request" in self.headers)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        button = f"Ask again, asked by htmx: {self.asked.count(True)}"
        self.wfile.write(
            f'<form method="post" hx-post="/" hx-swap="outerHTML"><button>{button}</button></form>'.encode()
        )

    def log_message(self, *_words: object) -> None:
        """Says nothing."""


@pytest.fixture
def slow_site() -> Iterator[str]:
    Slow.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_no_connection_of_before_the_browser_stays_open(browser: Browser) -> None:
    """It would keep the database for whoever wants it alone, as a restore does."""

    def is_alone() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            (others,) = cursor.fetchone() or (0,)
        return int(others) == 0

    until(is_alone)


def test_page_that_is_on_its_way_is_waited_for(browser: Browser, slow_site: str) -> None:
    """The moment between the head of an answer and its first byte, in which a document has no root."""
    context = browser.new_context()
    visitor = Visitor(context, slow_site, AT_A_DESK)
    visitor.go("/")
    visitor.link("Go on").click()
    visitor.stop("slow")
    assert visitor.path == "/slow"
    context.close()


def test_answer_that_htmx_has_put_in_is_clicked_when_its_script_is_awake(browser: Browser, slow_site: str) -> None:
    """Between the swap and its settling a form is there that htmx does not know yet: the browser would send it."""
    context = browser.new_context()
    visitor = Visitor(context, slow_site, AT_A_DESK)
    visitor.go("/")
    visitor.button("Ask").click()
    visitor.sees("asked by htmx: 1")
    visitor.button("Ask again").focus()
    visitor.press("Enter")
    visitor.sees("asked by htmx: 2")
    assert Slow.asked == [True, True]
    context.close()
