"""Two hands on one ticket: whoever had to wait looks again at what the ticket has become."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.utils import timezone

from events.door.letting_in import door_of
from events.models import CalendarEntry, Ticket
from events.tickets.handing_on import HandingRefusal, rename, send_on
from tests.ledger.lives import a_ticket
from tests.races.threads import PATIENCE
from tests.simulator import until

Work = Callable[[], object]


def sent(ticket: Ticket, to: str) -> None:
    send_on(ticket, to=to, holder=to, who="user:1", at=timezone.now())


def renamed(ticket: Ticket) -> None:
    rename(ticket, "late", at=timezone.now())


def let_in(ticket: Ticket) -> None:
    entry = CalendarEntry.objects.with_page().get(pk=ticket.entry_id)
    door_of(entry).let_in(ticket.code, who="user:1", at=timezone.now())


def ended(ticket: Ticket) -> None:
    now = timezone.now()
    moved = CalendarEntry.objects.filter(pk=ticket.entry_id)
    moved.update(starts_at=now - timedelta(hours=2), ends_at=now - timedelta(hours=1))


def is_waited_for() -> bool:
    """Somebody's statement waits for a lock of this connection."""
    with connection.cursor() as cursor:
        waits = "SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        cursor.execute(f"SELECT EXISTS ({waits})")
        return bool(cursor.fetchone() == (True,))


def second_waits_for(first: Work, second: Work) -> Future[object]:
    """What became of `second`, which was begun before `first` was committed and waited for that."""

    def late() -> object:
        try:
            return second()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            first()
            answer = pool.submit(late)
            until(is_waited_for)
        answer.exception(PATIENCE)
        return answer


@pytest.mark.parametrize("first", [partial(sent, to="jo@example.org"), let_in, ended], ids=["sent", "let in", "ended"])
@pytest.mark.parametrize("second", [partial(sent, to="eve@example.org"), renamed], ids=["sent", "renamed"])
@pytest.mark.promise("two-send-rename")
def test_who_waited_finds_the_old_code_dead(first: Callable[[Ticket], None], second: Callable[[Ticket], None]) -> None:
    ticket = a_ticket("confirmed")

    answer = second_waits_for(partial(first, ticket), partial(second, ticket))

    assert isinstance(answer.exception(), HandingRefusal)
    now = Ticket.objects.get(pk=ticket.pk)
    assert (now.sent_to, now.holder) in [("", ""), ("jo@example.org", "jo@example.org")]
    assert (now.sent_to != "") == (now.code != ticket.code)


def test_renamed_and_then_sent_is_sent() -> None:
    """The control: a rival that leaves code and state as they are is waited for, and that is all."""
    ticket = a_ticket("confirmed")

    answer = second_waits_for(partial(renamed, ticket), partial(sent, ticket, to="jo@example.org"))

    assert answer.exception() is None
    assert Ticket.objects.get(pk=ticket.pk).sent_to == "jo@example.org"
