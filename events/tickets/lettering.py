"""Scripts that the house's two fonts do not hold: which font draws a sign, where a line breaks, how it runs.

The fonts are Noto's, of a package; for Chinese, Japanese and Korean those that the machine has. Nothing here is
opened for a text that the house's fonts hold.
"""

import unicodedata
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import groupby, pairwise
from pathlib import Path

from fontTools.ttLib import TTFont
from fpdf.bidi import BidiParagraph, auto_detect_base_direction
from fpdf.enums import TextDirection

BOX = "□"
JOINERS = "\u200c\u200d"  # say how their neighbours join; they draw nothing themselves
LAST = ("NotoSansSymbols", "NotoEmoji")  # a letter is a letter first
SYSTEM = tuple(Path(folder) for folder in ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts"))
EASTERN = (
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "ipagp.ttf",
    "ipag.ttf",
    "NanumGothic.ttf",
)
# Scripts that set no spaces between words: a line may break between any two of their syllables.
UNSPACED = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x9FFF), (0xF900, 0xFAFF), (0xFF00, 0xFFEF))
NEVER_FIRST = frozenset("ะาำๅฯๆະາຳໆーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ々")
NEVER_LAST = frozenset("เแโใไເແໂໃໄ")  # these vowels are written before their consonant


@dataclass(frozen=True)
class Face:
    """A font file; of a collection, the font with this number."""

    path: Path
    number: int = 0

    @property
    def family(self) -> str:
        return f"{self.path.stem}-{self.number}".lower()


@dataclass(frozen=True)
class Run:
    """Signs of one line in one font and one direction; `face` is None for the house's font."""

    text: str
    face: Face | None
    level: int  # odd runs from right to left

    @property
    def direction(self) -> TextDirection:
        return TextDirection.RTL if self.level % 2 else TextDirection.LTR


def printable(words: str) -> str:
    """`words` without control characters, its letters composed, so that an accent stands on its letter."""
    return "".join(sign for sign in unicodedata.normalize("NFC", words) if _draws(sign))


def _draws(sign: str) -> bool:
    if sign == "\n" or sign in JOINERS:
        return True
    # Variation selectors ask for a picture in colours: there are none on this paper.
    return unicodedata.category(sign) not in ("Cc", "Cf", "Cs") and not 0xFE00 <= ord(sign) <= 0xFE0F


def unjoined(text: str) -> str:
    """`text` for fonts that join nothing."""
    return "".join(sign for sign in text if sign not in JOINERS)


def faces() -> Iterator[Face]:
    """Every font at hand, in the order in which they are asked for a sign."""
    yield from _packed()
    yield from _installed()


@cache
def _packed() -> tuple[Face, ...]:
    folder = Path(str(files("manimgx_fonts")))
    upright = [path for path in folder.glob("Noto*.ttf") if "Italic" not in path.name]
    return tuple(Face(path) for path in sorted(upright, key=lambda path: (path.name.startswith(LAST), path.name)))


@cache
def _installed() -> tuple[Face, ...]:
    found: dict[str, Path] = {}
    for folder in SYSTEM:
        for path in folder.expanduser().rglob("*.tt[cf]"):
            found.setdefault(path.name, path)
    return tuple(Face(found[name]) for name in EASTERN if name in found)


@cache
def signs_of(face: Face) -> frozenset[int]:
    """What `face` can draw. Read once in a process."""
    with TTFont(face.path, fontNumber=face.number, lazy=True) as font:
        return frozenset(font.getBestCmap() or ())


def in_national_form(face: Face, text: str) -> Face:
    """`face` as `text`'s readers write: Noto's collection has Japanese, Korean and Chinese forms of the same signs."""
    if not face.path.name.startswith("NotoSansCJK"):
        return face
    if any(0x3040 <= ord(sign) <= 0x30FF for sign in text):
        return replace(face, number=0)
    return replace(face, number=1 if any(0xAC00 <= ord(sign) <= 0xD7A3 for sign in text) else 2)


