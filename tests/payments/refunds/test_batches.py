"""A called-off event is paid back: a refund for each payment, watched, stopped and resumed, a result an order."""

from decimal import Decimal

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from events.models import CalendarEntry, Role
from events.organising.calling_off import call_off
from payments.models import Checkout, Refund, RefundBatch
from payments.refunds.batches import owed_orders, resume, run, shares_of, start, stop
from payments.refunds.jobs import refunds_once
from payments.refunds.sending import Sent, send
from tests.desk import member, signed_in_as
from tests.factories import EventFactory
from tests.jobs import run_jobs
from tests.payments.money import at_sumup, goodwill, ledgers_agree, refunded, sold
from tests.races.threads import at_once
from tests.simulator import SimulatorProcess
from tests.steps import later, states_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def entry() -> CalendarEntry:
    return EventFactory.create(capacity=20)


def called_off(sumup: SimulatorProcess, entry: CalendarEntry, orders: int = 3) -> list[Checkout]:
    """So many paid orders of one ticket each, of an event that is called off with money back."""
    payments_ = [sold(sumup, entry, 1)[1] for _turn in range(orders)]
    call_off(entry.pk, money_back=True, who="user:1", why="The singer is ill")
    return payments_


def begun(entry: CalendarEntry) -> RefundBatch:
    return start(entry, reason="Called off", who="user:1", at=timezone.now())


def desk(entry: CalendarEntry, role: Role = Role.OWNER) -> Client:
    return signed_in_as(member((entry.calendar.page, role)))


