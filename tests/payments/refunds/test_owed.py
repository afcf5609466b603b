"""OwedThing and not sent, whatever made it so, is seen where people look, reminded of, and sent with one click."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.db.models import Q
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

import payments.checkouts.settling
from accounts.models import User
from events.models import CalendarEntry, Merchant, Role, Ticket
from events.organising.calling_off import call_off
from events.transitions import mark_owed
from ledger import clock
from ledger.models import History
from ledger.money import Money
from market.models import ProductItem, SoldThing
from orders.models import Order
from payments.checkouts.settling import settle
from payments.locks import locked_with_refunds
from payments.models import Case, Checkout, OwedReminder, Refund
from payments.refunds.debts import OwedThing, Scope, by_currency, owed_rows, owed_sums
from payments.refunds.jobs import send_owed
from payments.refunds.outcomes import fail
from payments.refunds.reminders import AGAIN, FIRST, remind_once
from tests.desk import member, signed_in_as
from tests.factories import EventFactory, UserFactory
from tests.jobs import run_jobs
from tests.ledger.lives import a_ticket
from tests.payments import given
from tests.payments.checkouts.test_late import ended, pay_late
from tests.payments.given import a_case, a_page, a_refund_of, an_event
from tests.payments.mixed import Shop, shop
from tests.payments.money import at_sumup, ledgers_agree, refunded, requested, sold, whole
from tests.races.threads import at_once
from tests.simulator import SimulatorProcess
from tests.steps import opened, ordered, paid_at_sumup, states_of, sumup_id

__all__ = ["shop"]

pytestmark = pytest.mark.django_db(transaction=True)

DESK, SENDING = "/admin/", "/admin/payments/refund/owed/"
LINE = "is owed to buyers and has not been sent"
HOUR = timedelta(hours=1)


# --- Everything that makes money owed


def called_off(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    sold(sumup, entry, 1)
    call_off(entry.pk, money_back=True, who="user:1", why="Rain")


def paid_late(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = ended(entry, 1)
    CalendarEntry.objects.filter(pk=entry.pk).update(capacity=1)
    ordered(entry, 1)
    pay_late(sumup, order, checkout)


def cancelled_by_hand(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    """The organiser cancels a ticket with money back, and withdraws the refund before it is sent."""
    order, _checkout = sold(sumup, entry, 1)
    with transaction.atomic():
        mark_owed([order.tickets.get().pk], source="confirmed")


def paid_twice(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order = ordered(entry, 1)
    first = opened(order)
    sumup.client().deactivate_checkout(sumup_id(first))
    settle(first.pk, who="poll", at=timezone.now())
    second = paid_at_sumup(sumup, order)
    settle(second.pk, who="webhook", at=timezone.now())
    pay_late(sumup, order, first)


def taken_back(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    refund = refunded(sumup, checkout, whole(order))
    with transaction.atomic():
        locked, _refunds = locked_with_refunds(checkout.pk)
        fail(Refund.objects.get(pk=refund.pk), locked, words="no account", at=timezone.now())


CAUSES: list[tuple[Callable[[SimulatorProcess, CalendarEntry], None], str]] = [
    (called_off, "ticket"), (paid_late, "ticket"), (cancelled_by_hand, "ticket"), (paid_twice, "surplus"),
    (taken_back, "ticket"),
]  # fmt: skip


@pytest.fixture
def entry() -> CalendarEntry:
    return EventFactory.create(capacity=5)


@pytest.fixture
def owner(entry: CalendarEntry) -> User:
    return member((entry.calendar.page, Role.OWNER))


def aged(by: timedelta) -> None:
    """Everything that is owed became so `by` earlier: what is asked is asked by so much later."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "difference", lambda: by)
        remind_once(at=clock.now())


def reminders() -> list[str]:
    run_jobs("mail")
    return [row.to[0] for row in mail.outbox if "has not been sent" in row.subject]


def sums() -> list[tuple[str, str]]:
    return [(row.kind, str(row.money)) for row in owed_sums()]


