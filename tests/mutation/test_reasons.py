"""What `make mutants` says of survivors and of reasons."""

import tomllib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

from tests.mutation.reasons import Reason, idle, reasons, unexplained
from tests.mutation.trying import ASKED

CHANGE = "- if left < 1:\n+ if left <= 1:"


@dataclass(frozen=True)
class One:
    status: str
    where: str = "orders.placing.place"
    change: str = CHANGE


REASON = Reason("orders.placing.place", CHANGE, "left is never 1")


@pytest.mark.parametrize("status", ["survived", "no tests"])
@pytest.mark.promise("mutant-test-type")
def test_a_survivor_without_a_reason_is_named(status: str) -> None:
    other = One(status, change="- return\n+ pass")
    assert unexplained([One(status), other], [REASON]) == [other]
    assert unexplained([One("killed"), One("timeout"), One("caught by type check")], []) == []


def test_a_reason_is_for_its_own_function() -> None:
    elsewhere = One("survived", where="orders.placing.claim")
    assert unexplained([elsewhere], [REASON]) == [elsewhere]


@pytest.mark.parametrize("status", ["killed", "timeout", "caught by type check"])
@pytest.mark.promise("mutant-test-type")
def test_a_reason_whose_mutant_is_noticed_is_named(status: str) -> None:
    assert idle([One(status)], [REASON]) == [(REASON, f"it is noticed: {status}")]
    assert idle([One(status), One("survived")], [REASON]) == []  # the same line twice


@pytest.mark.promise("mutant-test-type")
def test_a_reason_whose_mutant_is_gone_is_named() -> None:
    assert idle([One("survived", change="")], [REASON]) == [(REASON, "no mutant is like this")]


def test_a_reason_needs_its_words(tmp_path: Path) -> None:
    file = tmp_path / "reasons.toml"
    file.write_text("[[survivor]]\nwhere = 'orders.placing.place'\nchange = '''\n- a\n+ b\n'''\n")
    with pytest.raises(KeyError, match="why"):
        reasons(file)


def test_each_reason_is_of_a_function_that_is_there() -> None:
    for reason in reasons():
        room, module, *names = reason.where.split(".")
        found: object = import_module(f"{room}.{module}")
        for name in names:
            found = getattr(found, name)
        assert reason.why.strip(), reason.where


def test_what_is_asked_and_changed_is_there() -> None:
    root = Path(__file__).resolve().parents[2]
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["mutmut"]
    named = [*settings["only_mutate"], *(f"tests/{part}" for parts in ASKED.values() for part in parts)]
    assert [name for name in named if not (root / name).exists()] == []
