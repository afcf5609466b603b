"""Paying back in the admin: who may, what the pages show, two clicks, two admins, and what happens to the money."""

import re
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from events.models import CalendarEntry, Role, Ticket
from orders.models import Order
from payments.checkouts.settling import settle
from payments.models import Case, Checkout, Refund, SumUpReport
from payments.refunds.asking import RefundRefused
from payments.refunds.remedies import give_after_all
from payments.refunds.reports_of_sumup import adopt_reports
from payments.refunds.sending import Sent
from tests.desk import house, member, signed_in_as
from tests.factories import EventFactory, UserFactory
from tests.jobs import run_jobs
from tests.payments.lived_in import paid_again
from tests.payments.money import at_sumup, ledgers_agree, refunded, requested, sent, sold, whole
from tests.simulator import SimulatorProcess
from tests.steps import fill, order_cart, paid_at_sumup, states_of

pytestmark = pytest.mark.django_db(transaction=True)


def desk(entry: CalendarEntry, role: Role = Role.OWNER) -> Client:
    return signed_in_as(member((entry.calendar.page, role)))


def of(checkout: Checkout) -> str:
    return f"/admin/payments/refund/of/{checkout.pk}/"


def keys(order: Order, number: int | None = None) -> list[str]:
    return [f"ticket:{row.pk}" for row in order.tickets.order_by("pk")[:number]]


def words(client: Client, address: str) -> str:
    return " ".join(client.get(address).content.decode().split())


def confirmed(client: Client, address: str, **data: object) -> str:
    """Fill the form in, look at what it comes to, confirm; the text of the page that follows."""
    filled = {"how": "whole", "way": "sumup", "reason": "Ill", **data}
    shown = client.post(address, filled)
    assert shown.status_code == 200, shown.content.decode()
    assert Refund.objects.filter(reason="Ill").count() == 0 or data.get("twice") is not None
    return client.post(address, fields_of(shown.content.decode()), follow=True).content.decode()


def fields_of(page: str) -> dict[str, list[str]]:
    """What the confirming button sends."""
    found: dict[str, list[str]] = {"confirmed": ["1"]}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page):
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("role", [Role.OWNER, Role.FINANCE])
def test_chosen_ticket_is_paid_back_after_a_look_at_the_sum(
    sumup: SimulatorProcess, entry: CalendarEntry, role: Role
) -> None:
    order, checkout = sold(sumup, entry, 2)
    client = desk(entry, role)

    page = words(client, of(checkout))
    assert order.user.email in page
    assert "Left of it</dt><dd><strong>€ 24.00" in page
    shown = client.post(
        of(checkout), {"how": "whole", "way": "sumup", "reason": "Ill", "rows": keys(order, 1)}
    ).content.decode()
    assert "Pay € 12.00 back" in shown
    assert (states_of(order), Refund.objects.count()) == (["confirmed"] * 2, 0)
    answer = client.post(of(checkout), fields_of(shown), follow=True).content.decode()
    run_jobs()

    assert "€ 12.00 is on its way back" in answer
    assert (states_of(order), at_sumup(sumup)) == (["refunded", "confirmed"], [Decimal(12)])
    assert "paid back" in words(client, f"/admin/payments/refund/{Refund.objects.get().pk}/change/")
    assert ledgers_agree(sumup)


