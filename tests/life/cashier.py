"""What happens to money: SumUp's word about payments, refunds sent by us, and what is taken back at SumUp itself."""

import contextlib
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import rule

from orders.models import Order
from payments.balance import left_of
from payments.checkouts.accepting import accept_mismatch, can_accept
from payments.models import Case, Checkout, Refund, SumUpReport
from payments.reconcile.pace import Pace
from payments.reconcile.round import Round
from payments.reconcile.running import reconcile
from payments.refunds.asking import RefundRefused, Wish, again, request_refund, withdraw
from payments.refunds.explaining import explain
from payments.refunds.remedies import give_after_all, keep
from payments.refunds.rows import SoldRow, rows_of
from payments.refunds.sending import Sent, follow, send
from payments.states import RefundKind
from tests.ledger.psql import rows as stored
from tests.life.buyers import Buyers
from tests.life.world import CAPTURES, CHECKOUTS, EVENTS, MISMATCHES, OWED, REQUESTED, SENT, picked, there_is, which
from tests.steps import all_states_of

refund_faults = st.sampled_from(
    ["ok", "ok", "ok", "lost_answer", "500_after", "500", "429", "not_enough_balance", "204"]
)
WHO, WHY = "user:0", "Agreed."
#: What a dry run leaves as it is.
OF_MONEY = ["orders_order", "payments_checkout", "payments_refund", "payments_case", "events_ticket", "ledger_history"]


