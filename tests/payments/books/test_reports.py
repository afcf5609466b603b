"""Reports: their totals are the books' to the cent, each sees its own pages, files run nothing in a spreadsheet."""

import csv
import io
import zipfile
from datetime import date, timedelta
from decimal import Decimal
from xml.etree import ElementTree

import pytest
from django.db.models import Sum
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from events.models import Page, Role, Ticket
from orders.models import Order
from payments.admin.reports import HEIGHT, MOST_BARS, WIDTH, bars_of
from payments.books.checking import read_books
from payments.books.reports import KINDS, Span, report, sales_of, total
from payments.books.rules import LINES, MONEY_PARTS
from payments.books.sheets import defused, table_response
from payments.models import Checkout
from payments.refunds.asking import Wish, request_refund
from payments.states import RefundKind
from tests.desk import House, house, member, signed_in_as
from tests.factories import UserFactory
from tests.ledger.psql import rows
from tests.payments.lived_in import live_in
from tests.simulator import SimulatorProcess
from tests.walks.roads import routes

REPORTS = "/admin/orders/order/reports/"


def of_the_books(*parts: str) -> Decimal:
    found = [rows(f"SELECT coalesce(sum(part.amount), 0) FROM ({MONEY_PARTS[name]}) AS part (o, c, amount)")[0][0]
             for name in parts]  # fmt: skip
    return sum(found, Decimal(0))


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("reports-books-sums")
def test_totals_are_those_of_the_books_to_the_cent(sumup: SimulatorProcess) -> None:
    lived = live_in(sumup)
    checkout = Checkout.objects.get(order=lived.paid, is_applied=True)
    tickets = list(lived.paid.tickets.order_by("pk").values_list("pk", flat=True))
    wishes = [
        Wish(RefundKind.ROW, f"ticket:{tickets[0]}"),
        Wish(RefundKind.GOODWILL, f"ticket:{tickets[1]}", Decimal("2.35")),
    ]
    assert request_refund(checkout.pk, wishes, reason="ill", who="user:1", at=timezone.now())
    assert read_books() == []

    for kinds in (["day"], ["merchant"], ["entry", "product"]):  # what is no event or booking is a product
        (line,) = total([each for kind in kinds for each in report(kind, pages=None)])
        assert line.fulfilled == of_the_books("fulfilled")
        assert (line.kept, line.owed) == (of_the_books("kept"), of_the_books("owed"))
        lines = rows(f"SELECT coalesce(sum(amount), 0) FROM {LINES} AS line WHERE kind <> 'surplus'")[0][0]
        assert line.refunded == lines
        assert line.sold == line.refunded + line.owed + line.kept + line.fulfilled
        # What was captured for orders is what was sold; what was paid beyond them is in no report.
        applied = Checkout.objects.filter(is_applied=True).aggregate(sum=Sum("captured"))["sum"]
        assert line.sold == applied
    assert [line.number for line in report("product", pages=None)] == [2, 2]  # two pieces in each mixed order


def test_each_page_has_its_own_and_days_limit(db: None, home: House) -> None:
    other = house("Beta", sold=3)
    (mine,) = report("entry", pages=[home.page.pk])
    assert (mine.number, mine.sold, mine.name.startswith("Alpha night, ")) == (2, Decimal(24), True)
    assert [line.number for line in report("day", pages=None)] == [5]
    assert report("day", pages=[]) == []
    today = date.fromisoformat(report("day", pages=None)[0].key)
    assert report("day", pages=None, span=Span(first=today + timedelta(days=1))) == []
    assert len(report("day", pages=None, span=Span(today, today))) == 1
    assert sales_of(other.entry.pk) == [(today, 3)]


@pytest.mark.django_db
@pytest.mark.parametrize("role", [Role.OWNER, Role.FINANCE])
@pytest.mark.promise("reports-books-sums")
def test_the_page_shows_a_member_s_own_sums(home: House, role: Role) -> None:
    house("Beta", sold=7)
    client = signed_in_as(member((home.page, role)))
    assert REPORTS in client.get("/admin/").content.decode()
    for kind in KINDS:
        page = client.get(REPORTS, {"kind": kind}).content.decode()
        assert "Beta" not in page
        assert "€ 84.00" not in page
    page = client.get(REPORTS, {"kind": "entry"}).content.decode()
    assert page.count("€ 24.00") == 4  # sold and fulfilled, of the line and of the total
    foreign = Page.objects.get(name="Beta house").pk
    for query in ({"page": foreign}, {"kind": "nonsense"}, {"first": "yesterday"}):
        assert client.get(REPORTS, query).status_code == 422
        assert client.get(f"{REPORTS}day.csv", query).status_code in (404,) if "kind" not in query else True
    assert client.post(REPORTS).status_code == 405


