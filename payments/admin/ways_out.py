"""Where the page of a case leads: to paying back, to saying what a refund was for, to the refunds themselves."""

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from payments.balance import unexplained
from payments.models import Case
from payments.states import CaseKind

PAY_BACK = frozenset({CaseKind.SURPLUS, CaseKind.MISMATCH, CaseKind.GOODS})


def ways_out(case: Case) -> list[tuple[str, str | Promise]]:
    """(address, label) of each page on which what `case` is about can be ended; none of one that is decided."""
    if case.closed_at is not None or case.checkout is None:
        return []
    ways: list[tuple[str, str | Promise]] = []
    if case.kind in PAY_BACK and case.checkout.captured is not None:
        ways.append((reverse("admin:payments_refund_of", args=[case.checkout.pk]), _("Pay back")))
    if case.kind == CaseKind.OUTSIDE:
        ways += [
            (reverse("admin:payments_refund_explain", args=[report.pk]), _("Say what it was for"))
            for report in unexplained(case.checkout)
        ]
    if case.kind == CaseKind.REFUND:
        ways += [
            (reverse("admin:payments_refund_change", args=[pk]), _("The refund"))
            for pk in case.checkout.refunds.order_by("-pk").values_list("pk", flat=True)[:3]
        ]
    return ways
