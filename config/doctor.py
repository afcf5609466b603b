"""What the doctor looks at of the machine: static files, the data folder, the sender, clocks, backups, tables."""

import filecmp
import ipaddress
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage, staticfiles_storage
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection
from django.template.defaultfilters import filesizeformat

from config import keeping
from config.backups import noted
from ledger import clock

#: A night's backup that was missed is told the day after.
BACKUP_MOST = timedelta(days=2)
FREE_LEAST = 500_000_000
#: Names that no mail server of the world has (RFC 2606).
EXAMPLES = ("example.com", "example.net", "example.org", "example")


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `advice` is what to do, "" when it is well."""

    name: str
    words: str
    advice: str = ""

    @property
    def is_well(self) -> bool:
        return not self.advice


def look_at_files(*, at: datetime) -> Iterator[Finding]:
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
        words = f"the last was made {told(age)} ago"
        if age <= BACKUP_MOST:
            return Finding("backup", words)
    advice = f"Run manage.py backup every night; if another program makes them, let it touch {mark}."
    return Finding("backup", words, "" if settings.DEBUG else advice)


def look_at_sender() -> Finding:
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


def look_at_database() -> Iterator[Finding]:
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


def told(age: timedelta) -> str:
    hours = int(age.total_seconds() // 3600)
    if hours >= 48:
        return f"{hours // 24} days"
    number, unit = (hours, "hour") if hours else (int(age.total_seconds() // 60), "minute")
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
