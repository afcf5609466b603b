"""A mismatch is money: nobody is asked to pay again, every page says what is going on, and a decision ends it."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils import timezone

import orders.fulfilling
import orders.states
import payments.states
from events.models import CalendarEntry, Role
from orders.models import Order
from orders.releasing import request_cancel
from payments.books.checking import read_books
from payments.checkouts.accepting import accept_mismatch
from payments.checkouts.ending import Release, release
from payments.checkouts.opening import NotPayable, hosted_page
from payments.checkouts.settling import settle
from payments.jobs import sweep_once
from payments.models import Case, Checkout
from payments.refunds.asking import Wish
from payments.states import RefundKind
from tests.desk import member, signed_in_as
from tests.factories import EventFactory
from tests.jobs import run_jobs
from tests.payments.checkouts.test_unshown import mismatched, payment
from tests.payments.money import ledgers_agree, refunded
from tests.simulator import SimulatorProcess
from tests.steps import HTMX, checkout_form, fill, held, later, opened, ordered, paid_at_sumup, states_of, sumup_id

pytestmark = pytest.mark.django_db(transaction=True)

WHOLE = [Wish(RefundKind.SURPLUS)]


@pytest.fixture
def entry() -> CalendarEntry:
    return EventFactory.create(capacity=5)


@pytest.fixture
def order(entry: CalendarEntry) -> Order:
    return ordered(entry)


def a_cent_less(sumup: SimulatorProcess, order: Order) -> Checkout:
    """Its payment brought 11.99 of 12.00; SumUp goes on saying so."""
    checkout = paid_at_sumup(sumup, order)
    sumup.faults(tamper={"amount": 11.99, "transactions": [payment(sumup, amount=11.99)]})
    settle(checkout.pk, who="webhook", at=timezone.now())
    checkout.refresh_from_db()
    assert (checkout.state, checkout.captured) == ("mismatch", Decimal("11.99"))
    return checkout


def goods_kept_back(sumup: SimulatorProcess, order: Order, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """It is paid, and the goods could not be given."""
    checkout = paid_at_sumup(sumup, order)

    def broken(_tickets: object) -> int:
        raise ZeroDivisionError("the printer")

    monkeypatch.setattr(orders.fulfilling, "mark_confirmed", broken)
    settle(checkout.pk, who="webhook", at=timezone.now())
    checkout.refresh_from_db()
    assert (checkout.state, checkout.is_applied) == ("paid", False)
    return checkout


#: Every place that shows an order which awaits payment: who looks, and how.
PLACES: dict[str, Callable[[Client, Order], str]] = {
    "order": lambda client, order: text(client.get(f"/orders/{order.code}/")),
    "poll": lambda client, order: text(client.get(f"/orders/{order.code}/status/?seen=x", headers=HTMX)),
    "status without scripts": lambda client, order: text(client.get(f"/orders/{order.code}/status/")),
    "order signed out": lambda _client, order: text(Client().get(f"/orders/{order.code}/")),
    "poll signed out": lambda _client, order: text(Client().get(f"/orders/{order.code}/status/?seen=x", headers=HTMX)),
    "cart": lambda client, _order: text(client.get("/cart/")),
    "cart of a page": lambda client, order: text(client.get(f"/cart/{order.lines.get().page.slug}/")),
    "checkout": lambda client, _order: text(client.post("/checkout/", checkout_form(client)), 422),
    "paying": lambda client, order: text(client.post(f"/orders/{order.code}/pay/", follow=True)),
    "cancelling": lambda client, order: text(client.post(f"/orders/{order.code}/cancel/", follow=True)),
    "putting back": lambda client, order: text(client.post(f"/orders/{order.code}/again/", follow=True)),
}
LOOKED_AT = "looked at"


def text(response: object, status: int = 200) -> str:
    assert getattr(response, "status_code", None) == status
    return str(getattr(response, "content", b"").decode())


@pytest.mark.parametrize("kind", ["mismatch", "goods"])
@pytest.mark.promise("payment-asked-24")
def test_every_place_says_that_a_payment_is_looked_at_and_none_asks_for_money(
    sumup: SimulatorProcess, entry: CalendarEntry, order: Order, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Fault 38."""
    if kind == "mismatch":
        a_cent_less(sumup, order)
    else:
        goods_kept_back(sumup, order, monkeypatch)
    client = Client()
    client.force_login(order.user)
    fill(order.user, entry)

    for name, look in PLACES.items():
        shown = look(client, order)
        assert LOOKED_AT in shown, name
        for gone in ("Waiting for your payment", f"/orders/{order.code}/pay/", f"/orders/{order.code}/cancel/"):
            assert gone not in shown, name
        for gone in ("is not paid yet", "Nothing was charged", "being cancelled", "/again/"):
            assert gone not in shown, name
        if "signed out" in name:
            assert "11.99" not in shown, name
        elif kind == "mismatch":
            assert "€ 11.99" in shown, name
            assert "€ 12.00" in shown, name
            assert "Nothing more is to be paid now" in shown, name
    assert "Payment being looked at" in text(client.get("/orders/"))
    assert "Waiting for payment" not in text(client.get("/orders/"))

    assert Checkout.objects.filter(order=order).count() == 1
    assert len(sumup.ledger()["checkouts"]) == 1
    fresh = Order.objects.get(pk=order.pk)
    assert (fresh.state, fresh.cancel_requested_at, states_of(order)) == ("awaiting_payment", None, ["reserved"])


