"""The database is lost and yesterday's backup is restored: each payment made since is found, or put before a person."""

from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from config.backups import backup, restore
from orders.models import Order
from payments.books.checking import read_books
from payments.checkouts.settling import settle
from payments.models import Case, Checkout, RunOutcome
from payments.reconcile.pace import Pace
from payments.reconcile.round import Round
from payments.reconcile.running import reconcile
from payments.states import CaseKind
from tests.factories import EventFactory
from tests.faults.web import address_of_test_database
from tests.simulator import MERCHANT, SimulatorProcess
from tests.steps import opened, ordered, paid_at_sumup, states_of, sumup_id

#: By card, bank, wallet and at a till, and in a way that no document names: all of it is on the page that SumUp shows.
KINDS = ["ECOM", "APM", "BALANCE", "POS", "WALLET"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.promise("payment-order-code", "database-lost-yesterday")
def test_after_a_restore_of_yesterday_s_backup_every_payment_since_is_found_or_flagged(
    sumup: SimulatorProcess, tmp_path: Path
) -> None:
    entry = EventFactory.create(capacity=30)
    before = ordered(entry)
    settle(paid_at_sumup(sumup, before).pk, who="webhook", at=timezone.now())
    on_the_way = ordered(entry, 2)
    page = opened(on_the_way)
    url, file = address_of_test_database(), tmp_path / "yesterday.sql.gz"
    connection.close()
    backup(url, file)

    sumup.pay(sumup_id(page))
    settle(page.pk, who="webhook", at=timezone.now())
    since = [ordered(entry, 1 + turn % 3) for turn in range(len(KINDS))]
    for order, kind in zip(since, KINDS, strict=True):
        checkout = opened(order)
        sumup.control(f"pay/{sumup_id(checkout)}", {"payment_type": kind})
        settle(checkout.pk, who="webhook", at=timezone.now())
    gone = Checkout.objects.get(order=since[1])
    sumup.control(f"refund/{gone.transaction_id}", {"amount": "2"})
    reader = sumup.control(f"sell/{MERCHANT}", {"description": "Two coffees"})["id"]
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
    captures = {capture["id"]: Decimal(capture["amount"]) for capture in sumup.ledger()["captures"]}
    assert ours == {pk: amount for pk, amount in captures.items() if pk != reader}
    assert "2.00 EUR of it went back already." in next(
        case.words for case in strays if case.transaction_id == gone.transaction_id
    )
    assert row.counts["not of this shop"] == 1
    assert read_books() == []
