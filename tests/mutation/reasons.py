"""Why a mutant may survive: reasons.toml, by the function and the lines that differ, never by mutmut's number."""

import tomllib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

FILE = Path(__file__).parent / "reasons.toml"
# mutmut's words for what became of a mutant
BY_TYPES = "caught by type check"
BY_TIME = {"timeout", "segfault"}
NOTICED = {"killed", BY_TYPES, *BY_TIME}
SURVIVED = {"survived", "no tests"}


class Tried(Protocol):
    """A mutant: the function that it stands in, the lines that differ, what became of it."""

    @property
    def where(self) -> str: ...
    @property
    def change(self) -> str: ...
    @property
    def status(self) -> str: ...


AnyTried = TypeVar("AnyTried", bound=Tried)


@dataclass(frozen=True)
class Reason:
    """For every mutant of this function with this change; the same line may stand in it twice."""

    where: str
    change: str
    why: str


def reasons(file: Path = FILE) -> list[Reason]:
    """All that are written down. Raises KeyError for one without its words."""
    rows = tomllib.loads(file.read_text()).get("survivor", [])
    return [Reason(row["where"], row["change"].strip(), row["why"]) for row in rows]


def unexplained(tried: Sequence[AnyTried], known: Sequence[Reason]) -> list[AnyTried]:
    """The survivors for which no reason is written down."""
    named = {(reason.where, reason.change) for reason in known}
    return [one for one in tried if one.status in SURVIVED and (one.where, one.change) not in named]


def idle(made: Sequence[Tried], known: Sequence[Reason]) -> list[tuple[Reason, str]]:
    """The reasons that explain nothing any more: their mutant is gone, or something notices it now."""
    statuses = defaultdict(list)
    functions = {reason.where for reason in known}
    for one in made:
        if one.where in functions:
            statuses[one.where, one.change].append(one.status)
    found = []
    for reason in known:
        of = statuses[reason.where, reason.change]
        if not of:
            found.append((reason, "no mutant is like this"))
        elif all(status in NOTICED for status in of):
            found.append((reason, f"it is noticed: {', '.join(of)}"))
    return found
