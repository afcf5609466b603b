"""The worker's own housekeeping."""

from procrastinate.contrib.django import app

from config.clearing import clear_jobs
from ledger import clock


@app.periodic(cron="7 * * * *")
@app.task(name="config.jobs.clear_finished", queue="clearing", lock="clear_finished", queueing_lock="clear_finished")
def clear_finished(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every hour: delete jobs that have been over for long."""
    clear_jobs(at=clock.now())
