"""The actions of every list in the admin: what mails, revokes or undoes asks first; no role is shown one in vain."""

from typing import Any

import pytest
from django.contrib import admin
from django.db import models, transaction
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob

from events.models import Booking, Calendar, CalendarEntry, Page, Role, Ticket
from events.transitions import mark_checked_in
from ledger import clock
from market.models import Product, ProductItem
from orders.models import Order
from tests.desk import answered, question_at, signed_in_as
from tests.factories import EventFactory
from tests.ledger.psql import run
from tests.walks.town import Town, town

pytestmark = pytest.mark.django_db

RUN = {Role.OWNER, Role.ORGANISER}
DOOR = RUN | {Role.BOX_OFFICE, Role.DOOR}
SERVE = RUN | {Role.BOX_OFFICE}
MONEY = {Role.OWNER, Role.FINANCE}

#: Every action of every list, with the roles that may use it.
MAY: dict[tuple[type[models.Model], str], set[Role]] = {
    (Ticket, "let_in"): DOOR,
    (Ticket, "take_back"): DOOR,
    (Ticket, "pay_back"): {Role.OWNER},  # finance reads no list of tickets: their codes open doors
    (ProductItem, "pay_back"): {Role.OWNER},
    (Booking, "pay_back"): MONEY,
    (Order, "pay_back"): MONEY,
    (Order, "resend"): SERVE,
    (Order, "revoke"): SERVE,
    (CalendarEntry, "publish_all"): RUN,
    (CalendarEntry, "unpublish_all"): RUN,
    (Calendar, "delete_selected"): RUN,
}
#: For superusers alone.
OF_THE_SITE = {"delete_selected", "retry", "cancel", "abort"}
#: What asks first, by a question of ours. (A new action belongs here, or to the next.)
ASKS = {"take_back", "resend", "revoke", "publish_all", "unpublish_all", "retry", "cancel", "abort"}
#: What does not: it lets in (and is undone one list further), or leads to a page that asks (Django's own among them).
ASKS_NOT = {"let_in", "pay_back", "delete_selected"}


def address(model: type[models.Model]) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def shown(client: Client, model: type[models.Model]) -> set[str]:
    """The actions in the menu of a list; none where there is no list."""
    answer = client.get(address(model))
    form = answer.context.get("action_form") if answer.status_code == 200 else None
    return {name for name, _label in form.fields["action"].choices if name} if form else set()


@pytest.fixture
def built() -> Town:
    built = town()
    EventFactory.create(calendar=built.houses[0].entry.calendar)
    mark_checked_in([built.houses[0].ticket.pk], at=clock.now())
    run("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = (SELECT max(id) FROM procrastinate_jobs)")
    return built


def standing() -> list[Any]:
    tables = (Page, CalendarEntry, Ticket, ProductItem, Order, ProcrastinateJob, Product, Calendar)
    return [list(table._default_manager.order_by("pk").values()) for table in tables]


def rows(model: type[models.Model]) -> list[str]:
    found = model._default_manager.all()
    if model is CalendarEntry:
        found = found.filter(kind="event")
    return [str(pk) for pk in found.values_list("pk", flat=True)]


@pytest.mark.promise("action-list-mails")
def test_every_action_asks_or_need_not(built: Town) -> None:
    """Sent once it has changed nothing; answered it has; an answer that was not shown is asked again."""
    client, asked = built.client("superuser"), set()
    for model, desk in admin.site._registry.items():
        for name in shown(client, model):
            assert name in ASKS | ASKS_NOT, (desk, name)
            if name not in ASKS:
                continue
            data = {"action": name, "_selected_action": rows(model)}
            before = standing()
            question = question_at(client, address(model), data)
            assert question.yes, name
            assert any(letter.isdigit() for letter in question.words[0]), question.words
            assert client.post(address(model), {**data, "asked-sure": "yes"}).status_code == 422
            assert standing() == before, name
            with transaction.atomic():
                answered(client, address(model), data)
                assert standing() != before, name
                transaction.set_rollback(True)
            asked.add(name)
    assert asked == ASKS


@pytest.mark.parametrize("who", [*Role.values, "superuser"])
@pytest.mark.promise("action-list-mails")
def test_each_is_shown_what_it_may_use(built: Town, who: str) -> None:
    client = built.client(who)
    for model in admin.site._registry:
        names = shown(client, model)
        if who == "superuser":
            assert {name for kind, name in MAY if kind is model} <= names
            assert all((model, name) in MAY or name in OF_THE_SITE for name in names), (model, names)
        else:
            assert names == {name for (kind, name), roles in MAY.items() if kind is model and who in roles}, model


def test_what_is_not_shown_is_not_done(built: Town) -> None:
    before = standing()
    for who in Role.values:
        client = built.client(who)
        for (model, name), roles in MAY.items():
            if who not in roles and name != "pay_back":
                client.post(address(model), {"action": name, "_selected_action": rows(model), "asked-sure": "x"})
    assert standing() == before


def test_nothing_chosen_that_can_be_hit_has_no_button(built: Town) -> None:
    client = built.client("superuser")
    ticket = built.houses[1].ticket
    question = question_at(client, address(Ticket), {"action": "take_back", "_selected_action": [ticket.pk]})
    assert question.yes == ""
    page = client.post(address(Ticket), {"action": "take_back", "_selected_action": [ticket.pk]})
    assert 'type="submit" class="default"' not in page.content.decode()


def test_all_of_a_list_is_asked_about_and_done_with_its_filter(built: Town) -> None:
    """Chosen across pages: what the list shows now, and not the hundred of its first page."""
    owner = signed_in_as(built.staff["owner"])
    checked = Ticket.objects.get(state="checked_in")
    data = {"action": "take_back", "_selected_action": [str(checked.pk)], "select_across": "1"}
    listed = f"{address(Ticket)}?state__exact=checked_in"
    assert "1 of 1 chosen tickets" in question_at(owner, listed, data).words[0]
    answered(owner, listed, data)
    assert not Ticket.objects.filter(state="checked_in").exists()
