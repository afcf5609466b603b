"""What must be so for the shop to be in order: the questions behind /readyz, each one query, and their limits.

The limits are settings. Nothing here asks SumUp: /readyz is asked often, and by anyone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Min

from ledger import clock
from payments.models import Case, ReconcileRun
from payments.refunds.debts import owed_sums
from payments.states import CaseKind

#: A worker that is alive says so more often than this.
HEARTBEAT = timedelta(minutes=2)


@dataclass(frozen=True)
class Finding:
    """One thing looked at, in words that anyone may read; `advice` is what the operator does, "" when it is well."""

    name: str
    words: str
    advice: str = ""

    @property
    def is_well(self) -> bool:
        return not self.advice


def troubles(*, at: datetime) -> Iterator[Finding]:
    """What is not in order now; empty: all is."""
    if trouble := _clock():
        yield trouble
    if trouble := _reconcile(at):
        yield trouble
    yield from _cases(at)
    if trouble := _owed(at):
        yield trouble
    if trouble := _mail(at):
        yield trouble


def _clock() -> Finding | None:
    """Moments are right all the same: they follow the database's clock. The two machines are not in order."""
    apart = clock.difference()
    if abs(apart) <= clock.MOST:
        return None
    seconds = abs(apart).total_seconds()
    return Finding(
        "clock",
        f"this machine's clock is {seconds:.1f} s {'behind' if apart > timedelta(0) else 'ahead of'} the database's",
        "Set both machines' clocks by NTP (chrony, systemd-timesyncd), and keep that running.",
    )


def reconciled_at() -> datetime | None:
    """When the last comparison that has looked at everything began."""
    return ReconcileRun.objects.good().order_by("-started_at").values_list("started_at", flat=True).first()


def _reconcile(at: datetime) -> Finding | None:
    """Too long without a comparison with SumUp.

    A fresh installation has never had one: it is given the limit's time since its first migration, for else it could
    never be put behind a load balancer. A demo (DEBUG) sleeps for days and is in order when it wakes.
    """
    limit = timedelta(hours=settings.READY_RECONCILE_HOURS)
    since = reconciled_at() or MigrationRecorder.Migration.objects.aggregate(first=Min("applied"))["first"]
    if settings.DEBUG or since is None or at - since <= limit:
        return None
    return Finding(
        "reconcile",
        f"the books were not compared with SumUp's for {in_words(at - since)}",
        "Is the job worker alive? Run manage.py reconcile_payments and read what stands in its way.",
    )


def _cases(at: datetime) -> Iterator[Finding]:
    waiting = Case.objects.open()
    oldest = waiting.exclude(kind=CaseKind.REFUSED).aggregate(oldest=Min("opened_at"))["oldest"]
    if oldest is not None and at - oldest > timedelta(days=settings.READY_UNDECIDED_DAYS):
        yield Finding(
            "undecided",
            f"money waits for a person for {in_words(at - oldest)}",
            "Open Money to decide in the admin.",
        )
    if waiting.filter(kind=CaseKind.REFUSED).exists():
        yield Finding(
            "key",
            "SumUp refuses a merchant",
            "Read the case under Money to decide, mend the key or the account, then close the case.",
        )


def _owed(at: datetime) -> Finding | None:
    oldest = min((row.oldest for row in owed_sums() if row.oldest is not None), default=None)
    if oldest is None or at - oldest <= timedelta(days=settings.READY_OWED_DAYS):
        return None
    return Finding(
        "owed",
        f"money is owed to buyers and has not been sent for {in_words(at - oldest)}",
        "Open the admin's front page: one click sends it.",
    )


def _mail(at: datetime) -> Finding | None:
    number, oldest = pending_mail()
    if oldest is None or at - oldest <= timedelta(minutes=settings.READY_MAIL_MINUTES):
        return None
    return Finding(
        "mail",
        f"{number} {'mail waits' if number == 1 else 'mails wait'}, the oldest for {in_words(at - oldest)}",
        "Is the job worker alive, and does the mail server of EMAIL_URL take mail?",
    )


def pending_mail() -> tuple[int, datetime | None]:
    """How many mails are not sent, and since when the oldest of them waits.

    One that was given up after its last try waits no more: it is a failed job, listed in the admin.
    """
    query = (
        "SELECT count(DISTINCT job.id), min(event.at) FROM procrastinate_jobs AS job"
        " JOIN procrastinate_events AS event ON event.job_id = job.id AND event.type = 'deferred'"
        " WHERE job.queue_name = 'mail' AND job.status IN ('todo', 'doing')"
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        number, oldest = cursor.fetchone() or (0, None)
    return int(number), oldest


def worker_seen_at() -> datetime | None:
    """When a job worker last said that it is alive."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(last_heartbeat) FROM procrastinate_workers")
        (seen,) = cursor.fetchone() or (None,)
    return seen if isinstance(seen, datetime) else None


def in_words(age: timedelta) -> str:
    hours = int(age.total_seconds() // 3600)
    if hours >= 48:
        return f"{hours // 24} days"
    number, unit = (hours, "hour") if hours else (int(age.total_seconds() // 60), "minute")
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
