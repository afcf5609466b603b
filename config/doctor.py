"""The doctor: looks at a deployment, its settings, files, database and mail, and at the shop; says what to do."""

import filecmp
import ipaddress
import shutil
import tempfile
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage, staticfiles_storage
from django.core.exceptions import ValidationError
from django.core.mail import get_connection
from django.core.validators import validate_email
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.template.defaultfilters import filesizeformat
from django.urls import reverse

from config import keeping
from config.backups import noted
from config.programs import OLDEST_MAJOR
from ledger import clock
from payments.watch.doctor import look_at_merchants, look_at_work
from payments.watch.health import Finding, in_words

#: A night's backup that was missed is told the day after.
BACKUP_MOST = timedelta(days=2)
FREE_LEAST = 500_000_000
#: Where mail goes when it goes to nobody.
NOWHERE = ("console", "filebased", "locmem", "dummy")
#: Names that no mail server of the world has (RFC 2606).
EXAMPLES = ("example.com", "example.net", "example.org", "example")


def examine(*, at: datetime) -> Iterator[Finding]:
    """All findings, one after the other; a database that does not answer, or is of an earlier version, ends it."""
    yield from _address()
    yield from _files(at)
    try:
        missing = yield from _database()
        yield from _size_and_clock()
    except DatabaseError as error:
        yield Finding("database", f"It does not answer: {str(error).splitlines()[0]}", "Mend DATABASE_URL.")
        return
    if missing:
        return
    yield from look_at_merchants()
    yield _mail()
    yield _sender()
    yield from look_at_work(at=at)


def _address() -> Iterator[Finding]:
    parts = urlsplit(settings.SITE_URL)
    webhook = settings.SITE_URL + reverse("sumup_webhook")
    if parts.scheme != "https":
        yield Finding("address", f"SumUp is told {webhook}", "Set SITE_URL to the site's https:// address.")
    elif is_local(parts.hostname or ""):
        yield Finding("address", f"SumUp is told {webhook}", "Set SITE_URL to an address that SumUp can reach.")
    else:
        yield Finding("address", f"SumUp calls {webhook}")
    if settings.DEBUG:
        yield Finding("debug", "DEBUG is on: this is a demo.", "Set DEBUG=0 where real money is taken.")
    else:
        yield Finding("debug", "DEBUG is off.")


def _files(at: datetime) -> Iterator[Finding]:
    """What lies in folders: nothing of it asks the database."""
    yield _static()
    yield _data_folder()
    yield _backup(at)


def missing_static() -> list[str]:
    """Static files of the source that no page can show; none where they need no collecting.

    A process knows those that were collected before it was started.
    """
    if not isinstance(staticfiles_storage, ManifestStaticFilesStorage):
        return []
    known, root = staticfiles_storage.hashed_files, Path(settings.STATIC_ROOT)
    return [name for name, _source in _static_files() if name not in known or not (root / known[name]).is_file()]


def _static() -> Finding:
    wrong = missing_static() or _old_static()
    if not wrong:
        return Finding("static files", "all are collected")
    words = f"{wrong[0]} is missing, or of another version" + (f"; {len(wrong)} are" if wrong[1:] else "")
    return Finding("static files", words, "Run manage.py collectstatic --no-input, then restart the web server.")


def _old_static() -> list[str]:
    """Those that were collected from an earlier version of the source."""
    if not isinstance(staticfiles_storage, ManifestStaticFilesStorage):
        return []
    root = Path(settings.STATIC_ROOT)
    return [name for name, source in _static_files() if not filecmp.cmp(source, root / name, shallow=False)]


def _static_files() -> list[tuple[str, str]]:
    """Name and path of each in the source; of two with one name, the one that is collected."""
    found: dict[str, str] = {}
    for finder in get_finders():
        for name, storage in finder.list([]):
            found.setdefault(name, storage.path(name))
    return sorted(found.items())