@pytest.mark.django_db
@pytest.mark.parametrize("role", [Role.ORGANISER, Role.BOX_OFFICE, Role.DOOR])
def test_others_do_not_see_sums(home: House, role: Role) -> None:
    client = signed_in_as(member((home.page, role)))
    assert client.get(REPORTS).status_code == 403
    assert client.get(f"{REPORTS}day.csv").status_code == 403
    assert REPORTS not in client.get("/admin/").content.decode()
    assert Client().get(REPORTS).status_code == 302
    assert signed_in_as(UserFactory.create()).get(REPORTS).status_code == 302


@pytest.mark.django_db
def test_an_event_has_its_plot_its_table_and_its_guests(home: House) -> None:
    other = house("Beta")
    address = f"{REPORTS}event/{home.entry.pk}/"
    page = signed_in_as(member((home.page, Role.ORGANISER))).get(address).content.decode()
    assert page.count("<rect") == 1
    assert "style=" not in page.split('<div id="main"')[-1].split("footer")[0]
    assert "Tickets sold: 2" in page.replace("</h2>", "")
    assert page.count("alpha-buyer@example.org") == 2
    finance = signed_in_as(member((home.page, Role.FINANCE)))
    assert "alpha-buyer" not in finance.get(address).content.decode()  # sums, not names
    assert finance.get(f"{address}guests.csv").status_code == 404
    stranger = signed_in_as(member((other.page, Role.OWNER)))
    assert stranger.get(address).status_code == 404
    assert stranger.get(f"{address}guests.csv").status_code == 404


