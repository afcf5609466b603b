"""Refunds, from a person's wish to the money that went back: over HTTP, SumUp's ledger equal to ours at the end."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core import mail
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

import payments.refund_sending
from events.models import CalendarEntry, Ticket
from ledger.models import History
from payments.models import Case, Checkout, Refund
from payments.refund_jobs import refunds_once
from payments.refund_sending import Sent, again, follow, send
from payments.refunding import RefundRefused, Wish, request_refund, spread, withdraw
from payments.rows import left_of, rows_of
from payments.states import RefundKind
from tests.cart.steps import held, states_of
from tests.factories import EventFactory
from tests.jobs import run_jobs
from tests.payments.money import (
    at_sumup,
    goodwill,
    ledgers_agree,
    refunded,
    requested,
    sent,
    sold,
    whole,
)
from tests.races.threads import at_once, in_a_thread
from tests.simulator import PATIENCE, SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def entry() -> CalendarEntry:
    return EventFactory.create(capacity=10)


def cases(checkout: Checkout) -> list[str]:
    return list(Case.objects.open().filter(checkout=checkout).values_list("kind", flat=True))


# --- Asking


def test_whole_order_goes_back_without_an_amount_by_its_job(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 2)

    refund = requested(checkout, whole(order))
    assert (states_of(order), held(entry), refund.state) == (["refund_due"] * 2, 0, "requested")
    run_jobs()

    refund.refresh_from_db()
    assert (refund.state, refund.is_rest, refund.events_before) == ("succeeded", True, Decimal(0))
    assert (states_of(order), at_sumup(sumup)) == (["refunded"] * 2, [Decimal(24)])
    order.refresh_from_db()
    assert order.state == "paid"
    assert ledgers_agree(sumup)


def test_one_line_goes_back_with_its_amount_and_the_other_stays_valid(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order, checkout = sold(sumup, entry, 2)

    refund = refunded(sumup, checkout, whole(order, 1))

    assert (refund.is_rest, states_of(order), held(entry)) == (False, ["refunded", "confirmed"], 1)
    assert at_sumup(sumup) == [Decimal(12)]
    assert refunded(sumup, checkout, whole(order)[1:]).is_rest
    assert left_of(checkout) == 0
    assert ledgers_agree(sumup)


def test_goodwill_leaves_the_ticket_valid_and_lowers_what_its_whole_brings(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order, checkout = sold(sumup, entry, 1)
    (ticket,) = order.tickets.all()

    refunded(sumup, checkout, [goodwill(ticket, "2.50")])
    assert states_of(order) == ["confirmed"]
    rest = refunded(sumup, checkout, whole(order))

    assert (rest.amount, rest.is_rest, states_of(order)) == (Decimal("9.50"), True, ["refunded"])
    assert at_sumup(sumup) == [Decimal("2.50"), Decimal("9.50")]


def test_goodwill_for_an_order_is_spread_over_its_rows(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 3)

    wishes = spread(rows_of(order), Decimal(20))
    refund = refunded(sumup, checkout, wishes)

    assert [line.amount for line in refund.lines.order_by("pk")] == [Decimal(12), Decimal(8)]
    assert states_of(order) == ["confirmed"] * 3
    with pytest.raises(RefundRefused, match="more than what is left"):
        spread(rows_of(order), Decimal("16.01"))


def test_what_was_paid_back_elsewhere_is_recorded_and_nothing_is_sent(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order, checkout = sold(sumup, entry, 2)

    refund = request_refund(
        checkout.pk, whole(order), reason="In cash", who="user:1", at=timezone.now(), elsewhere=True
    )
    run_jobs()

    assert refund is not None
    refund.refresh_from_db()
    assert (refund.state, refund.origin, states_of(order)) == ("succeeded", "elsewhere", ["refunded"] * 2)
    assert (at_sumup(sumup), sumup.calls("refund")) == ([], 0)
    assert "in another way than by card" in mail.outbox[-1].body


def test_row_with_nothing_left_is_cancelled_without_a_refund(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    (ticket,) = order.tickets.all()
    refunded(sumup, checkout, [goodwill(ticket, "12")])

    made = request_refund(checkout.pk, whole(order), reason="Ill", who="user:1", at=timezone.now())

    assert (made, states_of(order), Refund.objects.count()) == (None, ["cancelled"], 1)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (lambda ticket: goodwill(ticket, "12.01"), "only € 12.00 of its price is left"),
        (lambda ticket: goodwill(ticket, "0"), "above 0"),
        (lambda ticket: goodwill(ticket, "-1"), "above 0"),
        (lambda ticket: goodwill(ticket, "NaN"), "above 0"),
        (lambda ticket: goodwill(ticket, "1.005"), "decimal places"),
        (lambda _ticket: Wish(RefundKind.ROW, "ticket:999999"), "not a part"),
        (lambda _ticket: Wish(RefundKind.ROW, "order:1"), "not a part"),
        (lambda _ticket: Wish(RefundKind.SURPLUS), "paid for the order"),
    ],
)
def test_bad_wish_is_refused_and_changes_nothing(
    sumup: SimulatorProcess, entry: CalendarEntry, wish: Callable[[Ticket], Wish], words: str
) -> None:
    order, checkout = sold(sumup, entry, 1)
    with pytest.raises(RefundRefused, match=words):
        requested(checkout, [wish(Ticket.objects.get(order=order))])
    assert (states_of(order), Refund.objects.count(), sumup.calls("refund")) == (["confirmed"], 0, 0)


def test_ticket_of_another_order_is_not_paid_back(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    _order, checkout = sold(sumup, entry, 1)
    other, _payment = sold(sumup, entry, 1)
    with pytest.raises(RefundRefused, match="not a part"):
        requested(checkout, whole(other))
    assert states_of(other) == ["confirmed"]


def test_what_is_gone_is_not_paid_back_again(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 2)
    refunded(sumup, checkout, whole(order, 1))
    with pytest.raises(RefundRefused, match="cannot be paid back"):
        requested(checkout, whole(order, 1))
    assert at_sumup(sumup) == [Decimal(12)]


def test_second_refund_waits_for_the_end_of_the_first(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 2)
    requested(checkout, whole(order, 1))
    with pytest.raises(RefundRefused, match="under way already"):
        requested(checkout, whole(order)[1:])
    assert states_of(order) == ["refund_due", "confirmed"]


def test_refund_that_was_not_sent_can_be_withdrawn(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    refund = requested(checkout, whole(order))

    assert withdraw(refund.pk, reason="A mistake", who="user:1", at=timezone.now())
    run_jobs()

    assert (states_of(order), at_sumup(sumup)) == (["refund_due"], [])
    assert not withdraw(refund.pk, reason="Again", who="user:1", at=timezone.now())
    assert refunded(sumup, checkout, whole(order)).state == "succeeded"


def test_history_says_who_asked_and_why(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    refunded(sumup, checkout, whole(order))
    (ticket,) = order.tickets.all()
    owed = History.objects.of(ticket).get(new="refund_due")
    assert (owed.actor, owed.reason) == ("user:1", "Ill")


def test_buyer_is_told_once_by_one_mail(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 2)
    run_jobs()
    mail.outbox.clear()

    refund = requested(checkout, whole(order, 1))
    run_jobs()
    for _turn in range(3):
        follow(refund.pk, who="sweep", at=timezone.now())
    run_jobs()

    (told,) = mail.outbox
    assert told.to == [order.user.email]
    assert told.extra_headers["Message-ID"].startswith(f"<refund.{refund.pk}@")
    assert "€ 12.00" in told.subject
    assert order.code in told.body


# --- What SumUp answers (faults 29 and 31)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("not_refundable", "not refundable in its current state"),
        ("not_enough_balance", "Not enough available balance"),
        ("too_high", "Amount exceeds the refundable amount"),
        ("min_amount", "min_refundable_amount 20"),
        ("403", "users is not allowed to make a refund"),
        ("401", "Unauthorized"),
    ],
)
def test_refusal_leaves_the_row_owed_with_sumups_own_words_and_can_be_tried_again(
    sumup: SimulatorProcess, entry: CalendarEntry, fault: str, words: str
) -> None:
    order, checkout = sold(sumup, entry, 2)
    sumup.faults(refund=fault, times=1)
    refund = requested(checkout, whole(order, 1))

    assert sent(refund) is Sent.FAILED
    assert words in refund.words
    assert (states_of(order), at_sumup(sumup)) == (["refund_due", "confirmed"], [])
    assert "refund" in cases(checkout)
    assert words in Case.objects.get(checkout=checkout, kind="refund").words

    second = again(refund.pk, reason="Now", who="user:2", at=timezone.now())
    assert second is not None
    assert sent(second) is Sent.SUCCEEDED
    assert (states_of(order), at_sumup(sumup)) == (["refunded", "confirmed"], [Decimal(12)])
    assert cases(checkout) == []
    assert ledgers_agree(sumup)


def test_one_of_three_refunds_fails_and_each_has_its_own_result(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    sales = [sold(sumup, entry, 1) for _turn in range(3)]
    refunds = [requested(checkout, whole(order)) for order, checkout in sales]
    outcomes = []
    for number, refund in enumerate(refunds):
        sumup.faults(refund="not_enough_balance" if number == 1 else "ok")
        outcomes.append(sent(refund))

    assert outcomes == [Sent.SUCCEEDED, Sent.FAILED, Sent.SUCCEEDED]
    assert [states_of(order) for order, _checkout in sales] == [["refunded"], ["refund_due"], ["refunded"]]
    assert ledgers_agree(sumup)


@pytest.mark.parametrize("fault", ["500_after", "lost_answer", "hang_after"])
def test_answer_that_was_lost_after_the_work_was_done_is_read_back(
    sumup: SimulatorProcess, entry: CalendarEntry, fault: str
) -> None:
    """Fault 29: and a click on refund again finds it done."""
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund=fault, times=1)
    refund = requested(checkout, whole(order))

    assert sent(refund, deadline=2 if fault == "hang_after" else PATIENCE) is Sent.SUCCEEDED
    with pytest.raises(RefundRefused):
        requested(checkout, whole(order))
    with pytest.raises(RefundRefused, match="nothing to send again"):
        again(refund.pk, reason="Again", who="user:1", at=timezone.now())

    assert (states_of(order), at_sumup(sumup)) == (["refunded"], [Decimal(12)])
    assert sumup.calls("refund") == 1


@pytest.mark.parametrize("fault", ["500", "drop", "502html", "blocked"])
def test_no_answer_is_unknown_and_only_a_click_sends_again(
    sumup: SimulatorProcess, entry: CalendarEntry, fault: str
) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund=fault, times=1)
    refund = requested(checkout, whole(order))

    assert sent(refund) is Sent.UNKNOWN
    now = timezone.now()
    for hours in (0, 1, 2, 30):
        refunds_once(at=now + timedelta(hours=hours))
    run_jobs()
    refund.refresh_from_db()
    assert (refund.state, sumup.calls("refund"), cases(checkout)) == ("unknown", 1, ["refund"])
    with pytest.raises(RefundRefused, match="under way already"):
        requested(checkout, whole(order))

    second = again(refund.pk, reason="SumUp shows nothing", who="user:1", at=now)
    assert second is not None
    assert sent(second) is Sent.SUCCEEDED
    refund.refresh_from_db()
    assert (refund.state, states_of(order), at_sumup(sumup)) == ("failed", ["refunded"], [Decimal(12)])
    assert ledgers_agree(sumup)


def test_unknown_one_succeeds_when_its_event_shows_late(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund="500_after", refund_event_delay=600)
    refund = requested(checkout, whole(order))
    assert sent(refund) is Sent.UNKNOWN

    refunds_once(at=timezone.now() + timedelta(minutes=5))
    refund.refresh_from_db()
    assert refund.state == "unknown"
    sumup.shift_clock(601)
    refunds_once(at=timezone.now() + timedelta(minutes=11))

    refund.refresh_from_db()
    assert (refund.state, states_of(order), sumup.calls("refund")) == ("succeeded", ["refunded"], 1)
    assert ledgers_agree(sumup)


def test_send_again_finds_the_event_and_sends_nothing(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund="500_after", refund_event_delay=600)
    refund = requested(checkout, whole(order))
    assert sent(refund) is Sent.UNKNOWN
    sumup.shift_clock(601)

    with pytest.raises(RefundRefused, match="nothing to send again"):
        again(refund.pk, reason="Again", who="user:1", at=timezone.now())

    assert (sumup.calls("refund"), at_sumup(sumup)) == (1, [Decimal(12)])


def test_nothing_is_sent_again_while_sumup_does_not_say(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund="500", times=1)
    refund = requested(checkout, whole(order))
    assert sent(refund) is Sent.UNKNOWN
    sumup.faults(transaction="404")

    with pytest.raises(RefundRefused, match="does not say at the moment"):
        again(refund.pk, reason="Again", who="user:1", at=timezone.now())

    refund.refresh_from_db()
    assert (refund.state, sumup.calls("refund")) == ("unknown", 1)


def test_nothing_is_sent_while_the_transaction_cannot_be_read(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(transaction="404")
    refund = requested(checkout, whole(order))

    assert sent(refund) is Sent.WAITING
    refunds_once(at=timezone.now() + timedelta(days=1, minutes=1))
    refund.refresh_from_db()
    assert (refund.state, sumup.calls("refund"), cases(checkout)) == ("requested", 0, ["refund"])

    sumup.faults(transaction="ok")
    refunds_once(at=timezone.now() + timedelta(days=1, minutes=2))
    assert states_of(order) == ["refunded"]
    assert ledgers_agree(sumup)


def test_failed_one_whose_event_turns_up_succeeded(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    """A proxy said no after SumUp had done it, and its event came late."""
    order, checkout = sold(sumup, entry, 1)
    refund = requested(checkout, whole(order))
    sumup.faults(refund="not_refundable", times=1)
    assert sent(refund) is Sent.FAILED
    sumup.control(f"refund/{checkout.transaction_id}")

    follow(refund.pk, who="reconcile", at=timezone.now())

    refund.refresh_from_db()
    assert (refund.state, states_of(order), cases(checkout)) == ("succeeded", ["refunded"], [])
    assert ledgers_agree(sumup)


@pytest.mark.parametrize("was_read", [True, False], ids=["its event was read", "before its event was read"])
def test_refund_that_sumup_took_back_is_owed_again(
    sumup: SimulatorProcess, entry: CalendarEntry, was_read: bool
) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund_event_delay=0 if was_read else 600)
    refund = refunded(sumup, checkout, whole(order))
    follow(refund.pk, who="sweep", at=timezone.now())
    assert refund.sumup_events.exists() is was_read
    sumup.faults(refund_event_delay=0)
    sumup.shift_clock(601)
    sumup.control(f"fail_refund/{sumup.ledger()['refunds'][0]['id']}")

    for _turn in range(2):
        follow(refund.pk, who="reconcile", at=timezone.now())

    refund.refresh_from_db()
    assert (refund.state, states_of(order), cases(checkout)) == ("failed", ["refund_due"], ["refund"])
    second = again(refund.pk, reason="Once more", who="user:1", at=timezone.now())
    assert second is not None
    assert sent(second) is Sent.SUCCEEDED
    assert (states_of(order), cases(checkout)) == (["refunded"], [])
    assert ledgers_agree(sumup)


def test_success_whose_event_does_not_follow_within_a_day_is_told(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund_event_delay=200_000)
    refund = requested(checkout, whole(order))
    assert sent(refund) is Sent.SUCCEEDED

    refunds_once(at=timezone.now() + timedelta(hours=23))
    assert cases(checkout) == []
    for hours in (25, 27):
        refunds_once(at=timezone.now() + timedelta(hours=hours))

    (case,) = Case.objects.filter(checkout=checkout)
    assert "its books do not show it" in case.words


# --- Two at once (fault 30)


def test_two_admins_at_once_one_wins_and_the_other_is_told(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 2)

    found = at_once([lambda: requested(checkout, whole(order)), lambda: requested(checkout, whole(order))])
    run_jobs()

    refused = [answer for answer in found if isinstance(answer, RefundRefused)]
    assert (len(refused), Refund.objects.count()) == (1, 1)
    assert (at_sumup(sumup), states_of(order)) == ([Decimal(24)], ["refunded"] * 2)


def test_rival_at_the_seam_between_reading_and_sending_sends_it_once(
    sumup: SimulatorProcess, entry: CalendarEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second worker begins while the first has read the transaction and not yet written that it sends."""
    order, checkout = sold(sumup, entry, 1)
    refund = requested(checkout, whole(order))
    begin = payments.refund_sending._begin
    rivals: list[Sent] = []

    def rival_first(*arguments: object) -> bool:
        monkeypatch.setattr(payments.refund_sending, "_begin", begin)
        rivals.append(in_a_thread(lambda: send(refund.pk, who="rival", at=timezone.now())))
        return begin(*arguments)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(payments.refund_sending, "_begin", rival_first)

    assert (sent(refund), rivals) == (Sent.NOT_DUE, [Sent.SUCCEEDED])
    assert (sumup.calls("refund"), at_sumup(sumup)) == (1, [Decimal(12)])


