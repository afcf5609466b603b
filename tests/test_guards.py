"""The watch on guards: what it refuses, and that every connection of the tests has it."""

import pytest
from django.db import connection, transaction

from events.models import Ticket
from orders.models import Order, OrderLine
from tests.guards import GuardInSubselect, condition, offence
from tests.ledger.lives import a_ticket
from tests.races.threads import in_a_thread

pytestmark = pytest.mark.django_db


@pytest.mark.promise("change-any-test")
def test_guard_across_a_relation_is_refused() -> None:
    """Django writes a subselect, and the ticket's own state stands in it."""
    ticket = a_ticket("confirmed")
    rows = Ticket.objects.filter(pk=ticket.pk, state="confirmed", entry__ends_at__gt=ticket.entry.starts_at)
    with pytest.raises(GuardInSubselect, match="UPDATE of events_ticket"), transaction.atomic():
        rows.update(holder="Ada")
    assert rows.filter(holder="").exists()


def test_deletion_across_a_relation_is_refused() -> None:
    """Lines are what Django deletes without reading them first; of tickets the database itself asks the state."""
    lines = OrderLine.objects.filter(order__state="awaiting_payment")
    with pytest.raises(GuardInSubselect, match="DELETE of orders_orderline"), transaction.atomic():
        lines._raw_delete(lines.db)


def test_guard_in_the_statement_is_let_through() -> None:
    ticket = a_ticket("confirmed")
    assert Ticket.objects.filter(pk=ticket.pk, state="confirmed").update(holder="Ada") == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("change-any-test")
def test_every_threads_connection_is_watched() -> None:
    with pytest.raises(GuardInSubselect):
        in_a_thread(lambda: Order.objects.filter(user__email="nobody").update(link_version=2))
    assert connection.execute_wrappers


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("UPDATE t SET a = 1 WHERE id IN (SELECT id FROM t WHERE state = 'new')", ("UPDATE", "t")),
        ('DELETE FROM "t" WHERE EXISTS ( select 1 FROM u)', ("DELETE", "t")),
        ('UPDATE "t" SET "a" = (SELECT b FROM u WHERE u.id = t.id) WHERE "t"."state" = %s', None),
        ('UPDATE "t" SET "a" = (SELECT b FROM u WHERE u.id = t.id) WHERE t.id = (SELECT 1)', ("UPDATE", "t")),
        ("UPDATE t SET a = 1", None),
        ("SELECT 1 FROM t WHERE id IN (SELECT id FROM u)", None),
    ],
)
def test_subselects_are_told_apart(sql: str, found: tuple[str, str] | None) -> None:
    assert offence(sql) == found


def test_condition_is_the_statements_own() -> None:
    assert condition("UPDATE t SET a = (SELECT 1 WHERE true) WHERE b = 2").strip() == "b = 2"
