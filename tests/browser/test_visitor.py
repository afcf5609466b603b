"""The visitor's own patience: a page that is on its way is waited for, not looked at half."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser

from tests.browser.visitor import AT_A_DESK, Visitor

LATE = 0.3  # seconds between the head of the answer, at which Chromium leaves the old page, and its body


class Slow(BaseHTTPRequestHandler):
    """`/` links to `/slow`, which tells at once that it comes, and comes late."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.path == "/slow":
            self.wfile.flush()
            threading.Event().wait(LATE)
        self.wfile.write(b'<!doctype html><title>Slow</title><main><a href="/slow">Go on</a></main>')

    def log_message(self, *_words: object) -> None:
        """Says nothing."""


@pytest.fixture
def slow_site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_page_that_is_on_its_way_is_waited_for(browser: Browser, slow_site: str) -> None:
    """The moment between the head of an answer and its first byte, in which a document has no root."""
    context = browser.new_context()
    visitor = Visitor(context, slow_site, AT_A_DESK)
    visitor.go("/")
    visitor.link("Go on").click()
    visitor.stop("slow")
    assert visitor.path == "/slow"
    context.close()
