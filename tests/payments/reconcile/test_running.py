"""reconcile(): what SumUp knows and we do not, and the other way round, is found, booked or put before a person."""

import contextlib
import json
import threading
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.utils import timezone

from events.models import Merchant
from ledger.models import History
from orders.models import Order
from orders.releasing import request_cancel
from payments.books.checking import read_books
from payments.checkouts.settling import settle
from payments.management.commands.reconcile_payments import Bar, moment
from payments.models import Case, Checkout, ReconcileRun, Refund, RunOutcome, SumUpReport
from payments.reconcile.jobs import reconcile_hourly
from payments.reconcile.pace import Pace
from payments.reconcile.round import Round, chunks
from payments.reconcile.running import OVERLAP, AlreadyRunning, only_one, reconcile, since_of
from payments.reconcile.strays import LinkRefusal, link
from payments.states import CaseKind
from tests.factories import EventFactory
from tests.ledger.psql import rows
from tests.simulator import KEY, MERCHANT, OTHER_KEY, OTHER_MERCHANT, PATIENCE, SimulatorProcess
from tests.steps import held, later, opened, ordered, paid_at_sumup, states_of, sumup_id

pytestmark = pytest.mark.django_db(transaction=True)


def a_round(**changes: Any) -> Round:
    return Round(pace=Pace(0), **changes)


def reconciled(**changes: Any) -> ReconcileRun:
    """One run, with no question left unasked because somebody asked a moment ago."""
    Checkout.objects.update(asked_at=None)
    return reconcile(a_round(**changes))


def settled(sumup: SimulatorProcess, order: Order) -> Checkout:
    checkout = paid_at_sumup(sumup, order)
    settle(checkout.pk, who="webhook", at=timezone.now())
    checkout.refresh_from_db()
    return checkout


def agrees_with(sumup: SimulatorProcess) -> bool:
    """SumUp's captures and what went back are ours to the cent, and the books are in order."""
    ours = {row.transaction_id: row.captured for row in Checkout.objects.exclude(captured=None)}
    ledger = sumup.ledger()
    assert ours == {row["id"]: Decimal(row["amount"]) for row in ledger["captures"]}
    gone = sum((row.amount or Decimal(0) for row in SumUpReport.objects.counted()), Decimal(0))
    theirs = [Decimal(row["amount"]) for row in ledger["refunds"] if row["status"] != "FAILED"]
    assert gone == sum(theirs, Decimal(0))
    assert read_books() == []
    return True


def test_nothing_to_do_is_in_order(sumup: SimulatorProcess) -> None:
    row = reconciled()
    assert (row.outcome, row.problem, row.walked) == (RunOutcome.IN_ORDER, "", [Merchant.objects.get().pk])
    assert row.finished_at is not None


def test_a_payment_that_nobody_told_us_of_is_settled(sumup: SimulatorProcess) -> None:
    order = ordered(number=2)
    paid_at_sumup(sumup, order)

    row = reconciled()

    order.refresh_from_db()
    assert (order.state, states_of(order), row.outcome) == ("paid", ["confirmed"] * 2, RunOutcome.IN_ORDER)
    assert row.counts["now paid"] == 1
    assert History.objects.filter(subject="checkout", new="paid").get().actor == "reconcile"
    assert agrees_with(sumup)


def test_a_lapsed_hold_and_a_cancelled_order_are_ended(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=5)
    cancelled, lapsed = ordered(entry, 2), ordered(entry, 1)
    opened(cancelled)
    opened(lapsed)
    request_cancel(cancelled, at=timezone.now())

    row = reconciled(clock=lambda: later(minutes=31))

    assert (states_of(cancelled), states_of(lapsed), held(entry)) == (["cancelled"] * 2, ["cancelled"], 0)
    assert row.counts["holds ended"] == 2


