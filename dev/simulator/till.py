"""What happens at the simulated SumUp: checkouts, attempts to pay, refunds. Nothing here speaks HTTP."""

import secrets
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from dev.simulator.ledger import Ledger
from dev.simulator.reply import Refused, not_found
from dev.simulator.rows import EXPIRED, FAILED, PAID, PENDING, SUCCESSFUL, Checkout, Merchant, Refund, Transaction

SESSION = timedelta(minutes=30)
MAGIC_AMOUNTS = {Decimal("11"), Decimal("42.01"), Decimal("42.76"), Decimal("42.91")}
DECLINED = "The card was declined by its bank."
#: Payment type and entry mode of a card on the hosted page.
BY_CARD_ONLINE = ("ECOM", "CUSTOMER_ENTRY")
CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


class Closed(Exception):
    """A checkout that cannot be paid any more."""


class Till:
    """The acts. Each takes the ledger's lock; `notify` is called with the checkout after its status changed."""

    def __init__(self, ledger: Ledger, notify: Callable[[Checkout], None], *, magic_amounts: bool) -> None:
        self.ledger = ledger
        self.notify = notify
        self.magic_amounts = magic_amounts

    def open(self, checkout: Checkout) -> None:
        with self.ledger.lock:
            if (checkout.merchant_code, checkout.reference) in self.ledger.references:
                words = "Checkout with this checkout reference and pay to email already exists"
                raise Refused(409, "DUPLICATED_CHECKOUT", words)
            self.ledger.write(checkout)

    def find(self, checkout_id: str) -> Checkout:
        """The checkout, with EXPIRED noted when its `valid_until` has passed; raises Refused 404."""
        with self.ledger.lock:
            checkout = self.ledger.checkouts.get(checkout_id)
            if checkout is None:
                raise not_found()
            if checkout.status in {PENDING, FAILED} and not checkout.authorizing and self._over(checkout):
                checkout.status = EXPIRED
                self.ledger.write(checkout)
            return checkout

    def _over(self, checkout: Checkout) -> bool:
        until = checkout.valid_until
        return bool(until) and datetime.fromisoformat(until) <= self.ledger.now()

    def session_over(self, checkout: Checkout) -> bool:
        return datetime.fromisoformat(checkout.created) + SESSION <= self.ledger.now()

    def deactivate(self, checkout_id: str) -> Checkout:
        with self.ledger.lock:
            checkout = self.find(checkout_id)
            if checkout.status == PAID:
                raise Refused(409, "CHECKOUT_PROCESSED", "Checkout is already processed")
            if checkout.authorizing:
                raise Refused(409, "CHECKOUT_CANT_BE_DEACTIVATED", "Checkout cannot be deactivated")
            if checkout.status == EXPIRED:
                return checkout
            checkout.status = EXPIRED
            self.ledger.write(checkout)
        self.notify(checkout)
        return checkout

    def authorize(self, checkout_id: str) -> Checkout:
        """Begins an authorization that pay or decline ends: meanwhile the checkout cannot be deactivated."""
        with self.ledger.lock:
            checkout = self._payable(checkout_id, force=False)
            checkout.authorizing = True
            self.ledger.write(checkout)
            return checkout

    def pay(self, checkout_id: str, *, force: bool = False, way: tuple[str, str] = BY_CARD_ONLINE) -> Checkout:
        """Pays, unless a magic amount declines; `force` pays an expired one too (a race that SumUp lost).

        `way` is SumUp's payment type and entry mode.
        """
        with self.ledger.lock:
            checkout = self._payable(checkout_id, force=force)
            if self.magic_amounts and Decimal(checkout.amount) in MAGIC_AMOUNTS:
                return self.decline(checkout_id)
            self._attempt(checkout, SUCCESSFUL, way)
            checkout.status, checkout.reason, checkout.authorizing = PAID, "", False
            self.ledger.write(checkout)
        self.notify(checkout)
        return checkout

    def pay_again(self, checkout_id: str) -> Checkout:
        """A second success of a checkout that is paid: two cards were charged at once (a race that SumUp lost)."""
        with self.ledger.lock:
            checkout = self.find(checkout_id)
            self._attempt(checkout, SUCCESSFUL)
            self.ledger.write(checkout)
        self.notify(checkout)
        return checkout

    def decline(self, checkout_id: str, reason: str = DECLINED) -> Checkout:
        with self.ledger.lock:
            checkout = self._payable(checkout_id, force=False)
            self._attempt(checkout, FAILED)
            checkout.status, checkout.reason, checkout.authorizing = FAILED, reason, False
            self.ledger.write(checkout)
        self.notify(checkout)
        return checkout

    def _payable(self, checkout_id: str, *, force: bool) -> Checkout:
        checkout = self.find(checkout_id)
        if checkout.status == PAID or (not force and checkout.status == EXPIRED):
            raise Closed(checkout.status)
        return checkout

    def _attempt(self, checkout: Checkout, status: str, way: tuple[str, str] = BY_CARD_ONLINE) -> None:
        transaction = self._transaction(
            checkout_id=checkout.id, merchant_code=checkout.merchant_code, amount=checkout.amount,
            currency=checkout.currency, status=status, description=checkout.description, way=way,
        )  # fmt: skip
        checkout.transactions.append(transaction.id)

    def sell(
        self, merchant_code: str, money: tuple[Decimal, str], description: str, way: tuple[str, str]
    ) -> Transaction:
        """A payment of no checkout, as a card reader takes it; nobody is called."""
        with self.ledger.lock:
            return self._transaction(
                checkout_id="", merchant_code=merchant_code, amount=str(money[0]), currency=money[1],
                status=SUCCESSFUL, description=description, way=way,
            )  # fmt: skip

    def _transaction(self, *, way: tuple[str, str], **facts: str) -> Transaction:
        transaction = Transaction(
            id=str(uuid.uuid4()),
            code="T" + "".join(secrets.choice(CODE_LETTERS) for _ in range(9)),
            timestamp=self.ledger.now().isoformat(timespec="milliseconds"),
            payment_type=way[0],
            entry_mode=way[1],
            **facts,
        )
        self.ledger.write(transaction)
        return transaction

    def payment(self, merchant: Merchant, transaction_id: str) -> Transaction:
        """The merchant's transaction; raises Refused 404."""
        transaction = self.ledger.transactions.get(transaction_id)
        if transaction is None or transaction.merchant_code != merchant.code:
            raise not_found("Transaction not found")
        return transaction

    def refundable(self, transaction: Transaction) -> Decimal:
        gone = self.ledger.refunds_of(transaction.id)
        return Decimal(transaction.amount) - sum(
            (Decimal(row.amount) for row in gone if row.status != "FAILED"), Decimal(0)
        )

    def refund(
        self, transaction: Transaction, amount: Decimal | None, *, delay: float = 0, kind: str = "REFUND"
    ) -> Refund:
        """Sends money back, all that is left when `amount` is None; its event shows after `delay` seconds."""
        with self.ledger.lock:
            left = self.refundable(transaction)
            if left <= 0 or transaction.status != SUCCESSFUL:
                raise Refused(409, "CONFLICT", "The transaction is not refundable in its current state")
            if amount is not None and amount > left:
                fault = {
                    "code": "INVALID_AMOUNT",
                    "detail": "Amount exceeds the refundable amount",
                    "reason": "amount_too_high",
                    "max_refundable_amount": int(left * 100),
                }
                raise Refused(422, "INVALID_AMOUNT", "Refund failed.", more={"errors": [fault]})
            now = self.ledger.now()
            refund = Refund(
                id=str(uuid.uuid4()),
                transaction_id=transaction.id,
                merchant_code=transaction.merchant_code,
                kind=kind,
                amount=str(left if amount is None else amount),
                timestamp=now.isoformat(timespec="milliseconds"),
                visible=(now + timedelta(seconds=delay)).isoformat(timespec="milliseconds"),
                status="REFUNDED" if kind == "REFUND" else SUCCESSFUL,
            )
            self.ledger.write(refund)
            return refund
