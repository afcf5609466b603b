"""Times in forms and addresses: `2027-03-02T09:00Z` for a moment, `2027-03-02T09:00Z/60` for an hour from it on.

Always in UTC, so that a night in which the clocks change has no time that is two, or none.
"""

import re
from datetime import UTC, datetime, timedelta

from django.utils.translation import gettext as _

from events.local_times import FIRST_DAY, LAST_DAY
from events.rooms.slots import Span

MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}Z")
TIME = re.compile(rf"({MOMENT.pattern})/([0-9]{{1,4}})")
WRITTEN = "%Y-%m-%dT%H:%MZ"


class BadTime(ValueError):
    """What was sent is no time; the text tells the buyer."""

    def __init__(self) -> None:
        super().__init__(_("That is no time of this room. Choose one from the list."))


def read_moment(text: str) -> datetime:
    """Raises BadTime for anything but a moment to the minute in UTC that is near our time."""
    if not MOMENT.fullmatch(text):
        raise BadTime
    try:
        moment = datetime.strptime(text, WRITTEN).replace(tzinfo=UTC)
    except ValueError as error:
        raise BadTime from error
    if not FIRST_DAY <= moment.date() <= LAST_DAY:
        raise BadTime
    return moment


def read_time(text: str) -> Span:
    """Raises BadTime for anything but a moment and a length of at least a minute."""
    found = TIME.fullmatch(text)
    if found is None or int(found[2]) == 0:
        raise BadTime
    start = read_moment(found[1])
    return Span(start, start + timedelta(minutes=int(found[2])))


def written_moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(WRITTEN)


def written(span: Span) -> str:
    return f"{written_moment(span.start)}/{span.minutes}"