@pytest.mark.promise("refund-answer-lost")
def test_second_click_on_the_confirmation_pays_nothing_more(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    client = desk(entry)
    data = {"how": "goodwill", "way": "sumup", "reason": "Sorry", "amount": "3"}
    fields = fields_of(client.post(of(checkout), data).content.decode())

    client.post(of(checkout), fields)
    early = client.post(of(checkout), fields)
    run_jobs()
    late = client.post(of(checkout), fields)

    assert (early.status_code, late.status_code) == (422, 422)
    assert "under way already" in early.content.decode()
    assert "paid back meanwhile" in late.content.decode()
    assert (at_sumup(sumup), states_of(order)) == ([Decimal(3)], ["confirmed"])


def test_money_paid_back_in_cash_is_written_down(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)

    page = confirmed(desk(entry), of(checkout), rows=keys(order), way="elsewhere")

    assert "written down as paid back" in page
    assert (states_of(order), sumup.calls("refund")) == (["refunded"], 0)


def test_owed_money_is_kept_or_the_ticket_given_after_all(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 2)
    sumup.faults(refund="not_enough_balance")
    refund = requested(checkout, whole(order))
    assert sent(refund) is Sent.FAILED
    client = desk(entry)

    confirmed(client, of(checkout), how="keep", rows=keys(order, 1), reason="Donated", twice=1)
    confirmed(client, of(checkout), how="give", rows=keys(order)[1:], reason="There is room", twice=1)

    assert (states_of(order), at_sumup(sumup)) == (["cancelled", "confirmed"], [])
    assert ledgers_agree(sumup)


def test_nothing_is_given_after_all_where_there_is_no_room(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=1)
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund="not_enough_balance", times=1)
    assert sent(requested(checkout, whole(order))) is Sent.FAILED
    sold(sumup, entry, 1)

    with pytest.raises(RefundRefused, match="no room"):
        give_after_all(order.pk, keys(order), reason="?", who="user:1", at=timezone.now())

    assert states_of(order) == ["refund_due"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "Choose at least one"),
        ({"rows": "ticket:999999"}, "not one of the available choices"),
        ({"how": "goodwill"}, "Say how much"),
        ({"how": "goodwill", "amount": "-1"}, "above 0"),
        ({"how": "goodwill", "amount": "0"}, "above 0"),
        ({"how": "goodwill", "amount": "NaN"}, "Enter a number"),
        ({"how": "goodwill", "amount": "1e9"}, "no more than"),
        ({"how": "goodwill", "amount": "12.01"}, "more than what is left"),
        ({"how": "goodwill", "amount": "1.005"}, "decimal places"),
        ({"how": "everything", "rows": "own"}, "not one of the available choices"),
        ({"rows": "own", "reason": "  "}, "required"),
        ({"rows": "own", "confirmed": "1"}, "Look once more"),
        ({"rows": "own", "confirmed": "1", "seen": "99"}, "paid back meanwhile"),
    ],
)
def test_bad_form_is_told_and_changes_nothing(
    sumup: SimulatorProcess, entry: CalendarEntry, data: dict[str, str], words: str
) -> None:
    order, checkout = sold(sumup, entry, 1)
    filled = {"how": "whole", "way": "sumup", "reason": "Ill", **data}
    if filled.get("rows") == "own":
        filled["rows"] = keys(order)[0]

    answer = desk(entry).post(of(checkout), filled)

    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert (states_of(order), Refund.objects.count()) == (["confirmed"], 0)


@pytest.mark.parametrize(
    ("role", "status"), [(Role.ORGANISER, 403), (Role.BOX_OFFICE, 403), (Role.DOOR, 404), (None, 404)]
)
def test_others_pay_nothing_back(sumup: SimulatorProcess, entry: CalendarEntry, role: Role | None, status: int) -> None:
    order, checkout = sold(sumup, entry, 1)
    refund = requested(checkout, whole(order))
    user = member((house("Beta").page, Role.OWNER)) if role is None else member((entry.calendar.page, role))
    client, ticket = signed_in_as(user), order.tickets.get()
    addresses = [of(checkout), f"/admin/payments/refund/row/ticket/{ticket.pk}/"]
    acts = [f"/admin/payments/refund/{refund.pk}/do/{name}/" for name in ("withdraw", "ask", "again")]

    for address in addresses:
        for call in (client.get, client.post):
            assert call(address, {"rows": keys(order), "reason": "Mine", "confirmed": "1"}).status_code == status
    for address in acts:
        assert client.post(address, {"reason": "Mine"}).status_code in (403, 404)
    client.post(f"/admin/payments/refund/bulk/?order={order.pk}", {"reason": "Mine"})
    assert Client().get(of(checkout)).status_code == 302
    assert (Refund.objects.count(), Refund.objects.get().state) == (1, "requested")


def two_pages(sumup: SimulatorProcess) -> tuple[CalendarEntry, CalendarEntry, Order, Checkout]:
    """One order over two pages, paid."""
    one, other = EventFactory.create(), EventFactory.create()
    user = UserFactory.create()
    fill(user, one, 1)
    fill(user, other, 1)
    order = order_cart(user)
    checkout = paid_at_sumup(sumup, order)
    settle(checkout.pk, who="webhook", at=timezone.now())
    checkout.refresh_from_db()
    return one, other, order, checkout


