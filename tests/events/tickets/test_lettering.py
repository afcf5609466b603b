"""Scripts on paper: every letter is drawn, joined, in its order, within its column; what no font has is owned up to."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fpdf.bidi import BidiParagraph, auto_detect_base_direction

from events.models import Ticket
from events.tickets import lettering
from events.tickets.lettering import BOX, Face, in_national_form, lines, pieces, printable, runs
from events.tickets.paper import Paper, tickets_pdf
from market.documents import voucher_pages
from orders.documents import order_pdf
from orders.holdings import Holdings
from tests.events.tickets.test_views import free_order, ticket_of
from tests.factories import UserFactory
from tests.ledger.lives import an_item
from tests.papers import codes_of, pages_of

OWNED_UP = "see this ticket on the screen"
HOUSE = frozenset(range(0x20, 0x250))
SCRIPTS = {
    "Arabic": "حفل موسيقي في القاهرة",
    "vowels": "مُحَمَّد رَسُول",
    "Persian": "می\u200cخواهم",
    "Hebrew": "קונצרט בתל אביב, שָׁלוֹם",
    "Thai": "คอนเสิร์ตที่กรุงเทพ",
    "Devanagari": "दिल्ली में संगीत कार्यक्रम १२३।",
    "Bengali": "বাংলা গান",
    "Tamil": "தமிழ் இசை",
    "Khmer": "ភាសាខ្មែរ",
    "Vietnamese": "Ấm nhạc Việt Nam",
    "emoji": "🎉🎵 Party",
}
MIXED = [
    "Konzert في القاهرة 20:30",
    "القاهرة 20:30 Konzert (الليلة) 50%",
    "الموسيقى 20:30 في القاهرة 2026/12/31",
    "Jazz (קונצרט בתל אביב 20:30) & Rock",
    "a السيد 1 b 2 ج",
]


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine without fonts: the folder in which a test may install one."""
    monkeypatch.setattr(lettering, "SYSTEM", (tmp_path,))
    lettering._installed.cache_clear()
    yield tmp_path
    lettering._installed.cache_clear()


@pytest.fixture
def ticket(merchant: object, db: None) -> Ticket:
    return ticket_of(free_order(UserFactory.create(), title="Jazz", place="Am Wall 3"))


def letters(text: str) -> set[str]:
    return {sign for sign in unicodedata.normalize("NFC", text) if unicodedata.category(sign)[0] in "LNS"}


