"""Putting tickets in the cart: pending rows that hold nothing; availability is not asked."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from accounts.visitors import Visitor, counts_in_cart, rows_in_cart
from events.models import CalendarEntry, Ticket
from events.selling import Offer, offers_of

#: Rows that one cart may hold.
CART_ROWS = 100


counts_in_cart(Ticket, signed_out=False)


class PurchaseRefusal(Exception):
    """Nothing was put in the cart; the text tells the buyer why."""


def put_in_cart(user: User, entry: CalendarEntry, wanted: Mapping[int, int], *, at: datetime) -> int:
    """Make pending tickets of `entry` for `user`: `wanted` maps an offer's key to a number; answers how many.

    All or nothing. Raises PurchaseRefusal for what is not on sale, is no offer of this entry, or goes beyond a limit.
    """
    wanted = {key: number for key, number in wanted.items() if number}
    if not wanted:
        raise PurchaseRefusal(_("Choose at least one ticket."))
    offers = {offer.key: offer for offer in offers_of(entry, at=at)}
    with transaction.atomic():
        # The buyer's own row: two clicks at once must not pass the limits together.
        user.lock()
        in_cart = _pending_per_offer(user)
        for key, number in wanted.items():
            if key not in offers:
                raise PurchaseRefusal(_("This event does not sell that ticket."))
            _check(offers[key], number, in_cart.get((entry.pk, key), 0))
        if rows_in_cart(Visitor(user=user)) + sum(wanted.values()) > CART_ROWS:
            raise PurchaseRefusal(_("A cart holds at most %(count)s things.") % {"count": CART_ROWS})
        tickets = [
            Ticket(
                entry=entry,
                ticket_type_id=key or None,
                user=user,
                price=offers[key].price.amount,
                currency=offers[key].price.currency,
            )
            for key, number in wanted.items()
            for _each in range(number)
        ]
        return len(Ticket.objects.bulk_create(tickets))


def remove_from_cart(user: User, entry: CalendarEntry, key: int, number: int | None) -> int:
    """Delete `number` (None: all) of `user`'s pending tickets of one offer, newest first; answers how many."""
    rows = Ticket.objects.pending_for(user).filter(entry=entry, ticket_type=key or None)
    with transaction.atomic():
        pks = list(rows.locked().values_list("pk", flat=True))
        gone = pks if number is None else pks[len(pks) - min(number, len(pks)) :]
        if gone:
            Ticket.objects.pending_for(user).filter(pk__in=gone).delete()
        return len(gone)


def _pending_per_offer(user: User) -> dict[tuple[int, int], int]:
    counts: dict[tuple[int, int], int] = {}
    for entry_id, type_id in Ticket.objects.pending_for(user).values_list("entry_id", "ticket_type_id"):
        key = (entry_id, type_id or 0)
        counts[key] = counts.get(key, 0) + 1
    return counts


def _check(offer: Offer, number: int, in_cart: int) -> None:
    if offer.obstacle is not None:
        raise PurchaseRefusal(str(offer.obstacle.value))
    if number + in_cart > offer.maximum:
        raise PurchaseRefusal(
            _("%(name)s: at most %(maximum)s an order; your cart has %(count)s already.")
            % {"name": offer.name, "maximum": offer.maximum, "count": in_cart}
            if in_cart
            else _("%(name)s: at most %(maximum)s an order.") % {"name": offer.name, "maximum": offer.maximum}
        )
    if number + in_cart < offer.minimum:
        raise PurchaseRefusal(
            ngettext("%(name)s: at least %(minimum)s ticket.", "%(name)s: at least %(minimum)s tickets.", offer.minimum)
            % {"name": offer.name, "minimum": offer.minimum}
        )
