"""When SumUp is silent, one question at a time finds out whether it still is; the others do not wait for nothing.

Without it every buyer who clicks *Pay* holds a thread of the web server until the deadline, and so many of them all.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from payments.sumup.problems import SumUpProblem


class Silent(Exception):
    """The last question brought no answer, and another one finds out at this moment whether the next one does."""


class Silence:
    """What this process knows of the silence of one host to one kind of question.

    It begins when a call ends without any answer and nobody else was answered since that call began; it ends with the
    next answer, an error status included. No clock ends it: the first who asks is the probe.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_silent = False
        self._has_probe = False
        self._answered_at = float("-inf")

    def _has_room(self) -> bool:
        return not self._is_silent or not self._has_probe

    @contextmanager
    def turn(self, patience: float | None) -> Iterator[None]:
        """One call, all its tries. Waits for its turn, `patience` seconds at the most, None: never; raises Silent."""
        with self._changed:
            if patience is not None and not self._changed.wait_for(self._has_room, patience):
                raise Silent
            is_probe = self._is_silent and not self._has_probe
            self._has_probe |= is_probe
            began = time.monotonic()
        is_answered = False
        try:
            yield
            is_answered = True
        except SumUpProblem as problem:
            is_answered = problem.status is not None
            raise
        finally:
            with self._changed:
                if is_probe:
                    self._has_probe = False
                if is_answered:
                    self._is_silent, self._answered_at = False, time.monotonic()
                elif self._answered_at < began:
                    self._is_silent = True
                self._changed.notify_all()
