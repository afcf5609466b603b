"""What SumUp reports from outside: refunds made in its dashboard and chargebacks, booked once or left to a person."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.models import CalendarEntry, Ticket
from ledger.models import History
from payments.balance import left_of
from payments.models import Case, Checkout, Refund, RefundLine, SumUpReport
from payments.refunds import reports_of_sumup
from payments.refunds.asking import RefundRefused, Wish
from payments.refunds.explaining import explain
from payments.refunds.jobs import refunds_once
from payments.refunds.reports_of_sumup import Adopted, adopt_reports
from payments.refunds.sending import Sent
from payments.states import CaseKind, RefundKind
from payments.sumup import EventAnswer
from tests.jobs import run_jobs
from tests.ledger.lives import a_refund, a_ticket, an_order
from tests.payments import captures
from tests.payments.lived_in import paid_again
from tests.payments.money import goodwill, ledgers_agree, refunded, requested, sent, sold, whole
from tests.races.threads import at_once
from tests.simulator import SimulatorProcess
from tests.steps import held, states_of

pytestmark = pytest.mark.django_db(transaction=True)


def dashboard(sumup: SimulatorProcess, checkout: Checkout, amount: float | None = None, act: str = "refund") -> str:
    """Somebody acts in SumUp's dashboard (or a bank charges back); the id of what came of it."""
    body = {} if amount is None else {"amount": amount}
    return str(sumup.control(f"{act}/{checkout.transaction_id}", body)["id"])


def adopt(sumup: SimulatorProcess, checkout: Checkout) -> Adopted:
    answer = sumup.client().read_transaction(checkout.transaction_id)
    return adopt_reports(checkout, answer, at=timezone.now(), who="reconcile")


def open_cases(checkout: Checkout) -> list[str]:
    return list(Case.objects.open().filter(checkout=checkout).order_by("pk").values_list("kind", flat=True))