def font_with(letter: str, path: Path) -> None:
    """A font that draws `letter` as a box, and nothing else."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 700), (700, 700), (700, 0)):
        pen.lineTo(corner)
    pen.closePath()
    built = FontBuilder(1000)
    built.setupGlyphOrder([".notdef", "letter"])
    built.setupCharacterMap({ord(letter): "letter"})
    built.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "letter": pen.glyph()})
    built.setupHorizontalMetrics({".notdef": (800, 0), "letter": (800, 0)})
    built.setupHorizontalHeader(ascent=800, descent=-200)
    built.setupNameTable({"familyName": "Test", "styleName": "Regular"})
    built.setupOS2()
    built.setupPost()
    built.save(path)


@pytest.mark.parametrize("words", SCRIPTS.values(), ids=SCRIPTS.keys())
@pytest.mark.promise("every-letter-script")
def test_every_letter_of_a_script_is_on_the_ticket(ticket: Ticket, words: str) -> None:
    ticket.entry.title = ticket.entry.place = ticket.holder = words

    content = tickets_pdf([ticket])

    (text,) = pages_of(content)
    assert letters(words) <= letters(text)
    assert BOX not in text
    assert OWNED_UP not in text
    assert codes_of(content) == [ticket.code]


def test_vowel_signs_do_not_part_the_letters_of_a_word() -> None:
    """fpdf2 alone ends a run before each sign that several scripts share: the letters then stand apart."""
    paper = Paper("")
    bare, pointed = (sum_of(paper, word) for word in ("محمد", "مُحَمَّد"))
    paper.content()

    assert bare == pytest.approx(pointed)


def sum_of(paper: Paper, word: str) -> float:
    return paper._long(runs(word, HOUSE, of=word), 20)


def test_a_devanagari_ligature_is_one_sign() -> None:
    paper = Paper("")
    joined, apart = sum_of(paper, "क्ष"), sum_of(paper, "क") + sum_of(paper, "ष")
    paper.content()

    assert joined < apart


@pytest.mark.parametrize("words", [*MIXED, *SCRIPTS.values()])
def test_runs_stand_in_the_order_of_unicode_s_algorithm(words: str) -> None:
    text = printable(words)
    placed = runs(text, HOUSE, of=text)

    seen = "".join(run.text[::-1] if run.level % 2 else run.text for run in placed)

    whole = BidiParagraph(text, base_direction=auto_detect_base_direction(text), preserve_bn_chars=True)
    assert lettering.unjoined(seen) == lettering.unjoined(whole.get_reordered_string())


def test_a_time_stands_left_of_the_arabic_words_it_follows() -> None:
    placed = runs("Konzert في 20:30", HOUSE, of="Konzert في 20:30")

    assert "".join(run.text for run in placed).split() == ["Konzert", "20:30", "في"]


def test_a_line_goes_the_way_of_its_whole_text() -> None:
    assert [run.text for run in runs("Jazz 1", HOUSE, of="القاهرة Jazz 1")] == ["Jazz 1"]
    assert [run.text for run in runs("Jazz!", HOUSE, of="القاهرة Jazz!")] == ["!", "Jazz"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("two  words", ["two  ", "words"]),
        ("東京の「夏」、音楽", ["東", "京", "の", "「夏」、", "音", "楽"]),
        ("เมืองที่", ["เมื", "อ", "ง", "ที่"]),
        ("संगीत कार्यक्रम", ["संगीत ", "कार्यक्रम"]),
        ("", []),
    ],
)
def test_a_line_breaks_where_readers_expect_it(text: str, parts: list[str]) -> None:
    assert list(pieces(text)) == parts


@pytest.mark.parametrize("words", ["คอนเสิร์ตที่กรุงเทพมหานคร" * 6, "ع" * 200, "قاهرة " * 50, "कार्यक्रम" * 30, "🎉" * 90])
def test_no_line_is_wider_than_its_column_and_no_mark_begins_one(words: str) -> None:
    paper = Paper("")
    broken = list(lines(words, lambda line: sum_of(paper, line) <= 100))
    wide = [line for line in broken if sum_of(paper, line) > 100]
    paper.content()

    assert len(broken) > 1
    assert "".join(broken).replace(" ", "") == words.replace(" ", "")
    assert not wide
    assert not [line for line in broken if unicodedata.category(line[0])[0] == "M"]


def test_a_column_too_narrow_for_a_letter_ends_all_the_same() -> None:
    assert [line for line in lines("abc", lambda _line: False) if line] == ["a", "b", "c"]


@pytest.mark.parametrize("words", ["東京", "𝕏", "\ue000", "\U0001fffd"])
@pytest.mark.promise("every-letter-script")
def test_what_no_font_has_is_a_box_and_owned_up_to(ticket: Ticket, words: str) -> None:
    ticket.entry.title = f"Jazz {words}"

    (text,) = pages_of(tickets_pdf([ticket]))

    assert f"Jazz {BOX * len(words)}" in text
    assert text.count(OWNED_UP) == 1


def test_each_page_owns_up_to_its_own_boxes(ticket: Ticket) -> None:
    other = Ticket.objects.with_page().get(pk=ticket.pk)
    other.entry.title = "東京"

    assert [OWNED_UP in text for text in pages_of(tickets_pdf([ticket, other, ticket]))] == [False, True, False]


@pytest.mark.django_db
@pytest.mark.usefixtures("merchant")
def test_bill_and_voucher_own_up_too() -> None:
    order = free_order(UserFactory.create(), title="東京")
    item = an_item("confirmed")
    item.product.name = "東京"
    paper = Paper("")
    voucher_pages(paper, [item])

    bill, *_tickets = pages_of(order_pdf(Holdings.of(order, list(order.lines.all()))))

    assert OWNED_UP in bill
    assert OWNED_UP in pages_of(paper.content())[0]


def test_a_font_of_the_machine_draws_chinese(ticket: Ticket, bare_machine: Path) -> None:
    (bare_machine / "truetype").mkdir()
    font_with("東", bare_machine / "truetype" / "wqy-microhei.ttc")
    ticket.entry.title = "東京"

    (text,) = pages_of(tickets_pdf([ticket]))

    assert f"東{BOX}" in text


@pytest.mark.parametrize(("words", "number"), [("東京の", 0), ("서울", 1), ("北京", 2)])
def test_noto_s_collection_draws_the_forms_of_the_text_s_readers(words: str, number: int) -> None:
    assert in_national_form(Face(Path("NotoSansCJK-Regular.ttc")), words).number == number
    assert in_national_form(Face(Path("ipag.ttf")), words).number == 0


@pytest.mark.promise("every-letter-script")
def test_a_latin_ticket_opens_no_font_and_shapes_nothing(ticket: Ticket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "faces", lambda: pytest.fail("asked for a font"))
    monkeypatch.setattr(Paper, "set_text_shaping", lambda *_args, **_more: pytest.fail("shaped"))
    ticket.entry.title = "Łukasz – ‘Борис’, Ωμέγα (1\u200c2)"

    assert ticket.entry.title.replace("\u200c", "") in pages_of(tickets_pdf([ticket]))[0]


def test_a_word_of_fpdf2_s_own_means_itself(ticket: Ticket) -> None:
    ticket.entry.title = "{nb} ways **to** fall"

    assert "{nb} ways **to** fall" in pages_of(tickets_pdf([ticket]))[0]


def test_the_ticket_s_address_prints_arabic(client: Client, ticket: Ticket) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(holder=SCRIPTS["Arabic"])
    assert ticket.user is not None
    client.force_login(ticket.user)

    (text,) = pages_of(client.get(f"/tickets/{ticket.code}.pdf").content)

    assert letters(SCRIPTS["Arabic"]) <= letters(text)
