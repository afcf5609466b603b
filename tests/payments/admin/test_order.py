"""Orders, checkouts and money to decide in the admin: found, read, told in order, changed by nobody."""

import re
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from events.models import Role, Ticket
from events.transitions import mark_checked_in
from ledger.models import History
from ledger.signing import sign
from orders.models import Order
from orders.states import OrderState
from payments.models import Case, Checkout
from payments.transitions import mark_open
from tests.desk import House, house, member, ordered, signed_in_as
from tests.factories import UserFactory
from tests.payments.admin.test_scope import address

pytestmark = pytest.mark.django_db

STEP = re.compile(r'<span class="words">(.*?)</span>', re.DOTALL)


def page_of(client: Client, row: Order | Checkout | Case) -> str:
    answer = client.get(address(type(row), f"{row.pk}/change/"))
    assert answer.status_code == 200
    return answer.content.decode()


def test_order_page_tells_all_that_happened_in_order_of_time(organiser: Client, home: House) -> None:
    tickets = list(Ticket.objects.filter(order=home.order).order_by("pk"))
    with transaction.atomic():
        sign(who="webhook", why="SumUp says PENDING")
        mark_open(home.checkout, sumup_id="s-1", hosted_url="", status="PENDING")
        mark_checked_in([tickets[0].pk], at=timezone.now())
    Order.objects.filter(pk=home.order.pk).update(cancel_requested_at=timezone.now())
    names = [f"{ticket.code[:4]} {ticket.code[4:8]}" for ticket in tickets]
    both = f"{names[0]}, {names[1]}."
    page = page_of(organiser, home.order)
    assert STEP.findall(page) == [
        "The order was placed, € 24.00.",
        f"2 tickets are held for the order: {both}",
        "Payment 1 was begun.",
        "The order was paid.",
        f"2 tickets are valid: {both}",
        "To decide: paid, but the goods could not be given.",
        "Payment 1 could be made at SumUp.",
        f"Ticket {names[0]} was let in.",
        "The buyer asked to cancel.",
    ]
    assert "SumUp&#x27;s message: SumUp says PENDING" in page
    rows = History.objects.exclude(subject__in=["calendarentry", "tickettype"])
    assert rows.count() == 2 + 1 + 2 + 1 + 1  # none is missing: the tickets' are told in pairs


def test_order_page_shows_lines_tickets_and_payments(organiser: Client, home: House) -> None:
    page = page_of(organiser, home.order)
    for words in (
        "Alpha night: Alpha seat",
        "€ 24.00",
        "Alpha-reference",
        f"{home.ticket.code[:4]} {home.ticket.code[4:8]}",
    ):
        assert words in page, words
    assert f"/admin/events/ticket/{home.ticket.pk}/change/" in page


@pytest.mark.parametrize("role", [Role.BOX_OFFICE, Role.FINANCE])
def test_order_page_leads_nowhere_that_a_role_may_not_go(home: House, role: Role) -> None:
    client = signed_in_as(member((home.page, role)))
    page = page_of(client, home.order)
    targets = set(re.findall(r'href="(/admin/[a-z]+/[a-z]+/\d+/change/)"', page))
    assert targets
    assert {target: client.get(target).status_code for target in targets} == dict.fromkeys(targets, 200)
    assert ("Alpha-reference" in page) == (role == Role.FINANCE)


def test_nothing_of_money_is_added_changed_or_deleted_by_hand(home: House) -> None:
    boss = signed_in_as(UserFactory.create(is_staff=True, is_superuser=True))
    for row in (home.order, home.checkout, home.case, home.ticket):
        at = address(type(row), f"{row.pk}/")
        assert 'name="_save"' not in boss.get(f"{at}change/").content.decode()
        assert boss.post(f"{at}change/", {"state": "paid", "total": "0"}).status_code == 403
        assert boss.post(f"{at}delete/", {"post": "yes"}).status_code == 403
        assert boss.get(address(type(row), "add/")).status_code == 403
        listed = boss.post(address(type(row)), {"action": "delete_selected", "_selected_action": [row.pk]}, follow=True)
        assert type(row).objects.filter(pk=row.pk).exists(), listed


def test_order_is_found_by_code_ticket_buyer_and_name(organiser: Client, home: House) -> None:
    assert home.page.merchant
    ordered({home.ticket_type: 1}, UserFactory.create(), home.page.merchant)
    code = home.order.code
    for term in (code, f"{code[:4]} {code[4:9]}".lower(), home.ticket.code[:12].lower(), "alpha-buyer@"):
        assert list(organiser.get(address(Order), {"q": term}).context["cl"].queryset) == [home.order], term
    assert len(organiser.get(address(Order), {"q": "alpha seat"}).context["cl"].queryset) == 2
    assert len(organiser.get(address(Order), {"state__exact": OrderState.PAID}).context["cl"].queryset) == 1
    assert len(organiser.get(address(Order), {"page": home.page.pk}).context["cl"].queryset) == 2
    assert organiser.get(address(Order), {"page": "x"}).status_code == 200


def test_cases_are_filtered_by_what_waits(organiser: Client, home: House) -> None:
    Case.objects.create(
        kind="surplus", order=home.order, words="old", opened_at=timezone.now(), closed_at=timezone.now(),
        closed_by="user:1", decision="kept",
    )  # fmt: skip
    waits = organiser.get(address(Case), {"decided": "no"}).context["cl"].queryset
    assert list(waits) == [home.case]
    assert "Money to decide" in organiser.get(address(Case)).content.decode()


def test_times_are_told_on_the_pages_clock(organiser: Client, home: House) -> None:
    client = signed_in_as(member((home.page, Role.ORGANISER)))
    home.page.time_zone = "Asia/Tokyo"
    home.page.save(update_fields=["time_zone"])
    at = (home.order.placed_at + timedelta(hours=9)).strftime("%H:%M")
    assert at in client.get(address(Order)).content.decode()
    assert "on the clock of Asia/Tokyo" in page_of(client, home.order)


@pytest.mark.parametrize("count", [1, 3])
def test_order_page_asks_as_often_whatever_its_length(
    count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    home = house("Alpha", sold=count)
    client = signed_in_as(member((home.page, Role.ORGANISER)))
    page_of(client, home.order)
    with django_assert_num_queries(34):
        page_of(client, home.order)
