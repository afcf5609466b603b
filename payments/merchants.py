"""Merchants and the way to ask SumUp in their name."""

from django.conf import settings

from events.models import Merchant
from payments.sumup import Client

#: Seconds that one question may take: in the webhook and in a buyer's page, and elsewhere.
QUICK, PATIENT = 3.0, 10.0


class WrongAccount(Exception):
    """SumUp's account behind the configured key is not one that can take the site's payments."""


def client_for(merchant: Merchant, *, deadline: float) -> Client:
    return Client(merchant.secret(), merchant.code, settings.SUMUP_API_URL, deadline)


def ensure_site_merchant() -> Merchant | None:
    """The site's merchant; made from the environment's code and key on first need, its currency asked of SumUp.

    None when the environment names none and none is marked. Raises SumUpProblem, or WrongAccount for another
    merchant's key or, outside DEBUG, a sandbox account.
    """
    code = settings.SUMUP_MERCHANT_CODE
    if not code:
        return Merchant.objects.filter(is_site=True).first()
    known = Merchant.objects.filter(code=code, is_site=True).first()
    if known is not None:
        return known
    answer = Client(settings.SUMUP_API_KEY, code, settings.SUMUP_API_URL, PATIENT).read_merchant()
    if answer.merchant_code != code:
        raise WrongAccount(f"The key belongs to {answer.merchant_code}, not to {code}.")
    if answer.sandbox and not settings.DEBUG:
        raise WrongAccount(f"{code} is a sandbox merchant: nobody would pay real money.")
    Merchant.objects.filter(is_site=True).update(is_site=False)
    merchant, _ = Merchant.objects.update_or_create(
        code=code,
        defaults={
            "name": answer.name or code,
            "currency": answer.currency,
            "is_site": True,
            "is_sandbox": bool(answer.sandbox),
        },
    )
    return merchant
