"""The tests' surroundings: a pytest plugin (`-p dev.testing`) and a command.

`python -m dev.testing COMMAND…` runs a command in the same surroundings. They are an environment that reaches
nothing outside this machine, and a throw-away PostgreSQL unless DATABASE_URL names one.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from dev.postgres import THROW_AWAY, Cluster, DatabaseUnavailable

PREFIX = "foyer-test-"
SETTLED_SECONDS = 60  # a folder younger than this may belong to a run that is just beginning
ENVIRONMENT = {
    # While settings load, for plain static files; pytest-django then turns settings.DEBUG off.
    "DEBUG": "1",
    "SECRET_KEY": "for-tests-only-not-a-secret-at-all-0123456789",
    "FIELD_KEYS": "for-tests-only-newest,for-tests-only-oldest",
    "SITE_URL": "http://testserver",
    "STATUS_TOKEN": "for-tests-only-status",
    "SUMUP_API_URL": "http://127.0.0.1:9",  # the discard port: a forgotten call fails at once and goes nowhere
    "EMAIL_URL": "memory:",
    "DATABASE_POOL": "0",
    "DJANGO_ALLOW_ASYNC_UNSAFE": "true",  # Playwright runs an event loop in the tests' thread
}
SECRETS = ("SECRET_KEY_FALLBACKS", "SUMUP_MERCHANT_CODE", "SUMUP_API_KEY")
# What a developer's shell may hold and a test must not meet.
ABSENT = (
    "ALLOWED_HOSTS",
    "HOLD_MINUTES",
    "LOG_LEVEL",
    "PROXY_COUNT",
    "PYTHONDONTWRITEBYTECODE",  # each process that a test starts would compile all of it anew
    "READY_MAIL_MINUTES",
    "READY_OWED_DAYS",
    "READY_RECONCILE_HOURS",
    "READY_UNDECIDED_DAYS",
    "STATEMENT_SECONDS",
    *SECRETS,
    *(f"{name}_FILE" for name in (*ENVIRONMENT, "DATABASE_URL", *SECRETS)),
)


@contextlib.contextmanager
def surroundings() -> Iterator[None]:
    """Set the environment, with a server and a data folder that are gone afterwards. Raises DatabaseUnavailable."""
    for name in ABSENT:
        os.environ.pop(name, None)
    os.environ.update(ENVIRONMENT)
    remove_leftovers()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    folder.chmod(0o711)  # as root, the server's own account must get through
    with (folder / "lock").open("w") as lock, contextlib.ExitStack() as stack:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "files" / "static").mkdir(parents=True)
        os.environ["DATA_DIR"] = str(folder / "files")
        if not os.environ.get("DATABASE_URL"):
            cluster = stack.enter_context(Cluster(folder / "postgres", settings=THROW_AWAY))
            os.environ["DATABASE_URL"] = cluster.url
            stack.callback(os.environ.pop, "DATABASE_URL", None)
        yield


def remove_leftovers() -> None:
    """Delete the folders of runs that were killed: whoever is alive holds the lock of theirs."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < SETTLED_SECONDS:
                continue
            with (folder / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Before pytest-django reads the settings; xdist's workers inherit what the first process has set."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        stack = contextlib.ExitStack()
        early_config.add_cleanup(stack.close)  # also after an interrupt or an error of pytest's own
        try:
            stack.enter_context(surroundings())
        except DatabaseUnavailable as error:
            raise pytest.UsageError(str(error)) from error
    return (yield)


def main(command: list[str]) -> int:
    """Exit code of `command`, run in the tests' surroundings."""
    try:
        with surroundings():
            return subprocess.run(command, check=False).returncode  # noqa: S603  (the developer's own command)
    except DatabaseUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
