"""Jobs of accounts: a look once a day for what is over."""

from procrastinate.contrib.django import app

from accounts.clearing import clear_cache, clear_codes, clear_sessions
from ledger import clock


@app.periodic(cron="37 3 * * *")
@app.task(name="accounts.jobs.clear_expired", queue="clearing", lock="clear_expired", queueing_lock="clear_expired")
def clear_expired(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every day: delete sessions, cache entries and sign-in codes that are past their time."""
    now = clock.now()
    clear_sessions(at=now)
    clear_cache(at=now)
    clear_codes(at=now)
