"""Who takes a page's money, and if nobody can, why."""

import enum

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from events.models import Merchant, Page


class Unpayable(enum.Enum):
    """Why nobody can take money for a page; the value is the sentence for its organiser."""

    NOBODY = _("There is no merchant for this page, and none of the site's.")
    NO_KEY = _("The merchant has no key.")
    LOST_KEY = _("The merchant's stored key cannot be read: it must be entered again.")
    SANDBOX = _("The merchant is a sandbox account: nobody would pay real money.")
    CURRENCY = _("The merchant does not take the page's currency.")


def payee_of(page: Page) -> Merchant | None:
    """The page's own merchant, else the site's; one query."""
    own = Merchant.objects.filter(pk=page.merchant_id) if page.merchant_id else Merchant.objects.filter(is_site=True)
    return own.first()


def unpayable(page: Page, merchant: Merchant | None) -> Unpayable | None:
    """Why `merchant` cannot take money for `page`; None: it can."""
    if merchant is None:
        return Unpayable.NOBODY
    if merchant.currency != page.currency:
        return Unpayable.CURRENCY
    if not merchant.secret():
        return Unpayable.LOST_KEY if merchant.has_lost_key else Unpayable.NO_KEY
    if merchant.is_sandbox and not settings.DEBUG:
        return Unpayable.SANDBOX
    return None


def takes_payments(page: Page) -> bool:
    """Somebody can take money for `page`; one query."""
    return unpayable(page, payee_of(page)) is None
