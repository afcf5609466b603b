"""The doctor: looks at a deployment, its settings, merchants, mail, worker and database, and says what to do."""

from collections.abc import Generator, Iterator
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import get_connection
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import reverse

from config.doctor import Finding, is_local, look_at_database, look_at_files, look_at_sender
from config.postgres import OLDEST_MAJOR
from events.models import Merchant
from ledger import clock
from payments.health import HEARTBEAT, pending_mail, reconciled_at, troubles, worker_seen_at
from payments.merchants import PATIENT, client_for
from payments.owed import by_currency, owed_sums
from payments.sumup import KeyRefused, Refusal, SumUpProblem, skew

#: Where mail goes when it goes to nobody.
NOWHERE = ("console", "filebased", "locmem", "dummy")

#: So far SumUp's clock may be from ours: a hold and a payment page's end are two minutes apart.
SUMUP_MOST_SECONDS = 5


def examine(*, at: datetime) -> Iterator[Finding]:
    """All findings, one after the other; a database that does not answer, or is of an earlier version, ends it."""
    yield from _address()
    yield from look_at_files(at=at)
    try:
        missing = yield from _database()
        yield from look_at_database()
    except DatabaseError as error:
        yield Finding("database", f"It does not answer: {str(error).splitlines()[0]}", "Mend DATABASE_URL.")
        return
    if missing:
        return
    yield from _merchants()
    yield from _sumup_clock()
    yield _mail()
    yield look_at_sender()
    yield from _work(at)
    found = list(troubles(at=at))
    if not any(trouble.name == "owed" for trouble in found):
        yield _owed()
    for trouble in found:
        yield Finding(trouble.name, trouble.words, trouble.advice)


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


def _merchants() -> Iterator[Finding]:
    merchants = list(Merchant.objects.order_by("pk"))
    if not merchants:
        advice = "Set SUMUP_MERCHANT_CODE and SUMUP_API_KEY, or make a merchant in the admin."
        yield Finding("merchants", "There is none: nothing can be paid.", advice)
    for merchant in merchants:
        yield _merchant(merchant)


def _merchant(merchant: Merchant) -> Finding:
    name = f"merchant {merchant.code}"
    if merchant.has_lost_key:
        advice = "Enter it again in the admin, or bring back the setting it was stored with: docs/keys.md."
        return Finding(name, "Its stored API key cannot be read: it counts as none.", advice)
    if not merchant.secret():
        return Finding(name, "It has no API key.", "Enter its secret key (sup_sk_…) in the admin.")
    try:
        answer = client_for(merchant, deadline=PATIENT).read_merchant()
    except KeyRefused as problem:
        return Finding(name, f"SumUp refuses its key: {problem}", "Make a new secret key at SumUp and enter it.")
    except Refusal as problem:
        return Finding(name, f"SumUp does not show it to its key: {problem}", "Enter the key of this very account.")
    except SumUpProblem as problem:
        return Finding(name, f"SumUp could not be asked: {problem}", "Try again; if it stays, look at the network.")
    if answer.merchant_code != merchant.code:
        return Finding(name, f"Its key belongs to {answer.merchant_code}.", "Enter the key of this very account.")
    if answer.currency != merchant.currency:
        words = f"It takes {answer.currency} at SumUp and {merchant.currency} here."
        return Finding(name, words, "Correct the currency in the admin: every checkout would be refused.")
    kind = "a sandbox: no real money" if answer.sandbox else "live"
    if answer.sandbox and not settings.DEBUG:
        return Finding(name, f"It is {kind}.", "Use the key of the live account.")
    return Finding(name, f"{merchant.name}, {merchant.currency}, {kind}")


def _sumup_clock() -> Iterator[Finding]:
    """SumUp's against ours, by the answers that the merchants have just got; nothing when there was none."""
    apart = skew(settings.SUMUP_API_URL)
    if apart is None:
        return
    apart -= clock.difference()
    seconds = abs(apart).total_seconds()
    if seconds <= SUMUP_MOST_SECONDS:
        yield Finding("SumUp's clock", "It and ours agree.")
        return
    words = f"It is {seconds:.0f} s {'ahead of' if apart.total_seconds() > 0 else 'behind'} ours."
    yield Finding("SumUp's clock", words, "Set the clock of the database's machine by NTP (chrony, systemd-timesyncd).")


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


def _owed() -> Finding:
    """What must go back to buyers and was not sent; /readyz says when it has waited for too long."""
    sums = owed_sums()
    if not sums:
        return Finding("owed", "nothing")
    money = ", ".join(str(amount) for amount in by_currency(sums))
    number = sum(row.number for row in sums)
    return Finding(
        "owed", f"{money} to buyers, for {number} thing{'' if number == 1 else 's'}: the admin's front page sends it."
    )


def _work(at: datetime) -> Iterator[Finding]:
    seen = worker_seen_at()
    if seen is None or at - seen > HEARTBEAT:
        words = "No worker is alive" + (f": the last was seen at {seen:%Y-%m-%d %H:%M} UTC." if seen else ".")
        yield Finding("worker", words, "Start manage.py procrastinate worker, and keep it running.")
    else:
        yield Finding("worker", "alive")
    last = reconciled_at()
    told = f"last at {last:%Y-%m-%d %H:%M} UTC" if last else "not yet"
    yield Finding("reconcile", told)
    number, oldest = pending_mail()
    yield Finding("pending mail", f"{number}, the oldest of {oldest:%Y-%m-%d %H:%M} UTC" if oldest else "none")
