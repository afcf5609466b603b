"""Jobs of events."""

from django.utils import timezone
from procrastinate.contrib.django import app

from events.lapsing import lapse


@app.periodic(cron="17 * * * *")
@app.task(queue="carts", lock="lapse", queueing_lock="lapse")
def lapse_carts(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every hour: empty the carts of what has lain there too long."""
    lapse(at=timezone.now())