def test_every_place_that_reads_awaiting_payment_is_looked_at_here() -> None:
    assert set(payments.states.CaseKind.values) >= orders.states.UNDECIDED
    assert set(payments.states.CheckoutState.values) >= orders.states.PAYABLE


@pytest.mark.promise("payment-asked-24")
def test_buyer_is_told_by_mail_once(sumup: SimulatorProcess, order: Order) -> None:
    checkout = a_cent_less(sumup, order)
    settle(checkout.pk, who="sweep", at=later(minutes=61))
    run_jobs()
    (message,) = mail.outbox
    assert isinstance(message, EmailMultiAlternatives)
    assert message.to == [order.user.email]
    assert (
        message.subject
        == f"Your payment is being looked at, order {order.short_code} ({order.tickets.get().entry.title})"
    )
    for part in (str(message.body), str(message.alternatives[0][0])):
        assert "€ 11.99" in part
        assert "€ 12.00" in part
        assert "pay nothing more" in part


@pytest.mark.promise("mismatch-while-another")
def test_no_new_attempt_is_made_and_another_page_of_it_is_ended(sumup: SimulatorProcess, order: Order) -> None:
    """An older page of the order was paid, and not as asked for, while a newer one is open."""
    first = opened(order)
    sumup.ask("DELETE", f"/v0.1/checkouts/{first.sumup_id}")
    settle(first.pk, who="test", at=timezone.now())
    second = opened(order)
    sumup.pay(sumup_id(first), force=True)
    sumup.faults(tamper={"amount": 11.99})
    settle(first.pk, who="sweep", at=later(seconds=10))
    sumup.faults(tamper={})

    with pytest.raises(NotPayable):
        hosted_page(order, at=timezone.now())
    Checkout.objects.update(asked_at=timezone.now())
    sweep_once()

    second.refresh_from_db()
    assert second.state == "expired"
    states = {row["id"]: row["status"] for row in sumup.ledger()["checkouts"]}
    assert states[second.sumup_id] == "EXPIRED"
    assert states_of(order) == ["reserved"]


def test_cancel_that_was_asked_for_before_frees_nothing_under_money(sumup: SimulatorProcess, order: Order) -> None:
    checkout = paid_at_sumup(sumup, order)
    assert request_cancel(order, at=timezone.now())
    sumup.faults(tamper={"amount": 11.99})
    assert release(order.pk, who="user:1", at=timezone.now()) is Release.KEPT
    checkout.refresh_from_db()
    assert (checkout.state, states_of(order)) == ("mismatch", ["reserved"])
    client = Client()
    client.force_login(order.user)
    for name in ("order", "poll", "cart"):
        assert LOOKED_AT in PLACES[name](client, order), name


def test_cancel_races_with_the_payment_under_the_order_s_lock(sumup: SimulatorProcess, order: Order) -> None:
    stale = Order.objects.get(pk=order.pk)
    assert not stale.money_came  # what its page was made of
    a_cent_less(sumup, order)
    assert not request_cancel(stale, at=timezone.now())


# --- What ends it


@pytest.mark.promise("mismatch-decided-accepted")
def test_accepted_it_is_paid(sumup: SimulatorProcess, order: Order) -> None:
    mismatched(sumup, order, checkout_reference="another")
    release(order.pk, who="sweep", at=later(minutes=90))
    assert accept_mismatch(Case.objects.get(), who="user:1", reason="It is this one.", at=later(minutes=91))
    assert states_of(order) == ["confirmed"]
    assert read_books() == []


