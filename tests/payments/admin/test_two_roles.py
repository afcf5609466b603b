"""Who has different roles on two pages has on each the one of that page: every list, sum, page, action, door.

The roles that somebody has elsewhere are all five at once: whatever one of them would open here, it must not.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.db import models, transaction
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import User
from events.models import Booking, CalendarEntry, Merchant, Page, Role, Ticket
from events.scoping import SEE_MONEY
from events.transitions import mark_checked_in, mark_owed
from market.models import ProductItem
from orders.fulfilling import fulfil
from orders.models import Order
from payments.admin.cases import CaseAdmin
from payments.books.reports import KINDS
from payments.models import Case, Checkout, Payout, ReconcileRun, Refund, RefundBatch
from payments.states import CaseKind
from payments.templatetags.undecided import undecided
from tests.desk import House, change, member, ordered, signed_in_as
from tests.factories import EventFactory
from tests.ledger.lives import a_ticket
from tests.payments.admin.test_reading import FORMS, request_of
from tests.payments.admin.test_scope import address, house, row_of

pytestmark = pytest.mark.django_db

ELSEWHERE = list(Role)
DOOR = {Role.OWNER, Role.ORGANISER, Role.BOX_OFFICE, Role.DOOR}


@pytest.fixture
def here() -> House:
    return house("Alpha")


@pytest.fixture
def there() -> House:
    return house("Beta")


def both(here: House, role: Role, there: House) -> User:
    """`role` here, and every role there."""
    return member((here.page, role), *((there.page, other) for other in ELSEWHERE))


def kinds_of(home: House) -> Iterator[tuple[str, models.Model]]:
    yield "ticket", home.ticket
    yield "booking", Booking.objects.get(order=home.order)
    yield "item", ProductItem.objects.get(product__page=home.page)


def places(home: House) -> Iterator[str]:
    """Every address of the admin, of the doors and of the counter that is about a row of `home`."""
    for model in FORMS:
        if row := row_or_none(home, model):
            yield from (change(row), change(row, "history/"), change(row, "delete/"))
    entry, order = home.entry.pk, home.order.pk
    for arrow in ("publish", "back-to-draft", "call-off"):
        yield f"/admin/events/calendarentry/{entry}/move/{arrow}/"
    for kind, row in kinds_of(home):
        yield f"/admin/payments/refund/row/{kind}/{row.pk}/"
        yield f"/admin/payments/refund/bulk/?{urlencode({'row': f'{kind}:{row.pk}'})}"
    booking = Booking.objects.get(order=home.order)
    refund = Refund.objects.get(checkout=home.checkout)
    batch = RefundBatch.objects.get(entry=home.entry)
    yield from (
        f"/admin/events/booking/{booking.pk}/event/",
        f"/admin/events/calendar/{home.entry.calendar_id}/outside/",
        f"/admin/payments/refund/of/{home.checkout.pk}/",
        f"/admin/payments/refund/entry/{entry}/",
        f"/admin/payments/refund/batch/{batch.pk}/",
        f"/admin/payments/refund/bulk/?order={order}",
        *(f"/admin/payments/refund/{refund.pk}/do/{name}/" for name in ("withdraw", "ask", "again")),
        *(f"/admin/payments/case/{home.case.pk}/decide/{name}/" for name in ("give-again", "seen")),
        f"/admin/orders/order/{order}/proof/page/",
        f"/admin/orders/order/{order}/proof/json/",
        f"/admin/orders/order/reports/event/{entry}/",
        f"/admin/orders/order/reports/event/{entry}/guests.csv",
        f"/admin/orders/order/reports/?page={home.page.pk}&kind=entry",
        f"/admin/orders/order/reports/entry.csv?page={home.page.pk}",
        f"/admin/orders/order/reports/payouts.csv?page={home.page.pk}",
        f"/door/{entry}/?name=buyer",
        f"/door/products/{home.page.slug}/?name=buyer",
    )


#: What each answer has of its own: the form's token, the pages among which somebody may choose, and what Django says
#: after a row that there is not (for who may see other rows of its kind).
OWN = re.compile(
    r'name="csrfmiddlewaretoken" value="\w+"|<select name="page".*?</select>|<ul class="messagelist">.*?</ul>',
    re.DOTALL,
)


def seen(client: Client, path: str) -> str:
    """What an address shows, without the menu beside it; "" when it leads elsewhere or refuses."""
    answer = client.get(path)
    if answer.status_code != 200:
        assert answer.status_code in (302, 403, 404, 405, 422), path
        return ""
    text = answer.content.decode()
    main = re.search(r"<main.*</main>", text, re.DOTALL)
    return re.sub(r"\s+", " ", OWN.sub("", main[0] if main else text))


def begun(home: House) -> None:
    """A run of refunds that somebody has stopped, and a ticket whose money is owed."""
    now = timezone.now()
    RefundBatch.objects.create(
        entry=home.entry, reason="Storm", requested_by="user:1", requested_at=now, stopped_at=now
    )
    with transaction.atomic():
        list(CalendarEntry.objects.filter(pk=home.entry.pk).locked())
        mark_owed([home.ticket.pk], source="confirmed")


# --- What is seen


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.promise("has-different-roles")
def test_every_page_of_a_house_is_as_the_role_there_shows_it(role: Role, here: House, there: House) -> None:
    """To the letter what one role shows and refuses, it shows and refuses to who has other roles elsewhere."""
    begun(here)
    alone, more = signed_in_as(member((here.page, role))), signed_in_as(both(here, role, there))
    found = 0
    for path in places(here):
        one = seen(alone, path)
        if "/reports/" in path and "page=" in path and not one:
            assert "Alpha" not in seen(more, path), path  # a form whose choices are the other page's
        else:
            assert seen(more, path) == one, path
        found += bool(one)
    assert found >= 10


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.promise("has-different-roles")
def test_every_list_and_sum_is_what_the_roles_show_each(role: Role, here: House, there: House) -> None:
    """No row and no cent more or less than the role on one page and those on the other."""
    for number, home in enumerate((here, there), 1):
        begun(home)
        Payout.objects.create(
            merchant=home.checkout.merchant, payout_id=number, kind="PAYOUT", status="SUCCESSFUL", amount=22, fee=2,
            currency="EUR", date=timezone.now().date(), first_seen_at=timezone.now(),
        )  # fmt: skip
    users = [member((here.page, role)), member(*((there.page, each) for each in ELSEWHERE))]
    user = both(here, role, there)
    for model, desk in admin.site._registry.items():
        rows = [pks(desk, each) for each in users]
        assert pks(desk, user) == rows[0] | rows[1], model.__name__
        assert rows[1] or model in WHOLE_SITE, model.__name__
    for figures in (waiting, owed, reported, paid_out):
        apart = [figures(each) for each in users]
        assert figures(user) == apart[0] + apart[1], figures.__name__
        assert apart[1], figures.__name__


WHOLE_SITE = {User, ReconcileRun, ProcrastinateJob, Merchant}


def pks(desk: admin.ModelAdmin[Any], user: User) -> set[int]:
    """The rows of a list; none for who does not see the list."""
    request = request_of(user, desk.model, {})
    if not desk.has_view_permission(request):
        return set()
    return set(desk.get_changelist_instance(request).queryset.values_list("pk", flat=True))


def waiting(user: User) -> Counter[str]:
    """The front page: cases that wait, by kind."""
    told = undecided(request_of(user, Case, {}))
    return Counter({str(row["kind"]): int(row["count"]) for row in told["kinds"]} if told else {})


def owed(user: User) -> Counter[str]:
    """Above the cases: what is owed, in cents, by kind."""
    desk = admin.site.get_model_admin(Case)
    assert isinstance(desk, CaseAdmin)
    rows = desk.owed(request_of(user, Case, {}))
    return Counter({str(row["kind"]): int(row["money"].amount * 100) for row in rows})


def reported(user: User) -> Counter[str]:
    """All reports, in cents, by report, group and column."""
    found: Counter[str] = Counter()
    client = signed_in_as(user)
    for kind in KINDS:
        for row in table(client, f"/admin/orders/order/reports/{kind}.csv"):
            for column in ("number", "sold", "refunded", "owed", "kept", "fulfilled"):
                found[f"{kind} {row['key']} {column}"] += int(Decimal(row[column]) * 100)
    return +found


def paid_out(user: User) -> Counter[str]:
    rows = table(signed_in_as(user), "/admin/orders/order/reports/payouts.csv")
    return Counter({row["merchant"]: int(Decimal(row["paid out"])) for row in rows})


def table(client: Client, path: str) -> list[dict[str, str]]:
    answer = client.get(path)
    return list(csv.DictReader(StringIO(answer.content.decode("utf-8-sig")))) if answer.status_code == 200 else []


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.promise("money-order-over")
def test_money_of_an_order_over_both_pages_is_for_who_sees_it_on_both(role: Role, here: House, there: House) -> None:
    """Or for finance. Whose is money on one page only does not read what was spent on the other."""
    order = over_both(here, there)
    money = [
        change(Checkout.objects.get(order=order)), change(Case.objects.get(order=order)),
        change(Refund.objects.get(checkout__order=order)),
        *(f"/admin/orders/order/{order.pk}/proof/{form}/" for form in ("page", "json")),
    ]  # fmt: skip
    for other in Role:
        client = signed_in_as(member((here.page, role), (there.page, other)))
        whole = Role.FINANCE in (role, other) or {role, other} <= SEE_MONEY
        for path in money:
            assert (client.get(path).status_code == 200) is whole, (path, role, other)
        asked = client.get(change(order))
        if asked.status_code == 200:
            assert ("/proof/page/" in asked.content.decode()) is whole, (role, other)


def over_both(here: House, there: House) -> Order:
    """An order of a ticket here and one there, paid, with a case and a refund."""
    now, buyer = timezone.now(), here.order.user
    merchant = here.page.merchant
    assert merchant is not None
    order = ordered({here.ticket_type: 1, there.ticket_type: 1}, buyer, merchant)
    checkout = Checkout.objects.create(
        order=order, merchant=merchant, reference="both", amount=order.total, currency="EUR", created_at=now,
        valid_until=now + timedelta(minutes=28),
    )  # fmt: skip
    with transaction.atomic():
        fulfil(order, at=now)
    Case.objects.create(
        kind=CaseKind.GOODS, order=order, checkout=checkout, merchant=merchant, amount=order.total, currency="EUR",
        words="both", opened_at=now,
    )  # fmt: skip
    Refund.objects.create(
        checkout=checkout, origin="dashboard", amount=1, currency="EUR", reason="both", requested_by="reconcile",
        requested_at=now,
    )  # fmt: skip
    return order


# --- What is done


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.promise("has-different-roles")
def test_nothing_is_done_that_the_role_here_does_not_do(role: Role, here: House, there: House) -> None:
    """Every address that the role refuses, and every action of every list, with all that a form might want."""
    begun(here)
    alone, more = signed_in_as(member((here.page, role))), both(here, role, there)
    client, before = signed_in_as(more), standing()
    everything = {
        "reason": "Ill", "confirmed": "1", "seen": "24.00", "how": "rows", "way": "sumup", "money": "back",
        "post": "yes", "code": here.ticket.code, "title": "Mine", "published": "on",
        "rows": [f"{kind}:{row.pk}" for kind, row in kinds_of(here)],
    }  # fmt: skip
    refused = [path for path in places(here) if alone.get(path).status_code in (302, 403, 404)]
    refused += [path for path in turns(here) if alone.get(path, follow=True).status_code in (403, 404)]
    for path in refused:
        assert client.post(path, everything).status_code in (302, 403, 404, 405), path
    for model, desk in admin.site._registry.items():
        if (row := row_or_none(here, model)) is None:
            continue  # of the whole site
        for name in desk.get_actions(request_of(more, model, {})):
            if role not in ACTIONS[name]:
                client.post(address(model), {"action": name, "_selected_action": [str(row.pk)], **everything})
    assert standing() == before
    assert refused


#: By action: which role here lets it be done to what is here. (What pays back leads to a page that asks again.)
ACTIONS: dict[str, set[Role]] = {
    "let_in": DOOR, "take_back": DOOR, "pay_back": set(Role), "publish_all": {Role.OWNER, Role.ORGANISER},
    "unpublish_all": {Role.OWNER, Role.ORGANISER}, "resend": {Role.OWNER, Role.ORGANISER, Role.BOX_OFFICE},
    "revoke": {Role.OWNER, Role.ORGANISER, Role.BOX_OFFICE},
    "delete_selected": {Role.OWNER, Role.ORGANISER},
}  # fmt: skip


def turns(home: House) -> Iterator[str]:
    batch = RefundBatch.objects.get(entry=home.entry)
    yield from (f"/admin/payments/refund/batch/{batch.pk}/{name}/" for name in ("stop", "resume"))


def row_or_none(home: House, model: type[models.Model]) -> models.Model | None:
    try:
        return row_of(home, model)
    except KeyError:
        return None


def standing() -> list[Any]:
    """All that an order, an event, a shop or a run of refunds is: nothing of it may have moved."""
    tables = (Page, CalendarEntry, Ticket, ProductItem, Order, Checkout, Case, Refund, RefundBatch)
    return [*(list(table.objects.order_by("pk").values()) for table in tables), ProcrastinateJob.objects.count()]


# --- What one door may undo of another's


@pytest.mark.promise("door-counter-lets")
def test_each_door_and_counter_lets_in_and_takes_back_its_own_only(here: House, there: House) -> None:
    """Of every event and page, by somebody who may stand at all of them: only at its own door a row moves."""
    beside = EventFactory.create(calendar=here.entry.calendar)  # the same page's, another night
    tickets = [here.ticket, there.ticket, a_ticket("confirmed", entry=beside)]
    items = [ProductItem.objects.get(product__page=home.page) for home in (here, there)]
    rows: dict[str, Ticket | ProductItem] = {f"/door/{row.entry_id}/": row for row in tickets}
    rows |= {f"/door/products/{row.product.page.slug}/": row for row in items}
    client = signed_in_as(member(*((home.page, role) for home in (here, there) for role in Role)))
    for number, door in enumerate(rows):
        for own, row in rows.items():
            came_in = tried(client, door, row, {"code": row.code})
            assert came_in is (own == door), (door, own)
            if not came_in:
                tried(client, own, row, {"code": row.code})
            assert tried(client, door, row, {"undo": str(row.pk)}) is (own == door), (door, own, number)
            if own != door:
                assert tried(client, own, row, {"undo": str(row.pk)})


def tried(client: Client, door: str, row: Ticket | ProductItem, data: dict[str, str]) -> bool:
    """Whether `row`, and no other, moved by what was typed at `door`."""
    before = states()
    assert client.post(door, data).status_code == 200
    moved = {key for key, state in states().items() if before[key] != state}
    assert moved <= {(type(row), row.pk)}
    return bool(moved)


def states() -> dict[tuple[type[models.Model], int], str]:
    found: dict[tuple[type[models.Model], int], str] = {}
    found |= {(Ticket, pk): state for pk, state in Ticket.objects.values_list("pk", "state")}
    return found | {(ProductItem, pk): state for pk, state in ProductItem.objects.values_list("pk", "state")}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.promise("door-counter-lets")
def test_who_has_no_door_here_undoes_nothing_here(role: Role, here: House, there: House) -> None:
    """Not at the door, not at the counter, not in the list, nor with a number from here at the own door there."""
    item = ProductItem.objects.get(product__page=here.page)
    with transaction.atomic():
        mark_checked_in([here.ticket.pk], at=timezone.now())
        mark_checked_in([item.pk], at=timezone.now(), of=ProductItem)
    client = signed_in_as(member((here.page, role), *((there.page, each) for each in ELSEWHERE)))
    if role in DOOR:
        client = signed_in_as(member((there.page, role)))
    before = states()
    for home in (here, there):
        for pk in (here.ticket.pk, item.pk):
            client.post(f"/door/{home.entry.pk}/", {"undo": str(pk)})
            client.post(f"/door/products/{home.page.slug}/", {"undo": str(pk)})
    client.post(address(Ticket), {"action": "take_back", "_selected_action": [str(here.ticket.pk)]})
    assert states() == before
