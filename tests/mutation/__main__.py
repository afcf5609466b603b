"""`make mutants`: mutmut over what decides, with our mutations (operators.py) and our reasons (reasons.toml).

    python -m dev.testing python -m tests.mutation ['orders.*' …] [--slice NUMBER --seed SEED] [--report]

Without a part, all. What was tried before stands until the product changes; survivors are tried again. Exit code 1 when
one has no reason, or a reason has no survivor.
"""

import argparse
import os
import sys
from collections.abc import Callable
from fnmatch import fnmatch

from tests.mutation.reasons import BY_TIME, BY_TYPES, NOTICED, SURVIVED, idle, reasons, unexplained
from tests.mutation.trying import Mutant, mutants, prepare, some, try_out


def main(arguments: list[str]) -> int:
    """The exit code of the command."""
    options = _options(arguments)
    if options.report:
        chosen = _part(options.parts)
        _write(_table(chosen))
        return _judge(chosen)
    prepare(options.processes, lambda mutant: _is_in(mutant, options.parts))
    chosen = _part(options.parts)
    if options.slice is None:
        try_out([mutant for mutant in chosen if mutant.status not in NOTICED], options.processes)
    else:
        chosen = some([mutant for mutant in chosen if mutant.status != BY_TYPES], options.slice, options.seed)
        try_out(chosen, options.processes)
    names = {mutant.name for mutant in chosen}
    tried = [mutant for mutant in mutants() if mutant.name in names]
    _write(_table(tried))
    return _judge(tried)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description="What no test and no type would notice.")
    parser.add_argument("parts", nargs="*", help="a module or function, with * for anything: orders.*")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--slice", type=int, help="so many, chosen by --seed, tried whatever is known of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", action="store_true", help="only what is known")
    return parser.parse_args(arguments)


def _part(parts: list[str]) -> list[Mutant]:
    return [mutant for mutant in mutants() if _is_in(mutant, parts)]


def _is_in(mutant: Mutant, parts: list[str]) -> bool:
    return not parts or any(fnmatch(mutant.where, part) for part in parts)


def _table(part: list[Mutant]) -> str:
    """A row for each module: how many there are, and who notices them."""
    nameless = set(unexplained(part, reasons()))
    columns: dict[str, Callable[[Mutant], bool]] = {
        "mutants": lambda _one: True,
        "by tests": lambda one: one.status == "killed",
        "by time": lambda one: one.status in BY_TIME,
        "by types": lambda one: one.status == BY_TYPES,
        "with a reason": lambda one: one.status in SURVIVED and one not in nameless,
        "without": lambda one: one in nameless,
        "not tried": lambda one: one.status not in NOTICED | SURVIVED,
    }
    rows = [["module", *columns], ["---"] * (len(columns) + 1)]
    for module in [*sorted({mutant.module for mutant in part}), "all"]:
        of = [mutant for mutant in part if module in (mutant.module, "all")]
        rows.append([module, *(str(sum(map(is_so, of))) for is_so in columns.values())])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _judge(part: list[Mutant]) -> int:
    """Say what has no reason, and what reason has nothing; 1 if there is either, or something was not tried."""
    known = reasons()
    survivors = unexplained(part, known)
    for mutant in survivors:
        _write(f'\n# {mutant.name}: {mutant.status}\n[[survivor]]\nwhere = "{mutant.where}"')
        _write(f"change = '''\n{mutant.change}\n'''")
    whole, where = mutants(), {mutant.where for mutant in part}
    gone_where = {reason.where for reason in known} - {mutant.where for mutant in whole}
    out_of_date = idle(whole, [reason for reason in known if reason.where in where | gone_where])
    for reason, words in out_of_date:
        _write(f"\nA reason without its survivor, {words}: {reason.where}\n{reason.change}")
    untried = [mutant for mutant in part if mutant.status not in NOTICED | SURVIVED]
    for mutant in untried:
        _write(f"{mutant.status}: {mutant.name}")
    _write(f"\n{len(survivors)} survivors without a reason, {len(out_of_date)} idle reasons, {len(untried)} not tried.")
    return 1 if survivors or out_of_date or untried else 0


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
