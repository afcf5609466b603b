"""Not more than so many questions a second, and none while SumUp asked to be left alone."""

import time
from collections.abc import Callable

#: A run waits so long for a merchant; who is to be left alone for longer is asked by a later run.
LONGEST_PAUSE = 60.0


class Pace:
    """Waits before each question so that one merchant's come at most `per_second` a second; 0: no wait at all."""

    def __init__(self, per_second: float, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.pause = 1 / per_second if per_second else 0.0
        self.asked = 0
        self._sleep = sleep
        self._next: dict[int, float] = {}

    def __call__(self, merchant_pk: int) -> None:
        self.asked += 1
        now = time.monotonic()
        due = self._next.get(merchant_pk, now)
        if due > now:
            self._sleep(due - now)
        self._next[merchant_pk] = max(now, due) + self.pause

    def hold(self, merchant_pk: int, seconds: float | None) -> bool:
        """The next question of this merchant comes no sooner. False: that is too long to wait, or is not known."""
        if seconds is None or seconds > LONGEST_PAUSE:
            return False
        self._next[merchant_pk] = max(self._next.get(merchant_pk, 0.0), time.monotonic() + seconds)
        return True
