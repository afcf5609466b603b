"""The codes of tickets and vouchers, read from whatever was typed or scanned."""

import re
from collections.abc import Callable, Iterable
from itertools import product
from typing import Protocol, TypeVar

#: A code at the end of what was typed; people and printers take 0 for O, 8 for B, and 1 for I or L.
CODE = re.compile(r"([A-Z0-8]{26})(?:\.PDF|\.ICS)?$")
SURE = str.maketrans("08", "OB")
#: So many ones in a code are tried as I and as L each; of more, all as the one or all as the other.
ONES = 3
#: A scanner is a keyboard: set to one country's and plugged into another's, it types other signs. By what is read, what
#: was printed: a US scanner at a German and at a French computer, a German and a French one at a US computer.
KEYBOARDS = tuple(
    str.maketrans(read, printed)
    for read, printed in [
        ("yzYZ-_ßÖ", "zyZY/?-:"),
        ("aqzwAQZW,?mM&é\"'(-è_çà!§):;", "qawzQAWZmM;:1234567890/?-.,"),
        ("yzYZ&_>", "zyZY/?:"),
        ("aqzwAQZW;:mM!@#$%^&*>.<6", "qawzQAWZmM,?12345678/:.-"),
    ]
)
#: Letters of a code that lists show, for people to tell rows apart; they open nothing.
SHORT = 8


class Coded(Protocol):
    @property
    def code(self) -> str: ...


Row = TypeVar("Row", bound=Coded)


def read_codes(typed: str) -> list[str]:
    """The codes that what was typed or scanned may stand for, that which it spells first; never more than a few dozen.

    It may be the code alone, in groups, in small letters, or a ticket's address with or without a query behind it.
    """
    texts = [typed, *(typed.translate(keyboard) for keyboard in KEYBOARDS)]
    return list(dict.fromkeys(code for text in texts for code in _spelled(text)))


def _spelled(text: str) -> list[str]:
    address = re.split(r"[?#]", text, maxsplit=1)[0]
    match = CODE.search(re.sub(r"[\s\-–·]", "", address).strip("/").upper())
    if match is None:
        return []
    parts = match[1].translate(SURE).split("1")
    gaps = len(parts) - 1
    fillings = product("IL", repeat=gaps) if gaps <= ONES else ("I" * gaps, "L" * gaps)
    return ["".join(map("".join, zip(parts, (*filling, ""), strict=True))) for filling in fillings]


def meant(candidates: Iterable[Row], typed: str, is_own: Callable[[Row], bool]) -> Row | None:
    """Which of the rows with one of `read_codes(typed)` is shown here: that of the code as spelled, whosesoever it is.

    What must be read in some other way counts only when it leads to one row of this house and to no other.
    """
    rows = list(candidates)
    as_spelled = [row for row in rows if [row.code] == _spelled(typed)]
    own = as_spelled or [row for row in rows if is_own(row)]
    return own[0] if len(own) == 1 else None
