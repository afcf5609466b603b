"""manage.py check_books: prove that seats, orders and money agree."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from payments.books.checking import read_books
from payments.books.rules import RULES


class Command(BaseCommand):
    help = (
        "Checks that seats, orders, money and history agree. Prints each breach in one line and exits 1; else exits 0."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")

    def handle(self, *_args: Any, **options: Any) -> None:
        found = read_books()
        if options["json"]:
            told = {
                "clean": not found,
                "checked": [rule.name for rule in RULES],
                "breaches": [{"rule": breach.rule, **breach.row} for breach in found],
            }
            self.stdout.write(json.dumps(told, default=str))
        elif found:
            for breach in found:
                self.stdout.write(str(breach))
            self.stderr.write(f"Breaches: {len(found)}. Rules broken: {len({breach.rule for breach in found})}.")
        else:
            for rule in RULES:
                self.stdout.write(f"ok {rule.name}: {rule.claim}")
            self.stdout.write(f"The books are in order: {len(RULES)} rules checked.")
        if found:
            raise SystemExit(1)