@pytest.mark.django_db
@pytest.mark.promise("csv-file-runs")
def test_files_are_read_by_a_spreadsheet_and_run_nothing(home: House) -> None:
    Ticket.objects.filter(order=home.order).update(holder="=HYPERLINK(0)")
    client = signed_in_as(member((home.page, Role.OWNER)))
    answer = client.get(f"{REPORTS}event/{home.entry.pk}/guests.csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    content = answer.content.decode()
    assert content.startswith("\ufeff")
    header, *lines = csv.reader(io.StringIO(content.removeprefix("\ufeff")))
    assert header[:3] == ["buyer", "name on the ticket", "type"]
    assert [line[1] for line in lines] == ["'=HYPERLINK(0)"] * 2
    table = list(csv.DictReader(io.StringIO(client.get(f"{REPORTS}entry.csv").content.decode().removeprefix("\ufeff"))))
    assert [(row["sold"], row["fulfilled"], row["number"]) for row in table] == [("24.00", "24.00", "2")]
    assert client.get(f"{REPORTS}nonsense.csv").status_code == 404


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_would_be_a_formula_is_text(begin: str) -> None:
    assert defused(f"{begin}1+1") == f"'{begin}1+1"
    assert defused("plain = 1") == "plain = 1"


def test_a_plot_has_a_bar_a_day_within_its_frame() -> None:
    assert bars_of([]) == []
    day = date(2026, 11, 1)
    sales = [(day, 1), (day + timedelta(days=3), 4), (day + timedelta(days=4), 2)]
    bars = bars_of(sales)
    assert [bar.height for bar in bars] == [HEIGHT / 4, HEIGHT, HEIGHT / 2]
    assert [bar.x for bar in bars] == [0, 3 * WIDTH / 5, 4 * WIDTH / 5]
    long = bars_of([(day + timedelta(days=turn), 1) for turn in range(400)])
    assert len(long) == MOST_BARS
    assert all(bar.x + bar.width <= WIDTH and bar.y >= 0 for bar in (*bars, *long))


@pytest.mark.django_db
@pytest.mark.parametrize("number", [1, 3])
def test_reports_ask_a_fixed_number_of_times(
    home: House, number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    houses = [home, *(house(f"More{turn}") for turn in range(number - 1))]
    client = signed_in_as(member(*((each.page, Role.OWNER) for each in houses)))
    for kind in KINDS:
        with django_assert_num_queries(11):
            assert client.get(REPORTS, {"kind": kind}).status_code == 200
    with django_assert_num_queries(8):
        client.get(f"{REPORTS}event/{home.entry.pk}/")


def test_orders_that_are_not_paid_are_in_no_report(db: None, home: House) -> None:
    before = report("day", pages=None)
    order = Order.objects.exclude(pk=0).get()
    assert (order.state, before[0].number) == ("paid", 2)


SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheet_of(content: bytes) -> list[list[tuple[str, str, str]]]:
    """The cells of a workbook's only sheet: type ("" a number), value, and the pattern that shows it."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        styles = ElementTree.fromstring(book.read("xl/styles.xml"))  # noqa: S314  (our own file)
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314  (our own file)
    patterns = {each.attrib["numFmtId"]: each.attrib["formatCode"] for each in styles.iter(f"{SHEET}numFmt")}
    cells = next(styles.iter(f"{SHEET}cellXfs"))
    shown = [patterns.get(each.attrib["numFmtId"], each.attrib["numFmtId"]) for each in cells]
    assert not list(sheet.iter(f"{SHEET}f"))  # no formula anywhere
    return [
        [(cell.get("t", ""), "".join(cell.itertext()), shown[int(cell.get("s", "0"))]) for cell in row]
        for row in sheet.iter(f"{SHEET}row")
    ]


def workbook(client: Client, address: str) -> list[list[tuple[str, str, str]]]:
    answer = client.get(address)
    assert answer["Content-Type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert answer["Content-Disposition"].endswith('.xlsx"')
    assert answer["Cache-Control"].startswith("private, no-store")
    return sheet_of(answer.content)


WHOLE, TWO_PLACES = "#,##0", "#,##0.00"


@pytest.mark.django_db
@pytest.mark.promise("cell-workbook-number")
def test_a_workbook_has_amounts_and_days_that_a_spreadsheet_reckons_with(home: House) -> None:
    client = signed_in_as(member((home.page, Role.OWNER)))

    header, line = workbook(client, f"{REPORTS}day.xlsx")

    assert [value for _type, value, _shown in header][:4] == ["key", "name", "currency", "number"]
    (day, *_name), currency, number, sold = line[:2], *line[2:5]
    days = (timezone.localdate(timezone=home.page.zone()) - date(1899, 12, 30)).days
    assert day == ("", str(days), "yyyy-mm-dd")
    assert (currency[1], number, sold) == ("EUR", ("", "2", WHOLE), ("", "24.00", TWO_PLACES))


@pytest.mark.django_db
@pytest.mark.promise("cell-workbook-number")
def test_a_workbook_runs_nothing_and_shows_no_apostrophe(home: House) -> None:
    Ticket.objects.filter(order=home.order).update(holder="=HYPERLINK(0)")
    (at,) = Ticket.objects.filter(pk=home.ticket.pk).values_list("order__paid_at", flat=True)
    Ticket.objects.filter(pk=home.ticket.pk).update(state="checked_in", checked_in_at=at)
    client = signed_in_as(member((home.page, Role.OWNER)))

    _header, *lines = workbook(client, f"{REPORTS}event/{home.entry.pk}/guests.xlsx")

    assert [(line[1][0], line[1][1]) for line in lines] == [("inlineStr", "=HYPERLINK(0)")] * 2
    assert sorted(line[5][2] for line in lines if line[5:])[-1] == "yyyy-mm-dd hh:mm"


@pytest.mark.django_db
def test_each_table_is_offered_in_both_forms(home: House) -> None:
    client = signed_in_as(member((home.page, Role.OWNER)))
    pages = client.get(REPORTS).content.decode() + client.get(f"{REPORTS}event/{home.entry.pk}/").content.decode()

    files = {route for route in routes() if route.endswith((".csv", ".xlsx"))}
    assert {route.rpartition(".")[0] for route in files if route.endswith(".csv")} == {
        route.rpartition(".")[0] for route in files if route.endswith(".xlsx")
    }
    assert len(files) == 6
    for name in ("day", f"event/{home.entry.pk}/guests"):
        assert [f"{REPORTS}{name}.{form}" in pages for form in ("csv", "xlsx")] == [True, True]


@pytest.mark.django_db
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_both_forms_are_for_the_same_people(home: House, form: str) -> None:
    other = house("Beta")
    door = signed_in_as(member((home.page, Role.DOOR)))
    assert [door.get(f"{REPORTS}{name}.{form}").status_code for name in ("day", "payouts")] == [403, 403]
    stranger = signed_in_as(member((other.page, Role.OWNER)))
    assert stranger.get(f"{REPORTS}event/{home.entry.pk}/guests.{form}").status_code == 404
    assert Client().get(f"{REPORTS}day.{form}").status_code == 302


def test_a_workbook_takes_what_no_sheet_could() -> None:
    rows = [["\x01\x0b<&>", "x" * 40_000, Decimal("1234"), Decimal("0.500"), None, True, ""]]
    answer = table_response("xlsx", "odd", ["a"] * 7, rows)
    _header, line = sheet_of(answer.content)
    assert [value for _type, value, _shown in line][1:4] == ["x" * 32_767, "1234", "0.500"]
    assert line[3][2] == "#,##0.000"