def test_each_order_gets_its_money_back_and_its_buyer_is_told_once(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    paid = called_off(sumup, entry)
    other, _payment = sold(sumup, EventFactory.create(), 1)
    run_jobs()
    mail.outbox.clear()

    batch = begun(entry)
    run_jobs()

    batch.refresh_from_db()
    assert batch.finished_at is not None
    assert [states_of(row.order) for row in paid] == [["refunded"]] * 3
    assert states_of(other) == ["confirmed"]
    assert at_sumup(sumup) == [Decimal(12)] * 3
    assert all(share.is_done for share in shares_of(batch))
    assert [sent.subject.partition(",")[0] for sent in mail.outbox] == ["€ 12.00 goes back to you"] * 3
    assert ledgers_agree(sumup)


def test_goodwill_that_went_back_before_is_not_paid_again(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    refunded(sumup, checkout, [goodwill(order.tickets.get(), "5")])
    call_off(entry.pk, money_back=True, who="user:1", why="Rain")
    assert [str(share.money) for share in owed_orders(entry)] == ["€ 7.00"]
    begun(entry)
    run_jobs()
    assert at_sumup(sumup) == [Decimal(5), Decimal(7)]
    assert ledgers_agree(sumup)


@pytest.mark.promise("refunds-called-off")
def test_stopped_it_begins_nothing_more_and_goes_on_where_it_was(
    sumup: SimulatorProcess, entry: CalendarEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    called_off(sumup, entry)
    batch = begun(entry)

    def stop_after_it(pk: int, **named: object) -> Sent:
        outcome = send(pk, who="refund", at=timezone.now())
        stop(batch, at=timezone.now())
        return outcome

    with monkeypatch.context() as patched:
        patched.setattr("payments.refunds.batches.send", stop_after_it)
        assert run(batch.pk)
    run_jobs()
    refunds_once(at=later(minutes=200))
    assert len(at_sumup(sumup)) == 1

    assert resume(batch)
    assert not resume(batch)
    run_jobs()
    batch.refresh_from_db()
    assert (len(at_sumup(sumup)), batch.finished_at is not None) == (3, True)
    assert not stop(batch, at=timezone.now())
    assert ledgers_agree(sumup)


def test_each_order_has_its_own_result(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    called_off(sumup, entry)
    sumup.faults(refund="not_enough_balance", times=1)
    batch = begun(entry)
    run_jobs()
    found = [share.refund.state for share in shares_of(batch) if share.refund]
    assert sorted(found) == ["failed", "succeeded", "succeeded"]
    assert ledgers_agree(sumup)


@pytest.mark.promise("refunds-called-off")
def test_it_waits_while_sumup_cannot_be_asked(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    called_off(sumup, entry)
    batch = begun(entry)
    sumup.faults(transaction="503")
    assert not run(batch.pk)
    assert Refund.objects.count() == 1
    sumup.faults(transaction="ok")
    refunds_once(at=later(minutes=61))
    assert len(at_sumup(sumup)) == 3
    assert ledgers_agree(sumup)


@pytest.mark.promise("refunds-called-off")
def test_two_runs_and_two_clicks_at_once_pay_each_back_once(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    called_off(sumup, entry, 4)
    batches = at_once([lambda: begun(entry)] * 3)
    (pk,) = {batch.pk for batch in batches if isinstance(batch, RefundBatch)}
    at_once([lambda: run(pk)] * 3)
    run_jobs()
    refunds_once(at=later(minutes=5))
    assert at_sumup(sumup) == [Decimal(12)] * 4
    assert ledgers_agree(sumup)


def test_pages_lead_from_calling_off_to_the_results(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    orders = [sold(sumup, entry, 1)[0] for _turn in range(2)]
    client = desk(entry)
    address = f"/admin/events/calendarentry/{entry.pk}/move/call-off/"
    assert f"{orders[0].short_code}, {orders[0].user}: € 12.00" in client.get(address).content.decode()

    page = client.post(address, {"money": "back", "reason": "Ill"}, follow=True)
    text = " ".join(page.content.decode().split())
    assert page.redirect_chain[-1][0] == f"/admin/payments/refund/entry/{entry.pk}/"
    assert "2 orders get money back" in text
    assert "fees for the payments are not returned" in text
    assert client.post(page.redirect_chain[-1][0], {"reason": " "}).status_code == 422
    page = client.post(page.redirect_chain[-1][0], {"reason": "Ill"}, follow=True)
    progress = page.redirect_chain[-1][0]
    assert "0 of 2 refunds have an answer" in page.content.decode()

    assert "Stopped." in client.post(f"{progress}stop/", follow=True).content.decode()
    assert "somebody was quicker" in client.post(f"{progress}stop/", follow=True).content.decode()
    assert "Under way." in client.post(f"{progress}resume/", follow=True).content.decode()
    run_jobs()
    part = client.get(progress, headers={"HX-Request": "true"})
    assert "<html" not in part.content.decode()
    assert "2 of 2 refunds have an answer" in part.content.decode()
    assert "hx-trigger" not in part.content.decode()
    assert client.get(f"{progress}stop/").headers["Location"] == progress
    assert "Nothing is owed" in client.get(f"/admin/payments/refund/entry/{entry.pk}/").content.decode()


@pytest.mark.parametrize(("role", "status"), [(Role.ORGANISER, 403), (Role.BOX_OFFICE, 403), (None, 404)])
def test_others_pay_no_event_back(
    sumup: SimulatorProcess, entry: CalendarEntry, role: Role | None, status: int
) -> None:
    called_off(sumup, entry, 1)
    batch = begun(entry)
    client = desk(EventFactory.create()) if role is None else desk(entry, role)
    for address in (f"entry/{entry.pk}/", f"batch/{batch.pk}/"):
        assert client.get(f"/admin/payments/refund/{address}").status_code == status
    assert client.post(f"/admin/payments/refund/batch/{batch.pk}/stop/").status_code == status
    batch.refresh_from_db()
    assert batch.stopped_at is None


def test_organiser_calls_off_and_stays_on_the_event_s_page(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    sold(sumup, entry, 1)
    address = f"/admin/events/calendarentry/{entry.pk}/move/call-off/"
    answer = desk(entry, Role.ORGANISER).post(address, {"money": "back", "reason": "Ill"})
    assert answer.headers["Location"] == f"/admin/events/calendarentry/{entry.pk}/change/"


@pytest.mark.parametrize("number", [1, 3])
def test_progress_costs_the_same_for_one_and_for_many(
    sumup: SimulatorProcess, entry: CalendarEntry, number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    called_off(sumup, entry, number)
    batch = begun(entry)
    run_jobs()
    client = desk(entry)
    with django_assert_num_queries(9):
        assert client.get(f"/admin/payments/refund/batch/{batch.pk}/").status_code == 200
