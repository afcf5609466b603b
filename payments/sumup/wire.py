"""HTTP with one deadline over the whole call: name look-up, connecting, sending, headers and body.

requests' own timeout bounds only the pause between two bytes, so a server that sends a byte a second holds a
worker for hours. Here each single read gets what is left of the call's deadline.
"""

import http.client
import io
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from payments.sumup.silence import Silence

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

QUESTIONS_AT_ONCE = 8

AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int]]


class Deadline:
    """A moment on the monotonic clock by which a call is over."""

    def __init__(self, seconds: float) -> None:
        self.moment = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until the deadline, above 0; raises TimeoutError when it has passed."""
        seconds = self.moment - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("deadline passed")
        return seconds


# Set around each request by `question`; the classes below, which urllib3 creates, read it.
_deadline: ContextVar[Deadline] = ContextVar("deadline")


def _look_up(host: str, port: int, deadline: Deadline) -> list[AddressInfo]:
    """getaddrinfo within the deadline: it cannot be interrupted, so a thread asks and may be left behind."""
    found: list[AddressInfo] = []
    failed: list[OSError] = []

    def ask() -> None:
        try:
            for family, kind, protocol, name, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                found.append((family, kind, protocol, name, (str(address[0]), int(address[1]))))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=ask, name="sumup-look-up", daemon=True)
    thread.start()
    thread.join(deadline.left())
    if thread.is_alive():
        raise TimeoutError("the name look-up took too long")
    if failed:
        raise failed[0]
    return found


def _connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """The first address that takes the connection; each gets its share of the time, so a dead one leaves some."""
    addresses = _look_up(host, port, deadline)
    problem: OSError = OSError("the name has no address")
    for position, (family, kind, protocol, _name, address) in enumerate(addresses):
        link = socket.socket(family, kind, protocol)
        try:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.settimeout(deadline.left() / (len(addresses) - position))
            link.connect(address)
            link.settimeout(deadline.left())  # bounds the TLS handshake as a whole
        except OSError as error:
            link.close()
            problem = error
        else:
            return link
    raise problem


class _Reader(io.RawIOBase):
    """The bytes of a socket; each read may take what is left of the call."""

    def __init__(self, link: socket.socket, deadline: Deadline) -> None:
        self._link = link
        self._raw = link.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        self._link.settimeout(self._deadline.left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None):
        super().__init__(sock, debuglevel, method, url)
        self.fp.close()
        self.fp = io.BufferedReader(_Reader(sock, _deadline.get()))


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _connection_for(self)


class _TLSConnection(HTTPSConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _connection_for(self)


def _connection_for(connection: HTTPConnection) -> socket.socket:
    """A socket, or the errors by which urllib3 tells what went wrong."""
    try:
        return _connect(connection.host, connection.port or connection.default_port, _deadline.get())
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, "deadline passed while connecting") from error
    except OSError as error:
        raise NewConnectionError(connection, str(error)) from error


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: object) -> None:
        super().init_poolmanager(connections, maxsize, block, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}


class Line:
    """This process's way to SumUp: kept connections, so many questions at once, who was silent or asked for a pause."""

    def __init__(self) -> None:
        self.silences: dict[tuple[str, str], Silence] = {}
        self.left_alone: dict[tuple[str, str], float] = {}
        self.places = threading.BoundedSemaphore(QUESTIONS_AT_ONCE)
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy and no .netrc from the environment
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _Adapter(pool_maxsize=QUESTIONS_AT_ONCE, max_retries=0)
        self.session.mount("https://", adapter)
        self.session.mount("http://", adapter)


_line = Line()


def _renew() -> None:
    """A forked child must not speak over its parent's sockets."""
    global _line
    _line = Line()


os.register_at_fork(after_in_child=_renew)


def silence(host: str, kind: str) -> Silence:
    """What is known of the silence of `host` to questions of that kind; reads may hang where writes are answered."""
    return _line.silences.setdefault((host, kind), Silence())


def leave_alone(host: str, merchant: str, seconds: float) -> None:
    """`host` said in which time not to ask it again in the name of `merchant` (HTTP: Retry-After)."""
    until = time.monotonic() + seconds
    _line.left_alone[host, merchant] = max(until, _line.left_alone.get((host, merchant), until))


def pause_left(host: str, merchant: str) -> float:
    """Seconds of that time that are left, 0 for none."""
    return max(0.0, _line.left_alone.get((host, merchant), 0.0) - time.monotonic())


@contextmanager
def question(deadline: Deadline) -> Iterator[requests.Session]:
    """A session for one request within `deadline`; waiting for a free place counts. Raises TimeoutError."""
    line = _line
    if not line.places.acquire(timeout=deadline.left()):
        raise TimeoutError("too many questions at once")
    token = _deadline.set(deadline)
    try:
        yield line.session
    finally:
        _deadline.reset(token)
        line.places.release()
