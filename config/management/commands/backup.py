"""manage.py backup: the whole database in one file."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.backups import BackupFailure, address, backup, note, noted
from ledger import clock


class Command(BaseCommand):
    help = (
        "Writes the whole database to one file, for its owner's eyes only: it holds personal data. The pictures in"
        " DATA_DIR and the secrets of the environment are not in it. Safe while the shop is open."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        words = "a new file; without it one with the time in its name, in the folder backups of DATA_DIR"
        parser.add_argument("file", nargs="?", type=Path, help=words)

    def handle(self, *_args: Any, file: Path | None, **_options: Any) -> None:
        file = file or settings.DATA_DIR / "backups" / f"foyer-{clock.now():%Y%m%d-%H%M%S}.sql.gz"
        try:
            backup(address(), file)
        except BackupFailure as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename or file}: {error.strerror or error}") from error
        try:
            note(file)
        except OSError as error:
            self.stderr.write(f"{noted()}: {error.strerror}; manage.py doctor will not know of it.")
        self.stdout.write(f"The backup is {file} ({file.stat().st_size:,} bytes).")
