"""Child processes of the launcher: each with its log, its last words, and an end when we end."""

import collections
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from dev.postgres import tied_to_us

LAST_WORDS = 8
STOP_SECONDS = 10.0
# Our own log format, gunicorn's, and Python's warnings.
WORTH_SHOWING = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b|\[(warning|error|critical)\]|\w+Warning: ")


class Child:
    """One process in the background. Its output goes to `log`; warnings and errors are shown as well."""

    def __init__(self, name: str, command: list[str], *, environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self.quiet = False
        self.last_words: collections.deque[str] = collections.deque(maxlen=LAST_WORDS)
        # A session of its own: Ctrl-C in a terminal reaches only the launcher, which ends its children in order.
        self.process = subprocess.Popen(
            [*tied_to_us("TERM"), *command],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        stream = self.process.stdout
        if stream is None:
            return
        with stream, self.log.open("ab") as log:
            for line in stream:
                log.write(line)
                log.flush()
                words = line.decode(errors="replace").rstrip()
                if words:
                    self.last_words.append(words)
                if WORTH_SHOWING.search(words) and not self.quiet:
                    say(f"[{self.name}] {words}")

    def running(self) -> bool:
        return self.process.poll() is None

    def wait(self) -> int:
        """Wait for the end of the process and of its output; the exit code."""
        code = self.process.wait()
        self._reader.join(STOP_SECONDS)
        return code

    def epitaph(self) -> str:
        """How it ended, in one paragraph: name, exit code, last lines, where the rest is."""
        self._reader.join(STOP_SECONDS)
        code = self.process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code and code < 0 else f"ended with exit code {code}"
        lines = [f"{self.name} {how}; its last lines (all of them in {self.log}):", *self.last_words]
        return "\n    ".join(lines)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask it to end, and insist after `seconds`. Safe to call twice."""
        self.quiet = True
        if self.running():
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # what it may have left behind
        self.wait()


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def port_trouble(port: int) -> str | None:
    """Why `port` of this machine cannot be ours, or None. It may still be lost before it is used."""
    with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
        return "it is in use"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return os.strerror(error.errno or 0).lower()
    return None


def wait_for_port(port: int, *, alive: Callable[[], bool], seconds: float) -> bool:
    """Whether `port` answered within `seconds`; at once False when `alive` is no more."""
    deadline = time.monotonic() + seconds
    while alive() and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.05)
    return False
