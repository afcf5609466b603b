"""Not more than so many questions a second."""

import time
from collections.abc import Callable


class Pace:
    """Waits before each question so that one merchant's come at most `per_second` a second; 0: no wait at all."""

    def __init__(self, per_second: float, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.pause = 1 / per_second if per_second else 0.0
        self.asked = 0
        self._sleep = sleep
        self._next: dict[int, float] = {}

    def __call__(self, merchant_pk: int) -> None:
        self.asked += 1
        if not self.pause:
            return
        now = time.monotonic()
        due = self._next.get(merchant_pk, now)
        if due > now:
            self._sleep(due - now)
        self._next[merchant_pk] = max(now, due) + self.pause
