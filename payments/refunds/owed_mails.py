"""The mails to those who send money back: what is owed and has not been sent, and where one click sends it."""

from collections.abc import Sequence

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.mails import in_subject, letter
from accounts.models import User
from events.local_times import told
from events.models import CalendarEntry, Page
from events.tickets.mails import voice_of
from ledger.money import Money
from payments.refunds.owed import Owed, by_currency


def send_owed_mail(user: User, rows: Sequence[Owed], *, number: int) -> None:
    """All that `user` may send, by page; `number` makes the mail another one than the one before."""
    parts = _by_page(rows)
    subject = _("%(sums)s is owed to buyers and has not been sent: %(what)s") % {
        "sums": joined(by_currency(rows)),
        "what": in_subject(*(part["name"] for part in parts)),
    }
    context = {"parts": parts, "url": settings.SITE_URL + reverse("admin:payments_owed")}
    letter("payments/mail/owed", context, subject=subject, to=user.email, number=f"owed.{user.pk}.{number}").send()


def send_called_off_mail(user: User, entry: CalendarEntry, rows: Sequence[Owed]) -> None:
    """What calling `entry` off made owed."""
    context = {
        "entry": entry,
        "sums": joined(by_currency(rows)),
        "orders": len({row.order for row in rows}),
        "url": settings.SITE_URL + reverse("admin:payments_batch_start", args=[entry.pk]),
    }
    subject = _("Called off, %(sums)s to send back: %(title)s") % {
        "sums": context["sums"],
        "title": in_subject(entry.title),
    }
    letter(
        "payments/mail/owed_called_off",
        context,
        subject=subject,
        to=user.email,
        number=f"owed-called-off.{entry.pk}.{user.pk}",
        voice=voice_of([entry.calendar.page]),
    ).send()


def joined(sums: Sequence[Money]) -> str:
    return ", ".join(str(money) for money in sums)


def _by_page(rows: Sequence[Owed]) -> list[dict[str, str]]:
    """For each page, then for what no page sold: its name, the sum, of how many orders, since when on its clock."""
    pages = {page.pk: page for page in Page.objects.filter(pk__in={row.page for row in rows if row.page})}
    found = []
    for pk in sorted({row.page for row in rows}, key=lambda pk: (pk is None, pages[pk].name if pk else "")):
        theirs = [row for row in rows if row.page == pk]
        orders = len({row.order for row in theirs})
        oldest = min((row.since for row in theirs if row.since), default=None)
        found.append(
            {
                "name": pages[pk].name if pk else _("Orders that were paid twice"),
                "sums": joined(by_currency(theirs)),
                "orders": ngettext("%(n)d order", "%(n)d orders", orders) % {"n": orders},
                "since": told(oldest, pages[pk].time_zone if pk else "UTC") if oldest else "",
            }
        )
    return found
