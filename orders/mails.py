"""The mails about an order, each with one Message-ID however often it is sent."""

from collections.abc import Mapping, Sequence

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.mails import in_subject, letter
from events.tickets.mails import voice_of
from ledger import clock, tracing
from orders.documents import order_ics, order_pdf
from orders.holdings import Holdings
from orders.links import link_token
from orders.models import LEAST_LEFT, Order, OrderLine
from orders.states import OrderState


def order_letter(
    template: str, context: Mapping[str, object], *, order: Order, subject: str, number: str
) -> EmailMultiAlternatives:
    """A mail to the buyer of `order`, in the name of the page it buys from.

    `subject` has places for the order's `code` and `what` it is of; `context` is the template's, beside the order, its
    `lines` and its addresses.
    """
    lines = lines_of(order)
    told = {
        "order": order,
        "lines": lines,
        "order_url": settings.SITE_URL + order.get_absolute_url(),
        "link_url": settings.SITE_URL + reverse("order_link", args=[link_token(order)]),
        **context,
    }
    what = in_subject(*(line.entry.title if line.entry else line.name for line in lines))
    return letter(
        template,
        told,
        subject=subject % {"code": order.short_code, "what": what},
        to=order.user.email,
        number=number,
        voice=voice_of(line.page for line in lines),
    )


def lines_of(order: Order) -> Sequence[OrderLine]:
    return list(order.lines.select_related("entry", "page"))


def send_confirmation_mail(order_id: int, *, copy: int = 0) -> None:
    """Tell the buyer of order `order_id` that it is paid and where the tickets are, with PDF and calendar file.

    A second copy (the worker was killed after the mail server took the first) has the same Message-ID; one that was
    asked for (`copy`, any number) has another, so that no mailbox throws it away as known.
    """
    order = _order(order_id)
    held = Holdings.of(order, lines_of(order))
    number = f"{order.pk}.{copy}" if copy else str(order.pk)
    mail = order_letter(
        "orders/mail/confirmation", {"held": held}, order=order, subject=_subject(held), number=f"confirmation.{number}"
    )
    if held.printable:
        name = f"order-{order.short_code}"
        mail.attach(f"{name}.pdf", order_pdf(held), "application/pdf")
        if held.dated:
            mail.attach(f"{name}.ics", order_ics(held, at=clock.now()), "text/calendar")
    mail.send()


def _order(order_id: int) -> Order:
    tracing.order_id.set(order_id)
    return Order.objects.select_related("user").get(pk=order_id)


def _subject(held: Holdings) -> str:
    if held.owed:
        if held.printable:
            return _("What you ordered, and money that we owe you: %(what)s, order %(code)s")
        return _("Your payment came too late, we owe it to you: %(what)s, order %(code)s")
    if held.tickets:
        return _("Your tickets: %(what)s, order %(code)s")
    return _("Thank you for your order: %(what)s, order %(code)s")


def send_unpaid_mail(order_id: int) -> None:
    """Remind the buyer of an order that waits for its payment; nothing when it does not, or hardly can be paid now."""
    order = _order(order_id)
    now = clock.now()
    if order.hold_until - now < LEAST_LEFT or not order.can_still_pay(now):
        return
    subject = _("Not paid yet: %(what)s, order %(code)s")
    order_letter("orders/mail/unpaid", {}, order=order, subject=subject, number=f"unpaid.{order.pk}").send()


def send_lapsed_mail(order_id: int) -> None:
    """Tell the buyer that an order was not paid in time; nothing when a payment has turned up since."""
    order = _order(order_id)
    if order.state != OrderState.EXPIRED or order.money_came:
        return
    context = {"again_url": settings.SITE_URL + order.get_absolute_url()}
    subject = _("Not paid in time: %(what)s, order %(code)s")
    order_letter("orders/mail/lapsed", context, order=order, subject=subject, number=f"lapsed.{order.pk}").send()
