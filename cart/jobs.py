"""Jobs of the cart: what lies in it too long goes."""

from procrastinate.contrib.django import app

from cart.lapsing import lapse, lapse_products
from ledger import clock


@app.periodic(cron="17 * * * *")
@app.task(name="events.jobs.lapse_carts", queue="carts", lock="lapse", queueing_lock="lapse")
def lapse_carts(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every hour: empty the carts of what has lain there too long."""
    lapse(at=clock.now())


@app.periodic(cron="27 * * * *")
@app.task(name="market.jobs.lapse_items", queue="carts", lock="lapse_items", queueing_lock="lapse_items")
def lapse_items(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every hour: empty the carts of what has lain there too long."""
    lapse_products(at=clock.now())
