"""Questions that nobody's purchase waits for: a webhook, a poll. So few at once that the shop's pages stay fast.

When SumUp is slow, each question holds one of a web process's threads for as long as its deadline: without a limit a
handful of webhooks, forged ones for real checkouts included, would use all of them up.
"""

import threading
from datetime import datetime

from payments.checkouts.settling import Verdict, settle
from payments.merchants import QUICK

HINTS_AT_ONCE = 2  # of the four threads that a web process has
#: Seconds to wait for a place: when SumUp is well, a question is over in less.
TURN_SECONDS = 0.1

_places = threading.BoundedSemaphore(HINTS_AT_ONCE)


def settle_on_hint(checkout_pk: int, *, who: str, at: datetime) -> Verdict:
    """Settle, within the deadline of a page; BUSY without asking when so many ask already."""
    if not _places.acquire(timeout=TURN_SECONDS):
        return Verdict.BUSY
    try:
        return settle(checkout_pk, who=who, at=at, deadline=QUICK)
    finally:
        _places.release()
