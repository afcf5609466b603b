"""mutmut's parts, put together in our way: each process tries a mutant against the tests that pass its function.

mutmut's own command runs all tests three times in one process before the first mutant. Here each test file runs once,
in a process of its own, to learn which functions its tests pass; what was learned and tried is kept in mutants/.
"""

import contextlib
import hashlib
import os
import random
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from multiprocessing import Pool
from pathlib import Path

import psycopg
from mutmut.__main__ import create_mutants, estimated_worst_case_time
from mutmut.configuration import config
from mutmut.models.results import StatsResult
from mutmut.mutation import file_mutation
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.runners.harness import CollectTestsFailedException, PytestRunner
from mutmut.state import reset_state, state
from mutmut.stats import load_stats, save_stats, status_by_exit_code
from mutmut.utils.file_utils import copy_also_copy_files, setup_source_paths, walk_mutatable_files
from mutmut.utils.format_utils import mangled_name_from_mutant_name, orig_function_and_class_names_from_key
from mutmut.workers.isolation import ForkRunner

from tests.mutation import operators

FOLDER = Path("mutants")
MADE_FOR = FOLDER / "made-for"
LEARNED = FOLDER / "mutmut-stats.json"  # mutmut's: which tests pass which function
#: Whose tests besides say what a room's functions must do: files, or folders. Others pass them too, and take too long.
ASKED = {
    "accounts": ["accounts/test_admin.py", "payments/admin/test_two_roles.py"],
    "cart": ["cart"],
    "events": [
        *("cart/test_adding_tickets.py", "events/admin", "events/door", "events/programme/test_views.py"),
        *("events/tickets", "orders/test_placing.py", "payments/admin/test_reading.py"),
        *("payments/admin/test_scope.py", "payments/admin/test_two_roles.py"),
    ],
    "market": ["cart/test_adding_products.py", "market/counter", "market/shop"],
    "orders": [
        *("cart/test_counting.py", "orders", "payments/checkouts/test_ending.py", "payments/checkouts/test_late.py"),
        *("payments/checkouts/test_mismatch.py", "payments/test_spine.py"),
    ],
    "payments": [
        *("orders/test_mixed.py", "payments/admin/test_decisions.py", "payments/admin/test_decisions_on_strays.py"),
        *("payments/admin/test_refunds.py", "payments/books/test_check_books.py", "payments/checkouts"),
        *(
            "payments/reconcile",
            "payments/refunds",
            "payments/sumup/test_silence.py",
            "payments/test_contradictions.py",
        ),
        *("payments/test_retry_after.py", "payments/test_views.py"),
    ],
}
NO_TESTS, OF_TYPES = 33, 37  # mutmut's exit codes
FIRST = 25  # tests
ENOUGH = 10.0  # seconds of tests beside those of the module's own file: who survives these needs a test of its own


@dataclass(frozen=True)
class Mutant:
    """One change of one function, and what became of it."""

    name: str
    module: str
    where: str
    status: str
    path: Path

    @property
    def room(self) -> str:
        return self.path.parts[0]

    @property
    def change(self) -> str:
        """The lines that differ, without their indentation: they stay the same while the function grows elsewhere."""
        lines = get_diff_for_mutant(self.name, path=self.path).splitlines()[2:]
        return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines if line[0] in "+-")


def mutants() -> list[Mutant]:
    """All that were made, with what is known of each."""
    return [_mutant(name, code, path) for path, data in _data().items() for name, code in data.exit_code_by_key.items()]


