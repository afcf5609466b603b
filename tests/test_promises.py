"""docs/promises.md names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_each_test_that_a_promise_names_exists() -> None:
    named = NAMED.findall((ROOT / "docs" / "promises.md").read_text())
    gone = [f"{file}::{name}" for file, name in named if not re.search(rf"\bdef {name}\(", _source(file))]
    assert named
    assert not gone


def _source(file: str) -> str:
    path = ROOT / file
    return path.read_text() if path.exists() else ""
