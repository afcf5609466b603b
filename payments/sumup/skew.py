"""How far SumUp's clock is from this process's, as the `Date` of its last answer tells."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: `Date` is told in whole seconds.
RESOLUTION = timedelta(seconds=1)

_last: dict[str, timedelta] = {}


def note(base_url: str, date: str, sent: datetime, received: datetime) -> None:
    """Keep what `Date` says of an answer to a question sent and received at these moments; nonsense says nothing."""
    try:
        told = parsedate_to_datetime(date)
    except ValueError:
        return
    _last[base_url] = _apart(told if told.tzinfo else told.replace(tzinfo=UTC), sent, received)


def skew(base_url: str) -> timedelta | None:
    """By how much SumUp's clock is at least ahead (negative: behind); None: it never told."""
    return _last.get(base_url.rstrip("/"))


def _apart(told: datetime, sent: datetime, received: datetime) -> timedelta:
    """0 when the answer may have been made between the two moments, else the least that it is off."""
    if told > received:
        return told - received
    return min(timedelta(0), told + RESOLUTION - sent)