def test_a_payment_of_an_expired_checkout_is_found_by_its_order_s_code(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=2)
    order = ordered(entry, 2)
    checkout = opened(order)
    reconciled(clock=lambda: later(minutes=31))
    checkout.refresh_from_db()
    assert (checkout.state, held(entry)) == ("expired", 0)
    sumup.pay(sumup_id(checkout), force=True)

    row = reconciled()

    order.refresh_from_db()
    assert (order.state, states_of(order)) == ("paid", ["confirmed"] * 2)
    assert (row.counts["found paid"], row.outcome) == (1, RunOutcome.IN_ORDER)
    assert agrees_with(sumup)


@pytest.mark.promise("payment-order-capture")
def test_a_payment_of_no_order_is_a_case_once(sumup: SimulatorProcess) -> None:
    made = sumup.create(description="ABCDEFGHIJKLMNOPQRSTUVWXYZ a house", amount=17.5)
    sumup.pay(made["id"])

    for _time in range(2):
        assert reconciled().outcome == RunOutcome.PERSON

    case = Case.objects.get()
    capture = sumup.ledger()["captures"][0]
    assert (case.kind, case.amount, case.currency) == (CaseKind.STRAY, Decimal("17.50"), "EUR")
    assert (case.transaction_code, case.transaction_id) == (capture["code"], capture["id"])
    assert "ABCDEFGH" in case.words
    Case.objects.update(closed_at=timezone.now(), closed_by="user:1", decision="An old shop's.")
    assert reconciled().outcome == RunOutcome.IN_ORDER  # what a person has decided is not asked again
    assert Case.objects.count() == 1


@pytest.mark.parametrize("description", ["Two coffees", "", "ABC a house", "ABCDEFGHIJKLMNOPQRSTUVWXYZ2 too long"])
def test_a_payment_of_another_till_is_none_of_ours(sumup: SimulatorProcess, description: str) -> None:
    sumup.pay(sumup.create(description=description)["id"])
    row = reconciled()
    assert (row.outcome, row.counts["not of this shop"]) == (RunOutcome.IN_ORDER, 1)
    assert not Case.objects.exists()


def test_a_declined_payment_is_no_payment(sumup: SimulatorProcess) -> None:
    sumup.decline(sumup.create(description="ABCDEFGHIJKLMNOPQRSTUVWXYZ a house")["id"])
    assert reconciled().outcome == RunOutcome.IN_ORDER


def test_a_payment_whose_order_cannot_have_made_it_names_that_order(sumup: SimulatorProcess) -> None:
    order = ordered()
    settled(sumup, order)
    sumup.pay(sumup.create(description=f"{order.code} again", checkout_reference="by hand")["id"])

    reconciled()

    case = Case.objects.get()
    assert (case.kind, case.order) == (CaseKind.STRAY, order)


@pytest.mark.promise("refund-chargeback-made-sumup")
def test_a_refund_and_a_chargeback_made_at_sumup_are_booked(sumup: SimulatorProcess) -> None:
    back, charged, part = ordered(number=2), ordered(), ordered(number=2)
    checkouts = [settled(sumup, order) for order in (back, charged, part)]
    reconciled()
    sumup.control(f"refund/{checkouts[0].transaction_id}")
    sumup.control(f"chargeback/{checkouts[1].transaction_id}")
    sumup.control(f"refund/{checkouts[2].transaction_id}", {"amount": "5"})

    row = reconciled()

    assert row.counts["refunds booked"] == 3
    assert (states_of(back), states_of(charged)) == (["refunded"] * 2, ["refunded"])
    assert states_of(part) == ["confirmed"] * 2
    kinds = Case.objects.open().order_by("checkout").values_list("checkout", "kind")
    assert list(kinds) == [(checkouts[1].pk, CaseKind.OUTSIDE), (checkouts[2].pk, CaseKind.OUTSIDE)]
    calls = sumup.calls("transaction")
    assert reconciled().outcome == RunOutcome.PERSON
    assert sumup.calls("transaction") == calls  # what is booked is not read again
    gone = sum((event.amount or Decimal(0) for event in SumUpReport.objects.counted()), Decimal(0))
    assert gone == sum(Decimal(refund["amount"]) for refund in sumup.ledger()["refunds"])


