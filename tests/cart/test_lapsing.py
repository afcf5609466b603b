"""What lies in carts too long goes, and nothing else does."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from cart.adding import put_in_cart
from cart.jobs import lapse_carts
from cart.lapsing import KEPT, lapse
from events.models import CalendarEntry, Merchant, Ticket
from tests.factories import EventFactory, UserFactory
from tests.steps import at_its_address, ordered

pytestmark = pytest.mark.django_db


def in_a_cart(entry: CalendarEntry) -> Ticket:
    user = UserFactory.create()
    put_in_cart(user, at_its_address(entry), {0: 1}, at=timezone.now())
    return Ticket.objects.pending_for(user).get()


def test_pending_tickets_go_after_a_week() -> None:
    entry = EventFactory.create(ends_at=timezone.now() + timedelta(days=90))
    ticket = in_a_cart(entry)

    assert lapse(at=ticket.created_at + KEPT - timedelta(seconds=1)) == 0
    assert lapse(at=ticket.created_at + KEPT + timedelta(seconds=1)) == 1
    assert not Ticket.objects.exists()


def test_pending_tickets_go_when_their_event_is_over() -> None:
    entry = EventFactory.create()
    in_a_cart(entry)

    assert lapse(at=entry.ends_at - timedelta(seconds=1)) == 0
    assert lapse(at=entry.ends_at) == 1


def test_what_was_ordered_stays(merchant: Merchant) -> None:
    entry = EventFactory.create()
    ordered(entry)

    assert lapse(at=entry.ends_at + KEPT) == 0
    assert Ticket.objects.get().state == "reserved"


def test_more_than_a_batch_goes_in_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cart.lapsing.BATCH", 2)
    entry = EventFactory.create()
    for _each in range(5):
        in_a_cart(entry)

    assert lapse(at=entry.ends_at) == 5


def test_the_job_runs_it_now() -> None:
    ticket = in_a_cart(EventFactory.create())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_ticket SET created_at = now() - interval '8 days' WHERE id = %s", [ticket.pk])

    lapse_carts(timestamp=0)

    assert not Ticket.objects.exists()