def test_many_workers_at_once_send_it_once(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    refund = requested(checkout, whole(order))

    found = at_once([lambda: send(refund.pk, who="job", at=timezone.now())] * 8)

    assert found.count(Sent.SUCCEEDED) == 1, found
    assert (sumup.calls("refund"), states_of(order)) == (1, ["refunded"])


def test_parts_never_exceed_the_capture(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    (ticket,) = order.tickets.all()
    for _turn in range(2):
        refunded(sumup, checkout, [goodwill(ticket, "5")])

    with pytest.raises(RefundRefused, match=r"only € 2\.00"):
        requested(checkout, [goodwill(ticket, "5")])
    refunded(sumup, checkout, [goodwill(ticket, "2")])

    assert at_sumup(sumup) == [Decimal(5), Decimal(5), Decimal(2)]
    assert ledgers_agree(sumup)


# --- Left behind


def test_requested_one_whose_job_was_lost_is_sent_by_the_sweep(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    refund = requested(checkout, whole(order))
    ProcrastinateJob.objects.filter(task_name="payments.refund_jobs.send_refund").delete()

    refunds_once(at=refund.requested_at + timedelta(minutes=1))
    assert sumup.calls("refund") == 0
    refunds_once(at=refund.requested_at + timedelta(minutes=3))

    assert (states_of(order), at_sumup(sumup)) == (["refunded"], [Decimal(12)])
