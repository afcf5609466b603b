"""PAID without its payment is asked about again; a mismatch heals; what is one payment is never counted as two."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from events.models import CalendarEntry
from ledger.models import History
from orders.models import Order
from payments.books.checking import read_books
from payments.checkouts.ending import LONGEST_DOUBT, Release, free_anyway, release
from payments.checkouts.settling import Verdict, settle
from payments.jobs import sweep_once
from payments.models import Case, Checkout
from payments.reconcile.strays import LinkRefusal, link, open_stray
from payments.refunds.asking import Wish
from payments.states import CaseKind, RefundKind
from tests.factories import EventFactory
from tests.jobs import run_jobs
from tests.ledger.psql import run
from tests.payments.money import ledgers_agree, refunded, requested
from tests.payments.reconcile.test_running import agrees_with, reconciled
from tests.simulator import SimulatorProcess
from tests.steps import HTMX, held, later, mail_jobs, opened, ordered, paid_at_sumup, states_of, sumup_id, tell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def entry() -> CalendarEntry:
    return EventFactory.create(capacity=5)


def ask(checkout: Checkout, *, at: datetime | None = None) -> Verdict:
    """At once, however long ago it was asked last."""
    Checkout.objects.filter(pk=checkout.pk).update(asked_at=None)
    verdict = settle(checkout.pk, who="test", at=at or timezone.now(), deadline=5)
    checkout.refresh_from_db()
    return verdict


def payment(sumup: SimulatorProcess, number: int = 0, **changes: object) -> dict[str, object]:
    """A capture of SumUp's ledger as its checkout shows it."""
    row = sumup.ledger()["captures"][number]
    shown = {"id": row["id"], "transaction_code": row["code"], "status": "SUCCESSFUL", "currency": "EUR"}
    return shown | {"amount": float(row["amount"])} | changes


#: What SumUp may show of the payment of a checkout that it calls PAID, while it is not shown.
UNSHOWN: list[Callable[[SimulatorProcess], dict[str, object]]] = [
    lambda _sumup: {"transactions": []},
    lambda _sumup: {"drop": ["transactions"]},
    lambda _sumup: {"transactions": None},
    lambda sumup: {"transactions": [payment(sumup, status="PENDING")]},
    lambda sumup: {"transactions": [payment(sumup, status="FAILED"), payment(sumup, id="p", status="PENDING")]},
    lambda sumup: {"transactions": [payment(sumup, status="")]},
]
NAMES = ["empty", "missing", "null", "pending", "failed and pending", "no word"]


@pytest.mark.parametrize("unshown", UNSHOWN, ids=NAMES)
@pytest.mark.promise("sumup-says-paid")
def test_paid_without_its_payment_is_asked_again_and_never_a_mismatch(
    sumup: SimulatorProcess, entry: CalendarEntry, client: Client, unshown: Callable[..., dict[str, object]]
) -> None:
    """Fault 37."""
    order = ordered(entry)
    client.force_login(order.user)
    checkout = paid_at_sumup(sumup, order)
    sumup.faults(tamper=unshown(sumup))

    assert {ask(checkout), ask(checkout)} == {Verdict.UNKNOWN}
    assert tell(client, sumup_id(checkout)) == 503  # SumUp's own retry is welcome, and a job asks again
    assert ProcrastinateJob.objects.filter(queueing_lock=f"ask:{checkout.pk}").count() == 1

    order.refresh_from_db()
    assert (checkout.state, checkout.sumup_status, order.state) == ("open", "PAID", "awaiting_payment")
    assert (states_of(order), Case.objects.count(), mail_jobs()) == (["reserved"], 0, 0)
    # Neither the list nor the end of the hold makes anything else of it.
    assert reconciled().counts["paid, not shown yet"] == 1
    assert release(order.pk, who="sweep", at=order.hold_until) is Release.KEPT
    assert (states_of(order), held(entry), Case.objects.count()) == (["reserved"], 1, 0)
    page = client.get(f"/orders/{order.code}/").content.decode()
    poll = client.get(f"/orders/{order.code}/status/?seen=awaiting_payment", headers=HTMX).content.decode()
    for shown in (page, poll, client.get("/cart/").content.decode()):
        assert "SumUp says that you have paid" in shown
        assert "/pay/" not in shown
        assert "/cancel/" not in shown
    assert "Payment being confirmed" in client.get("/orders/").content.decode()
    client.post(f"/orders/{order.code}/pay/")
    client.post(f"/orders/{order.code}/cancel/")
    assert Checkout.objects.get(order=order).state == "open"
    assert Order.objects.get(pk=order.pk).cancel_requested_at is None

    sumup.faults(tamper={})
    assert ask(checkout) is Verdict.SETTLED
    assert (checkout.state, states_of(order), mail_jobs()) == ("paid", ["confirmed"], 1)
    assert agrees_with(sumup)


