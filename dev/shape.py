"""The shape of the house: its figures, and what breaks its rules.

Rules of the product's code (tests are not walked): at most 17 modules side by side in a folder, `__init__` and
migrations apart; no circle of imports, those inside functions and under TYPE_CHECKING counted; no function over 50
lines; none over 10 by McCabe's count, each `for` and `if` of a comprehension counted like a statement's.
Which room may import which is import-linter's to say (pyproject.toml).
"""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("accounts", "cart", "config", "dev", "events", "ledger", "market", "orders", "payments")
MOST_MODULES = 17
MOST_LINES = 50
MOST_BRANCHES = 10

Function = ast.FunctionDef | ast.AsyncFunctionDef
#: What adds a way through a function.
BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case, ast.comprehension)


@dataclass(frozen=True)
class Measure:
    """One figure: the largest of its kind, where it is, and all that is over its limit."""

    name: str
    limit: int
    sizes: Mapping[str, int]

    @property
    def breaches(self) -> list[str]:
        return [
            f"{place}: {size} {self.name}, at most {self.limit}"
            for place, size in self.sizes.items()
            if size > self.limit
        ]

    def __str__(self) -> str:
        place, size = max(self.sizes.items(), key=lambda item: item[1], default=("", 0))
        return f"{self.name}: at most {self.limit}; the largest is {size} ({place}), of {len(self.sizes)}"


def modules(root: Path = ROOT, rooms: Sequence[str] = ROOMS) -> list[Path]:
    """Every module of the product, migrations apart."""
    return sorted(path for room in rooms for path in (root / room).rglob("*.py") if "migrations" not in path.parts)


def side_by_side(paths: Sequence[Path], root: Path = ROOT) -> Measure:
    """How many modules each folder holds."""
    folders = Counter(str(path.parent.relative_to(root)) for path in paths if path.name != "__init__.py")
    return Measure("modules side by side", MOST_MODULES, folders)


def functions(paths: Sequence[Path], root: Path = ROOT) -> Iterator[tuple[str, Function]]:
    """Each function and method, with its place."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function):
                yield f"{path.relative_to(root)}:{node.lineno} {node.name}", node


def lines_of(function: Function) -> int:
    """From `def` to its last line, decorators apart."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def branches_of(function: Function) -> int:
    """McCabe's count: the ways through it, comprehensions counted."""
    return 1 + sum(
        1 + (len(node.ifs) if isinstance(node, ast.comprehension) else 0)
        for node in ast.walk(function)
        if isinstance(node, BRANCHES)
    )


def imports(rooms: Sequence[str] = ROOMS) -> dict[str, set[str]]:
    """What each module imports of ours, wherever in it; migrations apart."""
    graph = grimp.build_graph(*rooms, cache_dir=None)
    names = {name for name in graph.modules if ".migrations" not in name}
    return {name: graph.find_modules_directly_imported_by(name) & names for name in sorted(names)}


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Modules that import each other in a circle: each set of them once (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph.get(name, ())):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            circle, stack[at:] = stack[at:], []
            if len(circle) > 1:
                found.append(sorted(circle))

    for name in graph:
        if name not in index:
            visit(name)
    return found


def measures() -> list[Measure]:
    """The figures of this house, but for its circles."""
    paths = modules()
    each = list(functions(paths))
    return [
        side_by_side(paths),
        Measure("lines of a function", MOST_LINES, {place: lines_of(node) for place, node in each}),
        Measure("branches of a function", MOST_BRANCHES, {place: branches_of(node) for place, node in each}),
    ]


def breaches() -> list[str]:
    """What breaks a rule, a line each."""
    over = [line for measure in measures() for line in measure.breaches]
    return over + ["circle of imports: " + " → ".join(circle) for circle in circles(imports())]
