"""From a table of arrows to the triggers that hold it: states move where an arrow is, and nowhere else.

The names of what is refused reach Python as an ``IntegrityError`` whose constraint name is the trigger's claim.
"""

from dataclasses import dataclass

import pgtrigger

#: A test database's clean-up truncates every table; nothing else may (set per database, never by the application).
CLEAN_UP = "coalesce(current_setting('foyer.clean_up', true), '') <> 'on'"


class IllegalTransition(Exception):
    """A row was asked to make a move for which no arrow leads out of its state."""


@dataclass(frozen=True)
class Arrows:
    """The states in which a row may be born, the moves it may make, and the states in which it may be deleted."""

    born: frozenset[str]
    moves: frozenset[tuple[str, str]]
    deleted: frozenset[str] = frozenset()

    @classmethod
    def table(cls, *, born: set[str], moves: dict[str, set[str]], deleted: set[str] | None = None) -> "Arrows":
        pairs = {(source, target) for source, targets in moves.items() for target in targets}
        return cls(frozenset(born), frozenset(pairs), frozenset(deleted or set()))

    def sources_of(self, target: str) -> frozenset[str]:
        return frozenset(source for source, end in self.moves if end == target)


def refusal(claim: str, message: str, *arguments: str) -> str:
    """PL/pgSQL that refuses the statement in the name of `claim`; `%` in `message` takes the SQL `arguments`."""
    values = "".join(f", {argument}" for argument in arguments)
    return f"RAISE EXCEPTION '{message}'{values} USING ERRCODE = 'check_violation', CONSTRAINT = '{claim}';"


def _when(sql: str) -> pgtrigger.Condition:
    # In brackets of its own: pgtrigger adds none to a text that begins with one.
    return pgtrigger.Condition(f"({sql})")


def _values(states: frozenset[str]) -> str:
    return ", ".join(f"'{state}'" for state in sorted(states)) or "NULL"


def arrow_triggers(name: str, arrows: Arrows, *, state: str = "{row}.state") -> list[pgtrigger.Trigger]:
    """Triggers that refuse a birth, a move or a deletion for which `arrows` has no arrow.

    `state` is an SQL expression with ``{row}`` for OLD or NEW, for rows whose state depends on more than one column.
    """
    old, new = state.format(row="OLD"), state.format(row="NEW")
    pairs = ", ".join(f"('{source}', '{target}')" for source, target in sorted(arrows.moves))
    return [
        pgtrigger.Trigger(
            name=f"{name}_born",
            when=pgtrigger.Before,
            operation=pgtrigger.Insert,
            condition=_when(f"{new} IS NULL OR {new} NOT IN ({_values(arrows.born)})"),
            func=refusal(f"{name}_born", f"{name} cannot be born %", new),
        ),
        pgtrigger.Trigger(
            name=f"{name}_moves",
            when=pgtrigger.Before,
            operation=pgtrigger.Update,
            condition=_when(f"{old} IS DISTINCT FROM {new} AND (({old}, {new}) NOT IN ({pairs})) IS NOT FALSE"),
            func=refusal(f"{name}_moves", f"{name} cannot move from % to %", old, new),
        ),
        pgtrigger.Trigger(
            name=f"{name}_deleted",
            when=pgtrigger.Before,
            operation=pgtrigger.Delete,
            condition=_when(f"({old} IN ({_values(arrows.deleted)})) IS NOT TRUE"),
            func=refusal(f"{name}_deleted", f"{name} cannot be deleted while %", old),
        ),
        no_truncate(name),
    ]


def no_truncate(name: str) -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        name=f"{name}_truncated",
        level=pgtrigger.Statement,
        when=pgtrigger.Before,
        operation=pgtrigger.Truncate,
        func=f"IF {CLEAN_UP} THEN {refusal(f'{name}_truncated', f'{name} rows cannot be truncated')} END IF;"
        " RETURN NULL;",
    )


def frozen_trigger(name: str, columns: list[str], *, when: str = "true") -> pgtrigger.Trigger:
    """Refuses a change of any of `columns` in a row for which the SQL condition `when` (over OLD) holds."""
    changed = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)
    return pgtrigger.Trigger(
        name=name,
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        condition=_when(f"({when}) AND ({changed})"),
        func=refusal(name, f"{name}: a frozen column cannot change"),
    )


