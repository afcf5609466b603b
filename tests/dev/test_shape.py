"""`make shape`: what it counts, and that what it says of this house is true."""

import ast
import re
from pathlib import Path

import pytest

from dev.picture import PAGE, page, reduced
from dev.shape import ROOT, Function, Measure, branches_of, breaches, circles, functions, lines_of, side_by_side

FOLDER = ["a.py", "b.py", "__init__.py", "inner/__init__.py", "inner/c.py"]


def test_this_house_keeps_its_rules() -> None:
    assert breaches() == []


def test_picture_is_the_one_of_today() -> None:
    assert PAGE.read_text() == page(), "make shape draws it anew"


def test_each_step_of_the_walks_is_a_function_where_it_is_said_to_be() -> None:
    """Each file in backquotes is there, and each other name is defined in one of them."""
    steps = [step for part in PAGE.read_text().split("\n## ")[1:4] for step in re.findall(r"`([^`\n]+)`", part)]
    files = [step for step in steps if step.endswith(".py")]
    missing = [name for name in files if not (ROOT / name).is_file()]
    defined = {name for file in files for name in re.findall(r"^def (\w+)\(", (ROOT / file).read_text(), re.MULTILINE)}
    missing += [step for step in steps if step not in files and step not in defined]
    assert len(steps) > 30
    assert missing == []


def test_modules_of_a_folder_are_counted_without_init_and_inner_folders(tmp_path: Path) -> None:
    assert side_by_side([tmp_path / name for name in FOLDER], tmp_path).sizes == {".": 2, "inner": 1}


@pytest.mark.parametrize(
    ("body", "branches"),
    [
        ("return 1", 1),
        ("if a:\n  return 1\n elif b:\n  return 2", 3),
        ("for a in b:\n  pass\n while c:\n  pass", 3),
        ("try:\n  pass\n except A:\n  pass\n except B:\n  pass", 3),
        ("match a:\n  case 1:\n   pass\n  case 2:\n   pass", 3),
        ("return [a for a in b]", 2),
        ("return {a for a in b for c in a if c if a}", 5),
        ("def inner():\n  if a:\n   pass", 2),
    ],
)
def test_branches_are_mccabes_with_those_of_comprehensions(body: str, branches: int) -> None:
    assert branches_of(_function(f"def work():\n {body}")) == branches


def test_lines_are_those_from_def_to_the_end(tmp_path: Path) -> None:
    source = "@decorated\ndef work():\n    a = 1\n\n    return a\n"
    assert lines_of(_function(source)) == 4
    (tmp_path / "a.py").write_text(source)
    assert [place for place, _node in functions([tmp_path / "a.py"], tmp_path)] == ["a.py:2 work"]


def test_what_is_over_its_limit_is_a_breach() -> None:
    assert Measure("lines", 5, {"here": 6, "there": 5}).breaches == ["here: 6 lines, at most 5"]


def test_circles_are_found_once_each() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set(), "f": {"g"}, "g": {"f"}}) == [
        ["a", "b", "c"],
        ["f", "g"],
    ]


def test_arrow_that_follows_from_others_is_not_drawn() -> None:
    assert reduced({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}


def _function(source: str) -> Function:
    node = ast.parse(source).body[0]
    assert isinstance(node, Function)
    return node
