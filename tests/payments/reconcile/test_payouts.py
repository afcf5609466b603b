"""SumUp's payouts and fees: listed, taken in beside reconcile without deciding anything, told in the reports."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from events.models import CalendarEntry, Merchant, Page, Role
from payments.models import Case, Checkout, Payout, ReconcileRun, RunOutcome
from payments.reconcile.payouts import paid_out, read_payouts
from payments.reconcile.round import Round
from payments.reconcile.running import reconcile
from payments.sumup import Refusal, SumUpProblem, Unreadable
from payments.sumup.payouts import payouts_from
from tests.desk import house, member, signed_in_as
from tests.factories import CalendarFactory, EventFactory, PageFactory, UserFactory
from tests.ledger.lives import a_checkout
from tests.ledger.psql import twin, verdict, verdict_of_truncate
from tests.payments.money import sold
from tests.simulator import MERCHANT, OTHER_MERCHANT, SimulatorProcess
from tests.steps import ordered, paid_at_sumup

REPORTS = "/admin/orders/order/reports/"
ROW: dict[str, object] = {
    "id": Decimal(7), "type": "PAYOUT", "amount": Decimal("23.40"), "fee": Decimal("0.60"), "currency": "EUR",
    "date": "2026-05-02", "status": "SUCCESSFUL", "reference": "payout", "transaction_code": "TAAA",
}  # fmt: skip


def day_one() -> date:
    """SumUp's day before any other is played."""
    return timezone.now().date()


def days(simulator: SimulatorProcess, number: float) -> date:
    """So many days later at SumUp; its day then."""
    simulator.shift_clock(int(number * 86400))
    return datetime.fromisoformat(simulator.ledger()["now"]).date()


# SumUp's list


def test_each_capture_is_paid_out_the_next_day_less_a_fee(simulator: SimulatorProcess) -> None:
    simulator.pay(simulator.create(amount=24)["id"])
    capture = simulator.ledger()["captures"][0]
    simulator.control(f"refund/{capture['id']}", {"amount": "5"})
    client = simulator.client()
    assert client.list_payouts(day_one(), day_one() + timedelta(days=3)) == []  # not yet
    today = days(simulator, 1)

    payout, deduction = client.list_payouts(day_one(), today)

    assert (payout.type, payout.status, payout.currency) == ("PAYOUT", "SUCCESSFUL", "EUR")
    assert (payout.amount, payout.fee) == (Decimal("23.40"), Decimal("0.60"))
    assert (deduction.type, deduction.amount, deduction.fee) == ("REFUND_DEDUCTION", Decimal(5), Decimal(0))
    assert {payout.transaction_code, deduction.transaction_code} == {capture["code"]}
    assert client.list_payouts(day_one() - timedelta(days=9), day_one() - timedelta(days=8)) == []


def test_deductions_keep_their_numbers_when_an_earlier_one_shows_late(simulator: SimulatorProcess) -> None:
    simulator.pay(simulator.create(amount=24)["id"])
    capture = simulator.ledger()["captures"][0]
    simulator.faults(refund_event_delay=2 * 86400)
    simulator.client().refund(capture["id"], Decimal(5))
    simulator.faults(refund_event_delay=0)
    simulator.client().refund(capture["id"], Decimal(7))

    def numbers() -> dict[Decimal, int]:
        today = datetime.fromisoformat(simulator.ledger()["now"]).date()
        return {row.amount: row.id for row in simulator.client().list_payouts(day_one(), today)}

    days(simulator, 1)
    before = numbers()
    days(simulator, 2)

    assert set(numbers()) - set(before) == {Decimal(5)}
    assert {amount: numbers()[amount] for amount in before} == before