def test_two_equal_refunds_are_both_written_down(sumup: SimulatorProcess) -> None:
    checkout = settled(sumup, ordered(number=2))
    sumup.control(f"refund/{checkout.transaction_id}", {"amount": "12"})
    reconciled()
    assert SumUpReport.objects.count() == 1
    sumup.control(f"refund/{checkout.transaction_id}", {"amount": "12"})
    reconciled()
    assert SumUpReport.objects.count() == 2
    assert Case.objects.open().get().kind == CaseKind.OUTSIDE  # which ticket either was for, only a person knows
    assert agrees_with(sumup)


@pytest.mark.promise("payment-order-capture")
def test_a_capture_that_sumup_does_not_know_is_for_a_person_after_a_day(sumup: SimulatorProcess) -> None:
    order = ordered()
    checkout = settled(sumup, order)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        Checkout.objects.filter(pk=checkout.pk).update(transaction_code="TGHOST", transaction_id="ghost")
        cursor.execute("SET session_replication_role = origin")

    assert reconciled().counts.get("not in SumUp's list") is None
    row = reconciled(clock=lambda: later(minutes=60 * 25))

    assert row.counts["not in SumUp's list"] == 1
    case = Case.objects.get(kind=CaseKind.MISSING)
    assert case.checkout == checkout
    assert states_of(order) == ["confirmed"]


def test_a_capture_that_the_list_forgets_but_sumup_knows_is_no_case(sumup: SimulatorProcess) -> None:
    checkout = settled(sumup, ordered())
    sumup.faults(history="empty")
    assert reconciled(clock=lambda: later(minutes=60 * 25)).outcome == RunOutcome.UNREACHABLE
    sumup.faults(history="ok")
    reconciled()
    checkout.refresh_from_db()
    assert checkout.listed_at is not None
    assert not Case.objects.exists()


@pytest.mark.promise("sumup-out-reach")
def test_sumup_out_of_reach_changes_nothing_and_the_next_run_begins_earlier(sumup: SimulatorProcess) -> None:
    order = ordered()
    checkout = opened(order)
    good = reconciled()
    sumup.pay(sumup_id(checkout))
    sumup.faults(read="503", history="503")

    bad = reconciled()

    assert (bad.outcome, bad.walked, "503" in bad.problem) == (RunOutcome.UNREACHABLE, [], True)
    assert states_of(order) == ["reserved"]
    assert since_of(checkout.merchant, timezone.now()) == good.started_at - OVERLAP
    sumup.faults(read="ok", history="ok")
    assert reconciled().outcome == RunOutcome.IN_ORDER
    assert states_of(order) == ["confirmed"]


@pytest.mark.promise("sumup-out-reach")
def test_a_list_that_breaks_off_is_not_taken_for_whole(sumup: SimulatorProcess) -> None:
    settled(sumup, ordered())
    sumup.faults(history="truncated")
    row = reconciled()
    assert (row.outcome, row.walked) == (RunOutcome.UNREACHABLE, [])


@pytest.mark.promise("revoked-key-loud")
def test_a_revoked_key_is_loud_and_expires_nothing(sumup: SimulatorProcess) -> None:
    order = ordered()
    opened(order)
    sumup.faults(read="401", history="401", deactivate="401", find="401")

    row = reconciled(clock=lambda: later(minutes=40))

    assert (row.outcome, row.walked) == (RunOutcome.PERSON, [])
    assert states_of(order) == ["reserved"]
    assert Case.objects.open().filter(kind=CaseKind.REFUSED).count() == 1


def test_a_checkout_unknown_to_sumup_is_no_outage(sumup: SimulatorProcess) -> None:
    checkout = opened(ordered())
    sumup.faults(read="404")
    row = reconciled()
    checkout.refresh_from_db()
    assert (row.outcome, row.counts["unknown to SumUp"], checkout.state) == (RunOutcome.IN_ORDER, 1, "open")


