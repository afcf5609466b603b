"""sign(): who acts and why, for one transaction."""

import pytest
from django.db import connection, transaction

from ledger.models import History
from ledger.signing import sign
from tests.ledger.lives import a_ticket
from tests.ledger.psql import rows, run


def signed_by(ticket_pk: int) -> list[tuple[str, str]]:
    return list(
        History.objects.filter(subject="ticket", subject_id=ticket_pk).order_by("id").values_list("actor", "reason")
    )


@pytest.mark.django_db(transaction=True)
def test_sign_outside_a_transaction_is_refused() -> None:
    assert not connection.in_atomic_block
    with pytest.raises(transaction.TransactionManagementError, match="names nobody"):
        sign(who="user:1", why="")


@pytest.mark.django_db(transaction=True)
def test_sign_ends_with_its_transaction() -> None:
    ticket = a_ticket("reserved")
    role = rows("SELECT session_user")[0][0]
    before = len(signed_by(ticket.pk))
    with transaction.atomic():
        sign(who="user:7", why="at the desk")
        run("UPDATE events_ticket SET state = 'confirmed' WHERE id = %s", ticket.pk)
    run("UPDATE events_ticket SET state = 'checked_in' WHERE id = %s", ticket.pk)
    assert signed_by(ticket.pk)[before:] == [("user:7", "at the desk"), (f"database:{role}", "")]


@pytest.mark.django_db
def test_sign_is_taken_back_with_its_savepoint() -> None:
    ticket = a_ticket("reserved")
    sign(who="sweep", why="outer")
    with transaction.atomic():
        sign(who="user:7", why="inner")
        transaction.set_rollback(True)
    run("UPDATE events_ticket SET state = 'confirmed' WHERE id = %s", ticket.pk)
    assert signed_by(ticket.pk)[-1] == ("sweep", "outer")


@pytest.mark.django_db
def test_sign_cuts_what_is_too_long_and_takes_any_text() -> None:
    ticket = a_ticket("reserved")
    sign(who="u" * 300, why="it's 100% 'sure'; -- " + "y" * 600)
    run("UPDATE events_ticket SET state = 'confirmed' WHERE id = %s", ticket.pk)
    who, why = signed_by(ticket.pk)[-1]
    assert (len(who), len(why)) == (200, 500)
    assert why.startswith("it's 100% 'sure'; -- ")