def prepare(processes: int, is_wanted: Callable[[Mutant], bool]) -> None:
    """Make the mutants, ask the types about them, and learn which tests pass which function of those that are wanted.

    Raises SystemExit when a test fails without a mutant.
    """
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # the type checker is found there
    os.environ["PYTEST_XDIST_WORKER"] = "mutants"  # the surroundings are here already
    os.environ["PY_IGNORE_IMPORTMISMATCH"] = "1"
    setattr(file_mutation, "mutation_operators", operators.OPERATORS)  # noqa: B010  (no name that mutmut shows)
    set_mutant_under_test("mutant_generation")
    with _quiet():
        made, now = MADE_FOR.read_text().split() if MADE_FOR.exists() else ("", ""), _fingerprints()
        if made[0] != now[0]:
            shutil.rmtree(FOLDER, ignore_errors=True)
        for room in config().source_paths:
            shutil.copytree(room, FOLDER / room, ignore=shutil.ignore_patterns("*.py*"), dirs_exist_ok=True)
        copy_also_copy_files()
        setup_source_paths()
        if made[1] != now[1]:  # functions that changed are tried again; all tests may pass others
            create_mutants(processes)
            _ask_types()
            LEARNED.unlink(missing_ok=True)
            MADE_FOR.write_text("\n".join(now))
    sys.modules["tests"].__path__[:] = [str((FOLDER / "tests").absolute())]  # the copies run, not these
    _learn({mutant.room for mutant in mutants() if is_wanted(mutant)}, processes)


def try_out(chosen: list[Mutant], processes: int) -> None:
    """Try each against the tests that pass its function, the quick ones first; what became of it is in `mutants()`.

    Most fail a few tests of their own: the others are read only for who survives those.
    """
    data = {name: of for of in _data().values() for name in of.exit_code_by_key}
    runner = ForkRunner(processes, PytestRunner())
    rest: dict[str, list[str]] = {}
    spent: dict[str, float] = defaultdict(float)
    set_mutant_under_test("")
    _drop_databases()
    _say(f"{len(chosen)} mutants")
    runner.startup()

    def note(name: str, code: int) -> None:
        data[name].exit_code_by_key[name] = code
        data[name].durations_by_key[name] = spent[name]
        data[name].save()
        _say(f"{status_by_exit_code[code]:10} {spent[name]:5.0f} s  {name}")

    def wait() -> None:
        result = runner.wait_for_result()
        name, code = result.mutant_name, result.exit_code
        spent[name] += result.duration
        if code or not (others := rest.pop(name, [])):
            note(name, code)
        else:
            submit(name, others)

    def submit(name: str, tests: list[str]) -> None:
        seconds = sum(state().duration_by_test[test] for test in tests)
        limit = ceil((seconds + config().timeout_constant) * config().timeout_multiplier * 2)
        runner.submit(name, tests, limit, seconds)

    for mutant in sorted(chosen, key=lambda one: estimated_worst_case_time(one.name)):
        tests = _tests_of(mutant)
        if not tests:
            note(mutant.name, NO_TESTS)
            continue
        while not runner.has_capacity():
            wait()
        rest[mutant.name] = tests[FIRST:]
        submit(mutant.name, tests[:FIRST])
    while runner.pending_count():
        wait()
    runner.shutdown()


def own_tests(module: str) -> str:
    """The file that bears a module's name, in the tests' folder of its room."""
    *rooms, name = module.split(".")
    return "/".join(["tests", *rooms, f"test_{name}.py"])


def _tests_of(mutant: Mutant) -> list[str]:
    """Those that pass its function: all of the file that bears its module's name, then the quickest for ENOUGH."""
    tests = state().tests_by_mangled_function_name.get(mangled_name_from_mutant_name(mutant.name), set())
    own = own_tests(mutant.module)
    found, spent = sorted(test for test in tests if test.startswith(f"{own}::")), 0.0
    for test in sorted(tests.difference(found), key=lambda test: (state().duration_by_test[test], test)):
        spent += state().duration_by_test[test]
        if spent > ENOUGH:
            break
        found.append(test)
    return found


def some(of: list[Mutant], number: int, seed: int) -> list[Mutant]:
    """The same for the same seed."""
    return random.Random(seed).sample(of, min(number, len(of)))


def _data() -> dict[Path, SourceFileMutationData]:
    found = {path: SourceFileMutationData(path=path) for path in walk_mutatable_files()}
    for data in found.values():
        data.load()
    return found


