"""The simulator's HTTP server: keeps connections, answers in one write, and plays the faults of the wire."""

import select
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import ClassVar
from urllib.parse import parse_qs

from dev.simulator.api import Api
from dev.simulator.control import Control
from dev.simulator.faults import DRIPPING, Fault, Faults
from dev.simulator.pages import Pages
from dev.simulator.reply import Reply, told
from dev.simulator.rows import Merchant
from dev.simulator.till import Till

BODY_MOST = 1024 * 1024
HANG_SECONDS = 120
Request = socket.socket | tuple[bytes, socket.socket]


class Simulator(ThreadingHTTPServer):
    """One simulated SumUp on one port."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, Handler)

    def furnish(self, till: Till, merchants: dict[str, Merchant], faults: Faults, api: Api) -> None:
        """Hands over what the handlers answer from; the port is known only after binding."""
        self.faults = faults
        self.api = api
        self.control = Control(till, faults, api.webhooks)
        self.pages = Pages(till, merchants)

    def server_bind(self) -> None:
        """As usual, without asking the name server for the host's own name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Request, client_address: object) -> None:
        self.faults.count("connections")
        super().process_request(request, client_address)

    def handle_error(self, request: Request, client_address: object) -> None:
        """A client that goes away is no news; anything else is a mistake of the simulator's."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "SumUpSimulator"
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = 120
    server: Simulator
    # One object for all of Python's do_* names; each method is answered alike.
    methods: ClassVar = ("GET", "POST", "PUT", "PATCH", "DELETE")

    def log_message(self, format: str, *args: object) -> None:
        """Silence: the ledger tells what happened."""

    def _serve(self) -> None:
        body = self._body()
        if body is None:
            self.close_connection = True
            self._send(told({"message": "Send a Content-Length of at most 1 MiB"}, 413))
            return
        reply, fault = self._answer(body)
        kind = fault.kind if fault else ""
        if reply is None or kind in {"lost_answer", "hang_after"}:
            if kind in {"hang", "hang_after"}:
                self._hang(self.server.faults.released)
            self.close_connection = True
        elif fault and kind in DRIPPING:
            self._drip(reply, fault)
        else:
            self._send(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdigit() or int(length) > BODY_MOST:
            return None
        return self.rfile.read(int(length)) if int(length) else b""

    def _answer(self, body: bytes) -> tuple[Reply | None, Fault | None]:
        path, _mark, query = self.path.partition("?")
        if path.startswith("/pay/"):
            return self._page(path, body), None
        if path.startswith("/simulator/"):
            if "Origin" in self.headers:
                return told({"error": "not from another page"}, 403), None
            return self.server.control.answer(self.command, path.removeprefix("/simulator/"), body), None
        if path == "/" and self.command == "GET":
            return told({"simulator": "SumUp, no real money", "ledger": "/simulator/ledger"}), None
        key = self.headers.get("Authorization", "")
        return self.server.api.answer(self.command, path, query, key, body)

    def _page(self, path: str, body: bytes) -> Reply:
        checkout_id, _slash, rest = path.removeprefix("/pay/").partition("/")
        if self.command == "POST" and not rest:
            act = parse_qs(body.decode("utf-8", "replace")).get("act", [""])[0]
            if act in {"pay", "decline"}:
                return self.server.pages.act(checkout_id, act)
        if self.command == "GET" and rest == "left":
            return self.server.pages.left(checkout_id)
        return self.server.pages.show(checkout_id if not rest else "")

    def _bytes(self, reply: Reply) -> tuple[bytes, bytes]:
        """Head and body."""
        lines = [f"HTTP/1.1 {reply.status} {self.responses.get(reply.status, ('Status',))[0]}"]
        if reply.status != 204:
            lines += [f"Content-Type: {reply.content_type}", f"Content-Length: {len(reply.body)}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        if self.close_connection:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace"), reply.body

    def _send(self, reply: Reply) -> None:
        self.wfile.write(b"".join(self._bytes(reply)))

    def _hang(self, released: Event) -> None:
        """Silence until the client goes away, the switches are reset or two minutes are over."""
        for _turn in range(HANG_SECONDS * 20):
            readable, _writable, _broken = select.select([self.connection], [], [], 0)
            if (readable and not self.connection.recv(1, socket.MSG_PEEK)) or released.wait(0.05):
                return

    def _drip(self, reply: Reply, fault: Fault) -> None:
        """The answer byte by byte, the headers too for slow_headers."""
        released = self.server.faults.released
        head, body = self._bytes(reply)
        if fault.kind == "slow_byte":
            self.wfile.write(head)
            head = b""
        self.close_connection = True
        for place in range(len(head) + len(body)):
            self.wfile.write((head + body)[place : place + 1])
            if released.wait(fault.number or 1):
                return