@pytest.mark.promise("mismatch-decided-accepted")
def test_paid_back_within_the_hold_the_order_can_be_paid_again(sumup: SimulatorProcess, order: Order) -> None:
    checkout = mismatched(sumup, order, checkout_reference="another")
    refunded(sumup, checkout, WHOLE)
    assert not Case.objects.open().exists()
    again = paid_at_sumup(sumup, order)
    assert again.pk != checkout.pk
    settle(again.pk, who="webhook", at=timezone.now())
    assert states_of(order) == ["confirmed"]
    assert ledgers_agree(sumup)


@pytest.mark.parametrize("by_buyer", [True, False], ids=["cancelled", "expired"])
@pytest.mark.promise("mismatch-decided-accepted")
def test_paid_back_after_the_hold_the_seats_are_free_and_the_page_tells_no_lie(
    sumup: SimulatorProcess, entry: CalendarEntry, order: Order, by_buyer: bool
) -> None:
    checkout = paid_at_sumup(sumup, order)
    if by_buyer:
        request_cancel(order, at=timezone.now())
    sumup.faults(tamper={"checkout_reference": "another"})
    settle(checkout.pk, who="webhook", at=timezone.now())
    sumup.faults(tamper={})
    checkout.refresh_from_db()
    end = order.hold_until
    assert release(order.pk, who="sweep", at=end) is Release.KEPT
    assert held(entry) == 1
    refunded(sumup, checkout, WHOLE)

    assert release(order.pk, who="sweep", at=end) is Release.FREED

    order.refresh_from_db()
    assert (order.state, held(entry)) == ("cancelled" if by_buyer else "expired", 0)
    client = Client()
    client.force_login(order.user)
    page = text(client.get(f"/orders/{order.code}/"))
    assert "Nothing was charged" not in page
    assert "Paid back" in page
    assert ledgers_agree(sumup)


def test_part_of_it_paid_back_frees_nothing(sumup: SimulatorProcess, order: Order) -> None:
    checkout = mismatched(sumup, order, checkout_reference="another")
    refunded(sumup, checkout, [Wish(RefundKind.SURPLUS, amount=Decimal(5))])
    assert release(order.pk, who="sweep", at=order.hold_until) is Release.KEPT
    assert states_of(order) == ["reserved"]


def test_late_it_is_told_on_the_page_of_an_order_that_has_ended(sumup: SimulatorProcess, order: Order) -> None:
    checkout = opened(order)
    release(order.pk, who="sweep", at=order.hold_until)
    sumup.pay(sumup_id(checkout), force=True)
    sumup.faults(tamper={"checkout_reference": "another"})
    settle(checkout.pk, who="sweep", at=later(minutes=95))
    client = Client()
    client.force_login(order.user)
    for name in ("order", "poll", "order signed out", "poll signed out", "putting back"):
        shown = PLACES[name](client, order)
        assert LOOKED_AT in shown, name
        assert "Nothing was charged" not in shown, name
        assert "/again/" not in shown, name
    assert "Payment being looked at" in text(client.get("/orders/"))


def test_nobody_can_say_how_much_it_is_and_a_person_closes_it(sumup: SimulatorProcess, order: Order) -> None:
    checkout = paid_at_sumup(sumup, order)
    sumup.faults(tamper={"transactions": [payment(sumup, amount=1e12)]})
    settle(checkout.pk, who="webhook", at=timezone.now())
    case = Case.objects.get()
    client = signed_in_as(member((order.lines.get().page, Role.OWNER)))
    address = f"/admin/payments/case/{case.pk}"
    assert "It is settled elsewhere" in text(client.get(f"{address}/change/"))
    assert "Take it for the payment" not in text(client.get(f"{address}/change/"))
    client.post(f"{address}/decide/mismatch-settled/", {"reason": "SumUp took nothing."})
    assert release(order.pk, who="sweep", at=order.hold_until) is Release.FREED
    assert read_books() == []


def test_a_mismatch_of_a_known_amount_is_not_closed_without_its_money(sumup: SimulatorProcess, order: Order) -> None:
    a_cent_less(sumup, order)
    case = Case.objects.get()
    client = signed_in_as(member((order.lines.get().page, Role.OWNER)))
    page = text(client.get(f"/admin/payments/case/{case.pk}/change/"))
    assert "It is settled elsewhere" not in page
    assert "Pay back" in page