@pytest.mark.promise("refund-chargeback-made")
def test_dashboard_refund_of_all_is_booked_and_the_tickets_are_no_longer_valid(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order, checkout = sold(sumup, entry, 2)
    run_jobs()
    mail.outbox.clear()
    dashboard(sumup, checkout)

    assert adopt(sumup, checkout) == Adopted(stored=1, booked=1)
    assert adopt(sumup, checkout) == Adopted()
    run_jobs()

    refund = Refund.objects.get()
    assert (refund.origin, refund.state, refund.amount) == ("dashboard", "succeeded", Decimal(24))
    assert (states_of(order), held(entry), open_cases(checkout)) == (["refunded"] * 2, 0, [])
    assert [message.to for message in mail.outbox] == [[order.user.email]]
    assert ledgers_agree(sumup)


def test_dashboard_refund_of_all_that_is_left_is_booked(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 2)
    refunded(sumup, checkout, [goodwill(order.tickets.all()[0], "2"), *whole(order)[1:]])
    dashboard(sumup, checkout)

    adopt(sumup, checkout)

    assert states_of(order) == ["refunded"] * 2
    assert left_of(checkout) == 0
    assert ledgers_agree(sumup)


def test_dashboard_refund_of_the_one_owed_row_is_booked(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    """SumUp had said no: the organiser did it in the dashboard instead."""
    order, checkout = sold(sumup, entry, 2)
    sumup.faults(refund="not_enough_balance", times=1)
    refund = requested(checkout, whole(order, 1))
    assert sent(refund) is Sent.FAILED
    Refund.objects.filter(pk=refund.pk).update(sent_at=timezone.now() + timedelta(hours=1))  # it was not this one
    dashboard(sumup, checkout, 12)

    adopt(sumup, checkout)

    assert (states_of(order), open_cases(checkout)) == (["refunded", "confirmed"], [])
    assert Refund.objects.filter(origin="dashboard", state="succeeded").count() == 1
    assert ledgers_agree(sumup)


@pytest.mark.parametrize("amount", [3, 12])
@pytest.mark.promise("refund-chargeback-made")
def test_dashboard_refund_of_a_part_waits_for_a_person(
    sumup: SimulatorProcess, entry: CalendarEntry, amount: int
) -> None:
    order, checkout = sold(sumup, entry, 2)
    dashboard(sumup, checkout, amount)

    assert adopt(sumup, checkout) == Adopted(stored=1, undecided=1)
    assert adopt(sumup, checkout).undecided == 1

    assert (states_of(order), open_cases(checkout)) == (["confirmed"] * 2, ["outside"])
    assert Case.objects.get().amount == amount
    assert left_of(checkout) == 24 - amount
    with pytest.raises(RefundRefused, match=f"Only € {24 - amount}"):
        requested(checkout, whole(order))


def test_person_says_what_it_was_for_once(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 2)
    dashboard(sumup, checkout, 15)
    adopt(sumup, checkout)
    event, tickets = SumUpReport.objects.get(), list(order.tickets.order_by("pk"))

    def say(*wishes: Wish) -> Refund:
        return explain(event.pk, wishes, reason="Agreed by phone", who="user:1", at=timezone.now())

    with pytest.raises(RefundRefused, match=r"comes to € 12\.00, but SumUp paid back € 15\.00"):
        say(*whole(order, 1))
    refund = say(*whole(order, 1), goodwill(tickets[1], "3"))
    with pytest.raises(RefundRefused, match="meanwhile"):
        say(*whole(order, 1), goodwill(tickets[1], "3"))

    assert (refund.origin, refund.amount, states_of(order)) == ("dashboard", Decimal(15), ["refunded", "confirmed"])
    assert (open_cases(checkout), Case.objects.get().decision) == ([], "Agreed by phone")
    assert adopt(sumup, checkout) == Adopted()
    assert ledgers_agree(sumup)


@pytest.mark.promise("refund-chargeback-made")
def test_chargeback_is_always_told_and_the_tickets_are_no_longer_valid(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order, checkout = sold(sumup, entry, 2)
    run_jobs()
    mail.outbox.clear()
    dashboard(sumup, checkout, act="chargeback")

    assert adopt(sumup, checkout) == Adopted(stored=1, booked=1, undecided=1)
    assert adopt(sumup, checkout) == Adopted()
    run_jobs()

    assert (states_of(order), open_cases(checkout)) == (["refunded"] * 2, ["outside"])
    assert Refund.objects.get().origin == "chargeback"
    assert "bank" in Case.objects.get().words
    assert mail.outbox == []
    assert ledgers_agree(sumup)


def test_chargeback_after_a_refund_is_a_loss_that_a_person_takes(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    refunded(sumup, checkout, [goodwill(order.tickets.get(), "5")])
    dashboard(sumup, checkout, 3, act="chargeback")
    adopt(sumup, checkout)
    assert open_cases(checkout) == ["outside"]

    event = SumUpReport.objects.get(kind="CHARGE_BACK")
    explain(event.pk, [Wish(RefundKind.SURPLUS)], reason="A loss", who="user:1", at=timezone.now())

    assert (states_of(order), open_cases(checkout), left_of(checkout)) == (["confirmed"], [], Decimal(4))


@pytest.mark.parametrize("amount", [None, 5])
def test_second_payment_paid_back_in_the_dashboard_is_booked(
    sumup: SimulatorProcess, entry: CalendarEntry, amount: float | None
) -> None:
    """Fault 27: the order stays paid, its tickets valid."""
    order, _first = sold(sumup, entry, 1)
    paid_again(sumup, order)
    second = Checkout.objects.get(order=order, is_applied=False)
    dashboard(sumup, second, amount)

    adopt(sumup, second)

    assert states_of(order) == ["confirmed"]
    assert open_cases(second) == ([] if amount is None else ["surplus"])
    assert left_of(second) == (0 if amount is None else 7)
    assert ledgers_agree(sumup)


@pytest.mark.promise("refunding-second-payment")
def test_second_payment_goes_back_whole_and_the_order_stays_paid(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    """Fault 27."""
    order, first = sold(sumup, entry, 1)
    paid_again(sumup, order)
    second = Checkout.objects.get(order=order, is_applied=False)
    assert open_cases(second) == ["surplus"]

    refund = refunded(sumup, second, [Wish(RefundKind.SURPLUS)])

    order.refresh_from_db()
    assert (refund.is_rest, refund.amount) == (True, Decimal(12))
    assert (order.state, states_of(order), open_cases(second)) == ("paid", ["confirmed"], [])
    assert left_of(first) == 12
    with pytest.raises(RefundRefused, match="Nothing"):
        requested(second, [Wish(RefundKind.SURPLUS)])
    assert ledgers_agree(sumup)


def test_refund_that_waits_while_somebody_pays_it_back_in_the_dashboard_is_not_sent(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order, checkout = sold(sumup, entry, 2)
    refund = requested(checkout, whole(order, 1))
    dashboard(sumup, checkout, 12)

    assert sent(refund) is Sent.NOT_DUE

    assert (refund.state, states_of(order)) == ("withdrawn", ["refunded", "confirmed"])
    assert sumup.calls("refund") == 0
    assert ledgers_agree(sumup)


def test_dashboard_refund_that_failed_is_owed_again(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    made = dashboard(sumup, checkout)
    adopt(sumup, checkout)
    sumup.control(f"fail_refund/{made}")

    assert adopt(sumup, checkout) == Adopted(taken_back=1)
    assert adopt(sumup, checkout) == Adopted()

    assert (states_of(order), open_cases(checkout)) == (["refund_due"], ["refund"])
    assert SumUpReport.objects.get().status == "FAILED"
    assert ledgers_agree(sumup)


def test_failed_event_that_nobody_knows_is_nothing(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.control(f"fail_refund/{dashboard(sumup, checkout)}")
    assert adopt(sumup, checkout) == Adopted(stored=1)
    assert (states_of(order), Refund.objects.count(), open_cases(checkout)) == (["confirmed"], 0, [])


def test_our_own_events_explain_our_own_refunds(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 3)
    tickets = list(order.tickets.order_by("pk"))
    for amount in ("2", "2", "3"):
        refunded(sumup, checkout, [goodwill(tickets[0], amount)])

    assert adopt(sumup, checkout).explained >= 1
    assert adopt(sumup, checkout) == Adopted()
    assert SumUpReport.objects.filter(refund=None).count() == 0
    assert {row.amount == row.refund.amount for row in SumUpReport.objects.all() if row.refund} == {True}
    assert Refund.objects.filter(origin="dashboard").count() == 0


def test_answer_without_events_changes_nothing(
    sumup: SimulatorProcess, entry: CalendarEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    _order, checkout = sold(sumup, entry, 1)
    dashboard(sumup, checkout)
    answer = sumup.client().read_transaction(checkout.transaction_id)
    silent = type(answer)(
        id=answer.id,
        code=answer.code,
        status=answer.status,
        amount=answer.amount,
        currency=answer.currency,
        timestamp=answer.timestamp,
        summary=answer.summary,
        events=None,
        raw={},
    )
    assert adopt_reports(checkout, silent, at=timezone.now(), who="reconcile") == Adopted()
    assert SumUpReport.objects.count() == 0


@pytest.mark.parametrize("act", ["refund", "chargeback"])
@pytest.mark.promise("six-read-one")
def test_adopted_by_many_at_once_it_is_booked_once(sumup: SimulatorProcess, entry: CalendarEntry, act: str) -> None:
    order, checkout = sold(sumup, entry, 2)
    dashboard(sumup, checkout, act=act)
    answer = sumup.client().read_transaction(checkout.transaction_id)

    works: list[Callable[[], Adopted]] = [
        lambda: adopt_reports(checkout, answer, at=timezone.now(), who="reconcile")
    ] * 6
    found = [done for done in at_once(works) if isinstance(done, Adopted)]

    assert len(found) == 6
    assert sum(done.booked for done in found) == 1
    assert (Refund.objects.count(), SumUpReport.objects.count(), states_of(order)) == (1, 1, ["refunded"] * 2)


def test_sweep_takes_the_events_of_our_successes_in(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    refund = refunded(sumup, checkout, whole(order))
    refunds_once(at=timezone.now() + timedelta(hours=2))
    assert refund.sumup_reports.count() == 1


# --- Each step alone, on rows and events made by hand


def applied(total: int, *states: str, name: str = "1") -> tuple[Checkout, list[Ticket]]:
    """The payment t1 (C1) of so much that gave tickets of 12.00, which are in these states by now."""
    order = an_order("paid", total=Decimal(total))
    tickets = [a_ticket(state, order=order) for state in states]
    return captures.a_capture(
        order=order, is_applied=True, transaction_id=f"t{name}", transaction_code=f"C{name}"
    ), tickets


def a_sent(state: str, checkout: Checkout, amount: str, ticket: Ticket | None = None, kind: str = "row") -> Refund:
    """A refund of ours with one line."""
    refund = a_refund(state, checkout=checkout, amount=Decimal(amount))
    captures.a_line(refund, ticket, amount, kind)
    return again(refund)


def again(refund: Refund) -> Refund:
    return Refund.objects.select_related("checkout").get(pk=refund.pk)


def state_of(*refunds: Refund) -> list[str]:
    return [again(refund).state for refund in refunds]


def explained(*events: SumUpReport) -> list[int | None]:
    return [SumUpReport.objects.get(pk=event.pk).refund_id for event in events]


def done() -> Adopted:
    """So much was done before."""
    return Adopted(3, 3, 3, 3, 3)


def lines_of(rows: Iterable[RefundLine]) -> list[tuple[str, int | None, Decimal, str]]:
    return [(row.kind, row.ticket_id, row.amount, row.currency) for row in rows]


def adopted(checkout: Checkout, *events: EventAnswer, **facts: object) -> Adopted:
    return adopt_reports(checkout, captures.answer(*events, **facts), at=timezone.now(), who="reconcile")


@pytest.mark.django_db
def test_adopting_takes_each_step_for_this_payment_alone() -> None:
    checkout, (ticket,) = applied(24, "confirmed")
    other, _tickets = applied(24, name="9")
    back, lost = (a_sent("succeeded", checkout, "3.00", ticket, "goodwill") for _each in range(2))
    captures.an_event(checkout, "1", "3.00", refund=back)
    sending = a_sent("sending", checkout, "4.00", ticket, "goodwill")

    events = [
        captures.told("1", "3.00", status="FAILED"), captures.told("2", "3.00", status="FAILED"),
        captures.told("3", "4.00"),
    ]  # fmt: skip
    assert adopted(checkout, *events, amount=Decimal(24)) == Adopted(stored=2, explained=1, taken_back=2)

    assert state_of(back, lost, sending) == ["failed", "failed", "succeeded"]
    assert set(History.objects.filter(subject="refund", actor="reconcile").values_list("subject_id", "new")) == {
        (back.pk, "failed"), (lost.pk, "failed"), (sending.pk, "succeeded"),
    }  # fmt: skip
    assert History.objects.filter(subject="refund", new="failed").latest("pk").reason == "SumUp reports it"
    assert open_cases(other) == []
    assert adopted(checkout, *events, amount=Decimal(24)) == Adopted()


@pytest.mark.django_db
def test_adopting_makes_way_books_and_opens_contradictions() -> None:
    checkout, tickets = applied(36, "refund_due", "confirmed", "confirmed")
    waiting = a_sent("requested", checkout, "12.00", tickets[0])
    found = adopted(checkout, captures.told("1"), captures.told("2", "5.00"), amount=Decimal(37))
    assert found == Adopted(stored=2, booked=1, undecided=1)
    assert (state_of(waiting), open_cases(checkout)) == (["withdrawn"], ["contradiction", "outside"])
    assert adopted(checkout, events=None, amount=Decimal(36)) == Adopted()
    assert open_cases(checkout) == ["outside"]


@pytest.mark.django_db
def test_events_of_what_brought_nothing_are_written_down_alone() -> None:
    checkout = captures.a_capture("expired", transaction_id="t1")
    assert adopted(checkout, captures.told("1"), amount=Decimal(99)) == Adopted(stored=1)
    assert (Refund.objects.count(), Case.objects.count(), SumUpReport.objects.count()) == (0, 0, 1)


def stored(checkout: Checkout, *events: EventAnswer, **facts: object) -> int:
    answer = captures.answer(*events, **facts)
    return reports_of_sumup._store(checkout.merchant, checkout, answer, events, timezone.now())


@pytest.mark.django_db
def test_an_event_is_written_down_once_and_its_status_kept_up_to_date() -> None:
    checkout = captures.a_capture()
    at = timezone.now()
    kept = captures.an_event(checkout, "1", transaction_id="t1")
    changed = captures.an_event(checkout, "2", transaction_id="t1")
    elsewhere = captures.an_event(checkout, "3", transaction_id="t2")

    news = captures.told("3", "5", kind="CHARGE_BACK", status="PAID", happened_at=at)
    assert stored(checkout, captures.told("1"), captures.told("2", status="FAILED"), news, news) == 1

    for event, status in ((kept, "REFUNDED"), (changed, "FAILED"), (elsewhere, "REFUNDED")):
        event.refresh_from_db()
        assert event.status == status
    new = SumUpReport.objects.get(transaction_id="t1", event_id="3")
    assert (new.kind, new.status, new.amount, new.currency) == ("CHARGE_BACK", "PAID", Decimal("5.00"), "EUR")
    assert (new.merchant, new.checkout, new.refund, new.happened_at) == (checkout.merchant, checkout, None, at)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("told", "captured", "currency"),
    [("GBP", "CHF", "GBP"), ("XXX", "CHF", "CHF"), ("", "CHF", "CHF"), ("XXX", "", "EUR")],
)
def test_an_event_is_in_the_currency_that_sumup_tells_else_in_that_of_the_payment(
    told: str, captured: str, currency: str
) -> None:
    checkout = captures.a_capture(captured_currency=captured) if captured else captures.a_capture("expired")
    assert stored(checkout, captures.told("1", "1.005"), currency=told) == 1
    event = SumUpReport.objects.get()
    assert (event.currency, event.amount) == (currency, Decimal("1.01"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("amount", "kept"),
    [("99999999.99", "99999999.99"), ("100000000.00", None), ("-99999999.99", "-99999999.99"), (None, None)],
)
def test_an_amount_that_no_payment_can_have_is_not_written_down(amount: str | None, kept: str | None) -> None:
    assert stored(captures.a_capture(), captures.told("1", amount)) == 1
    assert SumUpReport.objects.get().amount == (None if kept is None else Decimal(kept))


@pytest.mark.django_db
def test_an_event_that_a_rival_writes_down_at_this_moment_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = captures.a_capture()

    def rival(amount: Decimal, _currency: str) -> Decimal:
        captures.an_event(checkout, "1", transaction_id="t1", status="RIVAL")
        return amount

    monkeypatch.setattr(reports_of_sumup, "rounded", rival)
    stored(checkout, captures.told("1"))
    assert SumUpReport.objects.get().status == "RIVAL"


@pytest.mark.django_db
def test_what_succeeded_and_whose_every_event_failed_is_taken_back() -> None:
    checkout, (ticket,) = applied(100, "confirmed")

    def refund(state: str, *statuses: str) -> Refund:
        made = a_sent(state, checkout, "1.00", ticket, "goodwill")
        for number, status in enumerate(statuses):
            captures.an_event(checkout, f"{made.pk}-{number}", "1.00", refund=made, status=status)
        return made

    gone = [refund("succeeded", "FAILED"), refund("succeeded", "FAILED", "FAILED")]
    kept = [
        refund("succeeded"), refund("succeeded", "FAILED", "REFUNDED"), refund("succeeded", "REFUNDED"),
        refund("failed", "FAILED"), refund("unknown", "FAILED"),
    ]  # fmt: skip
    before, found = state_of(*kept), done()

    reports_of_sumup._take_back(checkout, [*gone, *kept], found, timezone.now())

    assert (state_of(*gone), state_of(*kept)) == (["failed"] * 2, before)
    assert {again(refund).words for refund in gone} == {"SumUp reports that it failed."}
    assert found == Adopted(3, 3, 3, 5, 3)


def near(refund: Refund, **before: float) -> datetime:
    """So long before SumUp's clock can have told of what was sent then."""
    assert refund.sent_at is not None
    return refund.sent_at - timedelta(minutes=10) - timedelta(**before)


@pytest.mark.django_db
def test_what_sumup_took_back_before_it_was_read_is_taken_back() -> None:
    checkout, (ticket,) = applied(100, "confirmed")
    other, _tickets = applied(24, name="9")
    first = a_sent("succeeded", checkout, "1.00", ticket, "goodwill")
    known = a_sent("succeeded", checkout, "1.00", ticket, "goodwill")
    failed = a_sent("failed", checkout, "1.00", ticket, "goodwill")
    second = a_sent("succeeded", checkout, "2.00", ticket, "goodwill")
    numbers = iter("abcdefghijkl")

    def event(amount: str, of: Checkout = checkout, **facts: object) -> SumUpReport:
        return captures.an_event(of, next(numbers), amount, **({"status": "FAILED"} | facts))

    others = [
        event("1.00", happened_at=near(first, microseconds=1)), event("1.00", kind="CHARGE_BACK"),
        event("1.00", other, transaction_id="t9"), event("1.00", refund=known), event("1.00", status="REFUNDED"),
        event("1.01"),
    ]  # fmt: skip
    before, found = explained(*others), done()
    work: Callable[[], None] = lambda: reports_of_sumup._take_back_unseen(  # noqa: E731
        checkout, [first, known, failed, second], found, timezone.now()
    )

    work()
    assert state_of(first, known, failed, second) == ["succeeded", "succeeded", "failed", "succeeded"]
    mine = [event("1.00", happened_at=near(first)), event("2.00", happened_at=None)]
    work()

    assert state_of(first, known, failed, second) == ["failed", "succeeded", "failed", "failed"]
    assert (explained(*mine), explained(*others)) == ([first.pk, second.pk], before)
    assert again(first).words == "SumUp reports that it failed."
    assert found == Adopted(3, 3, 3, 5, 3)


def explain_all(checkout: Checkout) -> Adopted:
    found = done()
    reports_of_sumup._explain(checkout, list(checkout.refunds.all()), found, "reconcile", timezone.now())
    return found


@pytest.mark.django_db
def test_events_explain_what_was_sent_by_amount_and_time() -> None:
    checkout, (ticket,) = applied(100, "confirmed")
    known, unmatched, first, parts = (
        a_sent("succeeded", checkout, amount, ticket, "goodwill") for amount in ("5.00", "50.00", "5.00", "9.00")
    )
    a_sent("withdrawn", checkout, "7.00", ticket, "goodwill")
    sending = a_sent("sending", checkout, "4.00", ticket, "goodwill")
    told = captures.an_event(checkout, "0", "5.00", refund=known)
    others = [
        captures.an_event(checkout, "1", "5.00", happened_at=near(first, microseconds=1)),
        captures.an_event(checkout, "2", "4.00", kind="CHARGE_BACK"),
        captures.an_event(checkout, "3", "7.00", status="FAILED"),
    ]  # fmt: skip
    assert explain_all(checkout) == done()

    mine = [captures.an_event(checkout, "4", "5.00", happened_at=near(first)), captures.an_event(checkout, "5", "4.00")]
    assert explain_all(checkout) == Adopted(3, 5, 3, 3, 3)
    assert (explained(told, *mine), explained(*others)) == ([known.pk, first.pk, sending.pk], [None] * 3)
    assert state_of(known, unmatched, first, parts, sending) == ["succeeded"] * 5

    several = [captures.an_event(checkout, "6", "6.00"), captures.an_event(checkout, "7", "3.00")]
    assert explain_all(checkout) == Adopted(3, 4, 3, 3, 3)
    assert (explained(*several), explained(*others)) == ([parts.pk] * 2, [None] * 3)


@pytest.mark.django_db
def test_events_explain_what_failed_where_nothing_was_sent_in_its_place() -> None:
    checkout, (ticket,) = applied(12, "confirmed")
    replaced, fitting = (a_sent("failed", checkout, amount, ticket, "goodwill") for amount in ("10.00", "2.00"))
    captures.an_event(checkout, "0", "5.00", refund=a_sent("succeeded", checkout, "5.00", ticket, "goodwill"))
    events = [captures.an_event(checkout, "1", "10.00"), captures.an_event(checkout, "2", "2.00")]

    assert explain_all(checkout) == Adopted(3, 4, 3, 3, 3)

    assert (explained(*events), state_of(replaced, fitting)) == ([None, fitting.pk], ["failed", "succeeded"])


@pytest.mark.django_db
def test_an_event_is_likelier_to_be_of_what_succeeded_and_least_of_what_failed() -> None:
    states = ["succeeded", "sending", "unknown", "failed", "requested", "withdrawn"]
    refunds = [a_sent(state, applied(24, name=state)[0], "5.00") for state in states]
    found = [reports_of_sumup._likelihood(refund) for refund in refunds]
    assert found == [(place, refund.pk) for place, refund in zip((0, 1, 2, 3, 4, 4), refunds, strict=True)]


@pytest.mark.django_db
def test_a_refund_fits_within_the_capture_beside_those_of_our_own() -> None:
    checkout, (ticket,) = applied(12, "confirmed")
    exact, beyond = (a_sent("failed", checkout, amount, ticket, "goodwill") for amount in ("7.00", "7.01"))
    a_sent("succeeded", checkout, "5.00", ticket, "goodwill")
    a_refund("succeeded", checkout=checkout, amount=Decimal(4), origin="dashboard")
    assert [reports_of_sumup._fits(refund, checkout) for refund in (exact, beyond)] == [True, False]
    mine = a_sent("sending", checkout, "7.00", ticket, "goodwill")
    assert reports_of_sumup._fits(mine, checkout)
    small = a_sent("failed", applied(12, name="9")[0], "1.00")
    assert not reports_of_sumup._fits(small, Checkout(pk=small.checkout_id, captured=None))


@pytest.mark.django_db
def test_what_waits_to_be_sent_makes_way_for_the_same_made_at_sumup() -> None:
    checkout, tickets = applied(100, "refund_due", "refund_due")
    captures.an_event(checkout, "0", refund=a_sent("succeeded", checkout, "12.00", tickets[0]))
    a_refund(checkout=checkout, amount=Decimal(7), origin="dashboard")
    waiting, found = a_sent("requested", checkout, "12.00", tickets[1]), done()
    limit = waiting.requested_at - timedelta(minutes=10)
    others = [
        captures.an_event(checkout, "1", happened_at=limit - timedelta(microseconds=1)),
        captures.an_event(checkout, "2", kind="CHARGE_BACK"), captures.an_event(checkout, "3", "11.99"),
        captures.an_event(checkout, "4", "7.00"),
    ]  # fmt: skip

    reports_of_sumup._make_way(checkout, found, "reconcile", timezone.now())
    assert (state_of(waiting), found) == (["requested"], done())
    mine = captures.an_event(checkout, "5", happened_at=limit)
    reports_of_sumup._make_way(checkout, found, "reconcile", timezone.now())

    made = Refund.objects.latest("pk")
    assert (state_of(waiting, made), found) == (["withdrawn", "succeeded"], Adopted(3, 3, 4, 3, 3))
    assert (made.origin, made.amount, made.reason, made.requested_by) == ("dashboard", Decimal(12), "Ill", "reconcile")
    assert lines_of(made.lines.all()) == [("row", tickets[1].pk, Decimal("12.00"), "EUR")]
    assert (explained(mine), explained(*others)) == ([made.pk], [None] * 4)
    assert states_of(checkout.order) == ["refund_due", "refunded"]
    reports_of_sumup._make_way(checkout, found, "reconcile", timezone.now())
    assert found == Adopted(3, 3, 4, 3, 3)


@pytest.mark.django_db
def test_what_was_made_outside_is_booked_where_it_is_plain_and_else_asked() -> None:
    checkout, tickets = applied(100, "refund_due", "refund_due")
    captures.an_event(checkout, "0", "5.00", refund=a_sent("succeeded", checkout, "5.00", tickets[0], "goodwill"))
    events = [captures.an_event(checkout, "1", "7.00"), captures.an_event(checkout, "2", "12.00", kind="CHARGE_BACK")]
    found = done()

    reports_of_sumup._book(checkout, found, "reconcile", timezone.now())

    booked = Refund.objects.exclude(origin="ours").order_by("pk")
    assert [(row.origin, row.amount, row.state, row.reason) for row in booked] == [
        ("dashboard", Decimal(7), "succeeded", "Made at SumUp."),
        ("chargeback", Decimal(12), "succeeded", "Made at SumUp."),
    ]  # fmt: skip
    assert (explained(*events), states_of(checkout.order)) == ([row.pk for row in booked], ["refunded"] * 2)
    assert (found, open_cases(checkout)) == (Adopted(3, 3, 5, 3, 4), ["outside"])
    words = "The buyer's bank took € 12.00 back. All that was left of the order is no longer valid."
    assert Case.objects.open().get().words == words


@pytest.mark.django_db
def test_what_is_not_plain_is_asked_and_what_may_be_sent_at_this_moment_waits() -> None:
    checkout, (ticket,) = applied(100, "confirmed")
    sending = a_sent("sending", checkout, "3.00", ticket, "goodwill")
    event, found = captures.an_event(checkout, "1", "4.00"), done()
    reports_of_sumup._book(checkout, found, "reconcile", timezone.now())
    assert (found, open_cases(checkout)) == (done(), [])

    Refund.objects.filter(pk=sending.pk).update(state="failed", finished_at=timezone.now())
    reports_of_sumup._book(checkout, found, "reconcile", timezone.now())
    assert (found, open_cases(checkout), explained(event)) == (Adopted(3, 3, 3, 3, 4), ["outside"], [None])
    assert Refund.objects.count() == 1


def plain(checkout: Checkout, amount: str, **facts: object) -> list[tuple[str, int | None, Decimal, str]]:
    """What a refund of so much paid back; the event does not stay."""
    event = captures.an_event(checkout, "plain", amount, **facts)
    found = lines_of(reports_of_sumup._plain_lines(checkout, event))
    event.delete()
    return found


@pytest.mark.django_db
def test_what_beyond_the_order_went_back_is_surplus() -> None:
    checkout = captures.a_capture(order=an_order(total=Decimal(24)))
    for amount in ("5.00", "24.00"):
        assert plain(checkout, amount) == [("surplus", None, Decimal(amount), "EUR")]
    assert plain(checkout, "24.01") == []
    assert plain(checkout, "5.00", currency="CHF") == []


@pytest.mark.django_db
def test_all_that_is_left_is_plain() -> None:
    checkout, (given, owed, cent, gone, kept) = applied(
        60, "confirmed", "refund_due", "checked_in", "confirmed", "cancelled"
    )
    a_sent("succeeded", checkout, "11.00", cent, "goodwill")
    a_sent("succeeded", checkout, "12.00", gone, "goodwill")
    a_sent("succeeded", checkout, "12.00", kept, "goodwill")
    whole = [("row", row.pk, Decimal(amount), "EUR") for row, amount in ((given, 12), (owed, 12), (cent, 1))]
    assert plain(checkout, "25.00") == whole
    assert plain(checkout, "13.00") == []
    assert plain(checkout, "12.00") == [whole[1]]


@pytest.mark.django_db
def test_what_is_valid_is_not_taken_for_what_went_back_while_more_is_left() -> None:
    checkout, _tickets = applied(24, "confirmed", "cancelled")
    assert plain(checkout, "12.00") == []


@pytest.mark.django_db
def test_what_is_owed_is_plain_as_a_whole_or_where_one_alone_is_of_that_amount() -> None:
    checkout, (first, second, third, _given) = applied(100, "refund_due", "refund_due", "refund_due", "confirmed")
    a_sent("succeeded", checkout, "5.00", third, "goodwill")
    lines = [("row", row.pk, Decimal(amount), "EUR") for row, amount in ((first, 12), (second, 12), (third, 7))]
    assert plain(checkout, "31.00") == lines
    assert plain(checkout, "7.00") == lines[2:]
    for amount in ("12.00", "24.00", "10.00", "30.99", "31.01"):
        assert plain(checkout, amount) == []


@pytest.mark.django_db
def test_what_is_on_its_way_back_is_not_plain() -> None:
    checkout, (first, _second) = applied(24, "refund_due", "refund_due")
    a_sent("unknown", checkout, "12.00", first)
    assert plain(checkout, "12.00") == [("row", _second.pk, Decimal(12), "EUR")]


@pytest.mark.django_db
def test_what_is_booked_is_locked_before() -> None:
    checkout, _tickets = applied(12, "confirmed")
    event = captures.an_event(checkout, "1")
    with CaptureQueriesContext(connection) as queries:
        reports_of_sumup._plain_lines(checkout, event)
    locks = [query["sql"] for query in queries if " FOR NO KEY UPDATE" in query["sql"]]
    assert ["events_ticket" in sql for sql in locks].count(True) >= 1


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "origin"), [("REFUND", "dashboard"), ("CHARGE_BACK", "chargeback")])
def test_a_refund_made_outside_is_written_down_with_its_event_and_lines(kind: str, origin: str) -> None:
    checkout, (ticket,) = applied(24, "refund_due")
    at = timezone.now()
    event = captures.an_event(checkout, "1", kind=kind, happened_at=at - timedelta(days=1))
    other = captures.an_event(checkout, "2")
    line = RefundLine(kind="row", ticket=ticket, amount=Decimal(12), currency="EUR")

    refund = reports_of_sumup.book(event, checkout, [line], reason="Why", who="user:1", at=at)

    kept = again(refund)
    assert (kept.origin, kept.state, kept.amount, kept.currency) == (origin, "succeeded", Decimal(12), "EUR")
    assert (kept.reason, kept.requested_by, kept.requested_at, kept.sent_at) == ("Why", "user:1", at, event.happened_at)
    assert lines_of(kept.lines.all()) == [("row", ticket.pk, Decimal(12), "EUR")]
    assert (explained(event, other), states_of(checkout.order)) == ([refund.pk, None], ["refunded"])


#: An event (kind, amount, currency), whether it was booked, and the words and the amount of the case about it.
ASKED: list[tuple[str, str | None, str, bool, str, str]] = [
    ("CHARGE_BACK", "5", "EUR", False, "The buyer's bank took € 5.00 back.", "5"),
    (
        "CHARGE_BACK", "5", "CHF", True,
        "The buyer's bank took CHF 5.00 back. All that was left of the order is no longer valid.", "5",
    ),
    (
        "REFUND", "5", "XXX", True,
        "€ 5.00 went back, by a refund that was not made here. Say what it was for.", "5",
    ),
    ("REFUND", None, "EUR", False, "€ 0.00 went back, by a refund that was not made here. Say what it was for.", "0"),
]  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "amount", "currency", "booked", "words", "of"), ASKED)
def test_a_person_is_asked_about_what_was_made_outside(
    kind: str, amount: str | None, currency: str, booked: bool, words: str, of: str
) -> None:
    checkout, _tickets = applied(24)
    event = captures.an_event(checkout, "1", amount, kind=kind, currency=currency)
    at = timezone.now()
    reports_of_sumup._ask_a_person(checkout, event, booked=booked, at=at)
    case = Case.objects.get()
    assert (case.kind, case.checkout, case.words) == ("outside", checkout, words)
    assert (case.amount, case.opened_at) == (Decimal(of), at)


@pytest.mark.django_db
def test_what_is_explained_waits_for_nobody() -> None:
    checkout, _tickets = applied(24)
    case, goods = captures.a_case(CaseKind.OUTSIDE, checkout), captures.a_case(CaseKind.GOODS, checkout)
    event, at = captures.an_event(checkout, "1"), timezone.now()
    reports_of_sumup.close_explained(checkout, who="user:1", at=at, decision="Agreed")
    assert open_cases(checkout) == ["outside", "goods"]
    SumUpReport.objects.filter(pk=event.pk).update(refund=a_sent("succeeded", checkout, "12.00"))
    reports_of_sumup.close_explained(checkout, who="user:1", at=at, decision="Agreed")
    case.refresh_from_db()
    assert (case.closed_at, case.closed_by, case.decision) == (at, "user:1", "Agreed")
    goods.refresh_from_db()
    assert goods.closed_at is None
