"""check_books: clean on a database that was lived in, red for each planted breach, green once it is undone."""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from orders.models import Order
from payments.books.checking import Breach, breaches, read_books
from payments.books.rules import MONEY_PARTS, RULES, STATEFUL, WATCHED
from payments.models import Checkout
from tests.factories import ProductFactory, UserFactory
from tests.ledger.lives import a_booking
from tests.ledger.psql import bare, rows, run
from tests.payments.lived_in import LivedIn, live_in
from tests.simulator import SimulatorProcess


@pytest.fixture
def lived(sumup: SimulatorProcess) -> LivedIn:
    return live_in(sumup)


Planting = Callable[[list[str]], list[Breach]]

#: Columns that name rows: a breach tells them by number.
KEYS = {"id", "entry", "ticket_type", "product", "order", "checkout", "room", "user", "refund", "event"}


def of_order(order: Order) -> str:
    return f"checkout_id IN (SELECT id FROM payments_checkout WHERE order_id = {order.pk})"


#: How each rule is broken: statements with triggers and foreign keys off, made from what there is.
PLANTS: dict[str, Callable[[LivedIn], list[str]]] = {
    "entry_held_is_its_tickets": lambda it: [
        f"UPDATE events_calendarentry SET held = held + 1 WHERE id = {it.entry.pk}"
    ],
    "type_held_is_its_tickets": lambda it: [
        f"UPDATE events_tickettype SET held = held - 1 WHERE entry_id = {it.entry.pk} AND held > 0"
    ],
    "product_held_is_its_items": lambda _it: [
        f"UPDATE market_product SET held = held + 1 WHERE id = {ProductFactory.create().pk}"
    ],
    "product_not_oversold": lambda _it: [
        "ALTER TABLE market_product DROP CONSTRAINT product_not_oversold",
        f"UPDATE market_product SET stock = 0, held = 1 WHERE id = {ProductFactory.create().pk}",
    ],
    "entry_not_oversold": lambda it: [
        "ALTER TABLE events_calendarentry DROP CONSTRAINT entry_not_oversold",
        f"UPDATE events_calendarentry SET capacity = 1 WHERE id = {it.entry.pk}",
    ],
    "type_not_oversold": lambda it: [
        "ALTER TABLE events_tickettype DROP CONSTRAINT ticket_type_not_oversold",
        f"UPDATE events_tickettype SET capacity = 1 WHERE entry_id = {it.entry.pk} AND held > 0",
    ],
    "room_held_once": lambda it: [
        "ALTER TABLE events_calendarentry DROP CONSTRAINT entry_room_held_once",
        f"UPDATE events_calendarentry SET room_id = {it.entry.calendar_id}, blocks = tstzrange(starts_at, ends_at),"
        " state = 'confirmed'",
    ],
    "sold_has_order_of_its_buyer": lambda it: [
        f"UPDATE events_ticket SET user_id = {UserFactory.create().pk} WHERE order_id = {it.paid.pk}"
    ],
    "lines_equal_what_was_sold": lambda it: [
        f"UPDATE orders_orderline SET quantity = quantity + 1 WHERE order_id = {it.paid.pk}"
    ],
    "order_total_is_its_lines": lambda it: [
        f"UPDATE orders_order SET total = total - 0.01 WHERE id = {it.awaiting.pk}"
    ],
    "reserved_awaits_payment": lambda it: [
        f"UPDATE events_ticket SET state = 'reserved' WHERE order_id = {it.expired.pk}"
    ],
    "awaiting_order_holds_all": lambda it: [
        f"UPDATE events_ticket SET state = 'cancelled' WHERE order_id = {it.awaiting.pk}"
    ],
    "seat_has_its_money": lambda it: [
        f"UPDATE events_ticket SET state = 'confirmed' WHERE order_id = {it.awaiting.pk}"
    ],
    "ended_order_holds_nothing": lambda it: [
        f"UPDATE events_ticket SET state = 'refund_due' WHERE order_id = {it.cancelled.pk}"
    ],
    "ended_order_cannot_be_paid": lambda it: [
        f"UPDATE payments_checkout SET state = 'open' WHERE order_id = {it.expired.pk}"
    ],
    "paid_order_has_its_capture": lambda it: [
        f"UPDATE payments_checkout SET is_applied = false WHERE order_id = {it.paid.pk}"
    ],
    "applied_capture_has_paid_order": lambda it: [
        f"UPDATE payments_checkout SET order_id = {it.free.pk} WHERE order_id = {it.paid.pk}"
    ],
    "capture_gave_goods_or_waits": lambda it: [
        f"UPDATE payments_case SET closed_at = now(), decision = 'Nothing.' WHERE order_id = {it.twice.pk}"
    ],
    "mismatch_has_case": lambda it: [f"DELETE FROM payments_case WHERE order_id = {it.mismatch.pk}"],
    "transaction_behind_one_capture": lambda it: [
        "DROP INDEX checkout_one_capture_of_transaction",
        f"UPDATE payments_checkout SET transaction_id = (SELECT max(transaction_id) FROM payments_checkout"
        f" WHERE order_id = {it.paid.pk}) WHERE order_id = {it.mismatch.pk}",
    ],
    "capture_within_what_sumup_told": lambda it: [
        f"UPDATE payments_checkout SET captured = captured + 0.01 WHERE order_id = {it.mismatch.pk}"
    ],
    "money_adds_up": lambda it: [
        f"UPDATE payments_checkout SET captured = captured - 0.01 WHERE order_id = {it.paid.pk}"
    ],
    "refunded_row_has_its_refund": lambda it: [
        f"UPDATE events_ticket SET state = 'refunded' WHERE order_id = {it.called_off.pk}"
    ],
    "refund_under_way_is_owed": lambda it: [
        f"UPDATE events_ticket SET state = 'confirmed' WHERE order_id = {it.doubtful.pk}"
    ],
    "row_pays_back_its_price_at_most": lambda it: [
        "UPDATE payments_refundline SET amount = 12.01 WHERE kind = 'goodwill'",
        f"UPDATE events_ticket SET price = 12 WHERE order_id = {it.returned.pk}",
    ],
    "refund_is_its_lines": lambda it: [
        f"UPDATE payments_refund SET amount = amount + 0.01 WHERE {of_order(it.returned)}"
    ],
    "refunds_within_capture": lambda it: [f"UPDATE payments_refund SET amount = 99 WHERE {of_order(it.returned)}"],
    "refund_in_doubt_has_case": lambda it: [
        f"UPDATE payments_refund SET sent_at = now() - interval '25 hours' WHERE {of_order(it.doubtful)}"
    ],
    "outside_event_has_case": lambda it: [
        f"UPDATE payments_case SET closed_at = now(), decision = 'None.' WHERE order_id = {it.outside.pk}"
    ],
    "history_agrees": lambda it: [
        f"UPDATE events_ticket SET state = 'checked_in' WHERE order_id = {it.paid.pk} AND state = 'confirmed'"
    ],
    "history_tells_each_state": lambda it: [
        f"DELETE FROM ledger_history WHERE subject = 'order' AND subject_id = {it.paid.pk}"
    ],
    "states_are_known": lambda it: [f"UPDATE orders_order SET state = 'declined' WHERE id = {it.awaiting.pk}"],
}


