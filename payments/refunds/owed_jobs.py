"""Who may send money that is owed is told so by mail: a day after, then once a week; at once by who may not send it."""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from procrastinate.contrib.django import app

from accounts.mails import MAIL_RETRY
from accounts.models import User
from events.models import CalendarEntry, PageMember, Role, Ticket
from ledger import clock
from orders.models import OrderLine
from payments.models import OwedReminder
from payments.refunds.owed import SURPLUS, Owed, Scope, owed_rows
from payments.refunds.owed_mails import send_called_off_mail, send_owed_mail

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


def remind_once(*, at: datetime) -> None:
    """Enqueue a mail to each person who is to be told now."""
    late = [row for row in owed_rows() if row.since is not None and row.since <= at - FIRST]
    for user_id, rows in senders_of(late).items():
        try:
            _remind(user_id, rows, at)
        except Exception:  # one person must not keep the others from being told
            log.exception("user %s could not be reminded of what is owed", user_id)


@transaction.atomic
def _remind(user_id: int, rows: Iterable[Owed], at: datetime) -> None:
    """The row is locked, and written with the job in one transaction: of two workers one tells, and none is lost."""
    OwedReminder.objects.bulk_create([OwedReminder(user_id=user_id)], ignore_conflicts=True)
    reminder = OwedReminder.objects.filter(user=user_id).locked().get()
    if reminder.told_at is not None and not _is_due(reminder.told_at, rows, at):
        return
    OwedReminder.objects.filter(pk=reminder.pk).update(told_at=at)
    tell_owed.defer(user_id=user_id, number=int(at.timestamp()))


def _is_due(told_at: datetime, rows: Iterable[Owed], at: datetime) -> bool:
    if told_at <= at - AGAIN:
        return True
    is_new = any(row.since is not None and row.since + FIRST > told_at for row in rows)
    return is_new and told_at <= at - FIRST


def senders_of(rows: Iterable[Owed]) -> dict[int, list[Owed]]:
    """By user who may send them: what a page sold its owners and finance; a payment beyond an order finance of one of

    its pages, or an owner of all of them. Where there is nobody it is the superusers.
    """
    rows = list(rows)
    pages = _pages_of(row.order for row in rows if row.kind == SURPLUS)
    members = _members()
    above = list(User.objects.filter(is_superuser=True, is_active=True).order_by("pk").values_list("pk", flat=True))
    found: dict[int, list[Owed]] = {}
    for row in rows:
        theirs = {row.page} if row.page is not None else pages.get(row.order, set())
        for user in _who(theirs, members) or above:
            found.setdefault(user, []).append(row)
    return found


def _who(pages: set[int], members: Mapping[int, set[tuple[int, str]]]) -> list[int]:
    return [
        user
        for user, roles in members.items()
        if any((page, Role.FINANCE) in roles for page in pages) or pages <= {page for page, _role in roles}
    ]


def _members() -> dict[int, set[tuple[int, str]]]:
    """By user who can sign in to the admin: on which pages they may send money, and as what."""
    found: dict[int, set[tuple[int, str]]] = {}
    rows = PageMember.objects.filter(role__in=SENDERS, user__is_active=True, user__is_staff=True)
    for user, page, role in rows.order_by("user").values_list("user", "page", "role"):
        found.setdefault(user, set()).add((page, role))
    return found


def _pages_of(orders: Iterable[int]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for order, page in OrderLine.objects.filter(order__in=set(orders)).values_list("order", "page"):
        found.setdefault(order, set()).add(page)
    return found
