"""The deadline against servers and name servers that the simulator cannot play."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from payments.sumup import Client, MerchantAnswer, NoAnswer, UnknownCheckout, Unreadable
from tests.simulator import KEY, MERCHANT, PATIENCE, SimulatorProcess, started

DEADLINE = 0.6
SLACK = 30.0  # of a busy machine; without the deadline each of these takes a minute
TURNS = 1200  # of 0.05 seconds, unless whoever listens goes away


@contextmanager
def serving(play: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port on which `play` handles the one connection that comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def work() -> None:
            with suppress(OSError):
                link, _address = server.accept()
                with link:
                    play(link)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)  # if nobody came: closing alone does not wake who waits in accept()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def drip(*, after: bytes, each: bytes) -> Callable[[socket.socket], None]:
    """Reads a little, sends `after` at once, then `each` again and again, each well inside any pause limit."""

    def play(link: socket.socket) -> None:
        link.recv(1024)
        link.sendall(after)
        for _turn in range(TURNS):
            time.sleep(0.05)
            link.sendall(each)
            if not each and not link.recv(1024):
                return  # silent until the client is gone

    return play


def asked_in(url: str, deadline: float = DEADLINE) -> tuple[float, str]:
    """Seconds until NoAnswer, and its words."""
    started = time.monotonic()
    with pytest.raises(NoAnswer) as caught:
        Client(KEY, MERCHANT, url, deadline).read_merchant()
    return time.monotonic() - started, caught.value.words


@pytest.mark.parametrize(
    ("after", "each"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-A: ", b"b"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    ],
    ids=["status line", "headers", "one header", "continue", "chunks", "no length"],
)
@pytest.mark.promise("sumup-hangs-sends")
def test_server_that_drips_is_cut_at_the_deadline(after: bytes, each: bytes) -> None:
    with serving(drip(after=after, each=each)) as port:
        seconds, words = asked_in(f"http://127.0.0.1:{port}")

    assert DEADLINE - 0.05 < seconds < DEADLINE + SLACK
    assert "time-out" in words


@pytest.mark.parametrize("after", [b"", b"\x16\x03\x03\x40\x00"], ids=["silent", "dripping"])
def test_tls_handshake_is_cut_at_the_deadline(after: bytes) -> None:
    with serving(drip(after=after, each=b"\x00" if after else b"")) as port:
        seconds, words = asked_in(f"https://127.0.0.1:{port}")

    assert seconds < DEADLINE + SLACK
    assert words


def test_name_look_up_is_cut_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: over.wait(PATIENCE) and [])

    seconds, words = asked_in("http://sumup.invalid")

    over.set()
    assert seconds < DEADLINE + SLACK
    assert "time-out" in words


@pytest.mark.parametrize("mute", [True, False], ids=["mute", "refusing"])
def test_dead_address_leaves_time_for_the_next(
    simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch, mute: bool
) -> None:
    dead, alive = ("127.0.0.1", 9), ("127.0.0.1", int(simulator.url.rpartition(":")[2]))
    kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: [(*kind, dead), (*kind, alive)])
    connect = socket.socket.connect

    def slowly(link: socket.socket, address: tuple[str, int]) -> None:
        if mute and address == dead:  # as a network does that drops every packet
            time.sleep(link.gettimeout() or 60)
            raise TimeoutError
        connect(link, address)

    monkeypatch.setattr(socket.socket, "connect", slowly)

    answer = Client(KEY, MERCHANT, f"http://two-addresses-{mute}.invalid", 1).read_merchant()

    assert answer.merchant_code == MERCHANT


def test_answer_without_end_is_cut_at_its_cap() -> None:
    sent: list[int] = []

    def play(link: socket.socket) -> None:
        link.recv(1024)
        link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while sum(sent) < 100 * 1024 * 1024:
            sent.append(link.send(b" " * 65536))

    with serving(play) as port, pytest.raises(Unreadable, match="too long"):
        Client(KEY, MERCHANT, f"http://127.0.0.1:{port}", PATIENCE).read_merchant()

    assert sum(sent) < 20 * 1024 * 1024, "the rest is in the sockets' buffers"


def test_connection_that_sumup_closed_meanwhile_costs_nothing() -> None:
    for process in started():
        client = process.client()
        assert client.read_merchant().merchant_code == MERCHANT
        port = int(process.url.rpartition(":")[2])
        process.stop(hard=True)
        process.start(port=port)
        with pytest.raises(UnknownCheckout):  # a DELETE is not tried twice, so it met no dead connection
            client.deactivate_checkout("unknown")


def test_environment_proxy_and_cookies_are_not_used(
    simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    heard: list[bytes] = []

    def play(link: socket.socket) -> None:
        for _turn in range(2):
            heard.append(link.recv(4096))
            body = b'{"merchant_code":"M","default_currency":"EUR"}'
            head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: %d\r\n\r\n" % len(body)
            link.sendall(head + body)

    with serving(play) as port:
        client = Client(KEY, MERCHANT, f"http://127.0.0.1:{port}", PATIENCE)
        answers: list[MerchantAnswer] = [client.read_merchant(), client.read_merchant()]

    assert [row.merchant_code for row in answers] == ["M", "M"]
    assert heard[1].startswith(b"GET /v1/merchants/MDEMO001 HTTP/1.1\r\n")
    assert b"User-Agent: Foyer/" in heard[1]
    assert b"Accept: application/json\r\n" in heard[1]
    assert b"Cookie" not in heard[1]


def test_forked_child_does_not_speak_over_its_parents_connections() -> None:
    program = (
        "import os\n"
        "from payments.sumup import wire\n"
        "mine = wire._line\n"
        "child = os.fork()\n"
        "if not child: os._exit(7 if wire._line is not mine else 1)\n"
        "assert wire._line is mine\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=PATIENCE, env=os.environ.copy())  # noqa: S603  (our own program)
    assert ended.returncode == 7
