"""What SumUp reports from outside: refunds made in its dashboard and chargebacks, booked once or left to a person."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core import mail
from django.utils import timezone

from events.models import CalendarEntry
from payments.adopting import Adopted, adopt_events
from payments.explaining import explain
from payments.models import Case, Checkout, Refund, SumUpEvent
from payments.refund_jobs import refunds_once
from payments.refund_sending import Sent
from payments.refunding import RefundRefused, Wish
from payments.rows import left_of
from payments.states import RefundKind
from tests.cart.steps import held, states_of
from tests.factories import EventFactory
from tests.jobs import run_jobs
from tests.payments.lived_in import paid_again
from tests.payments.money import goodwill, ledgers_agree, refunded, requested, sent, sold, whole
from tests.races.threads import at_once
from tests.simulator import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def entry() -> CalendarEntry:
    return EventFactory.create(capacity=10)


def dashboard(sumup: SimulatorProcess, checkout: Checkout, amount: float | None = None, act: str = "refund") -> str:
    """Somebody acts in SumUp's dashboard (or a bank charges back); the id of what came of it."""
    body = {} if amount is None else {"amount": amount}
    return str(sumup.control(f"{act}/{checkout.transaction_id}", body)["id"])


def adopt(sumup: SimulatorProcess, checkout: Checkout) -> Adopted:
    answer = sumup.client().read_transaction(checkout.transaction_id)
    return adopt_events(checkout, answer, at=timezone.now(), who="reconcile")


def open_cases(checkout: Checkout) -> list[str]:
    return list(Case.objects.open().filter(checkout=checkout).order_by("pk").values_list("kind", flat=True))


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
    event, tickets = SumUpEvent.objects.get(), list(order.tickets.order_by("pk"))

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

    event = SumUpEvent.objects.get(kind="CHARGE_BACK")
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
    assert SumUpEvent.objects.get().status == "FAILED"
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
    assert SumUpEvent.objects.filter(refund=None).count() == 0
    assert {row.amount == row.refund.amount for row in SumUpEvent.objects.all() if row.refund} == {True}
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
    assert adopt_events(checkout, silent, at=timezone.now(), who="reconcile") == Adopted()
    assert SumUpEvent.objects.count() == 0


@pytest.mark.parametrize("act", ["refund", "chargeback"])
def test_adopted_by_many_at_once_it_is_booked_once(sumup: SimulatorProcess, entry: CalendarEntry, act: str) -> None:
    order, checkout = sold(sumup, entry, 2)
    dashboard(sumup, checkout, act=act)
    answer = sumup.client().read_transaction(checkout.transaction_id)

    works: list[Callable[[], Adopted]] = [
        lambda: adopt_events(checkout, answer, at=timezone.now(), who="reconcile")
    ] * 6
    found = [done for done in at_once(works) if isinstance(done, Adopted)]

    assert len(found) == 6
    assert sum(done.booked for done in found) == 1
    assert (Refund.objects.count(), SumUpEvent.objects.count(), states_of(order)) == (1, 1, ["refunded"] * 2)


def test_sweep_takes_the_events_of_our_successes_in(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    refund = refunded(sumup, checkout, whole(order))
    refunds_once(at=timezone.now() + timedelta(hours=2))
    assert refund.sumup_events.count() == 1