def _mutant(name: str, code: int | None, path: Path) -> Mutant:
    function, owner = orig_function_and_class_names_from_key(name)
    module = ".".join(path.with_suffix("").parts)
    where = ".".join([module, owner, function] if owner else [module, function])
    return Mutant(name, module, where, status_by_exit_code[code], path)


def _fingerprints() -> list[str]:
    """Of our mutations, and of the product."""
    product = [path for room in config().source_paths for path in sorted(room.rglob("*.py"))]
    return [
        hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
        for files in ([Path(operators.__file__)], product)
    ]


def _ask_types() -> None:
    caught = file_mutation.filter_mutants_with_type_checker()
    for data in _data().values():
        for name in caught.keys() & data.exit_code_by_key.keys():
            data.exit_code_by_key[name] = OF_TYPES
        data.save()


def _learn(rooms: set[str], processes: int) -> None:
    reset_state()
    load_stats()
    files = defaultdict(list)
    for test in sorted(_listed(rooms) - state().duration_by_test.keys()):
        files[test.partition("::")[0]].append(test)
    _drop_databases()
    failed = []
    with Pool(processes, maxtasksperchild=1) as pool:
        for found, told_of in pool.imap_unordered(_learn_file, sorted(files.values(), key=len, reverse=True), 1):
            if found.exit_code:
                failed.append(told_of)
                continue
            for function, tests in found.tests_by_mangled_function_name.items():
                state().tests_by_mangled_function_name[function] |= tests
            state().duration_by_test.update(found.duration_by_test)
            save_stats()
            _say(f"{len(found.duration_by_test):4} tests, {sum(found.duration_by_test.values()):4.0f} s {told_of}")
    if failed:
        raise SystemExit("\n".join([*failed, "These tests fail without a mutant; the rest is learned and kept."]))


def _listed(rooms: set[str]) -> set[str]:
    """The names of all tests that say what `rooms` must do; what has gone of them is forgotten."""
    modules = [path.with_suffix("") for path in map(Path, config().only_mutate) if path.parts[0] in rooms]
    own = {own_tests(".".join(module.parts)) for module in modules}
    asked = sorted(
        {f"tests/{part}" for room in rooms for part in ASKED[room]} | {file for file in own if Path(file).exists()}
    )
    runner = PytestRunner()
    runner._pytest_add_cli_args_test_selection = [*asked, "-s"]  # logging keeps the stream that it finds now
    with _quiet() as told:
        try:
            listed = runner.list_all_tests().ids
        except CollectTestsFailedException as error:
            raise SystemExit(told.read_text()) from error
    gone = {test for test in state().duration_by_test if test.startswith(tuple(asked))} - listed
    for tests in state().tests_by_mangled_function_name.values():
        tests -= gone
    for test in gone:
        del state().duration_by_test[test]
    return listed


def _learn_file(tests: list[str]) -> tuple[StatsResult, str]:
    """What the tests of one file pass; with its name, or what it said when one failed."""
    reset_state()
    set_mutant_under_test("stats")
    os.environ["MUTMUT_DEPENDENCY_DEPTH"] = "-1"
    with _quiet() as told:
        code = PytestRunner().run_stats(tests=tests)
        text = told.read_text()[-1500:] if code else tests[0].partition("::")[0]
    return StatsResult(code, dict(state().tests_by_mangled_function_name), dict(state().duration_by_test), 0, {}), text


def _drop_databases() -> None:
    """Those of an earlier run: their tables may be another product's."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        names = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", ["%\\_mutants\\_%"])
        for (name,) in names.fetchall():
            connection.execute(psycopg.sql.SQL("DROP DATABASE {}").format(psycopg.sql.Identifier(name)))


@contextlib.contextmanager
def _quiet() -> Iterator[Path]:
    """What is said meanwhile goes into a file; by its descriptor, for who logs keeps the stream that it has found."""
    with tempfile.NamedTemporaryFile() as file, contextlib.ExitStack() as stack:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            kept = os.dup(stream.fileno())
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, stream.fileno())
            stack.callback(stream.flush)
            os.dup2(file.fileno(), stream.fileno())
        yield Path(file.name)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
