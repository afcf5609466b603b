"""SumUp refuses the key: loud for whoever runs the shop, and nothing is lost for whoever bought."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db.utils import OperationalError
from django.test import Client
from django.utils import timezone

from payments.cases import close_case
from payments.checkouts.ending import release
from payments.checkouts.settling import settle
from payments.models import Case
from tests.desk import signed_in_as
from tests.factories import UserFactory
from tests.ledger.psql import run
from tests.simulator import SimulatorProcess
from tests.steps import later, ordered, paid_at_sumup, states_of

pytestmark = pytest.mark.django_db


def problems(client: Client, status: int) -> list[str]:
    answer = client.get("/readyz", headers={"Authorization": f"Bearer {settings.STATUS_TOKEN}"})
    assert answer.status_code == status
    told: list[str] = answer.json()["problems"]
    return told


@pytest.mark.promise("401-key-revoked")
def test_a_revoked_key_is_loud_and_keeps_every_order(client: Client, sumup: SimulatorProcess) -> None:
    """Nothing expires unread: the hold ends, the seats stay, and the payment is found when the key works again."""
    order = ordered(number=2)
    checkout = paid_at_sumup(sumup, order)
    sumup.faults(read="401", deactivate="401")

    settle(checkout.pk, who="sweep", at=timezone.now())
    release(order.pk, who="sweep", at=order.hold_until + timedelta(minutes=1))

    assert states_of(order) == ["reserved", "reserved"]
    assert problems(client, 503) == ["SumUp refuses a merchant"]
    superuser = signed_in_as(UserFactory.create(is_staff=True, is_superuser=True))
    assert "Money to decide" in superuser.get("/admin/").content.decode()
    sumup.faults(read="ok", deactivate="ok")
    settle(checkout.pk, who="sweep", at=later(minutes=40))
    assert states_of(order) == ["confirmed", "confirmed"]
    close_case(Case.objects.get(), who="user:0", reason="A new key.", at=timezone.now())
    assert problems(client, 200) == []


def test_a_missing_migration_and_a_missing_database_are_no_readiness(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations WHERE app = 'payments')")
    assert problems(client, 503) == ["migrations are missing"]

    def gone(*_arguments: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr("config.views.MigrationExecutor", gone)
    assert problems(client, 503) == ["the database does not answer"]