@pytest.mark.parametrize(("cause", "kind"), CAUSES)
@pytest.mark.promise("money-owed-sent")
def test_each_cause_is_on_the_desk_in_the_mail_red_after_days_and_sent_with_one_click(
    sumup: SimulatorProcess,
    entry: CalendarEntry,
    owner: User,
    client: Client,
    settings: Settings,
    cause: Callable[[SimulatorProcess, CalendarEntry], None],
    kind: str,
) -> None:
    cause(sumup, entry)
    assert sums() == [(kind, "€ 12.00")]
    desk = signed_in_as(owner)
    page = desk.get(DESK).content.decode()
    assert f"€ 12.00 {LINE}" in page
    assert f'href="{SENDING}"' in page

    run_jobs("mail")
    mail.outbox.clear()
    aged(FIRST - HOUR)
    assert reminders() == []
    aged(FIRST + HOUR)
    assert reminders() == [owner.email]
    assert "€ 12.00" in str(mail.outbox[-1].body)
    assert f"{settings.SITE_URL}{SENDING}" in str(mail.outbox[-1].body)

    token = {"Authorization": f"Bearer {settings.STATUS_TOKEN}"}
    owed_trouble = "money is owed to buyers and has not been sent for"
    settings.DEBUG = True  # no comparison is awaited
    assert owed_trouble not in client.get("/readyz", headers=token).content.decode()
    run_in_past(timedelta(days=settings.READY_OWED_DAYS, hours=1))
    assert owed_trouble in client.get("/readyz", headers=token).content.decode()

    form = desk.get(SENDING)
    assert "Send € 12.00" in form.content.decode()
    answer = desk.post(SENDING, {"seen": form.context["seen"], "reason": form.context["form"]["reason"].value()})
    assert answer.status_code == 302
    run_jobs("payments")
    run_jobs("payments")
    assert owed_sums() == []
    assert Decimal(12) in at_sumup(sumup)
    assert LINE not in desk.get(DESK).content.decode()
    assert owed_trouble not in client.get("/readyz", headers=token).content.decode()
    assert ledgers_agree(sumup)


def run_in_past(by: timedelta) -> None:
    """The history of what is owed moves into the past, as no application can."""
    from tests.ledger.psql import run

    run("ALTER TABLE ledger_history DISABLE TRIGGER USER")
    run("UPDATE ledger_history SET at = at - make_interval(secs => %s)", by.total_seconds())
    run("ALTER TABLE ledger_history ENABLE TRIGGER USER")


