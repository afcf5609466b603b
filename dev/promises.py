"""`make promises`: docs/promises.md, made of tests/promises.toml and of the tests that carry a promise's key."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from textwrap import fill as wrapped
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SENTENCES = ROOT / "tests" / "promises.toml"
PAGE = ROOT / "docs" / "promises.md"
HEAD = """# What Foyer promises, and where each promise is shown

Under each part a list that can be opened names the tests that show its sentences. `make promises` makes this page of
`tests/promises.toml` and of the tests that carry a promise's key (`@pytest.mark.promise`); a promise that no test shows
turns the tests red.
"""

fill = partial(wrapped, width=120, break_long_words=False, break_on_hyphens=False)

#: By a promise's key, the tests that show it: file and name.
Shown = dict[str, list[tuple[str, str]]]


def sections() -> list[dict[str, Any]]:
    """The sections in their order: `title`, perhaps `text`, and `promise`, a list of `key` and `words`."""
    found: list[dict[str, Any]] = tomllib.loads(SENTENCES.read_text())["section"]
    return found


@cache
def shown(folder: Path = ROOT / "tests") -> Shown:
    """Read from the sources, so that no test need run."""
    tests: Shown = {}
    for path in sorted(folder.rglob("test_*.py")):
        source = path.read_text()
        if "mark.promise(" in source:
            for name, key in keys_of(source):
                tests.setdefault(key, []).append((path.relative_to(folder.parent).as_posix(), name))
    return tests


def keys_of(source: str) -> Iterator[tuple[str, str]]:
    """Each test in `source` with each key that it carries."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.promise":
                    yield from ((node.name, str(ast.literal_eval(key))) for key in mark.args)


def page(tests: Shown) -> str:
    """The page; raises KeyError for a promise that no test shows."""
    lines = [HEAD]
    for section in sections():
        lines.append(f"\n## {section['title']}\n\n")
        if "text" in section:
            lines.append(fill(section["text"]) + "\n\n")
        links = []
        for number, promise in enumerate(section["promise"], 1):
            lines.append(fill(f"{number}. {promise['words']}.", subsequent_indent="   ") + "\n")
            links.append(f"{number}. " + ",\n   ".join(f"[{name}](../{file})" for file, name in tests[promise["key"]]))
        lines += ["\n<details><summary>Shown by</summary>\n\n", "\n".join(links), "\n\n</details>\n"]
    return "".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(shown()))
    sys.exit()
