"""manage.py reconcile_payments: bring our books and SumUp's into agreement."""

import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_date, parse_datetime

from events.models import Merchant
from ledger import clock
from payments.models import ReconcileRun, RunOutcome
from payments.reconcile.pace import Pace
from payments.reconcile.round import Round
from payments.reconcile.running import AlreadyRunning, reconcile

#: In order; something needs a person; SumUp was out of reach.
EXIT = {RunOutcome.IN_ORDER: 0, RunOutcome.PERSON: 1, RunOutcome.UNREACHABLE: 2}
BAR = 24


class Bar:
    """A line on a terminal that says how far a step is."""

    def __init__(self) -> None:
        self.shown = 0.0

    def __call__(self, step: str, done: int, of: int | None) -> None:
        if time.monotonic() - self.shown < 0.1 and done != of:
            return
        self.shown = time.monotonic()
        full = BAR * done // of if of else 0
        bar = f"[{'#' * full}{'.' * (BAR - full)}] {done}/{of}" if of else f"{done}"
        sys.stderr.write(f"\r\x1b[K{step}: {bar}")
        sys.stderr.flush()

    def clear(self) -> None:
        sys.stderr.write("\r\x1b[K")


class Command(BaseCommand):
    help = (
        "Asks SumUp about every payment that is not settled, ends lapsed holds, finishes refunds, and compares SumUp's"
        " list of transactions with ours, both ways. Safe at any time, twice at once, and to kill. Exits 0: in order;"
        " 1: something needs a person (Money to decide); 2: SumUp was out of reach for some of it, run it again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", help="read SumUp's list from this day or time on (UTC), not from the last run")
        parser.add_argument("--merchant", help="only the merchant of this code")
        parser.add_argument("--dry-run", action="store_true", help="change nothing, say what would be done")
        parser.add_argument("--watch", type=int, nargs="?", const=60, metavar="SECONDS", help="run again and again")
        parser.add_argument("--json", action="store_true", help="one JSON object a run instead of lines")
        parser.add_argument("--per-second", type=float, default=10, help="questions to SumUp a second (10)")

    def handle(self, *_args: Any, **options: Any) -> None:
        merchant = self._merchant(options["merchant"])
        since = moment(options["since"]) if options["since"] else None
        try:
            code = self._run(merchant, since, options)
            while options["watch"] is not None:
                time.sleep(max(1, options["watch"]))
                code = self._run(merchant, since, options)
        except KeyboardInterrupt:
            self.stderr.write("Stopped. The next run does the rest.")
            code = 130
        if code:
            raise SystemExit(code)

    def _merchant(self, code: str | None) -> Merchant | None:
        if code is None:
            return None
        merchant = Merchant.objects.filter(code=code).first()
        if merchant is None:
            raise CommandError(f"There is no merchant {code}.")
        return merchant

    def _run(self, merchant: Merchant | None, since: datetime | None, options: dict[str, Any]) -> int:
        bar = Bar() if sys.stderr.isatty() and not options["json"] else None
        lines: list[str] = []

        def told(line: str) -> None:
            if options["json"]:
                lines.append(line)
            else:
                if bar:
                    bar.clear()
                self.stdout.write(line)

        run = Round(is_dry=options["dry_run"], pace=Pace(options["per_second"]), told=told)
        if bar:
            run.progress = bar
        try:
            row = reconcile(run, who="command", since=since, merchant=merchant)
        except AlreadyRunning:
            if options["json"]:
                self.stdout.write(json.dumps({"outcome": "already running"}))
            else:
                self.stdout.write("Another reconcile is at work; there is nothing to do beside it.")
            return 0
        if bar:
            bar.clear()
        self._tell(row, lines, as_json=options["json"])
        return EXIT[RunOutcome(row.outcome)]

    def _tell(self, row: ReconcileRun, lines: list[str], *, as_json: bool) -> None:
        seconds = ((row.finished_at or clock.now()) - row.started_at).total_seconds()
        if as_json:
            told = {
                "outcome": row.outcome, "dry_run": row.is_dry, "started_at": row.started_at.isoformat(),
                "seconds": round(seconds, 1), "counts": row.counts, "problem": row.problem, "lines": lines,
            }  # fmt: skip
            self.stdout.write(json.dumps(told))
            return
        for name, number in sorted(row.counts.items()):
            self.stdout.write(f"{number:>8}  {name}")
        if row.problem:
            self.stderr.write(f"No answer: {row.problem}")
        dry = "Nothing was changed. " if row.is_dry else ""
        self.stdout.write(f"{dry}{row.get_outcome_display().capitalize()} ({seconds:.1f} s).")


def moment(text: str) -> datetime:
    """A day or a time as a person types it, UTC where no zone is named; raises CommandError."""
    try:
        day, found = parse_date(text), parse_datetime(text)
    except ValueError as error:
        raise CommandError(f"--since {text}: {error}.") from error
    if found is None and day is not None:
        found = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if found is None:
        raise CommandError(f"--since {text}: not a day (2026-11-25) or a time (2026-11-25T18:00).")
    return found if found.tzinfo else found.replace(tzinfo=UTC)
