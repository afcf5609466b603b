"""Tables as files: CSV for programs, and a workbook (.xlsx) in which amounts are numbers and days are dates.

Neither runs anything: in CSV an apostrophe stands before what begins as a formula; a workbook says what is text.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal

from django.http import HttpResponse
from django.utils.formats import date_format
from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

#: A cell that begins so is a formula to some spreadsheet.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: What the last part of the address says, and what the browser is told.
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
#: As many letters as a cell holds.
CELL = 32_767
DAY, MOMENT = "yyyy-mm-dd", "yyyy-mm-dd hh:mm"


def table_response(form: str, name: str, header: Sequence[object], rows: Iterable[Sequence[object]]) -> HttpResponse:
    """A download of `rows`, as `form` ("csv" or "xlsx") says. Moments among the cells are on the clock to be shown."""
    return _workbook(name, header, rows) if form == "xlsx" else _csv(name, header, rows)


def defused(cell: object) -> str:
    """The cell as text; one that would be run as a formula begins with an apostrophe, which spreadsheets hide."""
    text = date_format(cell, "D j M Y, H:i") if isinstance(cell, datetime) else str(cell)
    return f"'{text}" if text.startswith(FORMULA) else text


def _csv(name: str, header: Sequence[object], rows: Iterable[Sequence[object]]) -> HttpResponse:
    """UTF-8 with its mark, for without it a spreadsheet spoils every umlaut."""
    content = io.StringIO()
    writer = csv.writer(content)
    writer.writerow([defused(cell) for cell in header])
    writer.writerows([defused(cell) for cell in row] for row in rows)
    headers = _headers(f"{name}.csv")
    return HttpResponse("\ufeff" + content.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)


def _workbook(name: str, header: Sequence[object], rows: Iterable[Sequence[object]]) -> HttpResponse:
    """Rows go one by one through a file on the disk: only what is packed of them takes memory."""
    file = io.BytesIO()
    book = Workbook(file, {"constant_memory": True, "remove_timezone": True})
    sheet = book.add_worksheet()
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(header) - 1, 18)
    bold = book.add_format({"bold": True})
    formats: dict[str, Format] = {}
    for column, cell in enumerate(header):
        sheet.write_string(0, column, str(cell), bold)
    for number, row in enumerate(rows, start=1):
        for column, cell in enumerate(row):
            _write(book, sheet, formats, number, column, cell)
    book.close()
    return HttpResponse(file.getvalue(), content_type=XLSX, headers=_headers(f"{name}.xlsx"))


def _write(book: Workbook, sheet: Worksheet, formats: dict[str, Format], row: int, column: int, cell: object) -> None:
    """A number as a number with the places that it has, a day as a day; all else is text, whatever it begins with."""
    match cell:
        case bool() | None | "":
            sheet.write_string(row, column, "" if cell is None else str(cell))
        case int() | Decimal():
            places = -int(cell.as_tuple().exponent) if isinstance(cell, Decimal) else 0
            shown = f"#,##0.{'0' * places}" if places else "#,##0"
            sheet.write_number(row, column, cell, _format(book, formats, shown))
        case datetime():
            sheet.write_datetime(row, column, cell, _format(book, formats, MOMENT))
        case date():
            sheet.write_datetime(row, column, cell, _format(book, formats, DAY))
        case _:
            sheet.write_string(row, column, str(cell)[:CELL])


def _format(book: Workbook, formats: dict[str, Format], shown: str) -> Format:
    if shown not in formats:
        formats[shown] = book.add_format({"num_format": shown})
    return formats[shown]


def _headers(filename: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "private, no-store"}
