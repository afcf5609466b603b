"""At the counter: a voucher's code is read, and one look tells whether its piece is handed out for it."""

from datetime import datetime

from django.db import transaction
from django.db.models import Count, Q
from django.utils.translation import gettext as _

from events.door.reading import Answer, Light, meant, read_codes
from events.local_times import told
from events.models import Page
from events.states import TicketState
from events.transitions import mark_back_out, mark_checked_in
from ledger.arrows import IllegalTransition
from ledger.signing import sign
from market.models import Product, ProductItem


def hand_out(page: Page, typed: str, *, who: str, at: datetime) -> Answer:
    """Give the bearer of a code what it stands for, once: green. Handed out already is amber; all else red, with why.

    Two counters at the same moment: one sees green, the other amber.
    """
    items = ProductItem.objects.with_page().exclude(state=TicketState.PENDING).filter(code__in=read_codes(typed))
    item = meant(items, typed, lambda row: row.product.page_id == page.pk)
    if item is None:
        return Answer(Light.RED, _("Not a voucher"), _("No voucher has this code. Is it a ticket, or typed wrong?"))
    if item.product.page_id != page.pk:
        # Another page's voucher is nobody's business here, not even what it stands for.
        return Answer(Light.RED, _("Another house"), _("This voucher is not for anything sold here."))
    if item.state == TicketState.CONFIRMED and _handed_out(item, who=who, at=at):
        return Answer(Light.GREEN, _("Hand it out"), "", item.pk, item.product.name)
    item.refresh_from_db(fields=["state", "checked_in_at"])
    return _refused(item)


def _refused(item: ProductItem) -> Answer:
    if item.state == TicketState.CHECKED_IN:
        when = told(item.checked_in_at, item.product.page.time_zone)
        words = _("At %(when)s.") % {"when": when}
        return Answer(Light.AMBER, _("Already handed out"), words, item.pk, item.product.name)
    reasons = {
        TicketState.RESERVED: (_("Not paid"), _("This voucher is ordered and not paid yet.")),
        TicketState.CANCELLED: (_("Cancelled"), _("This voucher was cancelled.")),
        TicketState.REFUND_DUE: (_("Not valid"), _("The money for this voucher is owed to its buyer.")),
        TicketState.REFUNDED: (_("Refunded"), _("The money for this voucher went back to its buyer.")),
    }
    headline, reason = reasons.get(TicketState(item.state), (_("Not valid"), ""))
    return Answer(Light.RED, headline, reason, item.pk, item.product.name)


def _handed_out(item: ProductItem, *, who: str, at: datetime) -> bool:
    """True for the one who hands it out; a rival who was quicker has left nothing to move."""
    try:
        with transaction.atomic():
            sign(who=who, why="at the counter")
            _lock(item)
            return bool(mark_checked_in([item.pk], at=at, of=ProductItem))
    except IllegalTransition:
        return False


def undo(page: Page, pk: int, *, who: str) -> bool:
    """Take back that a piece of `page` was handed out; False when it is not (any more)."""
    item = ProductItem.objects.of_pages([page]).filter(pk=pk).first()
    if item is None:
        return False
    try:
        with transaction.atomic():
            sign(who=who, why="undone at the counter")
            _lock(item)
            return bool(mark_back_out([item.pk], of=ProductItem))
    except IllegalTransition:
        return False


def _lock(item: ProductItem) -> None:
    list(Product.objects.filter(pk=item.product_id).locked().values_list("pk"))
    list(ProductItem.objects.filter(pk=item.pk).locked().values_list("pk"))


def counts(page: Page) -> tuple[int, int]:
    """How many pieces of `page` are handed out, and how many valid vouchers there are."""
    found = ProductItem.objects.of_pages([page]).aggregate(
        out=Count("pk", filter=Q(state=TicketState.CHECKED_IN)),
        valid=Count("pk", filter=Q(state__in=[TicketState.CONFIRMED, TicketState.CHECKED_IN])),
    )
    return int(found["out"]), int(found["valid"])
