"""Jobs of the shop: pieces that lie in carts too long."""

from procrastinate.contrib.django import app

from events.lapsing import delete_free, too_old
from events.states import TicketState
from ledger import clock
from market.models import ProductItem


@app.periodic(cron="27 * * * *")
@app.task(name="market.jobs.lapse_items", queue="carts", lock="lapse_items", queueing_lock="lapse_items")
def lapse_items(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every hour: empty the carts of what has lain there too long."""
    delete_free(ProductItem.objects.filter(too_old(clock.now()), state=TicketState.PENDING))
