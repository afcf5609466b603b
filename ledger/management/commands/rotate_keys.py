"""`manage.py rotate_keys`: write every encrypted value anew, by the newest of FIELD_KEYS."""

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ledger.rotating import Outcome, rotate


class Command(BaseCommand):
    help = (
        "Write every encrypted value (merchants' API keys) anew, by the newest of FIELD_KEYS. Safe at any time and"
        " twice. Exit code 0: all are by the newest key; 1: some cannot be read, they are named and left as they are."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Change nothing, say what would be done.")

    def handle(self, *_args: Any, dry_run: bool = False, **_options: Any) -> None:
        told: Counter[Outcome] = Counter()
        for rotated in rotate(dry_run=dry_run):
            told[rotated.outcome] += 1
            if rotated.outcome is Outcome.UNREADABLE:
                self.stdout.write(f"{rotated.name}: cannot be read, left as it is")
        would = "would be " if dry_run else ""
        self.stdout.write(
            f"{told[Outcome.REWRITTEN]} {would}rewritten, {told[Outcome.NEWEST]} by the newest key already,"
            f" {told[Outcome.UNREADABLE]} cannot be read"
        )
        if told[Outcome.UNREADABLE]:
            raise SystemExit(1)
