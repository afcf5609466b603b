"""Who acts and why, for the history rows of the transaction at hand."""

from django.db import connection, transaction


def sign(*, who: str, why: str) -> None:
    """Name the actor (``user:<id>``, ``webhook``, ``sweep``, …) and the reason of changes until the transaction ends.

    It must be called inside a transaction: outside, the names would be gone before the first change.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("sign() outside a transaction names nobody.")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('foyer.actor', %s, true), set_config('foyer.reason', %s, true)", [who[:200], why[:500]]
        )
