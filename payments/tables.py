"""Tables as files: CSV that a spreadsheet opens without running anything in it."""

import csv
import io
from collections.abc import Iterable, Sequence

from django.http import HttpResponse

#: A cell that begins so is a formula to some spreadsheet.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def defused(cell: object) -> str:
    """The cell as text; one that would be run as a formula begins with an apostrophe, which spreadsheets hide."""
    text = str(cell)
    return f"'{text}" if text.startswith(FORMULA) else text


def csv_response(name: str, header: Sequence[object], rows: Iterable[Sequence[object]]) -> HttpResponse:
    """A download of `rows`: UTF-8 with its mark, for without it a spreadsheet spoils every umlaut."""
    content = io.StringIO()
    writer = csv.writer(content)
    writer.writerow([defused(cell) for cell in header])
    writer.writerows([defused(cell) for cell in row] for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "private, no-store"}
    return HttpResponse("\ufeff" + content.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)
