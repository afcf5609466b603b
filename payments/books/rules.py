"""The rules of the books: what must be true of seats and money, each as one SQL statement that finds where it is not.

A statement answers a row of ids and amounts for each breach. All are set-based: one pass over their tables.
"""

from dataclasses import dataclass

from events.models.entries import MOMENTS
from events.states import ENTRY_ARROWS, HELD, TICKET_ARROWS
from ledger.arrows import Arrows
from orders.states import ORDER_ARROWS
from payments.books.rules_told import NAMED, TOLD
from payments.states import CHECKOUT_ARROWS, LIVE, REFUND_ARROWS


@dataclass(frozen=True)
class Rule:
    """Something that must be true; `sql` answers one row, with named columns, for each place where it is not."""

    name: str
    claim: str
    sql: str


def _in(states: frozenset[str]) -> str:
    return "(" + ", ".join(f"'{state}'" for state in sorted(states)) + ")"


#: Everything that an order has taken, a row for one seat, one booking or one piece of a product.
SOLD = """(
    SELECT 'ticket' AS kind, id, entry_id, ticket_type_id, NULL::bigint AS product_id, user_id, order_id, state,
        price, currency
    FROM events_ticket WHERE state <> 'pending'
    UNION ALL
    SELECT 'booking', id, id, NULL, NULL, user_id, order_id, state, price, currency
    FROM events_calendarentry WHERE kind = 'booking' AND state <> 'pending'
    UNION ALL
    SELECT 'product', id, NULL, NULL, product_id, user_id, order_id, state, price, currency
    FROM market_productitem WHERE state <> 'pending')"""

#: Lines of refunds whose money has gone back, or may have, with what they are of. What a person took as a loss of one
#: is a surplus: it paid back nothing that was sold.
LINES = f"""(
    SELECT line.id, part.kind, part.amount, line.currency, refund.id AS refund_id, refund.state, refund.origin,
        checkout.order_id, coalesce(line.ticket_id, line.booking_id, line.item_id) AS row_id,
        CASE WHEN line.ticket_id IS NOT NULL THEN 'ticket' WHEN line.booking_id IS NOT NULL THEN 'booking'
            WHEN line.item_id IS NOT NULL THEN 'product' END AS row_kind
    FROM payments_refundline AS line JOIN payments_refund AS refund ON refund.id = line.refund_id
    JOIN payments_checkout AS checkout ON checkout.id = refund.checkout_id
    LEFT JOIN payments_refundloss AS loss ON loss.line_id = line.id
    CROSS JOIN LATERAL (VALUES (line.kind, line.amount - coalesce(loss.amount, 0)), ('surplus', loss.amount))
        AS part (kind, amount)
    WHERE refund.state IN {_in(LIVE)} AND part.amount > 0)"""

#: What was sold, each with the rest of its price that did not go back.
REST = f"""(
    SELECT sold.*, sold.price - coalesce(gone.amount, 0) AS rest FROM {SOLD} AS sold LEFT JOIN (
        SELECT row_kind, row_id, sum(amount) AS amount FROM {LINES} AS line WHERE kind <> 'surplus' GROUP BY 1, 2
    ) AS gone ON gone.row_kind = sold.kind AND gone.row_id = sold.id)"""

#: Refunds and chargebacks that SumUp reports and that no refund of ours explains: a person must say what they were.
UNEXPLAINED = """(
    SELECT event.id, checkout.order_id, event.currency, event.amount, event.kind, event.checkout_id
    FROM payments_sumupevent AS event JOIN payments_checkout AS checkout ON checkout.id = event.checkout_id
    WHERE event.refund_id IS NULL AND event.status <> 'FAILED' AND event.kind IN ('REFUND', 'CHARGE_BACK')
        AND event.amount > 0 AND checkout.captured IS NOT NULL)"""


def _gone(origins: str, kind: str) -> str:
    """What went back: lines of what succeeded, and events that nobody has explained yet."""
    return (
        f"SELECT order_id, currency, amount FROM {LINES} AS line WHERE state = 'succeeded' AND origin {origins}"
        f" UNION ALL SELECT order_id, currency, amount FROM {UNEXPLAINED} AS event WHERE kind = '{kind}'"
    )


