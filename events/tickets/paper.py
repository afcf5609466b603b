"""Tickets on paper: PDF pages with the QR code, the code, who, where, when and the price.

The house's fonts hold every European script (Latin, Greek, Cyrillic, Armenian, Georgian). For others there are
fonts that are opened when a text asks for them (events.tickets.lettering); what none of them holds becomes a box.
"""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import segno
from django.utils.translation import gettext as _
from fpdf import FPDF
from fpdf.enums import TextMode
from fpdf.fonts import TTFFont
from fpdf.line_break import Fragment

from events.models import Ticket
from events.tickets.lettering import BOX, Face, Run, lines, printable, runs, unjoined

FONTS = Path(__file__).parent / "fonts"
FAMILY = "DejaVu"
MARGIN = 20  # mm
QR_SIDE = 70  # mm: a phone's camera reads it from an arm's length
STUB = QR_SIDE + 45  # mm: with all that stands around it


class Paper(FPDF):
    """A4 pages in the house's type."""

    def __init__(self, title: str) -> None:
        super().__init__(format="A4")
        self.boxed = False
        self.set_margin(MARGIN)
        self.set_auto_page_break(auto=True, margin=MARGIN)
        self.str_alias_nb_pages = ""  # a title with fpdf2's sign for the number of pages means itself
        self.add_font(FAMILY, "", FONTS / "DejaVuSans.ttf")
        self.add_font(FAMILY, "B", FONTS / "DejaVuSans-Bold.ttf")
        self.set_title(title)
        self.set_creator("Foyer")

    def say(self, words: str, *, size: float = 11, bold: bool = False, align: str = "L", grey: bool = False) -> None:
        """A paragraph over the whole width."""
        self.set_text_color(90 if grey else 0)
        self._write(words, self.epw, size * 0.5, size=size, bold=bold, align=align)

    def fact(self, name: str, words: str) -> None:
        """A small heading and what stands under it; nothing when there is nothing to say."""
        if words:
            self.ln(3)
            self.say(name, size=9, grey=True)
            self.say(words, size=12)

    def row(self, left: str, right: str, *, bold: bool = False) -> None:
        """A line of a bill: words at the left, an amount at the right."""
        self.set_text_color(0)
        width = 35
        top, page = self.get_y(), self.page
        self._write(left, self.epw - width, 6, size=11, bold=bold)
        below = self.get_y()
        self.set_xy(self.w - self.r_margin - width, top if page == self.page else below - 6)
        self._write(right, width, 6, size=11, bold=bold, align="R")
        self.set_xy(self.l_margin, below)

    def own_up(self) -> None:
        """Says what the boxes since the last time mean; nothing where there were none."""
        if self.boxed:
            self.boxed = False
            words = _("%(box)s is a sign that cannot be printed: see this ticket on the screen.") % {"box": BOX}
            self.say(words, size=9, align="C", grey=True)

    def _write(self, words: str, width: float, height: float, *, size: float, bold: bool, align: str = "L") -> None:
        """`words` in a column of `width` from here on, and on to the next line at the margin."""
        text = printable(words)
        self.set_font(FAMILY, "B" if bold else "", size)
        house = self._signs()
        plain = unjoined(text)
        if all(ord(sign) in house for sign in plain if sign != "\n"):
            self.multi_cell(width, height, plain, align=align, new_x="LMARGIN", new_y="NEXT")
        else:
            self._letter(text, width, height, size=size, bold=bold, align=align)

    def _letter(self, text: str, width: float, height: float, *, size: float, bold: bool, align: str) -> None:
        """What `_write` does, for a text that needs more fonts. Bold is the upright letter with an outline."""
        self.set_font(FAMILY, "", size)
        house, left, padding = self._signs(), self.x, self.c_margin
        room = width - 2 * padding
        mode = TextMode.FILL_STROKE if bold else TextMode.FILL
        with self.local_context(text_mode=mode, line_width=size * 0.007):
            self.c_margin = 0
            for line in lines(text, lambda line: self._long(runs(line, house, of=text), size) <= room):
                placed = runs(line, house, of=text)
                spare = room - self._long(placed, size)
                self.x = left + padding + spare * {"L": 0, "C": 0.5, "R": 1}[align]
                self._draw(placed, height, size)
                self.set_xy(left, self.y + height)
            self.c_margin = padding
        self.set_text_shaping(False)
        self.x = self.l_margin

    def _signs(self) -> dict[int, str]:
        """What the font in hand can draw."""
        return self.current_font.cmap if isinstance(self.current_font, TTFFont) else {}

    def _long(self, placed: Iterable[Run], size: float) -> float:
        return sum(self._with_font_of(run, size).get_string_width(run.text) for run in placed)

    def _draw(self, placed: Iterable[Run], height: float, size: float) -> None:
        for run in placed:
            self.boxed = self.boxed or (BOX in run.text and run.face is None)
            self._with_font_of(run, size).cell(self.get_string_width(run.text), height, run.text)

    def _with_font_of(self, run: Run, size: float) -> "Paper":
        """This paper, with all set to write `run`."""
        self.set_font(self._family(run.face), "", size)
        self.set_text_shaping(direction=run.direction)
        return self

    def _family(self, face: Face | None) -> str:
        """The name of `face` on this paper; at its first use the font is opened."""
        if face is None:
            return FAMILY
        if face.family not in self.fonts:
            self.add_font(face.family, "", face.path, collection_font_number=face.number)
            _stand_still(self.fonts[face.family])
        return face.family

    def _parse_chars(self, text: str, *_args: object, **_more: object) -> Iterator[Fragment]:
        """One text, one fragment: fpdf2 would cut a run before each mark that several scripts share."""
        yield Fragment(text, self._get_current_graphics_state(), self.k)

    def qr(self, content: str) -> None:
        """A QR code in the middle of the page."""
        picture = io.BytesIO()
        qr_code(content).save(picture, kind="png", scale=10, border=2)
        self.image(picture, x=(self.w - QR_SIDE) / 2, w=QR_SIDE, h=QR_SIDE)

    def stub(self, code: str, words: str, *, order: str) -> None:
        """What is shown at a door or a counter: the QR code, the code itself, what it is good for, and of which order.

        `order` is the order's code, of which the first letters are printed; "" for none.
        """
        if self.will_page_break(STUB):
            self.add_page()  # in one piece, whatever stands above it
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
        self.own_up()

    def content(self) -> bytes:
        """The finished file; the paper is used up."""
        try:
            return bytes(self.output())
        finally:
            for font in self.fonts.values():
                if isinstance(font, TTFFont):
                    font.ttfont.close()  # fpdf2 leaves the files open


def _stand_still(font: object) -> None:
    """Leaves a font's other weights out, which would only make the file larger."""
    if isinstance(font, TTFFont):
        for table in ("fvar", "gvar", "avar", "HVAR", "VVAR", "MVAR", "STAT"):
            if table in font.ttfont:
                del font.ttfont[table]


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


def qr_code(content: str) -> segno.QRCode:
    """The mask is given: to try all eight costs four times the rest, and random letters are read under each alike."""
    return segno.make(content, error="m", micro=False, mask=4)


def qr_svg(content: str) -> str:
    """A QR code for a page, as inline SVG."""
    return qr_code(content).svg_inline(
        scale=6, border=2, dark="#000", light="#fff", omitsize=True, svgclass=None, lineclass=None
    )


def grouped(code: str) -> str:
    """A code in groups of four, as people read it out."""
    return " ".join(code[start : start + 4] for start in range(0, len(code), 4))
