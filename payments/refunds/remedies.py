"""What else can become of something owed: its money is kept, with a reason, or its buyer gets it after all."""

from collections.abc import Collection
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from events.models import CalendarEntry, Ticket
from events.states import EntryState, TicketState
from events.transitions import mark_given_after_all, mark_voided
from ledger.locking import retried
from ledger.signing import sign
from orders.models import Order
from payments.refunds.asking import RefundRefused
from payments.refunds.rows import TABLES, SoldRow, rows_of


def keep(order_pk: int, keys: Collection[str], *, reason: str, who: str) -> int:
    """Owed rows are cancelled and their money is kept: donated, exchanged, agreed; raises RefundRefused."""
    return retried(lambda: _keep(order_pk, keys, reason, who))


def _keep(order_pk: int, keys: Collection[str], reason: str, who: str) -> int:
    rows = _owed(order_pk, keys, reason, who)
    return sum(mark_voided([row.thing.pk], source=TicketState.REFUND_DUE, of=TABLES[row.kind]) for row in rows)


def give_after_all(order_pk: int, keys: Collection[str], *, reason: str, who: str, at: datetime) -> int:
    """Owed rows become valid instead, all or none, where there is room for them; raises RefundRefused."""
    return retried(lambda: _give(order_pk, keys, reason, who, at))


def _give(order_pk: int, keys: Collection[str], reason: str, who: str, at: datetime) -> int:
    rows = _owed(order_pk, keys, reason, who)
    for row in rows:
        entry = row.thing.entry if isinstance(row.thing, Ticket) else row.thing
        if not isinstance(entry, CalendarEntry):
            continue
        called_off = isinstance(row.thing, Ticket) and entry.state != EntryState.CONFIRMED
        if called_off or entry.ends_at <= at:
            raise RefundRefused(_("%(name)s is called off or over.") % {"name": row.name})
    try:
        with transaction.atomic():
            return sum(mark_given_after_all([row.thing.pk], of=TABLES[row.kind]) for row in rows)
    except IntegrityError as full:  # the database counts places, stock and rooms
        raise RefundRefused(_("There is no room for it, or none of it is left.")) from full


def _owed(order_pk: int, keys: Collection[str], reason: str, who: str) -> list[SoldRow]:
    """The rows `keys` of the order, locked, all owed and not on their way back."""
    order = Order.objects.filter(pk=order_pk).locked().get()
    sign(who=who, why=reason)
    rows = [row for row in rows_of(order, locked=True) if row.key in set(keys)]
    if not rows or len(rows) != len(set(keys)):
        raise RefundRefused(_("This is not a part of the order."))
    for row in rows:
        if row.pending:
            raise RefundRefused(_("%(name)s is being paid back at this moment.") % {"name": row.name})
        if not row.is_owed:
            raise RefundRefused(_("%(name)s is not owed (any more).") % {"name": row.name})
    return rows
