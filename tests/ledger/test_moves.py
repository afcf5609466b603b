"""move(): the guard is in the statement, the row count is the verdict."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from events.models import Ticket
from ledger.arrows import IllegalTransition
from ledger.moves import move
from tests.ledger.lives import a_ticket

pytestmark = pytest.mark.django_db


def states(*tickets: Ticket) -> list[str]:
    return [Ticket.objects.get(pk=ticket.pk).state for ticket in tickets]


def test_move_moves_all_and_answers_how_many() -> None:
    one, other = a_ticket("reserved"), a_ticket("reserved")
    assert move(Ticket.objects.all(), [one.pk, other.pk], source="reserved", target="confirmed") == 2
    assert states(one, other) == ["confirmed", "confirmed"]


@pytest.mark.promise("replayed-move-quiet")
def test_move_that_is_played_again_is_quiet() -> None:
    ticket = a_ticket("confirmed")
    assert move(Ticket.objects.all(), [ticket.pk], source="reserved", target="confirmed") == 0
    assert states(ticket) == ["confirmed"]


def test_move_moves_what_is_left_of_a_move_half_done() -> None:
    done, due = a_ticket("confirmed"), a_ticket("reserved")
    assert move(Ticket.objects.all(), [done.pk, due.pk], source="reserved", target="confirmed") == 1
    assert states(done, due) == ["confirmed", "confirmed"]


@pytest.mark.promise("replayed-move-quiet")
def test_move_from_a_wrong_state_is_loud() -> None:
    ticket = a_ticket("cancelled")
    with pytest.raises(IllegalTransition, match="1 ticket rows cannot go from reserved to checked_in"):
        move(Ticket.objects.all(), [ticket.pk], source="reserved", target="checked_in")


def test_move_says_how_many_cannot_go() -> None:
    rows = [a_ticket("reserved"), a_ticket("confirmed"), a_ticket("cancelled"), a_ticket("pending")]
    with pytest.raises(IllegalTransition, match=r"^2 ticket rows"):
        move(Ticket.objects.all(), [row.pk for row in rows], source="reserved", target="confirmed")


def test_move_of_a_row_that_is_gone_or_out_of_sight_is_loud() -> None:
    ticket = a_ticket("reserved")
    with pytest.raises(IllegalTransition):
        move(Ticket.objects.all(), [ticket.pk, ticket.pk + 1], source="reserved", target="confirmed")
    with pytest.raises(IllegalTransition):
        move(Ticket.objects.filter(price=0), [ticket.pk], source="reserved", target="cancelled")


def test_move_writes_its_changes_with_the_state() -> None:
    ticket = a_ticket("reserved")
    move(Ticket.objects.all(), [ticket.pk], source="reserved", target="confirmed", holder="Ada")
    ticket.refresh_from_db()
    assert (ticket.state, ticket.holder) == ("confirmed", "Ada")


def test_replayed_move_changes_nothing_else() -> None:
    ticket = a_ticket("confirmed")
    move(Ticket.objects.all(), [ticket.pk], source="reserved", target="confirmed", holder="Ada")
    ticket.refresh_from_db()
    assert ticket.holder == ""


def test_move_is_one_statement_with_its_guard_inside() -> None:
    ticket = a_ticket("reserved")
    with CaptureQueriesContext(connection) as captured:
        move(Ticket.objects.all(), [ticket.pk], source="reserved", target="confirmed")
    [statement] = [query["sql"] for query in captured.captured_queries]
    assert statement.startswith("UPDATE")
    assert "'reserved'" in statement.split("WHERE")[1]