def test_owner_pays_back_the_own_page_s_tickets_only(sumup: SimulatorProcess) -> None:
    one, other, order, checkout = two_pages(sumup)
    client = desk(one)
    own = Ticket.objects.get(order=order, entry=one)
    foreign = Ticket.objects.get(order=order, entry=other)

    page = words(client, of(checkout))
    assert one.title in page
    assert other.title not in page
    assert "24.00" not in page
    data = {"how": "whole", "way": "sumup", "reason": "Ill", "rows": f"ticket:{foreign.pk}"}
    refused = client.post(of(checkout), data)
    assert refused.status_code == 422
    assert client.get(f"/admin/payments/refund/row/ticket/{foreign.pk}/").status_code == 404
    confirmed(client, of(checkout), rows=f"ticket:{own.pk}")
    run_jobs()

    states = dict(Ticket.objects.filter(order=order).values_list("entry_id", "state"))
    assert states == {one.pk: "refunded", other.pk: "confirmed"}


def test_finance_of_one_page_pays_an_order_over_two_pages_back_whole(sumup: SimulatorProcess) -> None:
    one, _other, order, checkout = two_pages(sumup)
    confirmed(desk(one, Role.FINANCE), of(checkout), rows=keys(order))
    run_jobs()
    assert states_of(order) == ["refunded"] * 2
    assert at_sumup(sumup) == [Decimal(24)]


