"""The rules of the books that are made of tables: what each of their statements names."""

import re

import pytest

from payments.books import rules
from payments.books.rules import STATEFUL, WATCHED
from tests.ledger.lives import a_booking, a_checkout, a_refund, a_ticket, an_item
from tests.ledger.psql import rows

#: What history calls the rows of each table with a state.
SUBJECTS = {
    "events_ticket": "ticket",
    "market_productitem": "productitem",
    "events_calendarentry": "calendarentry",
    "orders_order": "order",
    "payments_checkout": "checkout",
    "payments_refund": "refund",
}


def test_untold_states_are_looked_for_under_the_name_that_history_gives() -> None:
    parts = rules._untold().split(" UNION ALL ")
    assert [re.findall(r"SELECT '(\w+)' AS subject|FROM (\w+) AS here| subject = '(\w+)'", part) for part in parts] == [
        [(subject, "", ""), ("", table, ""), ("", "", subject)] for table, subject in SUBJECTS.items()
    ]


def test_every_state_from_and_to_which_an_arrow_leads_is_known() -> None:
    parts = rules._unknown_states().split(" UNION ALL ")
    assert [re.findall(r"SELECT '(\w+)' AS subject, id, state FROM (\w+) ", part) for part in parts] == [
        [(subject, table)] for table, subject in SUBJECTS.items()
    ]
    known = [set(re.findall(r"'([\w.]+)'", part.partition(" IN")[2])) for part in parts]
    assert known[0] == {"pending", "reserved", "confirmed", "checked_in", "cancelled", "refund_due", "refunded"}
    for states, (_state, arrows) in zip(known, STATEFUL.values(), strict=True):
        assert states == set(arrows.born) | {state for arrow in arrows.moves for state in arrow}


def test_each_table_with_a_state_is_watched_under_one_name() -> None:
    assert {table: WATCHED[table][0] for table in STATEFUL} == SUBJECTS


@pytest.mark.django_db
def test_rows_as_they_are_born_and_moved_break_neither() -> None:
    for state in ("pending", "confirmed"):
        a_ticket(state)
        an_item(state)
        a_booking(state)
    a_checkout("paid")
    a_refund("succeeded")
    assert rows(rules._untold()) == rows(rules._unknown_states()) == []