@pytest.fixture
def unguarded() -> Planting:
    """Run statements with triggers off, answer what the books then say, and take it all back."""

    def planted(statements: list[str]) -> list[Breach]:
        with bare().transaction(force_rollback=True):
            run("SET CONSTRAINTS ALL IMMEDIATE")
            run("SET LOCAL session_replication_role = replica")
            for statement in statements:
                touched = run(statement)
                assert touched or statement.startswith(("ALTER", "DROP")), f"nothing was planted: {statement}"
            return list(breaches())

    return planted


@pytest.mark.promise("check-books-finds")
def test_each_rule_has_its_breach() -> None:
    assert list(PLANTS) == [rule.name for rule in RULES]


@pytest.mark.promise("check-books-finds")
def test_rule_is_red_for_its_breach_and_green_without(lived: LivedIn, unguarded: Planting) -> None:
    """One world for all: each breach is planted in it, is named by the numbers of its rows, and is taken back."""
    assert list(breaches()) == []
    unseen = []
    for name, plant in PLANTS.items():
        found = [breach for breach in unguarded(plant(lived)) if breach.rule == name]
        named = [value for breach in found for column, value in breach.row.items() if column in KEYS]
        if not named or not all(isinstance(value, int) for value in named):
            unseen.append(name)
    assert unseen == []
    assert list(breaches()) == []


