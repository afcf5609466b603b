"""The database is lost and yesterday's backup is restored: each payment made since is found, or put before a person."""

from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from config.backups import backup, restore
from orders.models import Order
from payments.books import read_books
from payments.models import Case, Checkout, RunOutcome
from payments.pacing import Pace
from payments.reconciling import reconcile
from payments.rounds import Round
from payments.settling import settle
from payments.states import CaseKind
from tests.cart.steps import opened, ordered, paid_at_sumup, states_of, sumup_id
from tests.factories import EventFactory
from tests.faults.web import address_of_test_database
from tests.simulator import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


def test_after_a_restore_of_yesterday_s_backup_every_payment_since_is_found_or_flagged(
    sumup: SimulatorProcess, tmp_path: Path
) -> None:
    entry = EventFactory.create(capacity=20)
    before = ordered(entry)
    settle(paid_at_sumup(sumup, before).pk, who="webhook", at=timezone.now())
    on_the_way = ordered(entry, 2)
    page = opened(on_the_way)
    url, file = address_of_test_database(), tmp_path / "yesterday.sql.gz"
    connection.close()
    backup(url, file)

    sumup.pay(sumup_id(page))
    settle(page.pk, who="webhook", at=timezone.now())
    since = [ordered(entry, number) for number in (1, 3)]
    for order in since:
        settle(paid_at_sumup(sumup, order).pk, who="webhook", at=timezone.now())
    sumup.control(f"refund/{Checkout.objects.get(order=before).transaction_id}")
    codes = {order.code for order in since}
    connection.close()
    restore(url, file)
    assert not Order.objects.filter(code__in=codes).exists()
    assert states_of(on_the_way) == ["reserved"] * 2

    row = reconcile(Round(pace=Pace(0)))

    assert row.outcome == RunOutcome.PERSON
    assert (states_of(on_the_way), states_of(before)) == (["confirmed"] * 2, ["refunded"])
    strays = list(Case.objects.open().filter(kind=CaseKind.STRAY))
    assert all(any(code[:8] in case.words for case in strays) for code in codes)
    ours = {checkout.transaction_id: checkout.captured for checkout in Checkout.objects.exclude(captured=None)}
    ours |= {case.transaction_id: case.amount for case in strays}
    assert ours == {capture["id"]: Decimal(capture["amount"]) for capture in sumup.ledger()["captures"]}
    assert read_books() == []
