"""Many at once: real threads that wait for each other at a barrier, each with a database connection of its own."""

import contextlib
import fcntl
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.db import connection

Answer = TypeVar("Answer")
PATIENCE = 180  # seconds after which a test that waits for nobody fails instead of hanging


def at_once(works: Sequence[Callable[[], Answer]]) -> list[Answer | Exception]:
    """What each of `works` answered or raised, in their order; all begin at the same moment, already connected."""
    gate = threading.Barrier(len(works))
    alone = one_race_at_a_time() if len(works) > 1 else contextlib.nullcontext()

    def run(work: Callable[[], Answer]) -> Answer | Exception:
        try:
            connection.ensure_connection()
            gate.wait(PATIENCE)
            return work()
        except Exception as error:  # the outcome is what the test is about
            return error
        finally:
            connection.close()

    with alone, ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


@contextlib.contextmanager
def one_race_at_a_time() -> Iterator[None]:
    """Two test processes share a server of 250 connections, and one race takes up to 200 of them."""
    with (Path(settings.DATA_DIR) / "races.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def in_a_thread(work: Callable[[], Answer]) -> Answer:
    """Run `work` on a connection of its own and wait for it: the rival at the seam. Raises what it raised."""
    (answer,) = at_once([work])
    if isinstance(answer, Exception):
        raise answer
    return answer
