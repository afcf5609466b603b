"""Databases for `make mutants`: each process that tries mutants has a database of its own, made once and kept.

A mutant is tried in seconds; making a database takes longer than that.
"""

import contextlib
import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection, connections
from pytest_django import DjangoDbBlocker

from tests.emptying import empty_database

#: More than processes will ever be.
SLOTS = 64


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The database of a free slot, emptied of what a mutant that was killed has left."""
    with _slot() as slot, django_db_blocker.unblock():
        settings, outside = connection.settings_dict, connection.settings_dict["NAME"]
        settings["TEST"]["NAME"] = name = f"{outside}_mutants_{slot}"
        if not _is_there(name):
            _make(name)
        settings["NAME"] = name
        empty_database()
        yield
        connections.close_all()  # a process that is forked later must not speak on this one's connection
        settings["NAME"] = outside


def _is_there(name: str) -> bool:
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", [name])
        return cursor.fetchone() is not None


def _make(name: str) -> None:
    """Under another name until it is whole: its maker may be killed."""
    unfinished = connection.settings_dict["TEST"]["NAME"] = f"{name}_unfinished"
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    connection.close()
    with connection._nodb_cursor() as cursor:
        quote = connection.ops.quote_name
        cursor.execute(f"ALTER DATABASE {quote(unfinished)} RENAME TO {quote(name)}")
    connection.settings_dict["TEST"]["NAME"] = name


@contextlib.contextmanager
def _slot() -> Iterator[int]:
    """The smallest number that no other process has; free again when this one ends, however it does."""
    for number in range(SLOTS):
        with (Path(tempfile.gettempdir()) / f"foyer-mutants-{number}").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield number
            return
    raise RuntimeError("no slot is free")