def test_payouts_come_in_the_order_that_is_asked_for(simulator: SimulatorProcess) -> None:
    for reference in ("R-1", "R-2"):
        simulator.pay(simulator.create(checkout_reference=reference)["id"])
        last = days(simulator, 1)
    days(simulator, 1)
    asked = f"/v1.0/merchants/{MERCHANT}/payouts?start_date={day_one()}&end_date={last + timedelta(days=1)}"

    told = {order: [row["date"] for row in simulator.ask("GET", f"{asked}&order={order}").json()]
            for order in ("asc", "desc")}  # fmt: skip

    assert len(set(told["asc"])) == 2
    assert told["asc"] == sorted(told["asc"]) == told["desc"][::-1]
    assert simulator.ask("GET", f"{asked}&order=sideways").status_code == 400


def test_days_that_are_none_are_refused(simulator: SimulatorProcess) -> None:
    for query in ("", "?start_date=2026-05-01", "?start_date=x&end_date=2026-05-01"):
        assert simulator.ask("GET", f"/v1.0/merchants/{MERCHANT}/payouts{query}").status_code == 400
    backwards = simulator.ask("GET", f"/v1.0/merchants/{MERCHANT}/payouts?start_date=2026-05-02&end_date=2026-05-01")
    assert (backwards.status_code, backwards.json()[0]["message"]) == (400, "negative date range")
    others = f"/v1.0/merchants/{OTHER_MERCHANT}/payouts?start_date=2026-05-01&end_date=2026-05-01"
    assert simulator.ask("GET", others).ok is False


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": "7"},
        {"id": Decimal("7.5")},
        {"id": Decimal(2**63)},
        {"id": Decimal("1e99")},
        {"amount": "x"},
        {"fee": "x"},
        {"fee": None},
        {"date": "2026-13-01"},
        {"type": None},
        {"status": 1},
        {"currency": ""},
    ],
    ids=str,
)
def test_a_row_that_cannot_be_read_makes_the_answer_unknown(changes: dict[str, object]) -> None:
    assert payouts_from([ROW])[0].date == date(2026, 5, 2)
    with pytest.raises(Unreadable):
        payouts_from([ROW, ROW | changes])


@pytest.mark.parametrize("body", [None, {}, {"items": []}, "[]", [None], [[]]], ids=str)
def test_what_is_no_list_of_payouts_is_unreadable(body: object) -> None:
    with pytest.raises(Unreadable):
        payouts_from(body)


def test_words_that_no_document_names_are_kept() -> None:
    (row,) = payouts_from([ROW | {"type": "GIFT", "status": "ON_HOLD", "reference": None, "transaction_code": None}])
    assert (row.type, row.status, row.reference, row.transaction_code) == ("GIFT", "ON_HOLD", "", "")


# Reconcile


def run_at(moment: datetime, *, dry: bool = False, only: Merchant | None = None) -> ReconcileRun:
    return reconcile(Round(is_dry=dry, clock=lambda: moment), merchant=only)


@pytest.fixture
def later(sumup: SimulatorProcess) -> Callable[[float], datetime]:
    """So many days later for SumUp and for us."""

    def shifted(number: float) -> datetime:
        days(sumup, number)
        return datetime.fromisoformat(sumup.ledger()["now"])

    return shifted


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("sumup-does-tell")
def test_payouts_are_taken_in_once_with_their_payments(
    sumup: SimulatorProcess, later: Callable[[float], datetime]
) -> None:
    _order, checkout = sold(sumup, EventFactory.create(capacity=9))
    stray = sumup.create(amount=10, description="another till's")
    sumup.pay(stray["id"])
    moment = later(1)
    assert run_at(moment, dry=True).counts["payouts"] == 2
    assert not Payout.objects.exists()

    for _time in range(2):
        run_at(moment)

    known = {row.checkout_id: row for row in Payout.objects.all()}
    assert set(known) == {checkout.pk, None}
    mine = known[checkout.pk]
    assert (mine.amount, mine.fee, mine.currency, mine.kind) == (Decimal("23.40"), Decimal("0.60"), "EUR", "PAYOUT")
    assert mine.date == Checkout.objects.get(pk=checkout.pk).paid_at.date() + timedelta(days=1)  # type: ignore[union-attr]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", ["403", "404", "500", "hang", "garbage", "huge"])