def test_merchants_are_read_each_with_its_own_key_and_one_alone(sumup: SimulatorProcess) -> None:
    other = Merchant.objects.create(code=OTHER_MERCHANT, name="Other", api_key=OTHER_KEY, currency="EUR")
    for key, code in ((KEY, MERCHANT), (OTHER_KEY, OTHER_MERCHANT)):
        body = {
            "checkout_reference": code, "amount": 5, "currency": "EUR", "merchant_code": code,
            "description": "ABCDEFGHIJKLMNOPQRSTUVWXYZ x", "hosted_checkout": {"enabled": True},
        }  # fmt: skip
        sumup.pay(sumup.ask("POST", "/v0.1/checkouts", body, key=key).json()["id"])
    row = reconcile(a_round(), merchant=other)
    assert (row.merchant, row.walked) == (other, [other.pk])
    assert [case.merchant for case in Case.objects.all()] == [other]
    assert not ReconcileRun.objects.good().exists()  # one merchant is not all
    reconciled()
    assert Case.objects.count() == 2
    assert ReconcileRun.objects.good().count() == 1


# --- A dry run


TABLES = [
    "orders_order", "events_ticket", "payments_checkout", "payments_case", "payments_refund", "payments_sumupevent",
    "payments_sumupanswer", "ledger_history", "procrastinate_jobs", "events_calendarentry",
]  # fmt: skip


def everything() -> dict[str, list[tuple[Any, ...]]]:
    return {table: rows(f"SELECT to_jsonb(t)::text FROM {table} AS t ORDER BY 1") for table in TABLES}


@pytest.mark.promise("dry-run-changes")
def test_a_dry_run_changes_nothing_and_says_what_it_would_do(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=20)
    paid, lapsed, back = ordered(entry), ordered(entry), ordered(entry)
    paid_at_sumup(sumup, paid)
    opened(lapsed)
    sumup.control(f"refund/{settled(sumup, back).transaction_id}")
    sumup.pay(sumup.create(description="ABCDEFGHIJKLMNOPQRSTUVWXYZ a house")["id"])
    request_cancel(lapsed, at=timezone.now())
    before, lines = everything(), list[str]()

    row = reconcile(a_round(is_dry=True, told=lines.append))

    assert everything() == before
    told = "\n".join(lines)
    for words in (
        f"Order {paid.short_code}: SumUp says PAID. It would be settled.",
        f"Order {lapsed.short_code}: its hold is over.",
        "SumUp lists money that went back. It would be booked.",
        "A case would be opened.",
    ):
        assert words in told
    assert row.is_dry
    assert not ReconcileRun.objects.whole().exists()
    assert since_of(Merchant.objects.get(), timezone.now()) < row.started_at - OVERLAP  # it has not walked for others


# --- Two at once, killed, paced


@pytest.mark.promise("two-processes-reconcile")
def test_a_second_one_at_the_same_time_says_so_and_does_nothing(sumup: SimulatorProcess) -> None:
    answers: list[object] = []

    def second() -> None:
        try:
            reconcile(a_round())
        except AlreadyRunning as refusal:
            answers.append(type(refusal))
        out = StringIO()
        call_command("reconcile_payments", stdout=out)
        answers.append("Another reconcile is at work" in out.getvalue())
        reconcile_hourly(timestamp=0)
        connections.close_all()

    with only_one():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert answers == [AlreadyRunning, True]
    assert not ReconcileRun.objects.exists()
    reconcile_hourly(timestamp=0)
    assert ReconcileRun.objects.get().who == "job"


@pytest.mark.promise("two-processes-reconcile")
def test_two_at_once_without_the_lock_do_no_double_work(
    sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = EventFactory.create(capacity=50)
    orders = [ordered(entry) for _each in range(6)]
    for order in orders[:4]:
        paid_at_sumup(sumup, order)
    back = settled(sumup, orders[4])
    sumup.control(f"refund/{back.transaction_id}")
    sumup.pay(sumup.create(description="ABCDEFGHIJKLMNOPQRSTUVWXYZ a house")["id"])
    Checkout.objects.update(asked_at=None)
    monkeypatch.setattr("payments.reconcile.running.only_one", contextlib.nullcontext)
    barrier, failures = threading.Barrier(2), list[BaseException]()

    def one() -> None:
        try:
            barrier.wait(PATIENCE)
            reconcile(a_round())
        except BaseException as failure:
            failures.append(failure)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one) for _each in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [states_of(order) for order in orders[:5]] == [["confirmed"]] * 4 + [["refunded"]]
    assert [(case.kind, case.words) for case in Case.objects.exclude(kind=CaseKind.STRAY)] == []
    assert Case.objects.count() == 1
    assert Refund.objects.count() == 1
    ours = sum((row.captured or Decimal(0) for row in Checkout.objects.exclude(captured=None)), Decimal(0))
    assert ours == 60


