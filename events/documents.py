"""Tickets on paper: PDF pages with the QR code, the code, who, where, when and the price.

The fonts hold every European script (Latin, Greek, Cyrillic, Armenian, Georgian); what they do not hold becomes a box.
"""

import io
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import segno
from django.utils.translation import gettext as _
from fpdf import FPDF
from fpdf.fonts import TTFFont

from events.models import Ticket

FONTS = Path(__file__).parent / "fonts"
FAMILY = "DejaVu"
MARGIN = 20  # mm
QR_SIDE = 70  # mm: a phone's camera reads it from an arm's length


class Paper(FPDF):
    """A4 pages in the house's type."""

    def __init__(self, title: str) -> None:
        super().__init__(format="A4")
        self.set_margin(MARGIN)
        self.set_auto_page_break(auto=True, margin=MARGIN)
        self.add_font(FAMILY, "", FONTS / "DejaVuSans.ttf")
        self.add_font(FAMILY, "B", FONTS / "DejaVuSans-Bold.ttf")
        self.set_title(title)
        self.set_creator("Foyer")

    def say(self, words: str, *, size: float = 11, bold: bool = False, align: str = "L", grey: bool = False) -> None:
        """A paragraph over the whole width."""
        self.set_font(FAMILY, "B" if bold else "", size)
        self.set_text_color(90 if grey else 0)
        self.multi_cell(0, size * 0.5, printable(words), align=align, new_x="LMARGIN", new_y="NEXT")

    def fact(self, name: str, words: str) -> None:
        """A small heading and what stands under it; nothing when there is nothing to say."""
        if words:
            self.ln(3)
            self.say(name, size=9, grey=True)
            self.say(words, size=12)

    def row(self, left: str, right: str, *, bold: bool = False) -> None:
        """A line of a bill: words at the left, an amount at the right."""
        self.set_font(FAMILY, "B" if bold else "", 11)
        self.set_text_color(0)
        width = 35
        top, page = self.get_y(), self.page
        self.multi_cell(self.epw - width, 6, printable(left), align="L", new_x="RIGHT", new_y="NEXT")
        below = self.get_y()
        self.set_xy(self.w - self.r_margin - width, top if page == self.page else below - 6)
        self.cell(width, 6, printable(right), align="R")
        self.set_xy(self.l_margin, below)

    def qr(self, content: str) -> None:
        """A QR code in the middle of the page."""
        picture = io.BytesIO()
        segno.make(content, error="m", micro=False).save(picture, kind="png", scale=10, border=2)
        self.image(picture, x=(self.w - QR_SIDE) / 2, w=QR_SIDE, h=QR_SIDE)

    def stub(self, code: str, words: str, *, order: str) -> None:
        """What is shown at a door or a counter: the QR code, the code itself, what it is good for, and of which order.

        `order` is the order's code, of which the first letters are printed; "" for none.
        """
        self.ln(6)
        self.set_draw_color(150)
        self.set_dash_pattern(dash=1.5, gap=1.5)
        self.line(self.l_margin, self.get_y(), self.w - self.r_margin, self.get_y())
        self.set_dash_pattern()
        self.ln(6)
        self.qr(code)
        self.say(grouped(code), size=13, bold=True, align="C")
        self.ln(3)
        self.say(words, size=9, align="C", grey=True)
        if order:
            self.say(_("Order %(code)s") % {"code": order[:8]}, size=9, align="C", grey=True)

    def content(self) -> bytes:
        """The finished file; the paper is used up."""
        try:
            return bytes(self.output())
        finally:
            for font in self.fonts.values():
                if isinstance(font, TTFFont):
                    font.ttfont.close()  # fpdf2 leaves the files open


def printable(words: str) -> str:
    """`words` without control characters, its letters composed, so that an accent stands on its letter."""
    return "".join(
        sign for sign in unicodedata.normalize("NFC", words) if sign == "\n" or unicodedata.category(sign)[0] != "C"
    )


def tickets_pdf(tickets: Iterable[Ticket]) -> bytes:
    """A page for each of `tickets` (with type, entry, calendar and page at hand)."""
    paper = Paper(_("Tickets"))
    add_tickets(paper, tickets)
    return paper.content()


def add_tickets(paper: Paper, tickets: Iterable[Ticket]) -> None:
    for ticket in tickets:
        add_ticket(paper, ticket)


def add_ticket(paper: Paper, ticket: Ticket) -> None:
    entry, page = ticket.entry, ticket.entry.calendar.page
    kind = ticket.ticket_type.name if ticket.ticket_type else _("Ticket")
    paper.add_page()
    paper.say(page.name, size=10, grey=True)
    paper.ln(2)
    paper.say(entry.title, size=22, bold=True)
    if entry.summary:
        paper.say(entry.summary, size=11, grey=True)
    paper.fact(_("When"), entry.when_in_full)
    paper.fact(_("Where"), entry.place or page.place)
    paper.fact(_("Ticket"), f"{kind} · {ticket.cost.or_free()}")
    paper.fact(_("For"), ticket.holder)
    words = _("Show this code at the door, on paper or on the phone. It lets one person in, once.")
    paper.stub(ticket.code, words, order=ticket.order.code if ticket.order else "")


def qr_svg(content: str) -> str:
    """A QR code for a page, as inline SVG."""
    return segno.make(content, error="m", micro=False).svg_inline(
        scale=6, border=2, dark="#000", light="#fff", omitsize=True, svgclass=None, lineclass=None
    )


def grouped(code: str) -> str:
    """A code in groups of four, as people read it out."""
    return " ".join(code[start : start + 4] for start in range(0, len(code), 4))
