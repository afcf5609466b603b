"""Many rows at once: copies of one real row, written past the triggers, for a database as large as a busy one.

Copies have keys that the sequences never reach. Neither history nor jobs are copied.
"""

from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone
from psycopg import sql

from events.models import CalendarEntry, Ticket
from orders.models import Order
from payments.models import Checkout

#: As many orders has a buyer.
ORDERS_A_BUYER = 5
#: The keys of copies come after this one, those of open orders after the next.
KEYS, OPEN_KEYS = 100_000_000, 200_000_000


def fill(entry: CalendarEntry, order: Order, *, entries: int, tickets: int) -> None:
    """So many entries like `entry`, and paid orders of two tickets each like `order`, spread over them."""
    orders, buyers = max(1, tickets // 2), max(1, tickets // 2 // ORDERS_A_BUYER)
    line, checkout = order.lines.get(), order.checkouts.get()
    of_order = {"user_id": f"{KEYS} + 1 + n % {buyers}", "placed_at": "placed_at - n * interval '1 second'"}
    # Three quarters of the entries are to come; the seats of each are counted as its trigger would.
    starts = "starts_at + (n % 365 - 90) * interval '1 day' + n % 600 * interval '1 minute'"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        copy("accounts_user", order.user_id, buyers, {"email": "'copy' || n || '@example.org'"})
        copy(
            "events_calendarentry",
            entry.pk,
            entries,
            {
                "title": "'Evening ' || n",
                "starts_at": starts,
                "ends_at": starts + " + interval '2 hours'",
                "held": str(2 * orders // entries),
            },
        )
        copy("orders_order", order.pk, orders, of_order | {"code": code_of("o"), "cart_token": "gen_random_uuid()"})
        copy(
            "orders_orderline", line.pk, orders, {"order_id": f"{KEYS} + n", "entry_id": f"{KEYS} + 1 + n % {entries}"}
        )
        copy(
            "events_ticket",
            Ticket.objects.filter(order=order)[0].pk,
            2 * orders,
            {
                "order_id": f"{KEYS} + (n + 1) / 2",
                "entry_id": f"{KEYS} + 1 + (n + 1) / 2 % {entries}",
                "user_id": f"{KEYS} + 1 + (n + 1) / 2 % {buyers}",
                "code": code_of("t"),
            },
        )
        unique = {name: f"'{name}-' || n" for name in ("reference", "sumup_id", "transaction_id", "transaction_code")}
        copy("payments_checkout", checkout.pk, orders, unique | {"order_id": f"{KEYS} + n"})
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def code_of(prefix: str) -> str:
    """SQL of a code of the right length, different for each n."""
    return f"upper(substr(translate(md5('{prefix}' || n), '0189', 'ghij') , 1, 26))"


def copy(table: str, pk: int, number: int, changes: dict[str, str]) -> None:
    """So many copies of the row `pk`, n counts them from 1; `changes` are columns as SQL."""
    with connection.cursor() as cursor:
        columns = [column.name for column in connection.introspection.get_table_description(cursor, table)]
        changes = {"id": f"{KEYS} + n"} | changes
        values = [sql.SQL(changes[name]) if name in changes else sql.Identifier(name) for name in columns]
        statement = sql.SQL(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM {table}, generate_series(1, {n}) AS n WHERE id = {pk}"
        )
        cursor.execute(
            statement.format(
                table=sql.Identifier(table),
                columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
                values=sql.SQL(", ").join(values),
                n=sql.Literal(number),
                pk=sql.Literal(pk),
            )
        )


def opened(order: Order, known: list[tuple[str, str]]) -> None:
    """So many more orders like `order` that await payment, each with the open checkout (reference, id) of `known`."""
    waits = {
        "id": f"{OPEN_KEYS} + n",
        "state": "'awaiting_payment'",
        "paid_at": "NULL",
        "hold_until": "now() + interval '1 day'",
        "code": code_of("w"),
        "cart_token": "gen_random_uuid()",
    }
    valid_until = timezone.now() + timedelta(days=1)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        copy("orders_order", order.pk, len(known), waits)
        Checkout.objects.bulk_create(
            Checkout(
                order_id=OPEN_KEYS + number,
                merchant=order.merchant,
                reference=reference,
                amount=order.total,
                currency=order.currency,
                state="open",
                created_at=timezone.now(),
                valid_until=valid_until,
                sumup_id=sumup_id,
                hosted_url="https://example.org/",
            )
            for number, (reference, sumup_id) in enumerate(known, start=1)
        )
