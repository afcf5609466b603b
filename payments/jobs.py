"""Jobs of payments: questions that could not be answered at once, and the sweep of all that is unsettled.

The worker looks for tasks in this module alone: it imports each other one that has some.
"""

import contextlib
import logging
from datetime import timedelta

from django.db.models import F, Q
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from ledger import clock
from orders.models import Order
from payments.cases import open_lost_key_cases
from payments.checkouts import mails as checkout_mails  # noqa: F401
from payments.checkouts.ending import release
from payments.checkouts.settling import PAUSE, Verdict, settle
from payments.merchants import WrongAccount, ensure_site_merchant
from payments.models import Checkout
from payments.patience import NotAnswered, Patience, sweep_over
from payments.reconcile import jobs as reconcile_jobs  # noqa: F401
from payments.refunds import batches, mails, reminders, sending  # noqa: F401
from payments.refunds import jobs as refund_jobs  # noqa: F401
from payments.sumup import SumUpProblem

log = logging.getLogger(__name__)

#: The sweep leaves alone what was asked about in this time.
SWEEP_PAUSE = timedelta(seconds=55)
SWEEP_MOST = 500


@app.task(name="payments.jobs.ask_about", queue="payments", retry=Patience(max_attempts=8, exponential_wait=3))
def ask_about(checkout_pk: int) -> None:
    """Settle one checkout, again after a while when SumUp could not be asked."""
    heard: list[SumUpProblem] = []
    if settle(checkout_pk, who="job", at=clock.now(), heard=heard.append) in (Verdict.UNKNOWN, Verdict.BUSY):
        raise NotAnswered(heard[0].retry_after if heard else None)


def ask_soon(checkout_pk: int) -> None:
    """Enqueue one question about a checkout; one at a time is enough."""
    later = ask_about.configure(queueing_lock=f"ask:{checkout_pk}", schedule_in={"seconds": PAUSE.seconds + 1})
    with contextlib.suppress(AlreadyEnqueued):
        later.defer(checkout_pk=checkout_pk)


@app.periodic(cron="* * * * *")
@app.task(name="payments.jobs.sweep", queue="payments", lock="sweep", queueing_lock="sweep")
def sweep(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every minute: ask about what is unsettled, and end the orders whose hold is over or whose buyer cancelled."""
    sweep_once()


@app.periodic(cron="* * * * *")
@app.task(name="payments.jobs.rescue", queue="payments", queueing_lock="rescue")
async def rescue(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every minute: run again what a worker had begun when it was killed, and let go of the locks that it held.

    Without a lock of its own, which a worker killed in here would hold for ever. A mail may go out twice, with one
    Message-ID; the rest finds its work done.
    """
    for job in await app.job_manager.get_stalled_jobs():
        log.warning("job %s (%s) was left behind by a worker that is gone: it runs again", job.id, job.task_name)
        await app.job_manager.retry_job(job)


def sweep_once() -> None:
    """One pass over at most SWEEP_MOST checkouts and orders each: the never asked first, then the longest unasked."""
    _meet_site_merchant()
    now = clock.now()
    open_lost_key_cases(at=now)
    due = Checkout.objects.unsettled().filter(Q(asked_at=None) | Q(asked_at__lt=now - SWEEP_PAUSE))
    due = due.order_by(F("asked_at").asc(nulls_first=True))
    for rows in (due, Checkout.objects.to_ask_again(at=now), Checkout.objects.doubtful(at=now)):
        sweep_over(rows, lambda pk: settle(pk, who="sweep", at=clock.now()), most=SWEEP_MOST)
    beside = Order.objects.awaiting().filter(pk__in=Checkout.objects.beside_undecided())
    # In no order, so that those of which SumUp says nothing never keep the others waiting.
    over = (Order.objects.to_end(at=now) | beside).order_by("?")
    sweep_over(over, lambda pk: release(pk, who="sweep", at=clock.now()), most=SWEEP_MOST)


def _meet_site_merchant() -> None:
    """The merchant that the environment names is made as soon as SumUp answers for it; a query once it is there."""
    try:
        ensure_site_merchant()
    except (SumUpProblem, WrongAccount) as problem:
        log.error("the site's merchant cannot be used: %s", problem)