#: Where the money of an order is: each part answers (order_id, currency, amount). captured = the sum of the others.
CAPTURED = "SELECT order_id, captured_currency, captured FROM payments_checkout WHERE captured IS NOT NULL"
MONEY_PARTS = {
    "fulfilled": f"SELECT order_id, currency, rest FROM {REST} AS sold WHERE state IN ('confirmed', 'checked_in')",
    "kept": f"SELECT sold.order_id, sold.currency, sold.rest FROM {REST} AS sold"
    " JOIN orders_order ON orders_order.id = sold.order_id AND orders_order.state = 'paid'"
    " WHERE sold.state = 'cancelled'",
    "owed": f"SELECT order_id, currency, rest FROM {REST} AS sold WHERE state IN ('refund_due', 'refunded')",
    "in_refund": f"SELECT order_id, currency, amount FROM {LINES} AS line WHERE state <> 'succeeded'",
    "refunded": _gone("<> 'chargeback'", "REFUND"),
    "charged_back": _gone("= 'chargeback'", "CHARGE_BACK"),
    # Below 0 where more went back than what came in beyond the order: a loss, or a person must say what it was for.
    "undecided": f"{CAPTURED} AND NOT is_applied"
    f" UNION ALL SELECT order_id, currency, -amount FROM {LINES} AS line WHERE kind = 'surplus'"
    f" UNION ALL SELECT order_id, currency, -amount FROM {UNEXPLAINED} AS event",
}

#: Tables whose changes are in the history: what history calls their rows, and the columns that it watches.
WATCHED = {
    "events_ticket": ("ticket", ["state", "price", "sent_at"]),
    "events_page": ("page", ["time_zone"]),
    "events_calendarentry": ("calendarentry", ["state", "ticket_price", "price", "capacity", *MOMENTS]),
    "events_tickettype": ("tickettype", ["price", "capacity", "sale_starts_at", "sale_ends_at"]),
    "events_bookingrules": ("bookingrules", ["price"]),
    "events_peakprice": ("peakprice", ["price"]),
    "market_product": ("product", ["price", "stock"]),
    "market_productitem": ("productitem", ["state", "price"]),
    "orders_order": ("order", ["state"]),
    "payments_checkout": ("checkout", ["state", "is_applied"]),
    "payments_refund": ("refund", ["state"]),
}

#: Tables with a state: the expression that tells it, and its arrows.
STATEFUL: dict[str, tuple[str, Arrows]] = {
    "events_ticket": ("state", TICKET_ARROWS),
    "market_productitem": ("state", TICKET_ARROWS),
    "events_calendarentry": ("kind || '.' || state", ENTRY_ARROWS),
    "orders_order": ("state", ORDER_ARROWS),
    "payments_checkout": ("state", CHECKOUT_ARROWS),
    "payments_refund": ("origin || '.' || state", REFUND_ARROWS),
}


def _recount(table: str, key: str, label: str, rows: str = "events_ticket") -> str:
    return (
        f"SELECT parent.id AS {label}, parent.held, coalesce(counted.n, 0) AS counted FROM {table} AS parent"
        f" LEFT JOIN (SELECT {key}, count(*) AS n FROM {rows} WHERE state IN {_in(HELD)} GROUP BY {key})"
        f" AS counted ON counted.{key} = parent.id WHERE parent.held <> coalesce(counted.n, 0)"
    )


def _misplaced(condition: str) -> str:
    """Sold rows whose state does not go with their order's."""
    return (
        "SELECT sold.kind, sold.id, sold.state, sold.order_id AS order, orders_order.state AS order_state"
        f" FROM {SOLD} AS sold JOIN orders_order ON orders_order.id = sold.order_id WHERE {condition}"
    )


def _money() -> str:
    parts = {"captured": CAPTURED, **MONEY_PARTS}
    rows = " UNION ALL ".join(
        f"SELECT '{part}' AS part, given.* FROM ({sql}) AS given (order_id, currency, amount)"
        for part, sql in parts.items()
    )
    sums = ", ".join(f"coalesce(sum(amount) FILTER (WHERE part = '{part}'), 0) AS {part}" for part in parts)
    return (
        f"SELECT order_id AS order, currency, {sums} FROM ({rows}) AS money GROUP BY order_id, currency"
        " HAVING sum(CASE part WHEN 'captured' THEN amount ELSE -amount END) <> 0"
    )


