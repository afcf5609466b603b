"""Jobs of events: carts that lapse, and pictures; mails stand beside what sends them.

The worker looks for tasks in this module alone: it imports each other one that has some.
"""

from procrastinate.contrib.django import app

from events.lapsing import lapse
from events.old_pictures import develop_old, remove_left_behind
from events.organising import mails as mails_of_organisers  # noqa: F401
from events.tickets import mails as mails_of_tickets  # noqa: F401
from ledger import clock


@app.periodic(cron="17 * * * *")
@app.task(name="events.jobs.lapse_carts", queue="carts", lock="lapse", queueing_lock="lapse")
def lapse_carts(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every hour: empty the carts of what has lain there too long."""
    lapse(at=clock.now())


@app.periodic(cron="47 3 * * *")
@app.task(name="events.jobs.tidy_pictures", queue="clearing", lock="tidy_pictures", queueing_lock="tidy_pictures")
def tidy_pictures(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every day: develop pictures of before an update, and delete files that no row has."""
    develop_old()
    remove_left_behind(at=clock.now())