def test_what_is_on_its_way_or_decided_is_not_owed(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    called_off(sumup, entry)
    checkout = Checkout.objects.get(is_applied=True)
    requested(checkout, whole(checkout.order))
    assert owed_sums() == []
    paid_twice(sumup, EventFactory.create(capacity=5))
    assert sums() == [("surplus", "€ 12.00")]
    Case.objects.filter(kind="surplus").update(closed_at=timezone.now(), closed_by="user:1", decision="donated")
    assert owed_sums() == []


# --- Who sees it, and who may send it


@pytest.mark.promise("money-owed-sent")
def test_the_desk_tells_each_role_what_it_may_do(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    called_off(sumup, entry)
    page = entry.calendar.page
    for role, told, button in (
        (Role.OWNER, True, True), (Role.FINANCE, True, True), (Role.ORGANISER, True, False),
        (Role.BOX_OFFICE, False, False), (Role.DOOR, False, False),
    ):  # fmt: skip
        desk = signed_in_as(member((page, role)))
        shown = desk.get(DESK).content.decode()
        assert ((LINE in shown), (f'href="{SENDING}"' in shown)) == (told, button), role
        assert desk.get(SENDING).status_code == (200 if button else 403), role
        assert desk.post(SENDING, {"reason": "x", "seen": "x"}).status_code == (422 if button else 403), role
    stranger = signed_in_as(member((EventFactory.create().calendar.page, Role.OWNER)))
    assert LINE not in stranger.get(DESK).content.decode()
    assert "Nothing is owed" in stranger.get(SENDING).content.decode()
    assert Refund.objects.count() == 0


@pytest.mark.promise("money-owed-sent")
def test_a_member_sends_what_the_own_pages_owe_and_nothing_else(sumup: SimulatorProcess) -> None:
    own, other = EventFactory.create(capacity=5), EventFactory.create(capacity=5)
    called_off(sumup, own)
    called_off(sumup, other)
    user = member((own.calendar.page, Role.OWNER), (other.calendar.page, Role.ORGANISER))
    desk = signed_in_as(user)
    page = desk.get(DESK).content.decode()
    assert page.count(f"€ 12.00 {LINE}") == 2
    form = desk.get(SENDING)
    desk.post(SENDING, {"seen": form.context["seen"], "reason": "It was owed."})
    run_jobs("payments")
    assert [row.page for row in owed_rows()] == [other.calendar.page_id]


def test_what_has_changed_since_it_was_shown_is_shown_again(
    sumup: SimulatorProcess, entry: CalendarEntry, owner: User
) -> None:
    called_off(sumup, entry)
    desk = signed_in_as(owner)
    seen = desk.get(SENDING).context["seen"]
    cancelled_by_hand(sumup, EventFactory.create(calendar=entry.calendar, capacity=5))
    answer = desk.post(SENDING, {"seen": seen, "reason": "It was owed."})
    assert answer.status_code == 422
    assert "has changed meanwhile" in answer.content.decode()
    run_jobs("payments")
    assert Refund.objects.count() == 0


@pytest.mark.promise("money-owed-sent")
def test_sent_twice_it_goes_back_once_and_what_was_given_meanwhile_stays(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order, checkout = sold(sumup, entry, 2)
    first, second = order.tickets.order_by("pk")
    with transaction.atomic():
        mark_owed([first.pk], source="confirmed")
    parts = [(checkout.pk, [f"ticket:{first.pk}", f"ticket:{second.pk}"])]
    for _turn in range(2):
        send_owed(parts=parts, reason="It was owed.", who="user:1")
        run_jobs("payments")
    assert states_of(order) == ["refunded", "confirmed"]
    assert at_sumup(sumup) == [Decimal(12)]
    assert ledgers_agree(sumup)


def test_the_page_is_few_queries_however_much_is_owed(
    sumup: SimulatorProcess, entry: CalendarEntry, owner: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _order in range(3):
        sold(sumup, entry, 1)
    call_off(entry.pk, money_back=True, who="user:1", why="Rain")
    desk = signed_in_as(owner)
    desk.get(SENDING)
    with django_assert_num_queries(9):
        desk.get(SENDING)
    with transaction.atomic(), django_assert_num_queries(1):
        assert len(owed_rows(Scope([entry.calendar.page_id]))) == 3


# --- Reminders


def test_reminders_go_to_owner_and_finance_else_to_superusers(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    above = UserFactory.create(is_staff=True, is_superuser=True)
    called_off(sumup, entry)
    page = entry.calendar.page
    member((page, Role.ORGANISER), (page, Role.BOX_OFFICE), (page, Role.DOOR))
    gone = member((page, Role.OWNER))
    User.objects.filter(pk=gone.pk).update(is_active=False)
    run_jobs("mail")
    mail.outbox.clear()
    aged(FIRST + HOUR)
    assert reminders() == [above.email]

    mail.outbox.clear()
    OwedReminder.objects.all().delete()
    people = [member((page, Role.OWNER)), member((page, Role.FINANCE))]
    aged(FIRST + HOUR)
    assert sorted(reminders()) == sorted(user.email for user in people)


def test_a_reminder_comes_again_after_a_week_or_a_day_after_something_new(
    sumup: SimulatorProcess, entry: CalendarEntry, owner: User
) -> None:
    called_off(sumup, entry)
    for after, told in ((FIRST + HOUR, 1), (FIRST + 2 * HOUR, 1), (3 * FIRST, 1), (AGAIN + FIRST + 2 * HOUR, 2)):
        aged(after)
        assert (after, len(reminders())) == (after, told)
    run_in_past(AGAIN + 2 * FIRST)  # all of that was days ago
    OwedReminder.objects.update(told_at=timezone.now() - FIRST - HOUR)
    aged(timedelta(0))
    assert len(reminders()) == 2
    cancelled_by_hand(sumup, EventFactory.create(calendar=entry.calendar, capacity=5))
    aged(FIRST + HOUR)
    assert len(reminders()) == 3


@pytest.mark.promise("money-owed-sent")
def test_two_workers_send_one_reminder(sumup: SimulatorProcess, entry: CalendarEntry, owner: User) -> None:
    called_off(sumup, entry)
    at = timezone.now() + FIRST + HOUR
    at_once([lambda: remind_once(at=at)] * 2)
    assert reminders() == [owner.email]


def test_what_was_sent_before_the_mail_goes_out_is_not_told(
    sumup: SimulatorProcess, entry: CalendarEntry, owner: User
) -> None:
    called_off(sumup, entry)
    aged(FIRST + HOUR)
    checkout = Checkout.objects.get(is_applied=True)
    refunded(sumup, checkout, whole(checkout.order))
    assert reminders() == []


# --- Called off by who may not send


@pytest.mark.promise("calls-off-may")
def test_who_may_not_send_calls_off_and_owner_and_finance_are_told_at_once(
    sumup: SimulatorProcess, entry: CalendarEntry, settings: Settings
) -> None:
    order, _checkout = sold(sumup, entry, 2)
    page = entry.calendar.page
    people = [member((page, Role.OWNER)), member((page, Role.FINANCE))]
    desk = signed_in_as(member((page, Role.ORGANISER)))
    address = f"/admin/events/calendarentry/{entry.pk}/move/call-off/"
    assert "you may not send it" in desk.get(address).content.decode()
    run_jobs("mail")
    mail.outbox.clear()

    answer = desk.post(address, {"money": "back", "reason": "The singer is ill"})

    assert answer["Location"] == f"/admin/events/calendarentry/{entry.pk}/change/"
    run_jobs("mail")
    told = {row.to[0]: row for row in mail.outbox}
    assert set(told) == {order.user.email, *(user.email for user in people)}
    sending = f"{settings.SITE_URL}/admin/payments/refund/entry/{entry.pk}/"
    for user in people:
        assert "€ 24.00" in told[user.email].subject
        assert sending in str(told[user.email].body)
    assert signed_in_as(people[0]).get(sending.removeprefix(settings.SITE_URL)).status_code == 200


def test_who_may_send_is_offered_it_and_nobody_else_is_told(
    sumup: SimulatorProcess, entry: CalendarEntry, owner: User
) -> None:
    sold(sumup, entry, 1)
    desk = signed_in_as(owner)
    address = f"/admin/events/calendarentry/{entry.pk}/move/call-off/"
    assert "The next page offers to send it right after." in desk.get(address).content.decode()
    run_jobs("mail")
    mail.outbox.clear()
    answer = desk.post(address, {"money": "back", "reason": "Rain"})
    assert answer["Location"] == f"/admin/payments/refund/entry/{entry.pk}/"
    run_jobs("mail")
    assert owner.email not in [row.to[0] for row in mail.outbox]


@pytest.mark.parametrize("kept", [True, False])
def test_nothing_owed_tells_nobody(sumup: SimulatorProcess, kept: bool) -> None:
    entry = EventFactory.create(capacity=5, ticket_price="12.00" if kept else "0.00")
    if kept:
        sold(sumup, entry, 1)
    owner = member((entry.calendar.page, Role.OWNER))
    run_jobs("mail")
    mail.outbox.clear()
    call_off(entry.pk, money_back=not kept, who="user:1", why="Rain", may_send=False)
    run_jobs("mail")
    assert owner.email not in [row.to[0] for row in mail.outbox]


# --- What a buyer is promised

#: Words of money that moves, or will: only where it has been asked for or sent.
PROMISES = re.compile(r"go(es)? back|comes? back|paid back|on its way back", re.IGNORECASE)


@pytest.mark.parametrize(("cause", "kind"), CAUSES[:4])
@pytest.mark.promise("buyer-promised-decided")
def test_a_buyer_is_promised_what_was_decided_and_told_when_it_is_sent(
    sumup: SimulatorProcess,
    entry: CalendarEntry,
    cause: Callable[[SimulatorProcess, CalendarEntry], None],
    kind: str,
) -> None:
    """Every mail to the buyer and every page of the order, before anybody has sent it; then one mail that says so."""
    cause(sumup, entry)
    run_jobs("mail")
    (order,) = Order.objects.filter(state="paid")
    theirs = [row for row in mail.outbox if row.to == [order.user.email]]
    told = [
        f"{row.subject} {row.body} {row.alternatives}" for row in theirs if isinstance(row, mail.EmailMultiAlternatives)
    ]
    assert [words for words in told if PROMISES.search(words)] == []
    if cause is not cancelled_by_hand:  # of which the organiser tells them
        assert any("€ 12.00" in words and "You get a mail when it is sent".lower() in words.lower() for words in told)
    buyer = signed_in_as(order.user)
    addresses = [order.get_absolute_url(), "/orders/", "/tickets/"]
    addresses += [ticket.get_absolute_url() for ticket in Ticket.objects.filter(order=order, state="refund_due")]
    for address in addresses:
        assert not PROMISES.search(buyer.get(address).content.decode()), address

    mail.outbox.clear()
    rows = owed_rows()
    send_owed(parts=[(row.checkout or 0, [row.key]) for row in rows], reason="It was owed.", who="user:1")
    run_jobs("payments")
    run_jobs("mail")
    assert [row.subject for row in mail.outbox] == [
        f"€ 12.00 goes back to you, order {order.short_code} ({entry.title})"
    ]


# --- The rows themselves

direct = pytest.mark.django_db


def euros(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")


def since(row: SoldThing | Checkout, state: str) -> Any:
    """The moment of its own move, among others that later moves of other rows, fields and states have."""
    subject, at = str(row._meta.model_name), History.objects.of(row).filter(field="state", new=state).latest("id").at
    for number, (what, pk, name, new) in enumerate(
        [("other", row.pk, "state", state), (subject, row.pk + 10**6, "state", state),
         (subject, row.pk, "price", state), (subject, row.pk, "state", "else")], 1
    ):  # fmt: skip
        later = at + timedelta(days=number)
        History.objects.create(subject=what, subject_id=pk, field=name, old="", new=new, actor="test", at=later)
    return at


@direct
@pytest.mark.usefixtures("merchant")
def test_each_sold_thing_is_owed_with_what_of_its_price_is_left(shop: Shop) -> None:
    """To the cent, by its own refunds, of the payment that paid for it."""
    shop.product.stock = 9
    shop.product.save()
    order = given.ordered(shop)
    Checkout.objects.filter(pk=(first := a_page(order)).pk).update(state="refused")
    checkout = given.paid(order)
    ticket, booking, (bag, second) = order.tickets.get(), order.bookings.get(), order.items.order_by("pk")
    mark_owed([ticket.pk], source="confirmed")
    mark_owed([booking.pk], source="confirmed", of=CalendarEntry)
    mark_owed([bag.pk, second.pk], source="confirmed", of=ProductItem)
    a_refund_of(checkout, "succeeded", ("goodwill", bag, "4.00"), ("goodwill", second, "5.00"))
    a_refund_of(checkout, "failed", ("row", ticket, "12.00"))
    a_refund_of(checkout, "requested", ("goodwill", ticket, "0.50"))
    other_order, other = given.sold(shop, days=9)
    theirs = other_order.items.order_by("pk")[0]
    mark_owed([theirs.pk], source="confirmed", of=ProductItem)
    a_refund_of(other, "requested", ("goodwill", theirs, "4.99"))
    lone = a_ticket("refund_due")
    lone.refresh_from_db()
    dates = {row: since(row, "refund_due") for row in (ticket, booking, bag, theirs, lone)}
    page, elsewhere = shop.page.pk, lone.entry.calendar.page_id

    found = owed_rows()

    expected = [
        OwedThing("ticket", lone.pk, elsewhere, lone.order_id or 0, None, euros("12.00"), dates[lone]),
        OwedThing("ticket", ticket.pk, page, order.pk, checkout.pk, euros("11.50"), dates[ticket]),
        OwedThing("booking", booking.pk, page, order.pk, checkout.pk, euros("20.00"), dates[booking]),
        OwedThing("item", bag.pk, page, order.pk, checkout.pk, euros("1.00"), dates[bag]),
        OwedThing("item", theirs.pk, page, other_order.pk, other.pk, euros("0.01"), dates[theirs]),
    ]
    assert found == expected
    assert first.pk < checkout.pk
    assert owed_rows(Scope([page])) == expected[1:]
    assert owed_rows(Scope([elsewhere])) == expected[:1]
    assert owed_rows(Scope([])) == []
    sums = [(row.kind, row.number, row.money, row.oldest) for row in owed_sums()]
    assert sums == [
        ("ticket", 2, euros("23.50"), min(dates[ticket], dates[lone])),
        ("booking", 1, euros("20.00"), dates[booking]),
        ("item", 2, euros("1.01"), min(dates[bag], dates[theirs])),
    ]
    francs = replace(found[0], money=Money(Decimal(3), "CHF"))
    assert by_currency([*found, francs]) == [Money(Decimal(3), "CHF"), euros("44.51")]


@pytest.fixture
def surpluses(merchant: Merchant) -> list[Checkout]:
    """Second payments of four orders, 12.00 each."""
    orders = [ordered() for _turn in range(4)]
    for order in orders:
        given.paid(order)
    return [given.paid(order) for order in orders]


def owed_surpluses(*scope: Scope) -> dict[int, str]:
    assert {row.kind for row in owed_rows(*scope)} <= {"surplus"}
    return {row.pk: str(row.money.amount) for row in owed_rows(*scope)}


@direct
def test_a_payment_beyond_its_order_is_owed_with_what_is_left_of_it(surpluses: list[Checkout]) -> None:
    whole, part, nearly, gone = surpluses
    sent = a_refund_of(part, "succeeded", ("surplus", None, "2.00"))
    a_refund_of(part, "failed", ("surplus", None, "3.00"))
    an_event(part, "1.00")
    an_event(part, "0.50", kind="CHARGE_BACK", status="PENDING")
    an_event(part, "2.00", refund=sent)
    an_event(part, "5.00", kind="PAYOUT")
    an_event(part, "4.00", status="FAILED")
    an_event(part, "-3.00")
    a_refund_of(nearly, "requested", ("surplus", None, "11.00"))
    a_refund_of(gone, "sending", ("surplus", None, "12.00"))
    since_when = since(whole, "paid")

    assert owed_surpluses() == {whole.pk: "12.00", part.pk: "8.50", nearly.pk: "1.00"}

    first = owed_rows()[0]
    assert first == OwedThing("surplus", whole.pk, None, whole.order_id, whole.pk, euros("12.00"), since_when)
    (summed,) = owed_sums()
    assert (summed.kind, summed.number, summed.money) == ("surplus", 3, euros("21.50"))
    mine = Scope([], Q(order=part.order_id))
    assert owed_surpluses(mine) == {part.pk: "8.50"}
    assert owed_surpluses(Scope([], Q(pk__in=[]))) == {}
    assert owed_surpluses(Scope([])) == owed_surpluses()


@direct
def test_a_payment_that_a_person_let_stay_is_not_owed(surpluses: list[Checkout]) -> None:
    decided, by_itself, otherwise, waiting = surpluses
    ended = {"closed_at": timezone.now(), "decision": "Donated."}
    Case.objects.filter(checkout=decided).update(closed_by="user:1", **ended)
    Case.objects.filter(checkout=by_itself).update(closed_by="reconcile", **ended)
    a_case("mismatch", otherwise, closed_by="user:1", **ended)

    assert set(owed_surpluses()) == {by_itself.pk, otherwise.pk, waiting.pk}


@direct
def test_what_paid_for_its_order_or_waits_for_its_goods_or_a_person_is_not_owed(
    surpluses: list[Checkout], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_order: Order, *, at: datetime) -> bool:
        raise ZeroDivisionError("the printer")

    with monkeypatch.context() as patch:
        patch.setattr(payments.checkouts.settling, "fulfil", broken)
        kept_back = given.paid(ordered())
    assert (kept_back.state, kept_back.is_applied) == ("paid", False)
    order = surpluses[0].order
    strange = a_page(order)
    Checkout.objects.filter(pk=strange.pk).update(state="mismatch", captured=Decimal(9), captured_currency="EUR")

    assert set(owed_surpluses()) == {row.pk for row in surpluses}
