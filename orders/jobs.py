"""Jobs of orders: enqueued in the transaction of the change that they follow."""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from procrastinate.contrib.django import app

from accounts.mails import MAIL_RETRY
from ledger import clock
from orders.mails import send_confirmation_mail, send_lapsed_mail, send_unpaid_mail
from orders.models import LEAST_LEFT, Order

log = logging.getLogger(__name__)

#: Who has not paid so long after ordering is reminded, once.
REMINDED_AFTER = timedelta(minutes=10)
REMINDED_MOST = 500


@app.task(name="orders.jobs.send_confirmation", queue="mail", retry=MAIL_RETRY)
def send_confirmation(order_id: int, copy: int = 0) -> None:
    """Send the confirmation of a paid order to its buyer; `copy` numbers those that were asked for again."""
    send_confirmation_mail(order_id, copy=copy)


@app.task(name="orders.jobs.tell_unpaid", queue="mail", retry=MAIL_RETRY)
def tell_unpaid(order_id: int) -> None:
    """Remind the buyer of an order that is not paid yet."""
    send_unpaid_mail(order_id)


@app.task(name="orders.jobs.tell_lapsed", queue="mail", retry=MAIL_RETRY)
def tell_lapsed(order_id: int) -> None:
    """Tell the buyer that an order was not paid in time."""
    send_lapsed_mail(order_id)


@app.periodic(cron="* * * * *")
@app.task(name="orders.jobs.remind_unpaid", queue="carts", lock="remind_unpaid", queueing_lock="remind_unpaid")
def remind_unpaid(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every minute: enqueue the reminders that are due."""
    remind_once(at=clock.now())


def remind_once(*, at: datetime) -> None:
    """Enqueue a reminder for each order that has waited long enough and can be paid for some time yet."""
    due = Order.objects.to_remind().filter(placed_at__lte=at - REMINDED_AFTER, hold_until__gt=at + LEAST_LEFT)
    for pk in list(due.order_by("hold_until", "pk").values_list("pk", flat=True)[:REMINDED_MOST]):
        try:
            _remind(pk, at)
        except Exception:  # one order must not keep the others from theirs
            log.exception("order %s could not be reminded of", pk)


@transaction.atomic
def _remind(pk: int, at: datetime) -> None:
    """The row says that the reminder was enqueued, in one transaction with the job: once, whoever is killed where."""
    order = Order.objects.filter(pk=pk).locked().get()
    if not order.money_came and Order.objects.to_remind().filter(pk=pk).update(reminded_at=at):
        tell_unpaid.defer(order_id=pk)
