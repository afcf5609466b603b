"""The mail to a buyer about money that goes back, by a job with one Message-ID however often it runs."""

from django.utils.translation import gettext as _
from procrastinate.contrib.django import app

from events.jobs import MAIL_RETRY
from orders.mails import order_letter
from payments.models import Refund
from payments.refunds.rows import lines_in_words


@app.task(name="payments.mails.tell_refund", queue="mail", retry=MAIL_RETRY)
def tell_refund(refund_id: int) -> None:
    """Tell the buyer that money went back, how much, and what for."""
    refund = Refund.objects.select_related("checkout__order__user").get(pk=refund_id)
    order_letter(
        "payments/mail/refund",
        {"refund": refund, "given": lines_in_words(refund)},
        order=refund.checkout.order,
        subject=_("%(amount)s goes back to you, order %%(code)s (%%(what)s)") % {"amount": refund.money},
        number=f"refund.{refund.pk}",
    ).send()
