"""SumUp's official SDK, unchanged, drives the simulator: what the simulator says is what SumUp's own client expects."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from sumup import APIError, Sumup

from tests.simulator import KEY, MERCHANT, SimulatorProcess


@pytest.fixture
def sdk(simulator: SimulatorProcess) -> Iterator[Sumup]:
    client = Sumup(api_key=KEY, base_url=simulator.url)
    yield client
    client._client.close()


def made(sdk: Sumup, reference: str = "SDK-1", amount: float = 23.45) -> str:
    checkout = sdk.checkouts.create(
        checkout_reference=reference,
        amount=amount,
        currency="EUR",
        merchant_code=MERCHANT,
        description="SDK-1 Jazz",
        return_url="http://127.0.0.1:9/webhook",
        valid_until=timezone.now() + timedelta(minutes=28),
        hosted_checkout={"enabled": True},
    )
    assert (checkout.status, checkout.amount, checkout.hosted_checkout_url is not None) == ("PENDING", amount, True)
    assert checkout.id
    return str(checkout.id)


def test_a_checkout_is_made_read_listed_and_deactivated(sdk: Sumup) -> None:
    pk = made(sdk)

    assert sdk.checkouts.get(pk).checkout_reference == "SDK-1"
    assert [row.id for row in sdk.checkouts.list(checkout_reference="SDK-1")] == [pk]
    assert sdk.checkouts.deactivate(pk).status == "EXPIRED"
    with pytest.raises(APIError) as refused:
        made(sdk)
    assert refused.value.status == 409


def test_a_payment_is_read_found_in_history_and_refunded_in_parts(sdk: Sumup, simulator: SimulatorProcess) -> None:
    pk = made(sdk)
    simulator.pay(pk)

    paid = sdk.checkouts.get(pk)
    assert paid.status == "PAID"
    transaction = sdk.transactions.get(MERCHANT, id=str(paid.transaction_id))
    assert (transaction.amount, transaction.status) == (23.45, "SUCCESSFUL")
    sdk.transactions.refund(MERCHANT, str(paid.transaction_id), amount=3.45)
    sdk.transactions.refund(MERCHANT, str(paid.transaction_id))

    history = sdk.transactions.list(MERCHANT, order="ascending", limit=10)
    assert [(row.type, row.amount) for row in history.items or []] == [
        ("PAYMENT", 23.45),
        ("REFUND", 3.45),
        ("REFUND", 20.0),
    ]
    with pytest.raises(APIError):
        sdk.transactions.refund(MERCHANT, str(paid.transaction_id))


def test_the_merchant_is_read_and_a_wrong_key_refused(sdk: Sumup, simulator: SimulatorProcess) -> None:
    merchant = sdk.merchants.get(MERCHANT)
    assert (merchant.merchant_code, merchant.default_currency) == (MERCHANT, "EUR")

    stranger = Sumup(api_key="sup_sk_wrong", base_url=simulator.url)
    with pytest.raises(APIError) as refused:
        stranger.checkouts.get("x")
    stranger._client.close()
    assert refused.value.status == 401