class Cashier(Buyers):
    # SumUp's word

    @there_is(CHECKOUTS)
    @rule(number=which, times=st.integers(1, 2))
    def is_settled(self, number: int, times: int) -> None:
        checkout = self.one(Checkout.objects.all(), number)
        if checkout is not None and (checkout.sumup_id or self.status_at_sumup(checkout)):
            for _time in range(times):
                self.ask(checkout)

    @rule(user=which, entry=which, hour=st.integers(9, 15), what=st.integers(1, 7), amount=st.booleans())
    def pays_something_else(self, user: int, entry: int, hour: int, what: int, amount: bool) -> None:
        """SumUp says PAID and names another sum, or another reference: nothing is given until a person decides."""
        checkout = self.chooses(user, entry, hour, what)
        if checkout is None or checkout.state != "open":
            return
        with contextlib.suppress(ValueError):  # SumUp's clock is ahead of ours: the page has ended
            self.sumup.pay(str(checkout.sumup_id))
        if self.status_at_sumup(checkout) != "PAID":
            return
        before = all_states_of(checkout.order)
        self.sumup.faults(tamper={"amount": 1} if amount else {"checkout_reference": "another"})
        for _time in range(2):
            self.ask(checkout)
        self.sumup.faults(tamper={})
        checkout.refresh_from_db()
        assert checkout.state == "mismatch"  # until SumUp is asked once more and says all of it
        assert all_states_of(checkout.order) == before
        assert checkout.order.is_undecided
        assert not checkout.order.can_still_pay(timezone.now())

    @rule(user=which, entry=which, hour=st.integers(9, 15), what=st.integers(1, 7))
    def is_charged_twice_on_one_page(self, user: int, entry: int, hour: int, what: int) -> None:
        """Two successes of one checkout: one gives the goods, the other is surplus by its own transaction."""
        checkout = self.chooses(user, entry, hour, what)
        if checkout is None or checkout.state != "open":
            return
        with contextlib.suppress(ValueError):  # SumUp's clock is ahead of ours: the page has ended
            self.sumup.pay(str(checkout.sumup_id))
        if self.status_at_sumup(checkout) != "PAID":
            return
        self.sumup.control(f"pay_again/{checkout.sumup_id}")
        self.ask(checkout)
        rows = Checkout.objects.filter(order=checkout.order_id, state="paid").order_by("pk")
        assert [row.is_applied for row in rows] == [True, False]
        assert len({row.transaction_id for row in rows}) == 2

    @there_is(MISMATCHES)
    @rule(number=which)
    def takes_a_mismatch(self, number: int) -> None:
        case = self.one(Case.objects.open().filter(kind="mismatch").select_related("checkout"), number)
        if case is not None and case.checkout is not None and can_accept(case.checkout):
            assert accept_mismatch(case, who=WHO, reason=WHY, at=timezone.now())
            case.checkout.refresh_from_db()
            assert case.checkout.state == "paid"

    # Refunds that we send

    @there_is(CAPTURES)
    @rule(
        number=which,
        chosen=st.integers(1, 15),
        part=st.sampled_from([None, None, "0.50", "5", "12"]),
        cash=st.booleans(),
    )
    def asks_for_a_refund(self, number: int, chosen: int, part: str | None, cash: bool) -> None:
        """Rows whole, or a part of each out of goodwill, or of a surplus; refused, nothing has changed."""
        checkout = self.a_capture(number)
        if checkout is None:
            return
        rows = [row for place, row in enumerate(self.rows_of(checkout)) if chosen & 1 << place % 4]
        amount = None if part is None else Decimal(part)
        wishes = [Wish(RefundKind.ROW if amount is None else RefundKind.GOODWILL, row.key, amount) for row in rows]
        if not checkout.is_applied:
            wishes = [Wish(RefundKind.SURPLUS, amount=amount)]
        before, left = all_states_of(checkout.order), left_of(checkout)
        try:
            refund = request_refund(
                checkout.pk, wishes, reason=WHY, who=WHO, at=timezone.now(), elsewhere=cash and number % 3 == 0
            )
        except RefundRefused:
            assert all_states_of(checkout.order) == before
            assert left_of(checkout) == left
            return
        assert left_of(checkout) == left - (refund.amount if refund else 0)
        if amount is None and checkout.is_applied:
            keys = {row.key for row in rows}
            assert not [row for row in self.rows_of(checkout) if row.key in keys and row.is_valid]

    def rows_of(self, checkout: Checkout) -> list[SoldRow]:
        return rows_of(checkout.order) if checkout.is_applied else []

    @there_is(REQUESTED)
    @rule(number=which, fault=refund_faults)
    def is_sent(self, number: int, fault: str) -> None:
        refund = self.one(Refund.objects.filter(origin="ours", state="requested").select_related("checkout"), number)
        if refund is not None:
            self.goes_out(refund, fault)

    def goes_out(self, refund: Refund, fault: str) -> None:
        """Once, or not at all; the state says which, as far as SumUp has told."""
        calls = self.sumup.calls("refund")
        Refund.objects.filter(pk=refund.pk).update(not_before=None)  # the pause that SumUp asked for is over
        with self.stumbling(refund=fault):
            outcome = send(refund.pk, who="refund", at=timezone.now())
        refund.refresh_from_db()
        ended = {Sent.SUCCEEDED: "succeeded", Sent.FAILED: "failed", Sent.UNKNOWN: "unknown", Sent.WAITING: "requested"}
        if outcome in ended:
            assert refund.state == ended[outcome]
            assert self.sumup.calls("refund") == calls + 1
            assert (outcome is Sent.WAITING) <= (fault == "429")
        else:
            assert outcome is Sent.NOT_DUE
            assert refund.state == "withdrawn"  # the same went back in SumUp's dashboard meanwhile
            assert self.sumup.calls("refund") == calls
        self.has_its_rows(refund)

    def has_its_rows(self, refund: Refund) -> None:
        """What is paid back whole is valid no more; what is to be, or failed to be, is owed."""
        keys = {f"{kind}:{pk}" for kind, pk in self.keys_of(refund)}
        states = {row.state for row in rows_of(refund.checkout.order) if row.key in keys}
        if refund.state == "succeeded":
            assert not states & {"confirmed", "checked_in", "refund_due"}
        if refund.state == "failed":
            assert "refunded" not in states or self.sent_otherwise(refund)

    def keys_of(self, refund: Refund) -> list[tuple[str, int]]:
        lines = refund.lines.filter(kind=RefundKind.ROW)
        names = (("ticket", "ticket_id"), ("booking", "booking_id"), ("item", "item_id"))
        return [(kind, pk) for line in lines for kind, name in names if (pk := getattr(line, name)) is not None]

    def sent_otherwise(self, refund: Refund) -> bool:
        return Refund.objects.filter(checkout=refund.checkout, state="succeeded").exclude(pk=refund.pk).exists()

    @there_is(CAPTURES)
    @rule(number=which, chosen=st.integers(1, 15), fault=refund_faults)
    def pays_back(self, number: int, chosen: int, fault: str) -> None:
        """Asked for and sent at once."""
        self.asks_for_a_refund(number, chosen, None, cash=False)
        self.is_sent(0, fault)

    @there_is(SENT)
    @rule(number=which)
    def is_followed(self, number: int) -> None:
        refund = self.one(Refund.objects.filter(origin="ours", state__in=["unknown", "succeeded"]), number)
        if refund is not None:
            assert follow(refund.pk, who="sweep", at=timezone.now() + timedelta(minutes=3))

    @there_is(SENT)
    @rule(number=which, fault=refund_faults)
    def is_sent_again(self, number: int, fault: str) -> None:
        refund = self.one(Refund.objects.filter(origin="ours", state__in=["unknown", "failed"]), number)
        if refund is None:
            return
        try:
            fresh = again(refund.pk, reason=WHY, who=WHO, at=timezone.now())
        except RefundRefused:
            return
        refund.refresh_from_db()
        assert refund.state == "failed"
        if fresh is not None:
            self.goes_out(fresh, fault)

    @there_is(REQUESTED)
    @rule(number=which)
    def is_withdrawn(self, number: int) -> None:
        refund = self.one(Refund.objects.filter(origin="ours", state="requested"), number)
        if refund is not None:
            assert withdraw(refund.pk, reason=WHY, who=WHO, at=timezone.now())
            refund.refresh_from_db()
            assert refund.state == "withdrawn"

    @there_is(CAPTURES)
    @rule(number=which, chosen=st.integers(1, 15))
    def is_thought_better_of(self, number: int, chosen: int) -> None:
        """Asked for, and withdrawn before it was sent."""
        self.asks_for_a_refund(number, chosen, None, cash=False)
        self.is_withdrawn(number)

    @there_is(OWED)
    @rule(number=which, given=st.booleans())
    def is_kept_or_given(self, number: int, given: bool) -> None:
        """What is owed is kept with a reason, or given after all where there is room."""
        owed = [(order, row) for order in Order.objects.order_by("pk") for row in rows_of(order) if row.is_owed]
        found = picked(owed, number)
        if found is None:
            return
        order, row = found
        try:
            if given:
                give_after_all(order.pk, [row.key], reason=WHY, who=WHO, at=timezone.now())
            else:
                keep(order.pk, [row.key], reason=WHY, who=WHO)
        except RefundRefused:
            expected = "refund_due"
            assert given or row.pending
        else:
            expected = "confirmed" if given else "cancelled"
        assert {each.key: each.state for each in rows_of(order)}[row.key] == expected

    @there_is(CAPTURES)
    @rule(number=which, chosen=st.integers(1, 15), given=st.booleans())
    def is_owed_and_decided(self, number: int, chosen: int, given: bool) -> None:
        """SumUp refuses a refund: what it was for is owed, until it is kept, or given after all."""
        self.asks_for_a_refund(number, chosen, None, cash=False)
        self.is_sent(0, "not_enough_balance")
        self.is_kept_or_given(number, given)

    # What is done at SumUp itself

    @there_is(CAPTURES)
    @rule(
        number=which,
        amount=st.sampled_from([None, "2", "5", "12", "24"]),
        charged_back=st.booleans(),
        seen=st.booleans(),
    )
    def goes_back_at_sumup(self, number: int, amount: str | None, charged_back: bool, seen: bool) -> None:
        """In SumUp's dashboard, or by the buyer's bank; we read of it at once, or later."""
        checkout = self.a_capture(number)
        if checkout is None or not checkout.transaction_id:
            return
        act = "chargeback" if charged_back else "refund"
        try:
            self.sumup.control(f"{act}/{checkout.transaction_id}", {} if amount is None else {"amount": amount})
        except ValueError:
            return  # so much is not left
        if seen:
            self.read_back(checkout)

    @there_is(CAPTURES)
    @rule(number=which)
    def is_read_back(self, number: int) -> None:
        checkout = self.a_capture(number)
        if checkout is not None and checkout.transaction_id:
            self.read_back(checkout)

    @there_is(SENT)
    @rule(number=which)
    def fails_after_all(self, number: int) -> None:
        """SumUp takes a refund back that it had made."""
        refund = picked([row for row in self.sumup.ledger()["refunds"] if row["status"] != "FAILED"], number)
        if refund is not None:
            self.sumup.control(f"fail_refund/{refund['id']}")

    @there_is(CAPTURES)
    @rule(late=st.booleans())
    def shows_refunds_later(self, late: bool) -> None:
        self.sumup.faults(refund_event_delay=600 if late else 0)

    @there_is(CHECKOUTS)
    @rule(minutes=st.sampled_from([1, 11, 40]))
    def time_passes_at_sumup(self, minutes: int) -> None:
        """Its clock runs ahead of ours, so that checkouts end and events show; or it is right again."""
        ahead = -self.ahead if self.ahead else 60 * minutes
        self.sumup.shift_clock(ahead)
        self.ahead += ahead

    @there_is(CAPTURES)
    @rule(dry=st.booleans())
    def is_reconciled(self, dry: bool) -> None:
        """A dry run may come at any time too, and changes nothing."""
        before = [stored(f"SELECT * FROM {table} ORDER BY id") for table in OF_MONEY] if dry else []
        run = Round(pace=Pace(10_000), is_dry=dry)
        reconcile(run)
        assert not dry or before == [stored(f"SELECT * FROM {table} ORDER BY id") for table in OF_MONEY]
        assert run.unanswered == []
        assert run.counts["went wrong"] == 0

    @there_is(EVENTS)
    @rule(number=which, chosen=st.integers(0, 15))
    def is_explained(self, number: int, chosen: int) -> None:
        """A person says what went back at SumUp: rows whole, and the rest is a loss."""
        event = self.one(SumUpReport.objects.counted().filter(refund=None, amount__gt=0).exclude(checkout=None), number)
        if event is None or event.checkout is None or event.amount is None:
            return
        rows = [row for place, row in enumerate(self.rows_of(event.checkout)) if chosen & 1 << place % 4]
        loss = event.amount - sum((row.rest for row in rows), Decimal(0))
        wishes = [Wish(RefundKind.ROW, row.key) for row in rows]
        if loss > 0:
            wishes.append(Wish(RefundKind.SURPLUS, amount=loss))
        before = all_states_of(event.checkout.order)
        try:
            refund = explain(event.pk, wishes, reason=WHY, who=WHO, at=timezone.now())
        except RefundRefused:
            assert all_states_of(event.checkout.order) == before
        else:
            assert refund.state == "succeeded"
            self.has_its_rows(refund)