def test_what_is_unshown_for_a_day_is_for_a_person_and_found_when_it_shows(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order = ordered(entry)
    checkout = paid_at_sumup(sumup, order)
    sumup.faults(tamper={"transactions": []})
    ask(checkout)
    late = order.hold_until + LONGEST_DOUBT
    release(order.pk, who="sweep", at=late)
    case = Case.objects.get(kind=CaseKind.HELD)
    assert free_anyway(case, who="user:1", reason="Nobody answers.", at=late)
    assert (states_of(order), held(entry)) == (["cancelled"], 0)
    sumup.faults(tamper={})

    assert Checkout.objects.doubtful(at=late + timedelta(days=3)).get() == checkout
    settle(checkout.pk, who="sweep", at=late + timedelta(days=3))

    order.refresh_from_db()
    assert (order.state, Case.objects.open().count()) == ("paid", 0)
    assert agrees_with(sumup)


# --- A mismatch goes on being asked about


def mismatched(sumup: SimulatorProcess, order: Order, **lie: object) -> Checkout:
    checkout = paid_at_sumup(sumup, order)
    sumup.faults(tamper=lie or {"amount": 11.99})
    ask(checkout)
    assert checkout.state == "mismatch"
    sumup.faults(tamper={})
    return checkout


@pytest.mark.promise("mismatch-whose-answer")
def test_a_mismatch_heals_when_sumup_s_answer_becomes_whole(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order = ordered(entry, 2)
    checkout = mismatched(sumup, order)

    assert ask(checkout) is Verdict.SETTLED

    order.refresh_from_db()
    assert (checkout.state, checkout.captured, order.state) == ("paid", order.total, "paid")
    assert (states_of(order), mail_jobs()) == (["confirmed"] * 2, 1)
    case = Case.objects.get()
    assert (case.closed_by, case.decision) == ("test", "SumUp's answer became whole.")
    change = History.objects.of(checkout).get(field="state", new="paid")
    assert (change.actor, change.reason) == ("test", "SumUp's answer became whole")
    assert agrees_with(sumup)


@pytest.mark.promise("mismatch-whose-answer")
def test_a_mismatch_heals_late_like_a_late_payment(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order = ordered(entry)
    checkout = opened(order)
    release(order.pk, who="sweep", at=order.hold_until)
    sumup.pay(sumup_id(checkout), force=True)
    sumup.faults(tamper={"checkout_reference": "another"})
    settle(checkout.pk, who="sweep", at=later(minutes=95))
    sumup.faults(tamper={})
    other = ordered(entry, 5)  # all seats are somebody else's meanwhile
    assert held(entry) == 5

    settle(checkout.pk, who="sweep", at=later(minutes=200))

    assert (states_of(order), states_of(other)) == (["refund_due"], ["reserved"] * 5)
    assert not Case.objects.open().exists()
    assert agrees_with(sumup)


@pytest.mark.promise("mismatch-whose-answer")
def test_a_mismatch_is_asked_about_every_hour_then_every_day_while_its_case_is_open(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order = ordered(entry)
    checkout = mismatched(sumup, order, amount=11.99)
    sumup.faults(tamper={"amount": 11.99})
    began, asked = timezone.now(), []
    for hour in range(100):
        at = began + timedelta(hours=hour, minutes=1)
        for pk in Checkout.objects.doubtful(at=at).values_list("pk", flat=True):
            asked.append(hour)
            settle(pk, who="sweep", at=at)
    assert len([hour for hour in asked if hour <= 24]) in range(22, 26)
    assert len([hour for hour in asked if hour > 24]) == 3
    Case.objects.update(closed_at=began, closed_by="user:1", decision="Settled by phone.")
    assert not Checkout.objects.doubtful(at=began + timedelta(days=9)).exists()
    assert ask(checkout) is Verdict.SETTLED
    assert checkout.state == "mismatch"


def test_sweep_and_reconcile_ask_about_a_mismatch(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    for work in (sweep_once, reconciled):
        order = ordered(entry)
        checkout = mismatched(sumup, order)
        Checkout.objects.filter(pk=checkout.pk).update(asked_at=timezone.now() - timedelta(hours=2))
        work()
        assert states_of(order) == ["confirmed"]


def test_a_mismatch_of_which_something_goes_back_does_not_heal(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order = ordered(entry)
    checkout = mismatched(sumup, order)
    refund = requested(checkout, [Wish(RefundKind.SURPLUS, amount=Decimal(5))])
    assert not Checkout.objects.doubtful(at=later(minutes=600)).exists()

    assert ask(checkout) is Verdict.SETTLED

    assert (checkout.state, states_of(order), refund.state) == ("mismatch", ["reserved"], "requested")


# --- Two successes of one checkout


@pytest.mark.parametrize("first", [True, False], ids=["named first", "named last"])
@pytest.mark.promise("two-successes-one")
def test_of_two_successes_of_one_checkout_one_is_applied_and_one_is_surplus(
    sumup: SimulatorProcess, entry: CalendarEntry, first: bool
) -> None:
    order = ordered(entry)
    checkout = paid_at_sumup(sumup, order)
    sumup.control(f"pay_again/{checkout.sumup_id}")
    one, other = (payment(sumup, number) for number in (0, 1))
    sumup.faults(tamper={"transactions": [one, other] if first else [other, one]})

    ask(checkout)
    ask(checkout)

    more = Checkout.objects.get(order=order, is_applied=False)
    assert (checkout.is_applied, checkout.transaction_id) == (True, one["id"])
    assert (more.state, more.captured, more.transaction_id) == ("paid", Decimal(12), other["id"])
    assert more.transaction_code == other["transaction_code"]
    case = Case.objects.open().get()
    assert (case.kind, case.checkout, case.amount) == (CaseKind.SURPLUS, more, Decimal(12))
    run_jobs()
    assert ["twice" in message.subject for message in mail.outbox] == [False, True]
    assert reconciled().counts.get("of no order") is None
    assert agrees_with(sumup)

    refunded(sumup, more, [Wish(RefundKind.SURPLUS)])
    assert [row["transaction_id"] for row in sumup.ledger()["refunds"]] == [other["id"]]
    assert (states_of(order), Case.objects.open().count()) == (["confirmed"], 0)
    assert ledgers_agree(sumup)


def test_of_two_successes_none_of_which_fits_each_is_for_a_person(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order = ordered(entry)
    checkout = paid_at_sumup(sumup, order)
    sumup.control(f"pay_again/{checkout.sumup_id}")
    sumup.faults(tamper={"transactions": [payment(sumup, 0, amount=7), payment(sumup, 1, amount=8)]})

    ask(checkout)

    rows = Checkout.objects.filter(order=order).order_by("pk").values_list("state", "captured")
    assert list(rows) == [("mismatch", Decimal(7)), ("mismatch", Decimal(8))]
    assert Case.objects.open().filter(kind=CaseKind.MISMATCH).count() == 2
    assert states_of(order) == ["reserved"]
    assert read_books() == []
    assert reconciled().counts.get("of no order") is None


# --- One transaction is one payment


def test_a_mismatch_s_own_money_is_never_a_stray(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order = ordered(entry)
    checkout = mismatched(sumup, order)
    sumup.faults(tamper={"amount": 11.99})
    for _time in range(2):
        assert reconciled().counts.get("of no order") is None
    assert Case.objects.get().kind == CaseKind.MISMATCH
    checkout.refresh_from_db()
    assert checkout.state == "mismatch"


def as_of_old(checkout: Checkout, answer: dict[str, object] | None) -> None:
    """As an older release wrote a mismatch down: without a transaction of its own."""
    Checkout.objects.filter(pk=checkout.pk).update(transaction_id="", transaction_code=None, sumup_answer=answer)


def test_an_old_mismatch_without_a_transaction_knows_its_money_by_answer_or_by_amount(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    by_answer, by_amount = (mismatched(sumup, ordered(entry)) for _each in range(2))
    as_of_old(by_answer, {"transactions": [payment(sumup, 0, amount="12")]})
    as_of_old(by_amount, {"transactions": []})
    sumup.faults(read="503")

    reconciled()

    by_amount.refresh_from_db()
    assert by_amount.transaction_id == payment(sumup, 1)["id"]  # it can be paid back now
    assert Case.objects.filter(kind=CaseKind.STRAY).count() == 0
    sumup.faults(read="ok", tamper={"amount": 11.99})
    assert ask(by_answer) is Verdict.SETTLED
    assert by_answer.transaction_id == payment(sumup, 0)["id"]
    assert read_books() == []


def test_a_mismatch_tells_what_sumup_says_of_it_now(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    checkout = mismatched(sumup, ordered(entry), transactions=[{"status": "SUCCESSFUL", "amount": 7}])
    assert (checkout.captured, checkout.transaction_id) == (Decimal(7), "")
    sumup.faults(tamper={"transactions": [payment(sumup, amount=9)]})
    ask(checkout)
    case = Case.objects.open().get()
    assert (checkout.captured, case.amount, "9.00" in case.words) == (Decimal(9), Decimal(9), True)
    assert checkout.transaction_id == payment(sumup)["id"]
    assert read_books() == []


def stray_of(sumup: SimulatorProcess, order: Order | None = None) -> Case:
    made = sumup.create(description=f"{'A' * 26} x", amount=12, checkout_reference=f"by hand {Case.objects.count()}")
    sumup.pay(made["id"])
    reconciled()
    return Case.objects.open().get(kind=CaseKind.STRAY)


@pytest.mark.promise("transaction-linked-twice")
def test_a_transaction_is_linked_once_and_the_case_stays_open_where_it_is_refused(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    """Fault 39: by a second case about it, to a second order, or while a mismatch has it."""
    first, second = ordered(entry), ordered(entry)
    for order in (first, second):
        release(order.pk, who="sweep", at=order.hold_until)
    case = stray_of(sumup)
    assert link(case, first.code, who="user:1", reason="The receipt.", at=timezone.now())
    again = Case.objects.create(
        kind=CaseKind.STRAY, merchant=case.merchant, amount=12, currency="EUR", words="w", opened_at=timezone.now(),
        transaction_id=case.transaction_id, transaction_code="ANOTHER",
    )  # fmt: skip
    for order in (first, second):
        with pytest.raises(LinkRefusal, match="recorded already"):
            link(again, order.code, who="user:1", reason="Again.", at=timezone.now())
    again.refresh_from_db()
    assert again.closed_at is None
    assert (states_of(first), states_of(second)) == (["confirmed"], ["cancelled"])
    assert agrees_with(sumup)


@pytest.mark.parametrize("is_old", [False, True], ids=["", "of an older release"])
@pytest.mark.promise("transaction-linked-twice")
def test_the_money_of_a_mismatch_is_linked_to_nobody(
    sumup: SimulatorProcess, entry: CalendarEntry, is_old: bool
) -> None:
    checkout = mismatched(sumup, ordered(entry))
    other = ordered(entry)
    release(other.pk, who="sweep", at=other.hold_until)
    shown = payment(sumup)
    if is_old:
        as_of_old(checkout, {"transactions": [shown | {"amount": "12"}]})
    case = Case.objects.create(
        kind=CaseKind.STRAY, merchant=checkout.merchant, amount=12, currency="EUR", words="w",
        opened_at=timezone.now(), transaction_id=str(shown["id"]),
        transaction_code=str(shown["transaction_code"]),
    )  # fmt: skip
    with pytest.raises(LinkRefusal, match="recorded already"):
        link(case, other.code, who="user:1", reason="A guess.", at=timezone.now())
    case.refresh_from_db()
    assert (case.closed_at, states_of(other)) == (None, ["cancelled"])


def test_a_stray_is_one_case_whether_its_code_or_its_id_is_told(sumup: SimulatorProcess) -> None:
    merchant, money, at = Case(merchant=ordered().merchant).merchant, (Decimal(12), "EUR"), timezone.now()
    assert merchant is not None

    def opens(transaction_id: str, code: str) -> bool:
        return open_stray(merchant, None, (transaction_id, code), money, words="w", at=at)

    assert opens("t-1", "")
    assert not opens("t-1", "T1")
    assert opens("", "T2")
    assert not opens("t-2", "T2")
    assert Case.objects.count() == 2


def test_a_payment_that_was_linked_is_not_taken_again_when_sumup_shows_it(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order = ordered(entry)
    checkout = opened(order)
    release(order.pk, who="sweep", at=order.hold_until)
    sumup.pay(sumup_id(checkout), force=True)
    sumup.faults(read="503")
    reconciled()
    case = Case.objects.get(kind=CaseKind.STRAY)
    assert link(case, order.code, who="user:1", reason="It is this one.", at=timezone.now())
    sumup.faults(read="ok")

    assert ask(checkout) is Verdict.SETTLED

    assert (checkout.state, states_of(order)) == ("expired", ["confirmed"])
    assert agrees_with(sumup)


@pytest.mark.promise("transaction-linked-twice")
def test_the_database_lets_a_transaction_stand_behind_one_capture_only(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    one, other = mismatched(sumup, ordered(entry)), mismatched(sumup, ordered(entry))
    statement = f"UPDATE payments_checkout SET transaction_id = '{one.transaction_id}' WHERE id = {other.pk}"
    with pytest.raises(Exception, match="checkout_one_capture_of_transaction"):
        run(statement)


# --- Amounts that nobody can hold


@pytest.mark.parametrize("amount", [1e12, -3, 0.001])
@pytest.mark.promise("amount-float-fits")
def test_an_amount_that_fits_no_column_is_a_case_without_an_amount(
    sumup: SimulatorProcess, entry: CalendarEntry, amount: float
) -> None:
    order = ordered(entry)
    checkout = paid_at_sumup(sumup, order)
    sumup.faults(tamper={"transactions": [payment(sumup, amount=amount)]})
    ask(checkout)
    case = Case.objects.get()
    assert (checkout.state, checkout.captured, case.amount) == ("mismatch", None, None)
    assert read_books() == []
    # A person closes it: then the seats are not held for ever.
    release(order.pk, who="sweep", at=order.hold_until)
    assert states_of(order) == ["reserved"]
    Case.objects.filter(pk=case.pk).update(closed_at=timezone.now(), closed_by="user:1", decision="Sent back.")
    assert release(order.pk, who="sweep", at=order.hold_until) is Release.FREED
    assert read_books() == []