@pytest.mark.promise("sumup-does-tell")
def test_payouts_that_sumup_does_not_tell_are_no_fault_of_the_run(
    sumup: SimulatorProcess, later: Callable[[float], datetime], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr("payments.reconcile.payouts.PATIENT", 1)
    sold(sumup, EventFactory.create(capacity=9))
    moment = later(1)
    sumup.faults(payouts=fault)

    row = run_at(moment)

    assert (row.outcome, row.counts["payouts not told"]) == (RunOutcome.IN_ORDER, 1)
    assert row.walked  # the next run begins here all the same
    assert not Case.objects.exists()
    sumup.faults(payouts="ok")
    run_at(moment + timedelta(minutes=2))
    assert Payout.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_word_of_sumup_that_changes_is_written_down(
    sumup: SimulatorProcess, later: Callable[[float], datetime]
) -> None:
    sold(sumup, EventFactory.create(capacity=9))
    moment = later(1)
    run_at(moment)
    Payout.objects.update(status="FAILED")
    assert [(row.paid_out.amount, row.lines) for row in paid_out(None)] == [(Decimal(0), 0)]  # nothing went out

    run_at(moment)

    assert [row.paid_out.amount for row in paid_out(None)] == [Decimal("23.40")]


@pytest.mark.django_db(transaction=True)
def test_a_payout_known_before_its_payment_is_linked_later(
    sumup: SimulatorProcess, later: Callable[[float], datetime]
) -> None:
    order = ordered(EventFactory.create(capacity=9))
    checkout = paid_at_sumup(sumup, order)
    Checkout.objects.filter(pk=checkout.pk).update(paid_at=timezone.now())  # an earlier payment of this merchant
    moment = later(1)
    read_payouts(checkout.merchant, Round(clock=lambda: moment))
    assert [row.checkout_id for row in Payout.objects.all()] == [None]

    run_at(moment)

    assert [row.checkout_id for row in Payout.objects.all()] == [checkout.pk]


@pytest.mark.django_db(transaction=True)
def test_a_day_that_is_to_come_keeps_no_run_from_asking(
    sumup: SimulatorProcess, later: Callable[[float], datetime]
) -> None:
    _order, checkout = sold(sumup, EventFactory.create(capacity=9))
    told = a_payout(checkout, date=timezone.now().date() + timedelta(days=9999), transaction_code="TZZZ")

    run_at(later(1))

    assert Payout.objects.exclude(pk=told.pk).get().checkout_id == checkout.pk


@pytest.mark.django_db(transaction=True)
def test_a_dry_run_says_what_it_would_store_and_change(
    sumup: SimulatorProcess, later: Callable[[float], datetime]
) -> None:
    _order, checkout = sold(sumup, EventFactory.create(capacity=9))
    moment = later(1)
    run_at(moment)
    Payout.objects.update(status="FAILED")
    sumup.control(f"refund/{checkout.transaction_id}", {"amount": "5"})
    moment = later(1)
    lines: list[str] = []

    row = reconcile(Round(is_dry=True, clock=lambda: moment, told=lines.append))

    assert (row.counts["payouts"], row.counts["payouts changed"]) == (1, 1)
    assert any("1 of SumUp's payouts would be stored and 1 changed" in line for line in lines)
    assert [row.status for row in Payout.objects.all()] == ["FAILED"]


@pytest.mark.django_db(transaction=True)
def test_a_row_that_cannot_be_stored_is_told_and_keeps_no_other_out(
    sumup: SimulatorProcess, later: Callable[[float], datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    sold(sumup, EventFactory.create(capacity=9))
    moment = later(1)
    monkeypatch.setattr("payments.reconcile.payouts.MOST", Decimal(20))
    lines: list[str] = []

    row = reconcile(Round(clock=lambda: moment, told=lines.append))

    assert (row.outcome, row.counts["payouts left out"]) == (RunOutcome.IN_ORDER, 1)
    assert any("cannot be stored" in line for line in lines)
    assert not Payout.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_another_run_at_the_same_time_stores_each_payout_once(
    sumup: SimulatorProcess, later: Callable[[float], datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    _order, checkout = sold(sumup, EventFactory.create(capacity=9))
    moment = later(1)
    create = Payout.objects.bulk_create

    def beaten(rows: list[Payout], *, ignore_conflicts: bool) -> list[Payout]:
        """The rival has read the same list, and stores it first."""
        patch.undo()
        read_payouts(checkout.merchant, Round(clock=lambda: moment))
        return create(rows, ignore_conflicts=ignore_conflicts)

    with monkeypatch.context() as patch:
        patch.setattr(Payout.objects, "bulk_create", beaten)
        read_payouts(checkout.merchant, Round(clock=lambda: moment))

    assert [row.checkout_id for row in Payout.objects.all()] == [checkout.pk]


@pytest.mark.django_db(transaction=True)
def test_days_that_are_too_much_for_one_answer_are_asked_for_in_parts(
    sumup: SimulatorProcess, later: Callable[[float], datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    _order, checkout = sold(sumup, EventFactory.create(capacity=9))
    for number in range(3):
        moment = later(1)
        sumup.pay(sumup.create(checkout_reference=f"R-{number}")["id"])
    monkeypatch.setattr("payments.sumup.client.BODY_MOST", 300)  # one row
    moment = later(1)
    run = Round(clock=lambda: moment)

    read_payouts(checkout.merchant, run)

    assert (run.counts["payouts"], run.counts["payouts not told"]) == (4, 0)
    assert Payout.objects.values("date").distinct().count() == 4


@pytest.mark.django_db(transaction=True)
def test_what_is_not_told_is_logged(
    sumup: SimulatorProcess, later: Callable[[float], datetime], caplog: pytest.LogCaptureFixture
) -> None:
    sold(sumup, EventFactory.create(capacity=9))
    sumup.faults(payouts="403")

    run_at(later(1))

    assert "MDEMO001: SumUp does not tell its payouts" in caplog.text


# What PostgreSQL refuses


def a_payout(checkout: Checkout, **changes: object) -> Payout:
    facts: dict[str, object] = {
        "merchant": checkout.merchant, "payout_id": 1, "kind": "PAYOUT", "status": "SUCCESSFUL",
        "amount": Decimal("23.40"), "fee": Decimal("0.60"), "currency": "EUR", "date": day_one(), "reference": "payout",
        "transaction_code": "TAAA", "first_seen_at": timezone.now(),
    }  # fmt: skip
    return Payout.objects.create(**facts | changes)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        "payout_id = 9", "kind = 'GIFT'", "amount = 1", "fee = 0", "currency = 'CHF'", "date = '2026-01-01'",
        "reference = 'x'", "transaction_code = 'x'", "first_seen_at = now()", "merchant_id = 0",
    ],
)  # fmt: skip
@pytest.mark.promise("sumup-said-payout")
def test_what_sumup_said_of_a_payout_is_never_changed(change: str) -> None:
    pk = a_payout(a_checkout("open")).pk
    assert verdict(f"UPDATE payments_payout SET {change} WHERE id = %s", values=[pk]) == "payout_frozen"


@pytest.mark.django_db
@pytest.mark.promise("sumup-said-payout")
def test_a_payout_takes_another_status_and_its_payment_and_is_never_deleted() -> None:
    checkout = a_checkout("open")
    pk = a_payout(checkout).pk
    changes = f"status = 'FAILED', checkout_id = {checkout.pk}"
    assert verdict(f"UPDATE payments_payout SET {changes} WHERE id = %s", values=[pk]) is None
    assert verdict("DELETE FROM payments_payout WHERE id = %s", values=[pk]) == "payout_deleted"
    assert verdict_of_truncate("payments_payout") == "payout_truncated"
    assert twin("payments_payout", pk) == "payout_once"


# The reports


@pytest.fixture
def entry() -> CalendarEntry:
    return EventFactory.create(capacity=9)


def words(client: Client, address: str) -> str:
    return client.get(address).content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("sumup-paid-out")
def test_reports_tell_what_was_paid_out_and_which_fees_are_known(
    sumup: SimulatorProcess, later: Callable[[float], datetime], entry: CalendarEntry
) -> None:
    owner = signed_in_as(member((entry.calendar.page, Role.OWNER)))
    assert "SumUp has told of no payout in this time." in words(owner, REPORTS)
    _order, checkout = sold(sumup, entry)
    sumup.control(f"refund/{checkout.transaction_id}", {"amount": "5"})
    run_at(later(1))
    sumup.shift_clock(-86400)
    sold(sumup, entry, 1)  # not paid out yet

    page = words(owner, REPORTS)

    for told in ("€ 23.40", "€ 0.60", "€ 5.00", "1 of 2 payments"):
        assert f'<td class="sum">{told}</td>' in page
    answer = owner.get(f"{REPORTS}payouts.csv")
    assert answer.content.decode("utf-8-sig").splitlines()[1] == "Demo,EUR,23.40,0.60,5.00,2,1"
    day = Payout.objects.filter(kind="PAYOUT").get().date
    assert "€ 23.40" not in words(owner, f"{REPORTS}?first={day + timedelta(days=1)}")
    assert "€ 23.40" in words(owner, f"{REPORTS}?first={day}&last={day}")


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("only-sees-sums")
def test_who_does_not_see_all_pages_of_a_merchant_sees_none_of_its_payouts(
    sumup: SimulatorProcess, later: Callable[[float], datetime], entry: CalendarEntry
) -> None:
    sold(sumup, entry)
    run_at(later(1))
    other: Page = PageFactory.create()  # the site's merchant takes its payments too
    owner = signed_in_as(member((entry.calendar.page, Role.OWNER)))

    assert "€ 23.40" not in words(owner, REPORTS)
    assert "it is shown to those who see the sums of all its pages" in words(owner, REPORTS)
    assert len(owner.get(f"{REPORTS}payouts.csv").content.decode().splitlines()) == 1
    both = signed_in_as(member((entry.calendar.page, Role.OWNER), (other, Role.FINANCE)))
    assert "€ 23.40" in words(both, REPORTS)
    door = signed_in_as(member((entry.calendar.page, Role.DOOR)))
    assert door.get(f"{REPORTS}payouts.csv").status_code == 403


def test_a_refusal_is_a_problem_with_a_name(simulator: SimulatorProcess) -> None:
    simulator.faults(payouts="403")
    with pytest.raises(SumUpProblem) as caught:
        simulator.client().list_payouts(day_one(), day_one())
    assert isinstance(caught.value, Refusal)


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("sumup-paid-out")
def test_totals_are_those_of_the_stored_rows_to_the_cent(
    sumup: SimulatorProcess, later: Callable[[float], datetime], entry: CalendarEntry
) -> None:
    checkouts = [sold(sumup, entry, number)[1] for number in (1, 3, 2)]
    sumup.control(f"refund/{checkouts[0].transaction_id}", {"amount": "3.33"})
    sumup.control(f"chargeback/{checkouts[1].transaction_id}", {"amount": "7.77"})
    run_at(later(1))
    assert {row.kind for row in Payout.objects.all()} == {"PAYOUT", "REFUND_DEDUCTION", "CHARGE_BACK_DEDUCTION"}

    (line,) = paid_out(None)

    rows = list(Payout.objects.values_list("kind", "amount", "fee"))
    assert line.paid_out.amount == sum(amount for kind, amount, _fee in rows if kind == "PAYOUT")
    assert line.deducted.amount == sum(amount for kind, amount, _fee in rows if kind != "PAYOUT") == Decimal("11.10")
    assert line.fees.amount == sum(fee for _kind, _amount, fee in rows)
    captured = sum(Checkout.objects.get(pk=row.pk).captured or Decimal(0) for row in checkouts)
    assert line.paid_out.amount + line.fees.amount == captured
    assert (line.payments, line.told) == (3, 3)


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("only-sees-sums")
def test_what_another_page_once_sold_through_a_merchant_is_not_shown(
    sumup: SimulatorProcess, later: Callable[[float], datetime], entry: CalendarEntry
) -> None:
    """A page that has got a merchant of its own since leaves its old payments in the account of the old one."""
    other = EventFactory.create(capacity=9, calendar=CalendarFactory.create(page=PageFactory.create()))
    sold(sumup, entry)
    sold(sumup, other)
    run_at(later(1))
    mine = Merchant.objects.create(code="MOTHER", name="Other", currency="EUR", api_key="k")
    Page.objects.filter(pk=other.calendar.page_id).update(merchant=mine)
    owner = signed_in_as(member((entry.calendar.page, Role.OWNER)))
    both = signed_in_as(member((entry.calendar.page, Role.OWNER), (other.calendar.page, Role.FINANCE)))

    assert "€ 46.80" in words(both, REPORTS)
    assert "€ 46.80" not in words(owner, REPORTS)
    assert "it is shown to those who see the sums of all its pages" in words(owner, REPORTS)
    assert len(owner.get(f"{REPORTS}payouts.csv").content.decode().splitlines()) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("sumup-paid-out")
def test_a_merchant_of_which_sumup_tells_nothing_is_not_left_out(
    sumup: SimulatorProcess, later: Callable[[float], datetime], entry: CalendarEntry
) -> None:
    root = signed_in_as(UserFactory.create(is_staff=True, is_superuser=True))
    _order, checkout = sold(sumup, entry)
    assert "SumUp has told of no payout in this time." in words(root, REPORTS)  # its payment alone is no payout
    silent = house("Silent").checkout
    Checkout.objects.filter(pk=silent.pk).update(
        captured=silent.amount, captured_currency="EUR", paid_at=timezone.now()
    )
    run_at(later(1), only=checkout.merchant)

    told = {row.merchant: (row.paid_out.amount, row.lines, row.told, row.payments) for row in paid_out(None)}

    assert told == {"Demo": (Decimal("23.40"), 1, 1, 1), "Silent merchant": (Decimal(0), 0, 0, 1)}
    assert '<th scope="row">Silent merchant</th>' in words(root, REPORTS)


@pytest.mark.django_db
def test_a_page_that_is_chosen_shows_its_merchant_alone() -> None:
    """The merchant's name is the organiser's own: its file runs nothing in a spreadsheet."""
    first, second = house("One"), house("Two")
    Merchant.objects.filter(code="MONE").update(name="=1+1")
    for place, home in enumerate((first, second)):
        a_payout(home.checkout, payout_id=place)
    root = signed_in_as(UserFactory.create(is_staff=True, is_superuser=True))

    def names(query: str) -> list[str]:
        lines = root.get(f"{REPORTS}payouts.csv{query}").content.decode("utf-8-sig").splitlines()
        return [line.split(",")[0] for line in lines[1:]]

    assert names("") == ["'=1+1", "Two merchant"]
    assert names(f"?page={second.page.pk}") == ["Two merchant"]
    page = words(root, f"{REPORTS}?page={first.page.pk}")
    assert '<th scope="row">=1+1</th>' in page
    assert '<th scope="row">Two merchant</th>' not in page
