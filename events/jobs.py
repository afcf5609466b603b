"""Jobs of events: pictures; mails stand beside what sends them.

The worker looks for tasks in this module alone: it imports each other one that has some.
"""

from procrastinate.contrib.django import app

from events.old_pictures import develop_old, remove_left_behind
from events.organising import mails as mails_of_organisers  # noqa: F401
from events.tickets import mails as mails_of_tickets  # noqa: F401
from ledger import clock


@app.periodic(cron="47 3 * * *")
@app.task(name="events.jobs.tidy_pictures", queue="clearing", lock="tidy_pictures", queueing_lock="tidy_pictures")
def tidy_pictures(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every day: develop pictures of before an update, and delete files that no row has."""
    develop_old()
    remove_left_behind(at=clock.now())
