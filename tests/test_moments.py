"""No moment is made while tests are collected: by the time that its test runs, "in five minutes" may be long ago."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
#: What answers with the moment at which it is called.
CLOCKS = {"now", "utcnow", "today", "localdate", "localtime", "monotonic", "time", "perf_counter"}


def name_of(call: ast.Call) -> str:
    """The last word of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def is_moment(call: ast.Call, makers: set[str]) -> bool:
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="time"), attr=attr)):
            return attr in CLOCKS
        case ast.Call(func=ast.Attribute(value=ast.Name(id="timezone" | "clock" | "datetime" | "date"), attr=attr)):
            return attr in CLOCKS
        case ast.Call(func=ast.Name(id=name)) if name in CLOCKS - {"time"}:
            return True
    return name_of(call) in makers


def at_collection(node: ast.AST) -> Iterator[ast.Call]:
    """The calls that are made when the module is loaded: all but those in the bodies of functions."""
    match node:
        case ast.FunctionDef(args=arguments) | ast.AsyncFunctionDef(args=arguments):
            for part in (*node.decorator_list, *arguments.defaults, *filter(None, arguments.kw_defaults)):
                yield from at_collection(part)
            return
        case ast.Lambda(args=arguments):
            for part in (*arguments.defaults, *filter(None, arguments.kw_defaults)):
                yield from at_collection(part)
            return
        case ast.Call():
            yield node
    for child in ast.iter_child_nodes(node):
        yield from at_collection(child)


def makers_in(trees: list[ast.Module]) -> set[str]:
    """Functions that answer with a moment of their own making, by name, and those that answer with theirs."""
    answers: dict[str, list[ast.Call]] = {}
    for tree in trees:
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                told = [back.value for back in ast.walk(function) if isinstance(back, ast.Return) and back.value]
                calls = [call for value in told for call in ast.walk(value) if isinstance(call, ast.Call)]
                answers.setdefault(function.name, []).extend(calls)
    makers: set[str] = set()
    while more := {
        name for name, calls in answers.items() if name not in makers and any(is_moment(call, makers) for call in calls)
    }:
        makers |= more
    return makers


def moments(tree: ast.Module, makers: set[str]) -> list[int]:
    """Lines on which a moment is made at collection."""
    return [call.lineno for call in at_collection(tree) if is_moment(call, makers)]


@pytest.mark.promise("test-makes-moment")
def test_no_moment_is_made_at_collection() -> None:
    trees = {path.relative_to(TESTS): ast.parse(path.read_text()) for path in sorted(TESTS.rglob("*.py"))}
    makers = makers_in(list(trees.values()))
    assert "later" in makers
    found = [f"{name}:{line}" for name, tree in trees.items() for line in moments(tree, makers)]
    assert found == []


HELPERS = """
def later(minutes): return timezone.now() + timedelta(minutes=minutes)
def tomorrow(): return {"day": later(1440)}
def reads(): return rows(at=later(1)).count()
def steady(minutes): return EPOCH + timedelta(minutes=minutes)
"""


@pytest.mark.parametrize(
    "source",
    [
        "NOW = timezone.now()",
        "NOW = clock.now()",
        "NOW = now()",
        "TODAY = date.today()",
        "TODAY = timezone.now().date()",
        "DAY = timezone.localdate()",
        "DAYS = [localdate() + timedelta(days=each) for each in range(3)]",
        "BEGAN = time.monotonic()",
        "@pytest.mark.parametrize('at', [timezone.now()])\ndef test_it(at): ...",
        "@pytest.mark.parametrize('at', [later(minutes=5)])\ndef test_it(at): ...",
        "@pytest.mark.parametrize('change', [{'starts_at': later(5)}, tomorrow()])\ndef test_it(change): ...",
        "def sold(at=timezone.now()): ...",
        "def sold(*, at=later(5)): ...",
        "EARLY = lambda at=timezone.now(): at",
        "class Sale:\n    began = timezone.now()",
        "class Sale:\n    @marked(timezone.now())\n    def run(self): ...",
        "if True:\n    NOW = datetime.now(UTC)",
    ],
)
def test_walk_finds_a_moment_made_at_collection(source: str) -> None:
    assert moments(ast.parse(source), makers_in([ast.parse(HELPERS)]))


@pytest.mark.parametrize(
    "source",
    [
        "def test_it(): assert timezone.now()",
        "async def test_it(): assert timezone.now()",
        "SOON = lambda: timezone.now()",
        "@pytest.mark.parametrize('at', [lambda: later(5), later])\ndef test_it(at): ...",
        "class Sale:\n    def run(self): self.began = timezone.now()",
        "NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)",
        "SOON = steady(5)",
        "DOORS = time(19, 30)",
        "CALLED = counted(reads)",
        "@freeze(at='2026-03-01')\ndef test_it(): return timezone.now()",
    ],
)
def test_walk_lets_be_what_waits_for_the_test(source: str) -> None:
    assert not moments(ast.parse(source), makers_in([ast.parse(HELPERS)]))