def _data_folder() -> Finding:
    for folder in (settings.DATA_DIR, Path(settings.MEDIA_ROOT)):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            advice = f"Make {there} writable for whoever runs the web server and the worker."
            return Finding("data folder", f"{there}: {error.strerror}", advice)
    free = shutil.disk_usage(there).free
    words = f"{settings.DATA_DIR}, {size(free)} free"
    return Finding("data folder", words, "Make room on its disk." if free < FREE_LEAST else "")


def _backup(at: datetime) -> Finding:
    """When manage.py backup last wrote one; another program's are known when it touches the same file."""
    mark = noted()
    try:
        age = at - datetime.fromtimestamp(mark.stat().st_mtime, UTC)
    except FileNotFoundError:
        words = "none was made by manage.py backup"
    except OSError as error:
        words = f"{mark}: {error.strerror}"
    else:
        words = f"the last was made {in_words(age)} ago"
        if age <= BACKUP_MOST:
            return Finding("backup", words)
    advice = f"Run manage.py backup every night; if another program makes them, let it touch {mark}."
    return Finding("backup", words, "" if settings.DEBUG else advice)


def _mail() -> Finding:
    backend = settings.EMAIL_BACKEND.split(".")[-2]
    if backend in NOWHERE:
        advice = "" if settings.DEBUG else "Set EMAIL_URL to a mail server: nobody gets a ticket or a sign-in code."
        return Finding("mail", f"Mail goes to nobody ({backend}).", advice)
    where = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    try:
        mailer = get_connection()
        mailer.open()
        mailer.close()
    except OSError as error:  # smtplib's errors are OSErrors
        return Finding("mail", f"{where}: {type(error).__name__}: {error}", "Mend EMAIL_URL, or the mail server.")
    return Finding("mail", f"{where} takes our mail.")


def _sender() -> Finding:
    """Who mails are from: servers refuse what comes of no domain, and an answer goes nowhere."""
    sender = settings.DEFAULT_FROM_EMAIL
    address = parseaddr(sender)[1]
    domain = address.rpartition("@")[2].lower()
    try:
        validate_email(address)
        is_real = not is_local(domain) and not any(domain == name or domain.endswith(f".{name}") for name in EXAMPLES)
    except ValidationError:
        is_real = False
    advice = "Name an address of a domain of yours: EMAIL_URL=…?from=tickets@your-domain (a + stays, a blank is %20)."
    return Finding("sender", f"Mails are from {sender}", "" if is_real or settings.DEBUG else advice)


def is_local(host: str) -> bool:
    """Whether a host is on this machine or in this house only, as far as its name tells."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".internal", ".lan", ".test", ".invalid"))


def _database() -> Generator[Finding, None, int]:
    """Answers how many migrations are missing."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        (number,) = cursor.fetchone() or ("0",)
    major = int(number) // 10000
    old = "" if major >= OLDEST_MAJOR else f"Foyer needs PostgreSQL {OLDEST_MAJOR} or newer."
    yield Finding("database", f"PostgreSQL {major}", old)
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    words = f"{missing} are missing" if missing else "all are in"
    yield Finding("migrations", words, "Run manage.py migrate." if missing else "")
    return missing


def _size_and_clock() -> Iterator[Finding]:
    """Its letters, its clock (which /readyz judges), and what is large in it."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        (letters,) = cursor.fetchone() or ("",)
        cursor.execute("SELECT pg_database_size(current_database())")
        (whole,) = cursor.fetchone() or (0,)
    again = "Make it anew with createdb --encoding UTF8 --template template0: names would be refused."
    yield Finding("letters", str(letters), "" if letters == "UTF8" else again)
    apart = abs(clock.difference())
    if apart <= clock.MOST:
        yield Finding("database's clock", f"It and this machine's are {apart.total_seconds():.1f} s apart.")
    large = ", ".join(f"{name} {size(number)}" for name, number in keeping.largest(3))
    yield Finding("size", f"{size(int(whole))}; the largest tables: {large}")


def size(number: int) -> str:
    """Bytes for people."""
    return filesizeformat(number).replace("\xa0", " ")
