"""Text as it is searched: forro finds Forró, strasse finds Straße, istanbul finds İstanbul, however each is typed.

`fold` is the rule, in Python. PostgreSQL's `foyer_fold` is made of the same table, letter by letter, and an index
keeps what it answers (docs/decisions/0038): whatever wrote a row, `update()` or a person in psql, the row is found.
"""

import unicodedata
from functools import cache
from itertools import groupby

from django.core.exceptions import EmptyResultSet
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Expression, Func, TextField
from django.db.models.lookups import Contains
from django.db.models.sql.compiler import SQLCompiler

#: Letters and signs that Unicode does not take apart, and that people type as these.
ALIKE = str.maketrans(
    {
        "ı": "i", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe", "þ": "th",
        "‘": "'", "’": "'", "‚": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
        "‐": "-", "–": "-", "—": "-", "−": "-",
    }
)  # fmt: skip
#: Marks on letters, and what nobody sees: soft hyphens, joiners, directions.
DROPPED = frozenset({"Mn", "Me", "Cf"})
#: Letters that most texts are made of; none of them has marks.
COMMON = "etaoinshrdlucmfwypvbgkjqxz 0123456789-\n" + "αοιετσνηυρπκμλςδωγθχφβξζψ" + "оеаитнсрвлкмдпугяьызбчхжшюцщэф"
#: So many different words of a search count; each must occur.
WORDS = 12


def fold(text: str) -> str:
    """`text` without marks, in one case, each letter in its plainest form."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) not in DROPPED)
    return plain.casefold().translate(ALIKE)


def words_of(text: str) -> list[str]:
    """The folded words that a search for `text` asks for; none when it has only marks."""
    return list(dict.fromkeys(fold(text).split()))[:WORDS]


class Folded(Func):
    """The columns folded as one text, a line each, as indexes of PostgreSQL keep them."""

    function = "foyer_fold"
    arg_joiner = " || E'\\n' || "
    output_field = TextField()


@CharField.register_lookup
@TextField.register_lookup
class Finds(Contains):
    """`title__finds="forro"`: `fold` of both sides, anywhere in the text; `%`, `_` and `\\` are plain characters."""

    lookup_name = "finds"

    def get_prep_lookup(self) -> str:
        return fold(str(self.rhs))

    def process_lhs(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, lhs: Expression | None = None
    ) -> tuple[str, tuple[str | int, ...]]:
        sql, params = super().process_lhs(compiler, connection, lhs)
        return f"foyer_fold({sql})", params

    def get_rhs_op(self, connection: BaseDatabaseWrapper, rhs: str) -> str:  # noqa: ARG002  (Django's signature)
        return f"LIKE {rhs}"

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[str | int, ...]]:
        if not self.rhs:
            raise EmptyResultSet  # of nothing but marks nothing is left to look for
        return super().as_sql(compiler, connection)


def fold_function() -> str:
    """SQL that makes `foyer_fold(text)`, which answers as `fold` does; for migrations."""
    one, many = _table()
    whole = "plain"
    for letter, letters in sorted(many.items()):
        whole = f"replace({whole}, '{letter}', '{letters}')"
    one = {letter: one.get(letter, letter) for letter in COMMON} | one  # translate() looks from the left
    before, after = (_quoted("".join(side)) for side in (one, one.values()))
    return f"""
        CREATE OR REPLACE FUNCTION foyer_fold(words text) RETURNS text
        LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $fold$
        DECLARE plain text := words;
        BEGIN
            IF octet_length(plain) <> char_length(plain) THEN
                plain := regexp_replace(normalize(plain, NFKD), '[{_dropped()}]', '', 'g');
            END IF;
            IF octet_length(plain) = char_length(plain) THEN
                RETURN lower(plain COLLATE "C");
            END IF;
            plain := translate(plain, {before}, {after});
            RETURN {whole};
        END
        $fold$
    """


@cache
def _table() -> tuple[dict[str, str], dict[str, str]]:
    """What `fold` makes of letters that are taken apart already: one letter of some, several of others."""
    folded = {letter: fold(letter) for letter in map(chr, _code_points()) if _is_apart(letter)}
    changed = {letter: to for letter, to in folded.items() if to != letter}
    one = {letter: to for letter, to in changed.items() if len(to) == 1}
    return one, {letter: to for letter, to in changed.items() if len(to) > 1}


def _is_apart(letter: str) -> bool:
    return unicodedata.category(letter) not in DROPPED and unicodedata.normalize("NFKD", letter) == letter


def _code_points() -> list[int]:
    """All of Unicode but NUL and surrogates, which no text in PostgreSQL holds."""
    return [*range(1, 0xD800), *range(0xE000, 0x110000)]


def _dropped() -> str:
    """The inside of a PostgreSQL regular expression's brackets."""
    points = [point for point in _code_points() if unicodedata.category(chr(point)) in DROPPED]
    runs = [[point for _n, point in run] for _key, run in groupby(enumerate(points), lambda pair: pair[1] - pair[0])]
    return "".join(f"\\U{run[0]:08x}-\\U{run[-1]:08x}" for run in runs)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