#: More ways to break a rule, and the rule that must see each.
OTHER_WAYS = [
    ("DELETE FROM orders_order WHERE id = {it.paid.pk}", "sold_has_order_of_its_buyer"),
    ("DELETE FROM orders_orderline WHERE order_id = {it.paid.pk}", "lines_equal_what_was_sold"),
    ("DELETE FROM orders_orderline WHERE order_id = {it.free.pk}", "order_total_is_its_lines"),
    ("UPDATE orders_orderline SET currency = 'GBP' WHERE order_id = {it.paid.pk}", "order_total_is_its_lines"),
    ("UPDATE events_ticket SET price = price + 1 WHERE order_id = {it.paid.pk}", "lines_equal_what_was_sold"),
    ("DELETE FROM events_ticket WHERE order_id = {it.awaiting.pk}", "lines_equal_what_was_sold"),
    ("UPDATE events_ticket SET state = 'reserved' WHERE order_id = {it.paid.pk}", "reserved_awaits_payment"),
    ("UPDATE events_ticket SET state = 'reserved' WHERE order_id = {it.paid.pk}", "money_adds_up"),
    ("UPDATE payments_checkout SET captured_currency = 'GBP' WHERE order_id = {it.paid.pk}", "money_adds_up"),
    (
        "UPDATE payments_checkout SET captured_currency = 'GBP' WHERE order_id = {it.paid.pk}",
        "paid_order_has_its_capture",
    ),
    ("DELETE FROM payments_checkout WHERE order_id = {it.paid.pk}", "paid_order_has_its_capture"),
    ("DELETE FROM payments_refundline", "refunded_row_has_its_refund"),
    ("DELETE FROM payments_refundline", "refund_is_its_lines"),
    ("UPDATE payments_refundline SET currency = 'GBP'", "refund_is_its_lines"),
    ("UPDATE payments_refundline SET currency = 'GBP'", "money_adds_up"),
    ("UPDATE payments_refundline SET kind = 'surplus', ticket_id = NULL", "refunded_row_has_its_refund"),
    ("UPDATE payments_refund SET state = 'failed' WHERE state = 'succeeded'", "refunded_row_has_its_refund"),
    ("UPDATE events_ticket SET state = 'confirmed' WHERE state = 'refunded'", "refund_under_way_is_owed"),
    # The transaction of a mismatch that knows none by itself: its answer names it.
    (
        "UPDATE payments_checkout SET transaction_id = '', transaction_code = NULL, sumup_answer = (SELECT sumup_answer"
        " FROM payments_checkout WHERE order_id = {it.paid.pk}) WHERE order_id = {it.mismatch.pk}",
        "transaction_behind_one_capture",
    ),
    (
        "UPDATE payments_checkout SET captured = captured + 0.01, transaction_id = '', transaction_code = NULL"
        " WHERE order_id = {it.mismatch.pk}",
        "capture_within_what_sumup_told",
    ),
    ("UPDATE payments_checkout SET captured = captured + 0.01 WHERE is_applied", "capture_within_what_sumup_told"),
]


def test_rule_sees_other_ways_to_break_it(lived: LivedIn, unguarded: Planting) -> None:
    unseen = [
        (plant, red)
        for plant, red in OTHER_WAYS
        if red not in {breach.rule for breach in unguarded([plant.format(it=lived)])}
    ]
    assert unseen == []


def test_history_rule_compares_capacities_and_prices_too(lived: LivedIn, unguarded: Planting) -> None:
    change = f"UPDATE events_calendarentry SET capacity = {{}}, ticket_price = {{}} WHERE id = {lived.entry.pk}"
    run(change.format(38, "NULL"))
    assert list(breaches()) == []
    found = {breach.row["field"] for breach in unguarded([change.format(39, 5)])}
    assert found == {"capacity", "ticket_price"}


def test_booking_is_in_the_books_as_a_ticket_is(lived: LivedIn, unguarded: Planting) -> None:
    booking = a_booking("confirmed")
    booking.refresh_from_db()  # nobody paid for it, and no line names it
    found = {(breach.rule, breach.row.get("kind", breach.row.get("order"))) for breach in breaches()}
    assert {("seat_has_its_money", "booking"), ("lines_equal_what_was_sold", "booking")} <= found
    assert ("money_adds_up", booking.order_id) in found


