"""The counter of a page's shop: a voucher's piece is handed out, once."""

from django.db.models import Q
from django.utils.translation import gettext as _

from events.door.desk import Answer, Desk, Light
from events.models import Page
from events.states import TicketState
from market.models import Product, ProductItem


def counter_of(page: Page) -> Desk[ProductItem]:
    # Another page's voucher is nobody's business here, not even what it stands for.
    elsewhere = Answer(Light.RED, _("Another house"), _("This voucher is not for anything sold here."))
    title = _("Counter: %(name)s") % {"name": page.name}
    return Desk(
        page=page,
        place="at the counter",
        rows=ProductItem.objects.with_page(),
        own=Q(product__page=page),
        page_of=lambda item: item.product.page,
        parent=lambda item: Product.objects.filter(pk=item.product_id),
        refusal=lambda item, _at: None if item.product.page_id == page.pk else elsewhere,
        who=lambda item: str(item.user),
        kind=lambda item: item.what,
        what=lambda item: item.what,
        named=lambda term: Q(user__email__icontains=term),
        title=title,
        heading=title,
        ready=_("Scan a voucher, or type its code."),
        count=_("%(done)s of %(valid)s are handed out"),
        do=_("Hand out"),
        question=_("Somebody without the voucher?"),
        label=_("E-mail address or order code"),
        nobody=_("Nobody found among the valid vouchers of this page."),
        welcome=_("Hand it out"),
        done=_("Already handed out"),
        since=_("At %(when)s."),
        unknown=(_("Not a voucher"), _("No voucher has this code. Is it a ticket, or typed wrong?")),
        taken_back=_("That voucher is valid again and can be handed out once more."),
        not_done=_("That voucher is not handed out."),
        reasons={
            TicketState.RESERVED: _("This voucher is ordered and not paid yet."),
            TicketState.CANCELLED: _("This voucher was cancelled."),
            TicketState.REFUND_DUE: _("The money for this voucher is owed to its buyer."),
            TicketState.REFUNDED: _("The money for this voucher went back to its buyer."),
        },
    )
