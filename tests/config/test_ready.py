"""`/readyz`: able to serve or not, and what a person should see to meanwhile."""

from datetime import timedelta

import pytest
from django.db.utils import OperationalError
from django.test import Client
from django.utils import timezone

from orders.jobs import send_confirmation
from payments.attention import LATE, UNDECIDED
from payments.cases import close_case, open_case
from payments.models import Case, Checkout
from payments.releasing import release
from payments.settling import settle
from payments.states import CaseKind
from tests.cart.steps import later, opened, ordered, paid_at_sumup, states_of
from tests.desk import signed_in_as
from tests.factories import UserFactory
from tests.ledger.psql import run
from tests.simulator import SimulatorProcess

pytestmark = pytest.mark.django_db


def ready(client: Client, status: int = 200) -> dict[str, object]:
    answer = client.get("/readyz")
    assert answer.status_code == status
    told: dict[str, object] = answer.json()
    return told


def test_all_is_well(client: Client) -> None:
    assert client.get("/healthz").content == b"ok\n"
    assert ready(client) == {"ready": True, "problems": [], "attention": []}


def test_missing_migration_and_missing_database_are_no_readiness(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("DELETE FROM django_migrations WHERE app = 'payments' AND name LIKE '0002%'")
    assert ready(client, 503) == {"ready": False, "problems": ["migrations are missing"], "attention": []}

    def gone(*_arguments: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr("config.views.MigrationExecutor", gone)
    assert ready(client, 503)["problems"] == ["the database does not answer"]


def test_a_revoked_key_is_loud_and_keeps_every_order(client: Client, sumup: SimulatorProcess) -> None:
    """Nothing expires unread: the hold ends, the seats stay, and the payment is found when the key works again."""
    order = ordered(number=2)
    checkout = paid_at_sumup(sumup, order)
    sumup.faults(read="401", deactivate="401")

    settle(checkout.pk, who="sweep", at=timezone.now())
    release(order.pk, who="sweep", at=order.hold_until + timedelta(minutes=1))

    assert states_of(order) == ["reserved", "reserved"]
    assert ready(client)["attention"] == ["SumUp refuses the key or the rights of 1 merchant(s): see Money to decide"]
    superuser = signed_in_as(UserFactory.create(is_staff=True, is_superuser=True))
    assert "Money to decide: 1 case waits for a person." in superuser.get("/admin/").content.decode()
    sumup.faults(read="ok", deactivate="ok")
    settle(checkout.pk, who="sweep", at=later(minutes=40))
    assert states_of(order) == ["confirmed", "confirmed"]
    close_case(Case.objects.get(), who="user:0", reason="A new key.", at=timezone.now())
    assert ready(client)["attention"] == []


def test_money_undecided_for_a_day_is_told(client: Client, sumup: SimulatorProcess) -> None:
    checkout: Checkout = opened(ordered())
    at = timezone.now() - UNDECIDED
    open_case(CaseKind.HELD, checkout, words="No word.", at=at + timedelta(minutes=5))
    assert ready(client)["attention"] == []
    run("UPDATE payments_case SET opened_at = %s", at)
    assert ready(client)["attention"] == [f"money waits for a decision since {at:%Y-%m-%d}: see Money to decide"]


def test_jobs_that_nobody_does_or_that_failed_are_told(client: Client) -> None:
    pk = send_confirmation.defer(order_id=1)
    send_confirmation.configure(schedule_in={"minutes": 30}).defer(order_id=2)
    assert ready(client)["attention"] == []
    run("UPDATE procrastinate_events SET at = at - %s WHERE job_id = %s", LATE + timedelta(seconds=1), pk)
    waits = "1 job(s), mail or questions to SumUp, wait for a worker for more than ten minutes"
    assert ready(client)["attention"] == [waits]
    run("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", pk)
    run("UPDATE procrastinate_jobs SET status = 'failed' WHERE id = %s", pk)
    assert ready(client)["attention"] == ["1 job(s) failed: see the jobs in the admin"]
