"""Mails to buyers about a payment that came beside what was asked for, each with one Message-ID whenever it runs."""

from django.utils.translation import gettext as _
from procrastinate.contrib.django import app

from events.jobs import MAIL_RETRY
from ledger.money import Money
from orders.mails import order_letter
from payments.balance import came_of
from payments.models import Checkout


@app.task(name="payments.mails.tell_surplus", queue="mail", retry=MAIL_RETRY)
def tell_surplus(checkout_id: int) -> None:
    """Tell the buyer that the order was paid a second time, and that this payment is owed back."""
    checkout = Checkout.objects.select_related("order__user").get(pk=checkout_id)
    amount = Money(checkout.captured or checkout.amount, checkout.captured_currency or checkout.currency)
    order_letter(
        "payments/mail/surplus",
        {"amount": amount},
        order=checkout.order,
        subject=_("You paid twice: %(amount)s is owed to you, order %%(code)s (%%(what)s)") % {"amount": amount},
        number=f"surplus.{checkout.pk}",
    ).send()


@app.task(name="payments.mails.tell_mismatch", queue="mail", retry=MAIL_RETRY)
def tell_mismatch(checkout_id: int) -> None:
    """Tell the buyer that a payment has come that is not what was asked for, and that nothing more is to be paid."""
    checkout = Checkout.objects.select_related("order__user").get(pk=checkout_id)
    order_letter(
        "payments/mail/mismatch",
        {"came": came_of(checkout)},
        order=checkout.order,
        subject=_("Your payment is being looked at, order %(code)s (%(what)s)"),
        number=f"mismatch.{checkout.pk}",
    ).send()