def test_a_payment_about_which_another_asks_at_this_moment_is_no_stray(sumup: SimulatorProcess) -> None:
    order = ordered(EventFactory.create(capacity=5))
    checkout = paid_at_sumup(sumup, order)
    Checkout.objects.filter(pk=checkout.pk).update(asked_at=timezone.now())  # a webhook whose answer is on its way

    row = reconcile(a_round())

    assert row.counts["asked by another"] == 1
    assert not Case.objects.exists()
    assert reconciled().counts["now paid"] == 1
    assert (states_of(order), Case.objects.count()) == (["confirmed"], 0)


def test_what_a_killed_run_left_is_called_so(sumup: SimulatorProcess) -> None:
    ReconcileRun.objects.create(started_at=timezone.now(), who="job")
    reconciled()
    assert sorted(ReconcileRun.objects.values_list("outcome", flat=True)) == ["in_order", "killed"]
    held = "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database WHERE locktype = 'advisory'"
    assert rows(f"{held} AND datname = current_database()") == [(0,)]


def test_one_row_that_goes_wrong_keeps_nothing_else_back(
    sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, good = ordered(), ordered()
    first = paid_at_sumup(sumup, broken)
    paid_at_sumup(sumup, good)
    real = settle

    def spoilt(pk: int, **named: Any) -> object:
        if pk == first.pk:
            raise ZeroDivisionError
        return real(pk, **named)

    monkeypatch.setattr("payments.reconcile.running.settle", spoilt)
    monkeypatch.setattr("payments.reconcile.matching.settle", spoilt)
    row = reconciled()
    assert (row.outcome, states_of(good)) == (RunOutcome.UNREACHABLE, ["confirmed"])


def test_questions_are_paced(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    now = [100.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("payments.reconcile.pace.time.monotonic", lambda: now[0])
    pace = Pace(10, sleep=sleep)
    for _question in range(21):
        pace(1)
    pace(2)  # another merchant's come beside
    assert (pace.asked, round(sum(slept), 6)) == (22, 2.0)
    now[0] += 5
    pace(1)
    assert round(sum(slept), 6) == 2.0


def test_rows_come_in_chunks_and_new_ones_wait(sumup: SimulatorProcess) -> None:
    first = [opened(ordered()).pk for _each in range(3)]
    walk = chunks(Checkout.objects.all(), 2)
    assert next(walk) == first[:2]
    opened(ordered())
    assert list(walk) == [first[2:]]


# --- The command


def told_by(*arguments: str) -> tuple[int, str]:
    out, code = StringIO(), 0
    try:
        call_command("reconcile_payments", "--per-second=0", *arguments, stdout=out, stderr=out)
    except SystemExit as end:
        code = int(str(end.code))
    return code, out.getvalue()


def test_the_command_says_how_it_went(sumup: SimulatorProcess) -> None:
    assert told_by()[0] == 0
    sumup.pay(sumup.create(description="ABCDEFGHIJKLMNOPQRSTUVWXYZ a house")["id"])
    code, words = told_by("--dry-run")
    assert (code, "Nothing was changed" in words, "A case would be opened" in words) == (0, True, True)
    code, words = told_by()
    assert (code, "of no order" in words, "Something waits for a person" in words) == (1, True, True)
    sumup.faults(history="503")
    code, words = told_by("--json")
    told = json.loads(words)
    assert (code, told["outcome"]) == (2, "unreachable")
    assert "503" in told["problem"]


def test_the_command_takes_a_merchant_and_a_day(sumup: SimulatorProcess) -> None:
    code, words = told_by("--merchant", MERCHANT, "--since", "2026-01-01", "--json")
    assert (code, json.loads(words)["outcome"]) == (0, "in_order")
    assert ReconcileRun.objects.get().since == moment("2026-01-01T00:00:00+00:00")
    with pytest.raises(CommandError, match="There is no merchant MNOBODY"):
        told_by("--merchant", "MNOBODY")


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "", "1"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(CommandError):
        moment(text)


def test_the_bar_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar()
    bar("payments", 5, 10)
    bar("payments", 6, 10)  # too soon to be worth a line
    bar("payments", 10, 10)
    bar("list", 7, None)
    bar.clear()
    said = capsys.readouterr().err
    assert "payments: [############............] 5/10" in said
    assert "[########################] 10/10" in said
    assert "6/10" not in said
    assert "\n" not in said


# --- What a person makes of a stray


def a_stray(sumup: SimulatorProcess, description: str, amount: float = 12) -> Case:
    sumup.pay(sumup.create(description=description, amount=amount, checkout_reference=f"by hand {description}")["id"])
    reconciled()
    return Case.objects.get(kind=CaseKind.STRAY)


def test_a_stray_linked_to_its_order_gives_its_goods(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=5)
    order = ordered(entry)
    reconciled(clock=lambda: later(minutes=31))
    case = a_stray(sumup, "ABCDEFGHIJKLMNOPQRSTUVWXYZ typed wrong")

    assert link(case, order.code, who="user:1", reason="The buyer showed the receipt.", at=timezone.now())
    assert not link(case, order.code, who="user:2", reason="Again.", at=timezone.now())

    order.refresh_from_db()
    assert (order.state, states_of(order)) == ("paid", ["confirmed"])
    case.refresh_from_db()
    assert (case.closed_by, case.decision) == ("user:1", "The buyer showed the receipt.")
    assert reconciled().outcome == RunOutcome.IN_ORDER
    assert agrees_with(sumup)


def test_a_stray_linked_to_a_paid_order_is_surplus(sumup: SimulatorProcess) -> None:
    order = ordered()
    settled(sumup, order)
    case = a_stray(sumup, f"{order.code} twice")
    assert link(case, order.code, who="user:1", reason="Paid twice.", at=timezone.now())
    assert Case.objects.open().get().kind == CaseKind.SURPLUS
    assert agrees_with(sumup)


def test_a_stray_of_another_amount_is_a_mismatch(sumup: SimulatorProcess) -> None:
    order = ordered()
    reconciled(clock=lambda: later(minutes=31))
    case = a_stray(sumup, f"{order.code} less", 7)
    assert link(case, order.code, who="user:1", reason="Typed by hand.", at=timezone.now())
    assert Case.objects.open().get().kind == CaseKind.MISMATCH
    assert states_of(order) == ["cancelled"]
    assert agrees_with(sumup)


@pytest.mark.parametrize("which", ["unknown", "payable", "free"])
def test_a_stray_is_not_linked_to_what_cannot_be_its_order(sumup: SimulatorProcess, which: str) -> None:
    order = ordered(EventFactory.create(ticket_price=0 if which == "free" else 12))
    if which == "payable":
        opened(order)
    case = a_stray(sumup, "ABCDEFGHIJKLMNOPQRSTUVWXYZ x")
    code = "A" * 26 if which == "unknown" else order.code
    with pytest.raises(LinkRefusal):
        link(case, code, who="user:1", reason="A guess.", at=timezone.now())
    case.refresh_from_db()
    assert case.closed_at is None


def test_a_stray_that_turns_out_to_be_an_order_s_closes_itself(sumup: SimulatorProcess) -> None:
    order = ordered()
    checkout = opened(order)
    reconciled(clock=lambda: later(minutes=31))
    sumup.pay(sumup_id(checkout), force=True)
    sumup.faults(read="503")
    assert reconciled().outcome == RunOutcome.UNREACHABLE
    assert Case.objects.open().get().kind == CaseKind.STRAY
    sumup.faults(read="ok")
    assert reconciled().outcome == RunOutcome.IN_ORDER
    assert Case.objects.get().decision == "It is the payment of an order here."
    assert states_of(order) == ["confirmed"]
