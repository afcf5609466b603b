"""Jobs of orders: enqueued in the transaction of the change that they follow."""

from procrastinate.contrib.django import app

from events.jobs import MAIL_RETRY
from orders.mails import send_confirmation_mail


@app.task(queue="mail", retry=MAIL_RETRY)
def send_confirmation(order_id: int, copy: int = 0) -> None:
    """Send the confirmation of a paid order to its buyer; `copy` numbers those that were asked for again."""
    send_confirmation_mail(order_id, copy=copy)