def revision_trigger(name: str, columns: list[str], *, also: str = "false") -> pgtrigger.Trigger:
    """Raises ``revision`` by one, and says when in ``revised_at``, with each change of one of `columns`.

    `also` is an SQL condition over OLD and NEW under which it rises too. Nothing else writes either, a stale ``save()``
    included: who was told a revision is never told an older one.
    """
    changed = " OR ".join([f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns] + [f"({also})"])
    written = "(OLD.revision, OLD.revised_at) IS DISTINCT FROM (NEW.revision, NEW.revised_at)"
    return pgtrigger.Trigger(
        name=name,
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        condition=_when(f"{changed} OR {written}"),
        func=(
            "NEW.revision := OLD.revision; NEW.revised_at := OLD.revised_at;"
            f" IF {changed} THEN NEW.revision := OLD.revision + 1; NEW.revised_at := clock_timestamp(); END IF;"
            " RETURN NEW;"
        ),
    )


def history_trigger(name: str, columns: list[str]) -> pgtrigger.Trigger:
    """Writes one History row for each change of each of `columns`, in the transaction that makes it."""
    changed = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)
    writes = "".join(
        f" IF OLD.{column} IS DISTINCT FROM NEW.{column} THEN"
        " INSERT INTO ledger_history (at, subject, subject_id, field, old, new, actor, reason) VALUES"
        f" (clock_timestamp(), '{name}', NEW.id, '{column}', OLD.{column}::text, NEW.{column}::text,"
        " coalesce(nullif(current_setting('foyer.actor', true), ''), 'database:' || session_user),"
        " coalesce(current_setting('foyer.reason', true), ''));"
        " END IF;"
        for column in columns
    )
    return pgtrigger.Trigger(
        name=f"{name}_history",
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        condition=_when(changed),
        func=f"{writes} RETURN NULL;",
    )


def counter_triggers(name: str, *, parent: str, key: str, held: frozenset[str]) -> list[pgtrigger.Trigger]:
    """Statement triggers that keep ``held`` of the table `parent` equal to the rows of `key` in a `held` state.

    The parent's check constraint then refuses what exceeds its capacity. Zero deltas touch nothing.
    """
    states = _values(held)

    def update(*sides: tuple[str, int]) -> str:
        parts = " UNION ALL ".join(
            f"SELECT {key} AS id, {sign} AS n FROM {rows} WHERE state IN ({states}) AND {key} IS NOT NULL"
            for rows, sign in sides
        )
        return (
            f"UPDATE {parent} AS parent SET held = parent.held + delta.n FROM"
            f" (SELECT id, sum(n) AS n FROM ({parts}) AS changes GROUP BY id HAVING sum(n) <> 0) AS delta"
            " WHERE parent.id = delta.id; RETURN NULL;"
        )

    def trigger(event: str, operation: pgtrigger.Operation, old: bool, new: bool) -> pgtrigger.Trigger:
        sides = ([("old_rows", -1)] if old else []) + ([("new_rows", 1)] if new else [])
        return pgtrigger.Trigger(
            name=f"{name}_held_{event}",
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=operation,
            referencing=pgtrigger.Referencing(old="old_rows" if old else None, new="new_rows" if new else None),
            func=update(*sides),
        )

    return [
        trigger("insert", pgtrigger.Insert, False, True),
        trigger("update", pgtrigger.Update, True, True),
        trigger("delete", pgtrigger.Delete, True, False),
    ]


def counter_guards(name: str) -> list[pgtrigger.Trigger]:
    """Refuse every write to ``held`` that does not come from a counter trigger, a stale ``save()`` included."""
    message = refusal(f"{name}_held_guard", f"{name}.held is written by its counter only")
    return [
        pgtrigger.Trigger(
            name=f"{name}_held_born",
            when=pgtrigger.Before,
            operation=pgtrigger.Insert,
            condition=_when("NEW.held <> 0"),
            func=message,
        ),
        pgtrigger.Trigger(
            name=f"{name}_held_guard",
            when=pgtrigger.Before,
            operation=pgtrigger.Update,
            condition=_when("OLD.held IS DISTINCT FROM NEW.held AND pg_trigger_depth() = 0"),
            func=message,
        ),
    ]
