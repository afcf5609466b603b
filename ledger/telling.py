"""History in plain words: one step for each thing that happened, in order of time."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ledger.models import History

#: Who acts, where it is not a person.
ACTORS = {
    "webhook": gettext_lazy("SumUp's message"),
    "sweep": gettext_lazy("the check of every minute"),
    "poll": gettext_lazy("the buyer's order page"),
    "job": gettext_lazy("a second try"),
    "checkout": gettext_lazy("the checkout"),
    "reconcile": gettext_lazy("the comparison with SumUp's books"),
    "admin": gettext_lazy("the box office"),
    "seed_demo": gettext_lazy("the demo"),
}
#: Rows of one kind that are named; the others are counted.
NAMED = 4


@dataclass(frozen=True)
class Sentence:
    """What one change of one field means, for one row and for several, with ``%(names)s`` and ``%(count)d``."""

    one: str
    many: str

    def told(self, names: list[str]) -> str:
        shown = ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
        return ngettext(self.one, self.many, len(names)) % {"names": shown, "count": len(names)}


@dataclass(frozen=True)
class Step:
    at: datetime
    words: str
    who: str = ""
    why: str = ""


@dataclass(frozen=True)
class Words:
    """How to tell rows: sentences by (subject, field, new value), names by (subject, id), people by user id.

    `clock` tells the moments, which are the fields whose names end in ``_at``.
    """

    sentences: Mapping[tuple[str, str, str], Sentence]
    names: Mapping[tuple[str, int], str] = field(default_factory=dict)
    people: Mapping[int, str] = field(default_factory=dict)
    subjects: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[tuple[str, str], str] = field(default_factory=dict)
    clock: Callable[[datetime], str] = str

    def value(self, name: str, text: str | None) -> str:
        """What the field `name` was or became."""
        if text is None:
            return _("none")
        return self.clock(datetime.fromisoformat(text)) if name.endswith("_at") else text


def user_ids(rows: Iterable[History]) -> set[int]:
    """The users who act in `rows`."""
    return {int(found[1]) for row in rows if (found := re.fullmatch(r"user:(\d+)", row.actor))}


def steps(rows: Iterable[History], words: Words) -> Iterator[Step]:
    """`rows` (in order) as steps; the same change of several rows at once is one step."""
    for _key, group in groupby(rows, key=lambda row: (row.subject, row.field, row.old, row.new, row.actor, row.reason)):
        same = list(group)
        first = same[0]
        yield Step(first.at, _sentence(same, words), actor(first.actor, words.people), first.reason)


def actor(name: str, people: Mapping[int, str]) -> str:
    """`name` of a history row as a person says it."""
    if found := re.fullmatch(r"user:(\d+)", name):
        return people.get(int(found[1])) or _("user %(id)s") % {"id": found[1]}
    if name.startswith("database:"):
        return _("by hand in the database")
    return str(ACTORS.get(name, name))


def _sentence(rows: list[History], words: Words) -> str:
    first = rows[0]
    names = [words.names.get((row.subject, row.subject_id), str(row.subject_id)) for row in rows]
    sentence = words.sentences.get((first.subject, first.field, first.new or ""))
    if sentence is not None:
        return sentence.told(names)
    what = words.subjects.get(first.subject, first.subject)
    label = words.fields.get((first.subject, first.field), first.field)
    return _("%(what)s %(names)s: %(field)s from %(old)s to %(new)s.") % {
        "what": what,
        "names": ", ".join(names),
        "field": label,
        "old": words.value(first.field, first.old),
        "new": words.value(first.field, first.new),
    }
