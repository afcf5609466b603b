"""A database of an older release, in which a transaction stands behind two payments, can be brought up to date."""

import importlib

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from payments.books.checking import breaches
from payments.models import Checkout, SumUpReport
from tests.ledger.psql import bare, rows, run
from tests.payments.checkouts.test_unshown import mismatched
from tests.payments.money import sold
from tests.simulator import SimulatorProcess
from tests.steps import ordered

pytestmark = pytest.mark.django_db(transaction=True)

migration = importlib.import_module("payments.migrations.0009_one_capture_of_transaction")
INDEX = "checkout_one_capture_of_transaction"


@pytest.mark.promise("upgrade-over-two")
def test_transaction_behind_two_payments_stays_with_the_one_that_gave_the_goods(sumup: SimulatorProcess) -> None:
    other = mismatched(sumup, ordered())
    _order, checkout = sold(sumup)
    with bare().transaction(force_rollback=True):
        ((made,),) = rows("SELECT indexdef FROM pg_indexes WHERE indexname = %s", INDEX)
        run(f"DROP INDEX {INDEX}")
        run(f"UPDATE payments_checkout SET transaction_id = '{checkout.transaction_id}', transaction_code = NULL,"
            f" sumup_answer = (SELECT sumup_answer FROM payments_checkout WHERE id = {checkout.pk})"
            f" WHERE id = {other.pk}")  # fmt: skip
        run("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(Exception, match="could not create unique index"), bare().transaction():
            run(made)
        run(migration.ONE_KEEPS_IT)
        run(made)
        other.refresh_from_db()
        checkout.refresh_from_db()
        assert (other.transaction_id, other.problem.startswith("Transaction ")) == ("", True)
        assert Checkout.objects.get(transaction_id=checkout.transaction_id) == checkout
        assert "transaction_behind_one_capture" in {breach.rule for breach in breaches()}


def test_events_get_one_spelling_of_their_ids_where_that_is_free(sumup: SimulatorProcess) -> None:
    _order, checkout = sold(sumup)
    for number in ("1.0", "2", "3.", "4", "4.0", "a.0", "5.5", "6.0", "6.00"):
        SumUpReport.objects.create(
            merchant=checkout.merchant, transaction_id=checkout.transaction_id, event_id=number, kind="PAYOUT",
            status="PAID_OUT", first_seen_at=checkout.created_at,
        )  # fmt: skip
    run(migration.ONE_SPELLING)
    found = SumUpReport.objects.order_by("pk").values_list("event_id", flat=True)
    assert list(found) == ["1", "2", "3", "4", "4.0", "a.0", "5.5", "6.0", "6.00"]


def test_who_may_see_reports_by_their_old_name_may_by_the_new_one() -> None:
    renaming = importlib.import_module("payments.migrations.0012_sumup_report").Migration
    before = [key for key in renaming.dependencies if key[0] == "payments"]
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    group = Group.objects.create(name="Auditors")
    group.permissions.add(Permission.objects.get(codename="view_sumupreport"))

    def held() -> list[tuple[str, str]]:
        return list(group.permissions.values_list("codename", "content_type__model"))

    MigrationExecutor(connection).migrate(before)
    try:
        assert held() == [("view_sumupevent", "sumupevent")]
    finally:
        MigrationExecutor(connection).migrate(newest)
    assert held() == [("view_sumupreport", "sumupreport")]
    assert not Permission.objects.filter(codename__endswith="sumupevent").exists()
