"""Moments as people of a page type and read them: on the page's own clock."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

TYPED = "%Y-%m-%dT%H:%M"
MIDNIGHT, LAST_MINUTE = time(0), time(23, 59)
#: Days that an address may ask for.
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)


def told(at: datetime | None, zone: str) -> str:
    """`at` on the clock of `zone`, for people: `Fri 4 Dec 2026, 20:00`; "" for None."""
    return date_format(at.astimezone(ZoneInfo(zone)), "D j M Y, H:i") if at else ""


def whole_days(starts_at: datetime, ends_at: datetime, zone: ZoneInfo) -> tuple[date, date] | None:
    """The first day and the one after the last, if it lasts from midnight to midnight (or a minute less) in `zone`."""
    start, end = starts_at.astimezone(zone), ends_at.astimezone(zone)
    if start.time() != MIDNIGHT or MIDNIGHT < end.time() < LAST_MINUTE:
        return None
    return start.date(), end.date() if end.time() == MIDNIGHT else end.date() + timedelta(days=1)


def told_in_full(at: datetime, zone: ZoneInfo) -> str:
    """`at` on the clock of `zone`, as `span` in full begins: `Friday 4 December 2026, 20:00 CET`."""
    local = at.astimezone(zone)
    return f"{date_format(local, 'l j F Y, H:i')} {local.tzname()}"


def span(starts_at: datetime, ends_at: datetime, zone: ZoneInfo, *, in_full: bool = False) -> str:
    """From when to when on the clock of `zone`, told whole: `Fri 4 Dec 2026, 20:00–22:00`; `in_full` with long names

    and the zone's. Another day of the end is named, midnight at the end is 24:00 of the day before, whole days have no
    clock, and where the clocks change in between each end says which it is on.
    """
    start, end = starts_at.astimezone(zone), ends_at.astimezone(zone)
    at_midnight = end.time() == MIDNIGHT
    last = end.date() - timedelta(days=1) if at_midnight else end.date()
    day = "l j F" if in_full else "D j M"
    same_year = start.year == last.year
    first_day = date_format(start, day if same_year and start.date() != last else f"{day} Y")
    last_day = date_format(last, f"{day} Y")
    if whole_days(starts_at, ends_at, zone):
        days = first_day if start.date() == last else f"{first_day} – {last_day}"
        return _("%(days)s, all day") % {"days": days}
    changes = start.utcoffset() != end.utcoffset()
    # Not date_format's T, which is silent in the hour that comes twice.
    begins = date_format(start, "H:i") + (f" {start.tzname()}" if changes else "")
    ends = "24:00" if at_midnight else date_format(end, "H:i")
    ends += f" {end.tzname()}" if in_full or changes else ""
    if start.date() == last:
        return f"{first_day}, {begins}{' – ' if changes else '–'}{ends}"
    return f"{first_day}, {begins} – {last_day}, {ends}"


class LocalTimeField(forms.DateTimeField):
    """A moment, to the minute, typed and shown on the clock of `zone`, which the form sets before it is used.

    A time that the clocks skip, or that comes twice in the night when they go back, is refused in clear words.
    """

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=TYPED)
    default_error_messages = {"invalid": gettext_lazy("Enter a date and a time, such as 2026-12-04 20:00.")}
    zone = ZoneInfo("UTC")

    def prepare_value(self, value: Any) -> Any:
        return value.astimezone(self.zone).replace(tzinfo=None) if isinstance(value, datetime) else value

    def to_python(self, value: object | None) -> datetime | None:
        if value is None or value == "":
            return None
        if isinstance(value, datetime):
            return value
        try:
            clock = datetime.fromisoformat(str(value).strip())
        except ValueError as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error
        if clock.tzinfo is not None or not 1970 <= clock.year <= 2200:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return on_clock(clock, self.zone)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Seconds, which the field does not show, are no change."""
        if self.disabled:
            return False
        try:
            new = self.to_python(data)
        except ValidationError:
            return True
        old = initial.replace(second=0, microsecond=0) if isinstance(initial, datetime) else None
        return bool(old != new)


def on_clock(clock: datetime, zone: ZoneInfo) -> datetime:
    """The moment at which clocks in `zone` show `clock` (naive). ValidationError when there is none, or two."""
    early, late = (clock.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if early.utcoffset() == late.utcoffset():
        return early
    shown = {"time": f"{clock:%H:%M}", "day": date_format(clock, "j M Y"), "zone": zone.key}
    if early.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != clock:
        raise ValidationError(
            _("%(time)s does not exist on %(day)s in %(zone)s: the clocks go forward over it. Choose another time."),
            code="skipped",
            params=shown,
        )
    raise ValidationError(
        _("%(time)s comes twice on %(day)s in %(zone)s: the clocks go back then. Choose a time before or after."),
        code="twice",
        params=shown,
    )
