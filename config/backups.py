"""`manage.py backup` and `restore`: the whole database in one file, and back, whole or not at all.

The programs are PostgreSQL's own, of the embedded wheel or the system's. The file holds personal data and is made for
its owner's eyes only; the secrets of the environment and the pictures in DATA_DIR are not in it.
"""

import gzip
import os
import shutil
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import psycopg
from django.conf import settings
from django.db import connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from config.programs import Binaries, last_line, with_programs

#: What libpq reads from its environment: nothing of it, a password least of all, stands in a list of processes.
VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
}
#: What of them Django's settings hold beside OPTIONS.
PLACES = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
LEAVING_SECONDS = 10.0  # how long a connection may still count that its owner has closed, on a busy machine
#: What pg_dump sets since 17, also for a server that is older and refuses it.
NEW_SETTING, KNOWN_SINCE = b"SET transaction_timeout = 0;\n", 17
EMPTY = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"


class BackupFailure(Exception):
    """Nothing was written or changed; the text is for the person who asked."""


def address() -> str:
    """The address of Django's database, as libpq takes it."""
    known = connection.settings_dict
    facts = {name: known[place] for name, place in PLACES.items()} | known["OPTIONS"]
    return make_conninfo(**{name: str(value) for name, value in facts.items() if name in VARIABLES and value})


def noted() -> Path:
    """The file that was written when a backup was last made; the doctor looks at its time."""
    return Path(settings.DATA_DIR, "backups", "last")


def note(file: Path) -> None:
    """Remember that `file` was made now."""
    noted().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    noted().write_text(f"{file.absolute()}\n", encoding="utf-8")


def backup(url: str, file: Path) -> None:
    """Write the database of `url` to `file`, at one moment of it; a `file` that is there is a whole one."""
    if file.exists():
        raise BackupFailure(f"{file} is there already.")
    programs = _programs(_major(url))
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
            _run([programs.program("pg_dump"), "--compress=6", "--no-owner", "--no-privileges"], url, output)
            output.flush()
            os.fsync(output.fileno())
        new.rename(file)
    finally:
        new.unlink(missing_ok=True)


def restore(url: str, file: Path) -> None:
    """Make the database of `url` what `file` says, in one transaction.

    While anybody else is connected, refuse: who was just stopped has LEAVING_SECONDS to be gone.
    """
    major = _major(url)
    programs = _programs(major)
    if not file.is_file():
        raise BackupFailure(f"{file} is not there.")
    if others := _others_after_a_while(url):
        raise BackupFailure(f"The database is in use ({others}): stop the web server and the worker first.")
    # To a file first: gzip's check sum at the very end says whether the script is whole.
    with tempfile.NamedTemporaryFile(prefix="foyer-restore-", suffix=".sql") as script:
        try:
            with gzip.open(file) as packed:
                script.writelines(head(packed, major))
                shutil.copyfileobj(packed, script)
        except (OSError, EOFError, zlib.error) as error:
            raise BackupFailure(f"{file} is damaged, or no backup: {error}") from error
        script.flush()
        command = [programs.program("psql"), "--quiet", "--no-psqlrc", "--single-transaction"]
        command += ["--set=ON_ERROR_STOP=1", f"--command={EMPTY}", f"--file={script.name}"]
        _run(command, url, subprocess.DEVNULL)


def head(script: Iterable[bytes], major: int) -> Iterator[bytes]:
    """The lines of settings with which a dump begins, without the one that a server of `major` does not know."""
    for line in script:
        if line != NEW_SETTING or major >= KNOWN_SINCE:
            yield line
        if line.startswith(b"SELECT "):  # the last of them; what follows may be anybody's words
            return


def _major(url: str) -> int:
    try:
        with psycopg.connect(url, connect_timeout=5) as server:
            return server.info.server_version // 10000
    except psycopg.Error as error:
        raise BackupFailure(f"The database: {last_line(str(error))}") from error


def _programs(major: int) -> Binaries:
    """pg_dump and its like, of the server's own version where there is one, else of a newer one."""
    fit = sorted(
        (found for found in with_programs("pg_dump", "psql") if found.major >= major),
        key=lambda found: found.major,
    )
    if not fit:
        raise BackupFailure(f"No pg_dump of version {major} or newer: apt-get install postgresql-client-{major}.")
    return fit[0]


def _others_after_a_while(url: str) -> str:
    """Who else is connected and stays, "" when nobody is."""
    deadline = time.monotonic() + LEAVING_SECONDS
    while (others := _others(url)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return others


def _others(url: str) -> str:
    """Who else is connected, by the names and addresses that PostgreSQL has of them."""
    query = (
        "SELECT count(*) || ' connections of ' || coalesce(usename, '?') || coalesce(' from ' || host(client_addr), '')"
        " || coalesce(', ' || nullif(application_name, ''), '')"
        " FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend' GROUP BY usename, client_addr, application_name ORDER BY count(*) DESC"
    )
    with psycopg.connect(url) as server:
        return "; ".join(str(row[0]) for row in server.execute(query))


def _run(command: list[str], url: str, output: IO[bytes] | int) -> None:
    facts = conninfo_to_dict(url)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment |= {VARIABLES[key]: str(value) for key, value in facts.items() if key in VARIABLES and value}
    done = subprocess.run(  # noqa: S603
        command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, check=False
    )
    if done.returncode != 0:
        raise BackupFailure(f"{Path(command[0]).name}: {last_line(done.stderr.decode(errors='replace'))}")
