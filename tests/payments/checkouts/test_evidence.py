"""What SumUp said is kept word for word when it differs, and holds nothing about a person."""

import json
from decimal import Decimal

import pytest
from django.utils import timezone
from psycopg import Error

from payments.checkouts.evidence import kept
from payments.checkouts.settling import settle
from payments.models import Checkout, SumUpAnswer
from tests.ledger.psql import run
from tests.simulator import SimulatorProcess
from tests.steps import later, opened, ordered, sumup_id

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.promise("sumup-said-payment")
def test_each_answer_that_differs_is_kept_in_order(sumup: SimulatorProcess) -> None:
    checkout = opened(ordered())
    settle(checkout.pk, who="poll", at=timezone.now())
    settle(checkout.pk, who="poll", at=later(seconds=5))  # the same once more
    sumup.decline(sumup_id(checkout))
    settle(checkout.pk, who="poll", at=later(seconds=10))
    sumup.pay(sumup_id(checkout))
    settle(checkout.pk, who="webhook", at=later(seconds=15))

    answers = list(SumUpAnswer.objects.filter(checkout=checkout))
    assert [answer.status for answer in answers] == ["PENDING", "FAILED", "PAID"]
    last = answers[-1].body
    assert (last["status"], last["amount"], last["currency"]) == ("PAID", "12", "EUR")
    assert [attempt["status"] for attempt in last["transactions"]] == ["FAILED", "SUCCESSFUL"]
    assert last["transaction_code"] == Checkout.objects.get(pk=checkout.pk).transaction_code
    assert "example.org" not in json.dumps([answer.body for answer in answers])


@pytest.mark.promise("sumup-said-payment")
def test_what_was_said_is_never_changed(sumup: SimulatorProcess) -> None:
    opened(ordered())
    assert SumUpAnswer.objects.count() == 1
    for change in ("UPDATE payments_sumupanswer SET status = 'PAID'", "DELETE FROM payments_sumupanswer"):
        with pytest.raises(Error, match="never changed"):
            run(change)


def test_only_the_payment_s_own_facts_are_kept() -> None:
    raw = {
        "id": "c-1", "amount": Decimal("10.0"), "status": "P" * 400, "pay_to_email": "a@example.org",
        "personal_details": {"name": "A"}, "valid_until": None, "currency": ["EUR"],
        "transactions": [
            {"id": f"t-{turn}", "amount": Decimal("1E+1"), "card": {"last_4_digits": "4242"}} for turn in range(30)
        ] + ["no object"],
    }  # fmt: skip
    body = kept(raw)
    transactions = body.pop("transactions")
    assert body == {"id": "c-1", "amount": "10", "status": "P" * 255, "valid_until": None, "currency": "(list)"}
    assert isinstance(transactions, list)
    assert transactions[-1] == {"id": "t-29", "amount": "10"}
    assert len(transactions) == 19
    assert kept({"transactions": "none"}) == {}
