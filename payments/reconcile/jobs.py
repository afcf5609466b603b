"""The jobs of reconciling: every hour, by the worker; and its old runs go."""

import logging

from procrastinate.contrib.django import app

from accounts.clearing import delete_in_batches
from ledger import clock
from payments.models import ReconcileRun, RunOutcome
from payments.reconcile.round import Round
from payments.reconcile.running import AlreadyRunning, reconcile

log = logging.getLogger(__name__)


@app.periodic(cron="17 * * * *")
@app.task(
    name="payments.reconcile_jobs.reconcile_hourly", queue="payments", lock="reconcile", queueing_lock="reconcile"
)
def reconcile_hourly(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every hour: compare our books with SumUp's; one that runs by hand at the moment does it as well."""
    try:
        row = reconcile(Round(), who="job")
    except AlreadyRunning:
        return
    if row.outcome != RunOutcome.IN_ORDER:
        log.warning("reconcile: %s %s", row.outcome, row.problem)


@app.periodic(cron="57 3 * * *")
@app.task(name="payments.reconcile_jobs.clear", queue="clearing", lock="clear_runs", queueing_lock="clear_runs")
def clear_runs(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every day: delete what earlier comparisons came to."""
    delete_in_batches(ReconcileRun.objects.old(at=clock.now()).order_by("pk"))