def clusters(text: str) -> Iterator[str]:
    """What is drawn as one: a letter with its marks, two that are joined."""
    held = ""
    for sign in text:
        if held and (unicodedata.category(sign)[0] == "M" or sign in JOINERS or _binds(held[-1])):
            held += sign
        else:
            if held:
                yield held
            held = sign
    if held:
        yield held


def _binds(sign: str) -> bool:
    """Whether what follows `sign` hangs on it: after a joiner, or a sign that takes the vowel away (virama)."""
    return sign == "\u200d" or unicodedata.combining(sign) == 9


def pieces(text: str) -> Iterator[str]:
    """`text` in pieces between which a line may break; a space ends the piece that it follows."""
    held = ""
    for before, after in pairwise([*clusters(text), ""]):
        held += before
        if not after or _breaks(before, after):
            yield held
            held = ""


def _breaks(before: str, after: str) -> bool:
    if after.isspace() or before.isspace():
        return before.isspace() and not after.isspace()
    if not (_unspaced(before) or _unspaced(after)):
        return False
    late = after[0] in NEVER_FIRST or unicodedata.category(after[0]) in ("Pe", "Pf", "Po")
    return not late and before[0] not in NEVER_LAST and unicodedata.category(before[0]) not in ("Ps", "Pi")


def _unspaced(cluster: str) -> bool:
    return any(first <= ord(cluster[0]) <= last for first, last in UNSPACED)


def lines(text: str, fits: Callable[[str], bool]) -> Iterator[str]:
    """`text` in lines that fit; a piece that is longer than a line breaks between two letters."""
    for paragraph in text.split("\n"):
        line = ""
        for piece in pieces(paragraph):
            if line and not fits((line + piece).rstrip()):
                yield line.rstrip()
                line = ""
            for part in [piece] if fits(piece.rstrip()) else clusters(piece):
                if line and not fits((line + part).rstrip()):
                    yield line.rstrip()
                    line = ""
                line += part
        yield line.rstrip()


def runs(line: str, house: Container[int], *, of: str) -> list[Run]:
    """The runs of `line` from left to right. `house` is what the house's font draws, `of` the whole text.

    The text's first strong letter says which way its lines run (Unicode's bidirectional algorithm).
    """
    paragraph = BidiParagraph(line, base_direction=auto_detect_base_direction(of), preserve_bn_chars=True)
    levels = [sign.embedding_level for sign in paragraph.get_characters_with_embedding_level()]
    drawn: list[Run] = []
    at = 0
    hand: Face | None = None
    for cluster in clusters(line):
        text, face = _drawn_by(cluster, house, hand, of)
        drawn.append(Run(text, face, levels[at]))
        hand = face or hand
        at += len(cluster)
    joined = [
        Run("".join(run.text for run in alike), face, level)
        for (face, level), alike in groupby(drawn, key=lambda run: (run.face, run.level))
    ]
    return _from_left(joined)


def _drawn_by(cluster: str, house: Container[int], hand: Face | None, of: str) -> tuple[str, Face | None]:
    """What of `cluster` is drawn, and by which font: the house's if it can, or the one in `hand`."""
    signs = [ord(sign) for sign in cluster if sign not in JOINERS]
    if _all_in(signs, house):
        return unjoined(cluster), None
    for face in [hand, *faces()] if hand else faces():
        if _all_in(signs, signs_of(face)):
            return cluster, in_national_form(face, of)
    return BOX, None


def _all_in(signs: Iterable[int], font: Container[int]) -> bool:
    return all(sign in font for sign in signs)


def _from_left(logical: list[Run]) -> list[Run]:
    """Rule L2 of the algorithm: from the highest level down to 1, turn around what stands at that level or above."""
    placed = logical
    for level in range(max((run.level for run in logical), default=0), 0, -1):
        placed = _turned(placed, level)
    return placed


def _turned(placed: list[Run], level: int) -> list[Run]:
    turned: list[Run] = []
    for high, together in groupby(placed, key=lambda run: run.level >= level):
        turned += list(together)[:: -1 if high else 1]
    return turned
