"""The mails about an order, each with one Message-ID however often it is sent."""

from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _

from ledger import clock, tracing
from orders.documents import order_ics, order_pdf
from orders.holdings import Holdings
from orders.links import link_token
from orders.models import Order


def send_confirmation_mail(order_id: int, *, copy: int = 0) -> None:
    """Tell the buyer of order `order_id` that it is paid and where the tickets are, with PDF and calendar file.

    A second copy (the worker was killed after the mail server took the first) has the same Message-ID; one that was
    asked for (`copy`, any number) has another, so that no mailbox throws it away as known.
    """
    tracing.order_id.set(order_id)
    order = Order.objects.select_related("user").get(pk=order_id)
    lines = list(order.lines.all())
    held = Holdings.of(order, lines)
    context = {
        "order": order,
        "lines": lines,
        "held": held,
        "order_url": settings.SITE_URL + order.get_absolute_url(),
        "link_url": settings.SITE_URL + reverse("order_link", args=[link_token(order)]),
        "site_url": settings.SITE_URL,
    }
    number = f"{order.pk}.{copy}" if copy else str(order.pk)
    mail = EmailMultiAlternatives(
        subject=_subject(held) % {"code": order.short_code},
        body=render_to_string("orders/mail/confirmation.txt", context),
        to=[order.user.email],
        headers={"Message-ID": f"<confirmation.{number}@{urlsplit(settings.SITE_URL).hostname}>"},
    )
    mail.attach_alternative(render_to_string("orders/mail/confirmation.html", context), "text/html")
    if held.printable:
        name = f"order-{order.short_code}"
        mail.attach(f"{name}.pdf", order_pdf(held), "application/pdf")
        if held.dated:
            mail.attach(f"{name}.ics", order_ics(held, at=clock.now()), "text/calendar")
    mail.send()


def _subject(held: Holdings) -> str:
    if held.owed:
        if held.printable:
            return _("What you ordered, and money that we owe you, order %(code)s")
        return _("Your payment came too late: we owe it to you, order %(code)s")
    return _("Your tickets, order %(code)s") if held.tickets else _("Thank you for your order %(code)s")
