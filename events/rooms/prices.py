"""What time in a room costs: by booking or by the hour, with peak prices read off the room's clock."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from events.models import BookingRules, PeakPrice, PricePer
from events.rooms.slots import DAY, Span, clock_change

HOUR = timedelta(hours=1)
MIDNIGHT = time()


def amount(span: Span, rules: BookingRules, peaks: Sequence[PeakPrice], zone: ZoneInfo) -> Decimal:
    """The price of `span`, not yet rounded.

    Per booking, the clock at its start decides. Per hour, each moment costs what its own time on the clock says.
    """
    if rules.price_per == PricePer.SLOT:
        return rate_at(span.start.astimezone(zone), rules, peaks)
    # In whole seconds first, divided once: no share of an hour is rounded on the way.
    priced = sum((rate * int(length.total_seconds()) for rate, length in _pieces(span, rules, peaks, zone)), Decimal(0))
    return priced / int(HOUR.total_seconds())


def rate_at(clock: datetime, rules: BookingRules, peaks: Iterable[PeakPrice]) -> Decimal:
    """The price that applies when the room's clock shows `clock`.

    A peak of that weekday goes before one of every day, then the one that began last.
    """
    found = [peak for peak in peaks if _is_in(clock, peak)]
    if not found:
        return rules.price
    return max(found, key=lambda peak: (peak.weekday is not None, peak.starts, peak.price)).price


def _is_in(clock: datetime, peak: PeakPrice) -> bool:
    if peak.weekday not in (None, clock.weekday()):
        return False
    shown = clock.time()
    return peak.starts <= shown and (peak.ends == MIDNIGHT or shown < peak.ends)


def _pieces(
    span: Span, rules: BookingRules, peaks: Sequence[PeakPrice], zone: ZoneInfo
) -> Iterator[tuple[Decimal, timedelta]]:
    """`span` cut where the rate may change: where the clock reaches a peak's edge or midnight, and where it jumps."""
    edges = sorted({edge for peak in peaks for edge in (peak.starts, peak.ends)} | {MIDNIGHT})
    at = span.start
    while at < span.end:
        clock = at.astimezone(zone)
        until = min(at + (_next_edge(clock, edges) - clock.replace(tzinfo=None)), span.end)
        until = clock_change(at, until, zone) or until
        yield rate_at(clock, rules, peaks), until - at
        at = until


def _next_edge(clock: datetime, edges: Sequence[time]) -> datetime:
    for edge in edges:
        if edge > clock.time():
            return datetime.combine(clock.date(), edge)
    return datetime.combine(clock.date() + DAY, MIDNIGHT)
