"""The job of reconciling: every hour, by the worker."""

import logging

from procrastinate.contrib.django import app

from payments.models import RunOutcome
from payments.reconciling import AlreadyRunning, reconcile
from payments.rounds import Round

log = logging.getLogger(__name__)


@app.periodic(cron="17 * * * *")
@app.task(queue="payments", lock="reconcile", queueing_lock="reconcile")
def reconcile_hourly(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every hour: compare our books with SumUp's; one that runs by hand at the moment does it as well."""
    try:
        row = reconcile(Round(), who="job")
    except AlreadyRunning:
        return
    if row.outcome != RunOutcome.IN_ORDER:
        log.warning("reconcile: %s %s", row.outcome, row.problem)
