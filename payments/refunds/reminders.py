"""Who may send money back is told by mail what is owed: a day after it came to be so, then once a week.

They are told at once where somebody who may not send it has called an event off.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from procrastinate.contrib.django import app

from accounts.mails import MAIL_RETRY, in_subject, letter
from accounts.models import User
from events.local_times import told
from events.models import CalendarEntry, Page, PageMember, Role, Ticket
from events.tickets.mails import voice_of
from ledger import clock
from orders.models import OrderLine
from payments.models import OwedReminder
from payments.refunds.debts import SURPLUS, OwedThing, Scope, owed_rows, sums_in_words

log = logging.getLogger(__name__)

#: So long something may be owed before anyone is told; then they are told at most so often.
FIRST = timedelta(days=1)
#: While nothing new is owed they are told again after so long.
AGAIN = timedelta(days=7)
#: Who sends it (payments.admin.orders.DECIDE).
SENDERS = (Role.OWNER, Role.FINANCE)


@app.periodic(cron="23 * * * *")
@app.task(queue="payments", lock="remind_of_owed", queueing_lock="remind_of_owed", name="payments.owed_jobs.remind")
def remind(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every hour: tell whoever may send it what has been owed for a day."""
    remind_once(at=clock.now())


@app.task(queue="mail", retry=MAIL_RETRY, name="payments.owed_jobs.tell_owed")
def tell_owed(user_id: int, number: int) -> None:
    """Tell one person what they may send and have not; nothing when nothing is owed any more."""
    rows = senders_of(owed_rows()).get(user_id)
    if rows:
        send_owed_mail(User.objects.get(pk=user_id), rows, number=number)


@app.task(queue="mail", retry=MAIL_RETRY, name="payments.owed_jobs.tell_called_off")
def tell_called_off(entry_id: int) -> None:
    """An event was called off by somebody who may not send money back: tell those who may, what and where."""
    entry = CalendarEntry.objects.with_page().get(pk=entry_id)
    tickets = set(Ticket.objects.filter(entry=entry).values_list("pk", flat=True))
    rows = [row for row in owed_rows(Scope([entry.calendar.page_id])) if row.kind == "ticket" and row.pk in tickets]
    for user_id, theirs in senders_of(rows).items():
        send_called_off_mail(User.objects.get(pk=user_id), entry, theirs)


def on_called_off(entry: CalendarEntry, **_signal: object) -> None:
    """Enqueue the mail about `entry`, in the transaction that calls it off (it sends the signal)."""
    tell_called_off.defer(entry_id=entry.pk)


def remind_once(*, at: datetime) -> None:
    """Enqueue a mail to each person who is to be told now."""
    late = [row for row in owed_rows() if row.since is not None and row.since <= at - FIRST]
    for user_id, rows in senders_of(late).items():
        try:
            _remind(user_id, rows, at)
        except Exception:  # one person must not keep the others from being told
            log.exception("user %s could not be reminded of what is owed", user_id)


@transaction.atomic
def _remind(user_id: int, rows: Iterable[OwedThing], at: datetime) -> None:
    """Enqueue the mail if it is due: with the reminder locked, so that of two workers one tells, and none is lost."""
    OwedReminder.objects.bulk_create([OwedReminder(user_id=user_id)], ignore_conflicts=True)
    reminder = OwedReminder.objects.filter(user=user_id).locked().get()
    if reminder.told_at is not None and not _is_due(reminder.told_at, rows, at):
        return
    OwedReminder.objects.filter(pk=reminder.pk).update(told_at=at)
    tell_owed.defer(user_id=user_id, number=int(at.timestamp()))


def _is_due(told_at: datetime, rows: Iterable[OwedThing], at: datetime) -> bool:
    if told_at <= at - AGAIN:
        return True
    is_new = any(row.since is not None and row.since + FIRST > told_at for row in rows)
    return is_new and told_at <= at - FIRST


def senders_of(rows: Iterable[OwedThing]) -> dict[int, list[OwedThing]]:
    """Who may send which of `rows`, by user.

    What a page sold its owners and its finance may send; a payment beyond an order the finance of any of the order's
    pages, or an owner of all of them. Where there is nobody it is the superusers.
    """
    rows = list(rows)
    pages = _pages_of(row.order for row in rows if row.kind == SURPLUS)
    members = _members()
    superusers = list(
        User.objects.filter(is_superuser=True, is_active=True).order_by("pk").values_list("pk", flat=True)
    )
    by_user: dict[int, list[OwedThing]] = {}
    for row in rows:
        theirs = {row.page} if row.page is not None else pages.get(row.order, set())
        for user in _who(theirs, members) or superusers:
            by_user.setdefault(user, []).append(row)
    return by_user


def _who(pages: set[int], members: Mapping[int, set[tuple[int, str]]]) -> list[int]:
    return [
        user
        for user, roles in members.items()
        if any((page, Role.FINANCE) in roles for page in pages) or pages <= {page for page, _role in roles}
    ]


def _members() -> dict[int, set[tuple[int, str]]]:
    """By user who can sign in to the admin: on which pages they may send money, and as what."""
    by_user: dict[int, set[tuple[int, str]]] = {}
    rows = PageMember.objects.filter(role__in=SENDERS, user__is_active=True, user__is_staff=True)
    for user, page, role in rows.order_by("user").values_list("user", "page", "role"):
        by_user.setdefault(user, set()).add((page, role))
    return by_user


def _pages_of(orders: Iterable[int]) -> dict[int, set[int]]:
    by_order: dict[int, set[int]] = {}
    for order, page in OrderLine.objects.filter(order__in=set(orders)).values_list("order", "page"):
        by_order.setdefault(order, set()).add(page)
    return by_order


# --- The mails


def send_owed_mail(user: User, rows: Sequence[OwedThing], *, number: int) -> None:
    """All that `user` may send, by page; `number` makes the mail another one than the one before."""
    parts = _by_page(rows)
    subject = _("%(sums)s is owed to buyers and has not been sent: %(what)s") % {
        "sums": sums_in_words(rows),
        "what": in_subject(*(part["name"] for part in parts)),
    }
    context = {"parts": parts, "url": settings.SITE_URL + reverse("admin:payments_owed")}
    letter("payments/mail/owed", context, subject=subject, to=user.email, number=f"owed.{user.pk}.{number}").send()


def send_called_off_mail(user: User, entry: CalendarEntry, rows: Sequence[OwedThing]) -> None:
    """What calling `entry` off made owed."""
    context = {
        "entry": entry,
        "sums": sums_in_words(rows),
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


def _by_page(rows: Sequence[OwedThing]) -> list[dict[str, str]]:
    """What is owed for each page, by name, then for what no page sold."""
    pages = sorted(Page.objects.filter(pk__in={row.page for row in rows if row.page}), key=lambda page: page.name)
    parts = [_part(page.name, page.time_zone, [row for row in rows if row.page == page.pk]) for page in pages]
    surplus = [row for row in rows if row.page is None]
    return [*parts, _part(_("Orders that were paid twice"), "UTC", surplus)] if surplus else parts


def _part(name: str, zone: str, rows: Sequence[OwedThing]) -> dict[str, str]:
    """The sum of `rows`, of how many orders, and since when, on the clock of `zone`."""
    orders = len({row.order for row in rows})
    oldest = min((row.since for row in rows if row.since), default=None)
    return {
        "name": name,
        "sums": sums_in_words(rows),
        "orders": ngettext("%(n)d order", "%(n)d orders", orders) % {"n": orders},
        "since": told(oldest, zone) if oldest else "",
    }