def _history() -> str:
    now = " UNION ALL ".join(
        f"SELECT '{subject}' AS subject, here.id, told.field, told.new AS told, CASE told.field "
        + " ".join(f"WHEN '{column}' THEN here.{column}::text" for column in columns)
        + f" END AS stands FROM {table} AS here JOIN told ON told.subject = '{subject}' AND told.subject_id = here.id"
        for table, (subject, columns) in WATCHED.items()
    )
    return (
        # A moment is told on the clock of whoever changed it, a person in psql for one.
        "WITH told AS MATERIALIZED (SELECT DISTINCT ON (subject, subject_id, field) subject, subject_id, field,"
        " CASE WHEN field ~ '_at$' THEN new::timestamptz::text ELSE new END AS new"
        " FROM ledger_history ORDER BY subject, subject_id, field, id DESC)"
        f" SELECT * FROM ({now}) AS compared WHERE told IS DISTINCT FROM stands"
    )


def _untold() -> str:
    return " UNION ALL ".join(
        f"SELECT '{WATCHED[table][0]}' AS subject, here.id, here.state FROM {table} AS here"
        f" WHERE {state} NOT IN {_in(arrows.born)} AND NOT EXISTS (SELECT 1 FROM ledger_history WHERE"
        f" subject = '{WATCHED[table][0]}' AND subject_id = here.id AND field = 'state')"
        for table, (state, arrows) in STATEFUL.items()
    )


def _unknown_states() -> str:
    return " UNION ALL ".join(
        f"SELECT '{WATCHED[table][0]}' AS subject, id, state FROM {table} WHERE ({state} IN"
        f" {_in(arrows.born | {state for move in arrows.moves for state in move})}) IS NOT TRUE"
        for table, (state, arrows) in STATEFUL.items()
    )