def money_of(order: Order) -> dict[str, Decimal]:
    """Where the money of an order is, by the books' own parts; what is nowhere is left out."""
    parts = {}
    for part, sql in MONEY_PARTS.items():
        found = rows(
            f"SELECT sum(amount) FROM ({sql}) AS given (order_id, currency, amount) WHERE order_id = %s", order.pk
        )
        if found[0][0]:
            parts[part] = found[0][0]
    return parts


def test_money_of_refunds_is_where_the_books_say(lived: LivedIn) -> None:
    whole, goodwill, cash = Decimal(12), Decimal(2), Decimal(12)
    assert money_of(lived.returned) == {"fulfilled": whole - goodwill, "refunded": whole + goodwill + cash}
    assert money_of(lived.doubtful) == {"in_refund": whole}
    assert money_of(lived.outside) == {"fulfilled": whole, "refunded": Decimal(1), "undecided": Decimal(-1)}
    assert money_of(lived.called_off) == {"owed": money_of(lived.called_off)["owed"]}
    assert money_of(lived.twice) == {"fulfilled": whole, "undecided": whole}


def test_lived_in_database_has_seen_each_state_of_money(lived: LivedIn) -> None:
    states = set(Checkout.objects.values_list("state", "is_applied"))
    assert {("open", False), ("expired", False), ("paid", True), ("paid", False), ("mismatch", False)} <= states
    assert set(lived.called_off.tickets.values_list("state", flat=True)) == {"refund_due"}
    assert list(breaches()) == []


def test_history_rules_watch_what_the_triggers_watch() -> None:
    written = {}
    for model in apps.get_models():
        for trigger in getattr(model._meta, "triggers", []):
            if trigger.name.endswith("_history"):
                written[model._meta.db_table] = (
                    trigger.name.removesuffix("_history"),
                    re.findall(r"IF OLD\.(\w+) IS DISTINCT", trigger.func),
                )
    assert written == WATCHED


def test_state_rules_watch_each_table_with_arrows() -> None:
    tables = {
        model._meta.db_table
        for model in apps.get_models()
        for trigger in getattr(model._meta, "triggers", [])
        if trigger.name.endswith("_moves")
    }
    assert tables == set(STATEFUL)


# --- The command


def told(*arguments: str) -> tuple[int, str]:
    """Exit code and what was printed."""
    out = StringIO()
    try:
        call_command("check_books", *arguments, stdout=out, stderr=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_command_says_what_it_checked_when_all_is_well(sumup: SimulatorProcess) -> None:
    live_in(sumup)
    code, text = told()
    assert code == 0
    assert [line.split()[1].rstrip(":") for line in text.splitlines()[:-1]] == [rule.name for rule in RULES]
    assert f"{len(RULES)} rules checked" in text
    assert json.loads(told("--json")[1]) == {"clean": True, "checked": [rule.name for rule in RULES], "breaches": []}


@pytest.mark.django_db(transaction=True)
def test_command_prints_each_breach_in_a_line_and_exits_1(sumup: SimulatorProcess) -> None:
    lived = live_in(sumup)
    run("ALTER TABLE events_ticket DISABLE TRIGGER USER")
    run("UPDATE events_ticket SET state = 'confirmed' WHERE order_id = %s", lived.awaiting.pk)
    run("ALTER TABLE events_ticket ENABLE TRIGGER USER")
    code, text = told()
    assert code == 1
    lines = [line for line in text.splitlines() if line.startswith("seat_has_its_money: ")]
    assert len(lines) == 2
    *printed, summary = text.splitlines()
    broken = {line.partition(":")[0] for line in printed}
    assert summary == f"Breaches: {len(printed)}. Rules broken: {len(broken)}."
    ticket = lived.awaiting.tickets.order_by("pk")[0]
    assert (
        f"seat_has_its_money: kind=ticket id={ticket.pk} state=confirmed order={lived.awaiting.pk}"
        " order_state=awaiting_payment" in lines
    )
    code, text = told("--json")
    answer = json.loads(text)
    assert (code, answer["clean"]) == (1, False)
    assert ("seat_has_its_money", ticket.pk) in {(breach["rule"], breach.get("id")) for breach in answer["breaches"]}


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("check-books-finds")
def test_books_are_read_at_one_moment_and_write_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []

    def look(*_arguments: object) -> Iterator[Breach]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')")
            seen.append(cursor.fetchone())
        return iter(())

    monkeypatch.setattr("payments.books.checking.breaches", look)
    read_books()
    assert seen == [("repeatable read", "on")]
