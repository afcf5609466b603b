"""The database goes away in the middle: an honest page, no half state, and the next request works."""

from functools import partial

import pytest
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

import events.programme.views
import orders.placing
from orders.models import Order
from payments.books.checking import read_books
from tests.factories import EventFactory, UserFactory
from tests.races.threads import at_once
from tests.simulator import SimulatorProcess
from tests.steps import checkout_form, fill, held, order_cart

pytestmark = pytest.mark.django_db(transaction=True)


def hang_up() -> None:
    """PostgreSQL ends this connection, as it does when it is restarted."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def visited() -> list[int]:
    """Two visits of one worker: the connection is lost in the first."""
    client = Client(raise_request_exception=False)
    first = client.get("/").status_code
    connection.close()  # what Django does between two requests with a connection that cannot be used
    return [first, client.get("/").status_code]


@pytest.mark.promise("database-connection-lost")
def test_a_connection_lost_in_a_request_is_an_honest_page_and_the_next_one_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    programme, lost = events.programme.views._programme, [hang_up]

    def interrupted(*args: object, **named: object) -> object:
        if lost:
            lost.pop()()
        return programme(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(events.programme.views, "_programme", interrupted)

    assert at_once([visited]) == [[503, 200]]


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.promise("database-connection-lost")
def test_a_connection_lost_at_commit_is_not_repeated_blindly(
    client: Client, sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    """Whether the order was committed is not known: the second click finds it by its token, or makes it."""
    entry, user = EventFactory.create(capacity=2), UserFactory.create()
    fill(user, entry, 2)
    client.force_login(user)
    client.raise_request_exception = False
    form = checkout_form(client)
    commit, losses = BaseDatabaseWrapper.commit, ["once"]

    def lost(self: BaseDatabaseWrapper) -> None:
        if losses and self.connection is not None and Order.objects.exists():
            losses.pop()
            if done:
                commit(self)
            raise OperationalError("server closed the connection unexpectedly")
        commit(self)

    monkeypatch.setattr(BaseDatabaseWrapper, "commit", lost)

    assert client.post("/checkout/", form).status_code == 503
    assert Order.objects.count() == int(done)
    answer = client.post("/checkout/", form)

    assert (answer.status_code, Order.objects.count(), held(entry)) == (303, 1, 2)
    assert len(sumup.ledger()["checkouts"]) == 1
    assert read_books() == []


@pytest.mark.promise("database-connection-lost")
def test_a_claim_whose_connection_dies_leaves_nothing(sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, user = EventFactory.create(capacity=2), UserFactory.create()
    fill(user, entry, 2)

    def dies(*_args: object, **_named: object) -> int:
        hang_up()
        raise AssertionError("unreachable: the connection is gone")

    with monkeypatch.context() as patch:
        patch.setattr(orders.placing, "mark_reserved", dies)
        (answer,) = at_once([partial(order_cart, user)])
    assert isinstance(answer, OperationalError)
    assert (Order.objects.count(), held(entry)) == (0, 0)
    assert order_cart(user).state == "awaiting_payment"