RULES = [
    # Seats
    Rule(
        "entry_held_is_its_tickets",
        "held of each entry is the number of its reserved, confirmed and checked-in tickets",
        _recount("events_calendarentry", "entry_id", "entry"),
    ),
    Rule(
        "type_held_is_its_tickets",
        "held of each ticket type is the number of its reserved, confirmed and checked-in tickets",
        _recount("events_tickettype", "ticket_type_id", "ticket_type"),
    ),
    Rule(
        "product_held_is_its_items",
        "held of each product is the number of its reserved, confirmed and handed-out items",
        _recount("market_product", "product_id", "product", "market_productitem"),
    ),
    Rule(
        "product_not_oversold",
        "no product holds more than its stock",
        "SELECT id AS product, held, stock FROM market_product WHERE held > stock",
    ),
    Rule(
        "entry_not_oversold",
        "no entry holds more than its capacity",
        "SELECT id AS entry, held, capacity FROM events_calendarentry WHERE held > capacity",
    ),
    Rule(
        "type_not_oversold",
        "no ticket type holds more than its capacity",
        "SELECT id AS ticket_type, held, capacity FROM events_tickettype WHERE held > capacity",
    ),
    Rule(
        "room_held_once",
        "no two entries hold a room at the same time",
        "SELECT one.room_id AS room, one.id AS entry, other.id AS other_entry FROM events_calendarentry AS one"
        " JOIN events_calendarentry AS other ON other.room_id = one.room_id AND other.blocks && one.blocks"
        f" AND other.id > one.id WHERE one.state IN {_in(HELD)} AND other.state IN {_in(HELD)}",
    ),
    # Orders
    Rule(
        "sold_has_order_of_its_buyer",
        "what is sold has an order, and the order's buyer is its own",
        f"SELECT sold.kind, sold.id, sold.user_id AS user, orders_order.id AS order, orders_order.user_id AS buyer"
        f" FROM {SOLD} AS sold LEFT JOIN orders_order ON orders_order.id = sold.order_id"
        " WHERE orders_order.user_id IS DISTINCT FROM sold.user_id",
    ),
    Rule(
        "lines_equal_what_was_sold",
        "each order has taken as many of a thing (an entry and type, or a product), at a price, as its lines say",
        "SELECT order_id AS order, kind, of AS entry_or_product, type_id AS ticket_type, price, currency,"
        " coalesce(taken.n, 0) AS taken, coalesce(lines.n, 0) AS ordered"
        " FROM (SELECT order_id, kind, coalesce(entry_id, product_id) AS of, coalesce(ticket_type_id, 0) AS type_id,"
        f" price, currency, count(*) AS n FROM {SOLD} AS sold GROUP BY 1, 2, 3, 4, 5, 6) AS taken"
        " FULL JOIN (SELECT order_id, kind, coalesce(entry_id, product_id) AS of, coalesce(ticket_type_id, 0)"
        " AS type_id, unit_price AS price, currency, sum(quantity) AS n FROM orders_orderline"
        " GROUP BY 1, 2, 3, 4, 5, 6) AS lines USING (order_id, kind, of, type_id, price, currency)"
        " WHERE taken.n IS DISTINCT FROM lines.n",
    ),
    Rule(
        "order_total_is_its_lines",
        "each order has lines in its own currency, and its total is their sum",
        "SELECT id AS order, total, currency, lines.sum AS lines FROM orders_order LEFT JOIN (SELECT order_id,"
        " sum(unit_price * quantity), min(currency) AS least, max(currency) AS most FROM orders_orderline"
        " GROUP BY order_id) AS lines ON lines.order_id = orders_order.id"
        " WHERE (total, currency, currency) IS DISTINCT FROM (lines.sum, lines.least, lines.most)",
    ),
    Rule(
        "reserved_awaits_payment",
        "what is reserved belongs to an order that awaits payment",
        _misplaced("sold.state = 'reserved' AND orders_order.state <> 'awaiting_payment'"),
    ),
    Rule(
        "awaiting_order_holds_all",
        "an order that awaits payment has reserved all that it took",
        _misplaced("sold.state <> 'reserved' AND orders_order.state = 'awaiting_payment'"),
    ),
    Rule(
        "seat_has_its_money",
        "what is confirmed or checked in belongs to a paid order",
        _misplaced("sold.state IN ('confirmed', 'checked_in') AND orders_order.state <> 'paid'"),
    ),
    Rule(
        "ended_order_holds_nothing",
        "all that an expired or cancelled order took is cancelled",
        _misplaced("sold.state <> 'cancelled' AND orders_order.state IN ('expired', 'cancelled')"),
    ),
    Rule(
        "ended_order_cannot_be_paid",
        "no checkout of an expired or cancelled order can still be paid",
        "SELECT orders_order.id AS order, checkout.id AS checkout, checkout.state FROM orders_order"
        " JOIN payments_checkout AS checkout ON checkout.order_id = orders_order.id"
        " WHERE orders_order.state IN ('expired', 'cancelled') AND checkout.state IN ('new', 'open')",
    ),
    # Money
    Rule(
        "paid_order_has_its_capture",
        "a paid order with a total has one applied checkout, which captured that total",
        "SELECT orders_order.id AS order, total, orders_order.currency, count(checkout.id) AS applied,"
        " sum(checkout.captured) AS captured FROM orders_order LEFT JOIN payments_checkout AS checkout"
        " ON checkout.order_id = orders_order.id AND checkout.is_applied"
        " WHERE orders_order.state = 'paid' AND total > 0 GROUP BY orders_order.id"
        " HAVING count(checkout.id) <> 1 OR bool_or((checkout.captured, checkout.captured_currency)"
        " IS DISTINCT FROM (total, orders_order.currency))",
    ),
    Rule(
        "applied_capture_has_paid_order",
        "a capture is applied to a paid order with a total only",
        "SELECT checkout.id AS checkout, orders_order.id AS order, orders_order.state, total"
        " FROM payments_checkout AS checkout JOIN orders_order ON orders_order.id = checkout.order_id"
        " WHERE checkout.is_applied AND (orders_order.state <> 'paid' OR total = 0)",
    ),
    Rule(
        "capture_gave_goods_or_waits",
        "a paid checkout that gave no goods has an open case, until all of it went back",
        "SELECT checkout.id AS checkout, order_id AS order, captured, captured_currency AS currency"
        " FROM payments_checkout AS checkout WHERE state = 'paid' AND NOT is_applied AND NOT EXISTS"
        " (SELECT 1 FROM payments_case WHERE checkout_id = checkout.id AND closed_at IS NULL)"
        " AND captured > coalesce((SELECT sum(amount) FROM payments_refund WHERE checkout_id = checkout.id"
        " AND state = 'succeeded'), 0)",
    ),
    Rule(
        "mismatch_has_case",
        "a payment that is not what was asked for has a case",
        "SELECT checkout.id AS checkout, order_id AS order FROM payments_checkout AS checkout WHERE state = 'mismatch'"
        " AND NOT EXISTS (SELECT 1 FROM payments_case WHERE checkout_id = checkout.id AND kind = 'mismatch')",
    ),
    Rule(
        "transaction_behind_one_capture",
        "a transaction of SumUp stands behind one capture at most",
        f"SELECT named.merchant_id AS merchant, named.name AS transaction, min(named.checkout_id) AS checkout,"
        f" count(DISTINCT named.checkout_id) AS captures FROM {NAMED} AS named GROUP BY 1, 2"
        " HAVING count(DISTINCT named.checkout_id) > 1",
    ),
    Rule(
        "capture_within_what_sumup_told",
        "no capture exceeds what SumUp told of its transaction",
        f"SELECT checkout.id AS checkout, checkout.order_id AS order, captured, told.amount AS told"
        f" FROM payments_checkout AS checkout JOIN (SELECT checkout_id, max(amount) AS amount FROM {TOLD} AS told"
        " GROUP BY checkout_id) AS told ON told.checkout_id = checkout.id WHERE captured > told.amount",
    ),
    Rule(
        "money_adds_up",
        f"what each order captured is {' + '.join(MONEY_PARTS)}",
        _money(),
    ),
    # Refunds
    Rule(
        "refunded_row_has_its_refund",
        "what is refunded has been paid back as a whole by one refund that succeeded",
        f"SELECT sold.kind, sold.id, sold.order_id AS order, count(line.id) AS refunds FROM {SOLD} AS sold"
        f" LEFT JOIN {LINES} AS line ON line.row_kind = sold.kind AND line.row_id = sold.id AND line.kind = 'row'"
        " AND line.state = 'succeeded' WHERE sold.state = 'refunded' GROUP BY 1, 2, 3 HAVING count(line.id) <> 1",
    ),
    Rule(
        "refund_under_way_is_owed",
        "what a refund pays back as a whole is owed while it is under way, and valid no more when it has succeeded",
        f"SELECT sold.kind, sold.id, sold.state, line.refund_id AS refund FROM {LINES} AS line JOIN {SOLD} AS sold"
        " ON sold.kind = line.row_kind AND sold.id = line.row_id WHERE line.kind = 'row' AND CASE line.state"
        " WHEN 'succeeded' THEN sold.state IN ('confirmed', 'checked_in') ELSE sold.state <> 'refund_due' END",
    ),
    Rule(
        "row_pays_back_its_price_at_most",
        "no more goes back for a thing than its price",
        f"SELECT kind, id, price, rest, order_id AS order FROM {REST} AS sold WHERE rest < 0",
    ),
    Rule(
        "refund_is_its_lines",
        "each refund that went back or may have is the sum of its lines, in its currency",
        "SELECT refund.id AS refund, refund.amount, refund.currency, sum(line.amount) AS lines"
        f" FROM payments_refund AS refund LEFT JOIN {LINES} AS line ON line.refund_id = refund.id"
        f" AND line.currency = refund.currency WHERE refund.state IN {_in(LIVE)}"
        " GROUP BY refund.id HAVING refund.amount IS DISTINCT FROM sum(line.amount)",
    ),
    Rule(
        "refunds_within_capture",
        "no more goes back than what was captured, or a case is open",
        "SELECT checkout.id AS checkout, captured, sum(refund.amount) AS refunds FROM payments_checkout AS checkout"
        f" JOIN payments_refund AS refund ON refund.checkout_id = checkout.id AND refund.state IN {_in(LIVE)}"
        " WHERE NOT EXISTS (SELECT 1 FROM payments_case WHERE checkout_id = checkout.id AND closed_at IS NULL)"
        " GROUP BY checkout.id HAVING sum(refund.amount) > coalesce(captured, 0)",
    ),
    Rule(
        "refund_in_doubt_has_case",
        "a refund that is sent for a day without an outcome has an open case",
        "SELECT refund.id AS refund, state, sent_at FROM payments_refund AS refund WHERE state IN ('sending',"
        " 'unknown') AND sent_at < now() - interval '1 day' AND NOT EXISTS (SELECT 1 FROM payments_case"
        " WHERE checkout_id = refund.checkout_id AND closed_at IS NULL)",
    ),
    Rule(
        "outside_event_has_case",
        "a refund or chargeback that SumUp reports and nobody explains has an open case",
        f"SELECT id AS event, checkout_id AS checkout, amount, currency FROM {UNEXPLAINED} AS event WHERE NOT EXISTS"
        " (SELECT 1 FROM payments_case WHERE checkout_id = event.checkout_id AND closed_at IS NULL)",
    ),
    # History
    Rule(
        "history_agrees",
        "the last word of history on a state, price or capacity is what stands there",
        _history(),
    ),
    Rule(
        "history_tells_each_state",
        "each row that has left its first state has a history of it",
        _untold(),
    ),
    Rule(
        "states_are_known",
        "each state is one that we know",
        _unknown_states(),
    ),
]
