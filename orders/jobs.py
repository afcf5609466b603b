"""Jobs of orders: enqueued in the transaction of the change that they follow."""

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from orders.mails import send_confirmation_mail

#: A mail server that is away is asked again for about a day.
MAIL_RETRY = RetryStrategy(max_attempts=12, exponential_wait=3)


@app.task(queue="mail", retry=MAIL_RETRY)
def send_confirmation(order_id: int) -> None:
    """Send the confirmation of a paid order to its buyer."""
    send_confirmation_mail(order_id)
