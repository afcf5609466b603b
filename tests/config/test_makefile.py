"""Make in the folder of a deployment: the environment that an operator made there is used or left alone."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.config.test_backups import server, url  # noqa: F401  (fixtures)
from tests.simulator import ROOT

TARGETS = list(dict.fromkeys(re.findall(r"(?m)^([a-z]+):(?!=)", (ROOT / "Makefile").read_text())))
#: They need no environment, or take the one that is there.
FOR_OPERATORS = {"help", "backup", "restore", "packages", "browser"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A deployment: the source, and an environment that somebody made by hand."""
    for name in (path.name for path in ROOT.iterdir() if not path.name.startswith(".")):
        (tmp_path / name).symlink_to(ROOT / name)
    venv.create(tmp_path / ".venv", with_pip=False)
    (tmp_path / ".venv" / "theirs").write_text("precious")
    return tmp_path


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Without a network for pip: what would install ends soon."""
    surroundings = {"PATH": os.environ["PATH"], "HOME": str(folder), "PIP_NO_INDEX": "1", **environment}
    return subprocess.run(
        ["make", *arguments],  # noqa: S607  (the machine's own)
        cwd=folder,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*") if "__pycache__" not in path.parts}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.promise("make-folder-somebody")
def test_no_target_touches_an_environment_that_make_did_not_make(folder: Path, target: str) -> None:
    before = files(folder / ".venv")
    done = make(folder, target, f"FILE={folder}/one.sql.gz")
    assert files(folder / ".venv") == before
    if target not in FOR_OPERATORS:
        assert done.returncode != 0
        assert done.stdout == ""
        words, *make_s_own = done.stderr.splitlines()
        assert (
            words
            == ".venv was not made by make, which leaves it as it is: run this in a copy of the source of its own."
        )
        assert all(line.startswith("make: ***") for line in make_s_own)
    assert not (folder / ".foyer").exists()


def test_every_target_is_walked() -> None:
    assert {"run", "test", "lint", "soak", "backup", "restore"} < set(TARGETS)


def test_an_environment_that_is_a_link_is_left_alone(folder: Path) -> None:
    (folder / ".venv").rename(folder / "elsewhere")
    (folder / "elsewhere" / "made-by-make").touch()
    (folder / ".venv").symlink_to(folder / "elsewhere")
    before = files(folder / "elsewhere")
    assert make(folder, "lint").returncode != 0
    assert files(folder / "elsewhere") == before


@pytest.mark.parametrize("mark", ["made-by-make", "installed-1-2"])
def test_an_environment_of_make_s_own_is_made_anew(folder: Path, mark: str) -> None:
    """Of another list of packages, of before it was marked, or left half-done: never asked about."""
    (folder / ".venv" / mark).touch()
    python = folder / "python"
    python.write_text('#!/bin/sh\nif [ "$1$2" = "-mvenv" ]; then echo "makes $3"; exit 7; fi\n')
    python.chmod(0o755)
    done = make(folder, "lint", f"PYTHON3={python}")
    assert "makes .venv" in done.stdout
    assert [path.name for path in (folder / ".venv").iterdir()] == ["made-by-make"]
    assert "makes .venv" in make(folder, "lint", f"PYTHON3={python}").stdout, "begun and not ended: again"


def test_a_deployment_is_saved_with_its_own_environment(folder: Path, url: str) -> None:  # noqa: F811
    site = next((folder / ".venv" / "lib").glob("python*/site-packages"))
    (site / "theirs.pth").write_text(sysconfig.get_path("purelib"))
    before = files(folder / ".venv")
    settings = {"SECRET_KEY": "k" * 40, "FIELD_KEYS": "k" * 40, "SITE_URL": "https://tickets.example.org"}
    done = make(folder, "backup", f"FILE={folder}/one.sql.gz", DATABASE_URL=url, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "one.sql.gz").stat().st_size > 0
    assert files(folder / ".venv") == before


def test_without_packages_it_says_where_to_get_them(folder: Path) -> None:
    for target in ("backup", "restore"):
        done = make(folder, target)
        assert done.returncode != 0
        assert done.stderr.startswith(".venv/bin/python has not Foyer's packages: activate the environment")


def production_only() -> str:
    """A program that runs `manage.py` where the packages of requirements-dev.txt alone cannot be imported."""
    names = {}
    for list_name in ("requirements.txt", "requirements-dev.txt"):
        names[list_name] = re.findall(r"(?m)^([A-Za-z0-9._-]+)==", (ROOT / list_name).read_text())
    developers = sorted(set(names["requirements-dev.txt"]) - set(names["requirements.txt"]))
    assert "pytest" in developers
    assert "django" not in developers
    return f"""
import re, runpy, sys
from importlib import metadata
developers = {developers!r}
closed = set()
for package, names in metadata.packages_distributions().items():
    if all(re.sub("[-_.]+", "-", name).lower() in developers for name in names):
        closed.add(package)
class Closed:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in closed:
            raise ModuleNotFoundError(name + " is the developer's")
assert "pytest" in closed and "django" not in closed
sys.meta_path.insert(0, Closed)
sys.argv = ["manage.py", *sys.argv[1:]]
sys.path.insert(0, {str(ROOT)!r})
runpy.run_path({str(ROOT / "manage.py")!r}, run_name="__main__")
"""


@pytest.mark.parametrize("arguments", [["backup", "--help"], ["check"]])
@pytest.mark.promise("make-folder-somebody")
def test_commands_need_no_package_of_the_developer_s(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", production_only(), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
