"""manage.py restore: a backup back into the database, whole or not at all."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.backups import BackupFailure, address, restore


class Command(BaseCommand):
    help = (
        "Makes the database what a backup says, in one transaction. Stop the web server and the worker first: while"
        " anybody else is connected it refuses. Then: manage.py migrate, and manage.py reconcile_payments."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="what manage.py backup wrote")

    def handle(self, *_args: Any, file: Path, **_options: Any) -> None:
        try:
            restore(address(), file)
        except BackupFailure as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename or file}: {error.strerror or error}") from error
        self.stdout.write(
            f"The database is that of {file}. Now, before anybody buys: manage.py migrate, then"
            " manage.py reconcile_payments, which finds or flags what was paid since."
        )
