"""All jobs of events, for the worker finds them here; each mail stands beside what sends it."""

from procrastinate.contrib.django import app

from events.lapsing import lapse
from events.old_pictures import develop_old, remove_left_behind
from events.organising.mails import tell_about_booking, tell_called_off, tell_moved, tell_other_time
from events.tickets.mails import tell_new_holder
from ledger import clock

__all__ = [
    "lapse_carts",
    "tell_about_booking",
    "tell_called_off",
    "tell_moved",
    "tell_new_holder",
    "tell_other_time",
    "tidy_pictures",
]


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
