"""Mails to buyers about money that is owed or went back, each by a job with one Message-ID however often it runs."""

from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from procrastinate.contrib.django import app

from events.jobs import MAIL_RETRY
from ledger.money import Money
from payments.models import Checkout, Refund
from payments.money_came import came_of
from payments.rows import told_lines


@app.task(queue="mail", retry=MAIL_RETRY)
def tell_surplus(checkout_id: int) -> None:
    """Tell the buyer that the order was paid a second time, and that this payment is owed back."""
    checkout = Checkout.objects.select_related("order__user").get(pk=checkout_id)
    order = checkout.order
    context = {
        "order": order,
        "amount": Money(checkout.captured or checkout.amount, checkout.captured_currency or checkout.currency),
        "order_url": settings.SITE_URL + order.get_absolute_url(),
    }
    mail = EmailMultiAlternatives(
        subject=_("You paid twice: %(amount)s is owed to you, order %(code)s")
        % {"amount": context["amount"], "code": order.short_code},
        body=render_to_string("payments/mail/surplus.txt", context),
        to=[order.user.email],
        headers={"Message-ID": f"<surplus.{checkout.pk}@{urlsplit(settings.SITE_URL).hostname}>"},
    )
    mail.attach_alternative(render_to_string("payments/mail/surplus.html", context), "text/html")
    mail.send()


@app.task(queue="mail", retry=MAIL_RETRY)
def tell_mismatch(checkout_id: int) -> None:
    """Tell the buyer that a payment has come that is not what was asked for, and that nothing more is to be paid."""
    checkout = Checkout.objects.select_related("order__user").get(pk=checkout_id)
    order = checkout.order
    context = {
        "order": order,
        "came": came_of(checkout),
        "order_url": settings.SITE_URL + order.get_absolute_url(),
    }
    mail = EmailMultiAlternatives(
        subject=_("Your payment is being looked at, order %(code)s") % {"code": order.short_code},
        body=render_to_string("payments/mail/mismatch.txt", context),
        to=[order.user.email],
        headers={"Message-ID": f"<mismatch.{checkout.pk}@{urlsplit(settings.SITE_URL).hostname}>"},
    )
    mail.attach_alternative(render_to_string("payments/mail/mismatch.html", context), "text/html")
    mail.send()


@app.task(queue="mail", retry=MAIL_RETRY)
def tell_refund(refund_id: int) -> None:
    """Tell the buyer that money went back, how much, and what for."""
    refund = Refund.objects.select_related("checkout__order__user").get(pk=refund_id)
    order = refund.checkout.order
    context = {
        "order": order,
        "refund": refund,
        "lines": told_lines(refund),
        "order_url": settings.SITE_URL + order.get_absolute_url(),
    }
    mail = EmailMultiAlternatives(
        subject=_("%(amount)s goes back to you, order %(code)s") % {"amount": refund.money, "code": order.short_code},
        body=render_to_string("payments/mail/refund.txt", context),
        to=[order.user.email],
        headers={"Message-ID": f"<refund.{refund.pk}@{urlsplit(settings.SITE_URL).hostname}>"},
    )
    mail.attach_alternative(render_to_string("payments/mail/refund.html", context), "text/html")
    mail.send()
