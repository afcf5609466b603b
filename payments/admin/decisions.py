"""Money to decide in the admin: what a person can do about a case, each with a page that asks for the reason first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from events.admin.reasons import ReasonForm
from payments.balance import is_whole, unexplained
from payments.cases import close_case
from payments.checkouts.accepting import accept_mismatch, can_accept, give_again
from payments.checkouts.ending import free_anyway
from payments.models import Case, Checkout
from payments.reconcile.strays import link
from payments.refunds.losses import beyond_price, take_loss
from payments.states import CaseKind, CheckoutState


@dataclass(frozen=True)
class Decision:
    """Something to do about cases of one kind: its name in addresses, its words, when it is offered, and what it does.

    `act` answers whether it was done; False: somebody was quicker, or SumUp has answered meanwhile. One whose `form`
    asks for more than the reason has `act_on`, which gets all of it; it may raise LinkRefusal.
    """

    name: str
    kind: str
    label: str | Promise
    question: str | Promise
    done: str | Promise
    act: Callable[[Case, str, str, datetime], bool] = lambda case, who, reason, at: close_case(
        case, who=who, reason=reason, at=at
    )
    offered: Callable[[Checkout | None], bool] = lambda _checkout: True
    form: type[ReasonForm] = ReasonForm
    act_on: Callable[[Case, str, Mapping[str, str], datetime], bool] | None = None

    def do(self, case: Case, *, who: str, data: Mapping[str, str], at: datetime) -> bool:
        """Do it, with what its form gave."""
        if self.act_on is not None:
            return self.act_on(case, who, data, at)
        return self.act(case, who, data["reason"], at)


class LinkForm(ReasonForm):
    code = forms.CharField(
        label=_("The order's code"),
        min_length=26,
        max_length=40,
        help_text=_("All 26 letters and digits, as in the address of the order's page."),
    )
    field_order = ("code", "reason")


DECISIONS = {
    decision.name: decision
    for decision in (
        Decision(
            "free-seats",
            CaseKind.HELD,
            _("Free the seats anyway"),
            _(
                "The order ends as not paid and its seats are for sale again. If a payment turns up all the same, the"
                " seats are given if they are still there; if not, the money is owed to the buyer."
            ),
            _("The seats are free."),
            lambda case, who, reason, at: free_anyway(case, who=who, reason=reason, at=at),
        ),
        Decision(
            "accept",
            CaseKind.MISMATCH,
            _("Take it for the payment"),
            _("The payment counts as the order's and its goods are given. Its amount is the order's very amount."),
            _("The payment is accepted."),
            lambda case, who, reason, at: accept_mismatch(case, who=who, reason=reason, at=at),
            lambda checkout: checkout is not None and can_accept(checkout),
        ),
        Decision(
            "mismatch-settled",
            CaseKind.MISMATCH,
            _("It is settled elsewhere"),
            _(
                "Nobody can say how much this payment brought, so nothing can be paid back from here. Say what SumUp or"
                " the bank shows, and how the money went back, if any came. If the order's time is over, its seats are"
                " free then."
            ),
            _("The case is closed."),
            offered=lambda checkout: (
                checkout is not None and checkout.state == CheckoutState.MISMATCH and checkout.captured is None
            ),
        ),
        Decision(
            "contradiction-seen",
            CaseKind.CONTRADICTION,
            _("I know what is right"),
            _(
                "Say which of the two is right, and how you know. The same contradiction is not asked about again; the"
                " books stay as they are."
            ),
            _("The case is closed."),
        ),
        Decision(
            "give-again",
            CaseKind.GOODS,
            _("Try once more to give the goods"),
            _("What stood in the way may be gone. If it works, the buyer gets the tickets and a mail."),
            _("The goods are given."),
            lambda case, who, reason, at: give_again(case, who=who, reason=reason, at=at),
            lambda checkout: checkout is not None and is_whole(checkout),
        ),
        Decision(
            "seen",
            CaseKind.OUTSIDE,
            _("I have seen it"),
            _("The books have it: nothing more is to be done here."),
            _("The case is closed."),
            lambda case, who, reason, at: close_case(case, who=who, reason=reason, at=at),
            lambda checkout: checkout is not None and not unexplained(checkout).exists(),
        ),
        Decision(
            "done",
            CaseKind.REFUND,
            _("It is settled"),
            _("What is still owed stays owed; the case about this refund is closed."),
            _("The case is closed."),
            lambda case, who, reason, at: close_case(case, who=who, reason=reason, at=at),
            lambda checkout: (
                checkout is not None and not checkout.refunds.unfinished().exists() and not beyond_price(checkout)
            ),
        ),
        Decision(
            "loss",
            CaseKind.REFUND,
            _("Take it as a loss"),
            _(
                "More went back for something than its price. Nothing brings it back from here; if the buyer returns"
                " it, say so in the reason. The books count it as a loss."
            ),
            _("It is in the books as a loss."),
            lambda case, who, reason, at: take_loss(case, who=who, reason=reason, at=at),
            lambda checkout: checkout is not None and bool(beyond_price(checkout)),
        ),
        Decision(
            "settled",
            CaseKind.REFUSED,
            _("It is mended"),
            _("SumUp accepts this merchant's payments again. If not, the next refusal opens a new case."),
            _("The case is closed."),
            lambda case, who, reason, at: close_case(case, who=who, reason=reason, at=at),
        ),
        Decision(
            "link",
            CaseKind.STRAY,
            _("It is the payment of an order"),
            _(
                "The payment is recorded for that order. If it is the order's very amount, the order gets its goods; if"
                " the order is paid already, all of it is owed back; another amount is for you to decide next."
            ),
            _("The payment is recorded for the order."),
            form=LinkForm,
            act_on=lambda case, who, data, at: link(case, data["code"], who=who, reason=data["reason"], at=at),
        ),
        Decision(
            "stray-paid-back",
            CaseKind.STRAY,
            _("It was paid back elsewhere"),
            _("Say when and how the money went back. Nothing is sent from here."),
            _("The case is closed."),
        ),
        Decision(
            "stray-not-ours",
            CaseKind.STRAY,
            _("It is not ours"),
            _("Say whose it is. It will not be asked about again."),
            _("The case is closed."),
        ),
        Decision(
            "missing-seen",
            CaseKind.MISSING,
            _("It is settled with SumUp"),
            _("Say what SumUp's support or the bank statement shows. The tickets stay valid."),
            _("The case is closed."),
        ),
    )
}


def offered(case: Case) -> list[Decision]:
    """What can be done about `case` now; nothing about one that is decided."""
    if case.closed_at is not None:
        return []
    return [row for row in DECISIONS.values() if row.kind == case.kind and row.offered(case.checkout)]
