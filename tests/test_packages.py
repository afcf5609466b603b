"""What is imported is declared, what is declared is used, and what is installed is what was read."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

from django.conf import settings
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dev.shape import ROOMS

BASE = Path(settings.BASE_DIR)
PROJECT = tomllib.loads((BASE / "pyproject.toml").read_text())
PRODUCTION = tuple(room for room in ROOMS if room != "dev")
DEVELOPERS = ("dev", "tests", "benchmarks")
#: Private code of these is used: their bounds are what was read, with the reason beside them.
READ_CLOSELY = ("django-allauth", "fpdf2", "mutmut")
#: Of a distribution that another one brings, by a name of its own in brackets or only for the type checker.
NOT_DECLARED = {
    "psycopg-pool": "psycopg[pool]",
    "_typeshed": "known to mypy alone",
}
#: Neither imported here nor named in the settings.
NOT_IMPORTED = {
    "gunicorn": "a command: docs/deploy/foyer-web.service",
    "uharfbuzz": "fpdf2 shapes scripts with it",
    "pytest-xdist": "a plugin: -n 4 in the Makefile",
    "pytest-randomly": "a plugin: shuffles the tests",
    "types-requests": "what mypy knows of requests",
    "django-stubs": "what mypy knows of Django",
    "ruff": "a command: make lint",
    "djlint": "a command: make lint",
    "import-linter": "a command: make lint",
    "mypy": "a command: make types",
    "coverage": "a command: make coverage",
}


def declared(*, of_developers: bool) -> dict[str, Requirement]:
    lists = [PROJECT["project"]["dependencies"], *([PROJECT["dependency-groups"]["dev"]] if of_developers else [])]
    asked = [Requirement(line) for lines in lists for line in lines]
    return {canonicalize_name(one.name): one for one in asked}


@cache
def nodes(rooms: tuple[str, ...]) -> list[ast.AST]:
    """The imports and the texts of all code in `rooms`, at a module's top or anywhere else."""
    trees = (ast.parse(path.read_text()) for room in rooms for path in (BASE / room).rglob("*.py"))
    kept = (ast.Import, ast.ImportFrom, ast.Constant)
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, kept)]


def distributions(tops: set[str]) -> set[str]:
    of = packages_distributions()
    return {canonicalize_name(name) for top in tops for name in of.get(top, [])}


def imported(rooms: tuple[str, ...]) -> set[str]:
    """The distributions that code in `rooms` imports; a package that is not installed goes by its own name."""
    found = nodes(rooms)
    modules = {alias.name for node in found if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in found if isinstance(node, ast.ImportFrom) and not node.level}
    tops = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {*ROOMS, *DEVELOPERS}
    return distributions(tops) | (tops - packages_distributions().keys())


def named(rooms: tuple[str, ...]) -> set[str]:
    """The distributions whose package a text of the code names: an app, a middleware, a program's wheel."""
    texts = (node.value for node in nodes(rooms) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return distributions({match[0] for text in texts if (match := re.match(r"\w+(?=$|\.\w+)", text))})


def test_production_imports_what_is_declared_for_it() -> None:
    assert imported(PRODUCTION) - {*declared(of_developers=False), *NOT_DECLARED} == set()


def test_developers_code_imports_what_is_declared() -> None:
    assert imported(DEVELOPERS) - {*declared(of_developers=True), *NOT_DECLARED} == set()


def test_what_is_declared_is_used() -> None:
    """Production's packages by production: a package that only a test needs belongs to the group dev."""
    production = imported(PRODUCTION) | named(PRODUCTION)
    everywhere = production | imported(DEVELOPERS)
    unused = (declared(of_developers=False).keys() - production) | (declared(of_developers=True).keys() - everywhere)
    assert unused == set(NOT_IMPORTED)


def test_installed_is_what_was_read() -> None:
    wanted = declared(of_developers=True)
    for name in READ_CLOSELY:
        assert {bound.operator for bound in wanted[name].specifier} & {"<", "=="}, name
    outside = {
        name: version(name)
        for name, one in wanted.items()
        if (one.marker is None or one.marker.evaluate()) and not one.specifier.contains(version(name), prereleases=True)
    }
    assert outside == {}
