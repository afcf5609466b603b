"""Merchants and the way to ask SumUp in their name."""

from dataclasses import dataclass
from typing import ClassVar

from django.conf import settings
from django.utils.translation import gettext as _

from events.models import Merchant
from events.payees import site_merchant
from payments.sumup import Client, KeyRefused, MerchantAnswer, NoAnswer, SumUpProblem

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
        return site_merchant()
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


@dataclass(frozen=True)
class Check:
    """What SumUp said of an account: its `answer`, and in `words` what is wrong; `field` is the form's to mend."""

    answer: MerchantAnswer | None = None
    words: str = ""
    field: str = ""
    is_no_answer: bool = False

    #: For a form that nobody asked about: it is not saved.
    NOT_ASKED: ClassVar["Check"]

    @property
    def is_good(self) -> bool:
        return self.answer is not None and not self.words


Check.NOT_ASKED = Check(is_no_answer=True)


def check_account(merchant: Merchant) -> Check:
    """Ask SumUp whether the key of `merchant` is good, and for this account, currency and kind of money.

    No row is read or written; not to be called in a transaction.
    """
    if merchant.has_lost_key:
        words = _("The stored key cannot be read, so nobody can pay to this account. Enter the key again.")
        return Check(words=words, field="new_api_key")
    if not merchant.secret():
        return Check(words=_("Without a key nobody can pay to this account."), field="new_api_key")
    try:
        answer = client_for(merchant, deadline=PATIENT).read_merchant()
    except NoAnswer:
        return Check(is_no_answer=True)
    except KeyRefused:
        return Check(words=_("SumUp does not know this key: is it a secret one, and still valid?"), field="new_api_key")
    except SumUpProblem as problem:
        words = _("SumUp refuses the question, does this key belong to %(code)s? It says: %(words)s")
        return Check(words=words % {"code": merchant.code, "words": problem.words}, field="new_api_key")
    words, field = _what_differs(merchant, answer)
    return Check(answer=answer, words=words, field=field)


def _what_differs(merchant: Merchant, answer: MerchantAnswer) -> tuple[str, str]:
    """What is wrong with the account that SumUp told of, and the field to mend; empty when nothing is."""
    if answer.merchant_code != merchant.code:
        words = _("This key belongs to %(theirs)s, not to %(ours)s.")
        return words % {"theirs": answer.merchant_code, "ours": merchant.code}, "code"
    if answer.currency != merchant.currency:
        words = _("SumUp says that this account takes %(theirs)s, not %(ours)s.")
        return words % {"theirs": answer.currency, "ours": merchant.currency}, "currency"
    if answer.sandbox and not settings.DEBUG:
        return _("This is a sandbox account: nobody would pay real money. Use the key of the live one."), "new_api_key"
    return "", ""
