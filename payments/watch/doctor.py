"""What the doctor looks at of the shop: its merchants at SumUp, the worker, and what health.py finds."""

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings

from events.models import Merchant
from ledger import clock
from payments.merchants import PATIENT, client_for
from payments.refunds.debts import owed_sums, sums_in_words
from payments.sumup import KeyRefused, Refusal, SumUpProblem, skew
from payments.watch.health import HEARTBEAT, Finding, pending_mail, reconciled_at, troubles, worker_seen_at

#: So far SumUp's clock may be from ours: a hold and a payment page's end are two minutes apart.
SUMUP_MOST_SECONDS = 5


def look_at_merchants() -> Iterator[Finding]:
    """Each merchant as SumUp shows it to its key, and SumUp's clock by the same answers."""
    merchants = list(Merchant.objects.order_by("pk"))
    if not merchants:
        advice = "Set SUMUP_MERCHANT_CODE and SUMUP_API_KEY, or make a merchant in the admin."
        yield Finding("merchants", "There is none: nothing can be paid.", advice)
    for merchant in merchants:
        yield _merchant(merchant)
    yield from _sumup_clock()


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


def look_at_work(*, at: datetime) -> Iterator[Finding]:
    """The worker and what it does, then what /readyz is red of."""
    seen = worker_seen_at()
    if seen is None or at - seen > HEARTBEAT:
        words = "No worker is alive" + (f": the last was seen at {seen:%Y-%m-%d %H:%M} UTC." if seen else ".")
        yield Finding("worker", words, "Start manage.py procrastinate worker, and keep it running.")
    else:
        yield Finding("worker", "alive")
    last = reconciled_at()
    yield Finding("reconcile", f"last at {last:%Y-%m-%d %H:%M} UTC" if last else "not yet")
    number, oldest = pending_mail()
    yield Finding("pending mail", f"{number}, the oldest of {oldest:%Y-%m-%d %H:%M} UTC" if oldest else "none")
    wrong = list(troubles(at=at))
    if not any(trouble.name == "owed" for trouble in wrong):
        yield _owed()
    yield from wrong


def _owed() -> Finding:
    """What must go back to buyers and was not sent; /readyz says when it has waited for too long."""
    sums = owed_sums()
    if not sums:
        return Finding("owed", "nothing")
    money = sums_in_words(sums)
    number = sum(row.number for row in sums)
    return Finding(
        "owed", f"{money} to buyers, for {number} thing{'' if number == 1 else 's'}: the admin's front page sends it."
    )
