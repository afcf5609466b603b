"""manage.py doctor: look at a deployment and say what to do."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config.doctor import examine
from ledger import clock


class Command(BaseCommand):
    help = (
        "Looks at the settings, the merchants' keys, the mail server, the worker and the database, and says what to do."
        " Exits 1 when something is wrong."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")

    def handle(self, *_args: Any, **options: Any) -> None:
        findings = []
        for finding in examine(at=clock.now()):
            findings.append(finding)
            if not options["json"]:
                self.stdout.write(f"{'ok   ' if finding.is_well else 'WRONG'} {finding.name}: {finding.words}")
                if finding.advice:
                    self.stdout.write(f"      {finding.advice}")
        is_well = all(finding.is_well for finding in findings)
        if options["json"]:
            rows = [{"name": row.name, "ok": row.is_well, "words": row.words, "do": row.advice} for row in findings]
            self.stdout.write(json.dumps({"ok": is_well, "findings": rows}))
        if not is_well:
            raise SystemExit(1)
