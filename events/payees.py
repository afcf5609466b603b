"""Who takes a page's money, and if nobody can, why: the one rule for page, shelf, cart, admin and reports."""

import enum
from collections.abc import Iterable

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from events.models import Merchant, Page
from ledger.money import Money


class Unpayable(enum.Enum):
    """Why nobody can take money for a page; the value is the sentence for its organiser."""

    NOBODY = _("There is no merchant for this page, and none of the site's.")
    NO_KEY = _("The merchant has no key.")
    LOST_KEY = _("The merchant's stored key cannot be read: it must be entered again.")
    SANDBOX = _("The merchant is a sandbox account: nobody would pay real money.")
    CURRENCY = _("The merchant does not take this currency.")


def site_merchant() -> Merchant | None:
    return Merchant.objects.filter(is_site=True).first()


def payees_of(pages: Iterable[Page]) -> dict[int, Merchant | None]:
    """Of each page by its pk its own merchant, else the site's; at most one query where the pages' own are at hand."""
    rows = list(pages)
    site = None if all(page.merchant_id for page in rows) else site_merchant()
    return {page.pk: page.merchant or site for page in rows}


def payee_of(page: Page) -> Merchant | None:
    """The page's own merchant, else the site's; one query at most."""
    return payees_of([page])[page.pk]


def unpayable(merchant: Merchant | None, currency: str) -> Unpayable | None:
    """Why `merchant` cannot take a price in `currency`, which is the price's own, never its page's; None: it can."""
    if merchant is None:
        return Unpayable.NOBODY
    if merchant.currency != currency:
        return Unpayable.CURRENCY
    if not merchant.secret():
        return Unpayable.LOST_KEY if merchant.has_lost_key else Unpayable.NO_KEY
    if merchant.is_sandbox and not settings.DEBUG:
        return Unpayable.SANDBOX
    return None


def is_payable(price: Money, merchant: Merchant | None) -> bool:
    """`merchant` can take `price`; what is free needs nobody."""
    return not price.amount or unpayable(merchant, price.currency) is None


def takes_payments(page: Page, currency: str) -> bool:
    """Somebody can take a price in `currency` for `page`; one query at most."""
    return unpayable(payee_of(page), currency) is None