def test_surplus_is_paid_back_from_its_case(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, _first = sold(sumup, entry, 1)
    paid_again(sumup, order)
    case = Case.objects.get(kind="surplus")
    client = desk(entry, Role.FINANCE)
    page = words(client, f"/admin/payments/case/{case.pk}/change/")
    (address,) = set(re.findall(r"/admin/payments/refund/of/\d+/", page))

    confirmed(client, address, how="surplus")
    run_jobs()

    assert (states_of(order), at_sumup(sumup), Case.objects.open().count()) == (["confirmed"], [Decimal(12)], 0)
    assert ledgers_agree(sumup)


def test_ticket_s_page_leads_to_its_payment_with_it_chosen(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    client, ticket = desk(entry), order.tickets.get()
    link = f"/admin/payments/refund/row/ticket/{ticket.pk}/"

    assert link in words(client, f"/admin/events/ticket/{ticket.pk}/change/")
    assert of(checkout) in words(client, f"/admin/orders/order/{order.pk}/change/")
    answer = client.get(link, follow=True)
    assert answer.redirect_chain[0][0] == f"{of(checkout)}?row=ticket:{ticket.pk}"
    assert re.search(rf'value="ticket:{ticket.pk}"[^>]* checked', answer.content.decode())
    organiser = desk(entry, Role.ORGANISER)
    assert link not in words(organiser, f"/admin/events/ticket/{ticket.pk}/change/")


def test_many_orders_are_paid_back_at_once_each_with_its_result(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    sales = [sold(sumup, entry, 1) for _turn in range(3)]
    foreign, _checkout = sold(sumup, EventFactory.create(), 1)
    requested(sales[1][1], whole(sales[1][0]))  # somebody was quicker
    client = desk(entry)
    orders = [order.pk for order, _checkout in sales]
    action = {"action": "pay_back", "_selected_action": orders}

    page = client.post("/admin/orders/order/", action, follow=True)
    address = page.redirect_chain[0][0]
    text = " ".join(page.content.decode().split())
    assert "<strong>€ 24.00</strong>" in text
    assert "1 of what you chose cannot be paid back" in text
    assert client.post(address, {"reason": ""}).status_code == 422
    client.post(f"{address}&order={foreign.pk}", {"reason": "Flood"})
    run_jobs()

    assert [states_of(order) for order, _checkout in sales] == [["refunded"]] * 3
    assert states_of(foreign) == ["confirmed"]
    assert ledgers_agree(sumup)


def test_tickets_are_chosen_in_their_list(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, _checkout = sold(sumup, entry, 2)
    first = order.tickets.order_by("pk")[0]
    client = desk(entry)
    answer = client.post("/admin/events/ticket/", {"action": "pay_back", "_selected_action": [first.pk]})
    client.post(answer.headers["Location"], {"reason": "Ill"})
    run_jobs()
    assert states_of(order) == ["refunded", "confirmed"]


def test_bulk_page_takes_bad_numbers_calmly(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    client = desk(entry)
    for query in ("", "order=x", "order=99999999999999999999", "row=ticket:1e9", "row=ticket:", "row=item:1"):
        answer = client.get(f"/admin/payments/refund/bulk/?{query}")
        assert answer.status_code == 200
        assert "Nothing of this can be paid back" in answer.content.decode()


def test_refund_page_tells_sumups_words_and_sends_again(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    sumup.faults(refund="500", times=1)
    refund = requested(checkout, whole(order))
    assert sent(refund) is Sent.UNKNOWN
    client = desk(entry)
    base = f"/admin/payments/refund/{refund.pk}"

    page = words(client, f"{base}/change/")
    assert "Ask SumUp again" in page
    assert "Withdraw" not in page
    assert "500" in page
    assert "showed no refund of this payment" in words(client, f"{base}/do/again/")
    assert (
        "show nothing of this refund so far"
        in client.post(f"{base}/do/ask/", {"reason": "Look"}, follow=True).content.decode()
    )
    assert client.post(f"{base}/do/again/", {"reason": ""}).status_code == 422
    for _click in range(2):
        client.post(f"{base}/do/again/", {"reason": "Nothing there"})
    run_jobs()

    assert (at_sumup(sumup), states_of(order)) == ([Decimal(12)], ["refunded"])
    assert "withdraw" not in words(desk(entry, Role.ORGANISER), f"{base}/change/")
    assert ledgers_agree(sumup)


def test_refund_that_waits_is_withdrawn(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    refund = requested(checkout, whole(order))
    address = f"/admin/payments/refund/{refund.pk}/do/withdraw/"
    client = desk(entry)
    assert "is withdrawn" in client.post(address, {"reason": "A mistake"}, follow=True).content.decode()
    assert "sent meanwhile" in client.post(address, {"reason": "A mistake"}, follow=True).content.decode()
    run_jobs()
    assert (at_sumup(sumup), states_of(order)) == ([], ["refund_due"])


@pytest.mark.parametrize("rest", ["goodwill", "loss"])
def test_refund_from_outside_is_explained_from_its_case(
    sumup: SimulatorProcess, entry: CalendarEntry, rest: str
) -> None:
    order, checkout = sold(sumup, entry, 2)
    sumup.control(f"refund/{checkout.transaction_id}", {"amount": 15})
    adopt_reports(
        checkout, sumup.client().read_transaction(checkout.transaction_id), at=timezone.now(), who="reconcile"
    )
    case, event = Case.objects.get(), SumUpReport.objects.get()
    client, address = desk(entry), f"/admin/payments/refund/event/{event.pk}/"
    assert address in words(client, f"/admin/payments/case/{case.pk}/change/")

    over = client.post(address, {"rows": keys(order), "rest": rest, "reason": "?"})
    assert (over.status_code, "more than what went back" in over.content.decode()) == (422, True)
    client.post(address, {"rows": keys(order, 1), "rest": rest, "reason": "By phone"})
    again = client.post(address, {"rows": [], "rest": rest, "reason": "By phone"}, follow=True)

    assert "Somebody has said meanwhile" in again.content.decode()
    assert (states_of(order), Case.objects.open().count()) == (["refunded", "confirmed"], 0)
    assert desk(EventFactory.create()).get(address).status_code == 404
    assert ledgers_agree(sumup)


def test_buyer_sees_what_went_back_and_what_is_on_its_way(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 2)
    buyer = signed_in_as(order.user)
    assert "Money back" not in words(buyer, order.get_absolute_url())

    requested(checkout, whole(order, 1))
    assert "On its way back to you" in words(buyer, order.get_absolute_url())
    run_jobs()
    page = words(buyer, order.get_absolute_url())
    assert "Paid back" in page
    assert "€ 12.00" in page
    assert "Money back" not in words(signed_in_as(UserFactory.create()), order.get_absolute_url())
    assert "Money back" not in words(Client(), order.get_absolute_url())


def test_order_s_story_tells_of_its_refunds(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order, checkout = sold(sumup, entry, 1)
    refunded(sumup, checkout, whole(order))
    page = words(desk(entry), f"/admin/orders/order/{order.pk}/change/")
    assert "A refund of € 12.00 was asked for." in page
    assert "The money of refund 1 went back." in page
