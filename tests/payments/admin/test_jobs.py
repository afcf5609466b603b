"""Jobs in the admin: the superuser sees what failed and runs it again; nobody else sees any."""

import pytest
from procrastinate.contrib.django.models import ProcrastinateJob

from events.models import Role
from orders.jobs import send_confirmation
from tests.desk import answered, house, member, signed_in_as
from tests.factories import UserFactory
from tests.jobs import run_jobs
from tests.ledger.psql import run

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "/admin/procrastinate/procrastinatejob/"


def test_a_failed_job_is_seen_and_run_again() -> None:
    home = house("Alpha")
    ProcrastinateJob.objects.all()._raw_delete(using="default")
    pk = send_confirmation.defer(order_id=home.order.pk)
    run("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", pk)
    run("UPDATE procrastinate_jobs SET status = 'failed' WHERE id = %s", pk)
    client = signed_in_as(UserFactory.create(is_staff=True, is_superuser=True))
    assert "send_confirmation" in client.get(ADDRESS, {"status__exact": "failed"}).content.decode()

    answered(client, ADDRESS, {"action": "retry", "_selected_action": [str(pk)]})
    run_jobs()

    assert ProcrastinateJob.objects.get(pk=pk).status == "succeeded"


def test_nobody_else_sees_jobs() -> None:
    home = house("Alpha")
    for role in Role:
        assert signed_in_as(member((home.page, role))).get(ADDRESS).status_code == 403
