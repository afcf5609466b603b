"""Pages of what is to come, without counting it: with ten thousand events that costs more than showing thirty."""

from typing import Any

from django.core.paginator import Page, Paginator

from events.models import CalendarEntry

LAST_NUMBER = 10_000


class Uncounted(Paginator[CalendarEntry]):
    """One row more than a page says whether there is a next one. `count` is as much as is known of."""

    count = 0
    is_uncounted = True

    def get_page(self, number: Any) -> "Page[CalendarEntry]":
        """The page of that number; the first one for what is no number, or is beyond the end."""
        try:
            wanted = min(max(1, int(number or 1)), LAST_NUMBER)
        except ValueError:
            wanted = 1
        start = (wanted - 1) * self.per_page
        rows = list(self.object_list[start : start + self.per_page + 1])
        if not rows and wanted > 1:
            return self.get_page(1)
        self.count = start + len(rows)
        return Page(rows[: self.per_page], wanted, self)
