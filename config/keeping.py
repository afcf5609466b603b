"""How long each table keeps its rows: for ever, for a reason, or for a time. A table without a rule turns a test red.

What goes is deleted by a job of the worker, in small batches; nothing that a person, the books or history need goes.
"""

from dataclasses import dataclass

from django.db import connection

#: Grows with what is sold, paid and done; none of it is ever deleted.
BOOKS = "the books"
#: As many rows as people, or as things that the organiser or the code made.
FEW = "few"

#: Tables that keep what they have, and why.
KEPT = {
    # what was sold and paid
    "orders_order": BOOKS,
    "orders_orderline": BOOKS,
    "payments_checkout": BOOKS,
    "payments_refund": BOOKS,
    "payments_refundline": BOOKS,
    "payments_refundbatch": BOOKS,
    "payments_refundloss": BOOKS,
    "payments_payout": "the books: what SumUp sent to a merchant and took off",
    "payments_sumupevent": "the books: what SumUp reports of a payment",
    "payments_sumupanswer": "evidence: SumUp's own words about a payment, never changed",
    "payments_case": "the books: what a person decided about money, and why",
    "ledger_history": "history is never changed",
    # what was offered; what was never sold may be deleted in the admin
    "events_page": FEW,
    "events_pagemember": FEW,
    "events_merchant": FEW,
    "events_calendar": FEW,
    "events_tickettype": FEW,
    "events_bookingrules": FEW,
    "events_openinghours": FEW,
    "events_closeddays": FEW,
    "events_peakprice": FEW,
    "market_product": FEW,
    # people
    "accounts_user": "an account is its owner's",
    "accounts_user_groups": FEW,
    "accounts_user_user_permissions": FEW,
    "account_emailaddress": "one a user",
    "account_emailconfirmation": "nothing is written there: an address is proved by a code",
    "auth_group": FEW,
    "auth_group_permissions": FEW,
    "payments_owedreminder": "one a member of a team",
    "django_admin_log": "who of the staff changed what",
    # the code's own
    "auth_permission": FEW,
    "django_content_type": FEW,
    "django_migrations": FEW,
    "procrastinate_periodic_defers": "one a periodic task: procrastinate deletes the earlier ones",
    "procrastinate_workers": "one a worker: each deletes those that are gone",
}


@dataclass(frozen=True)
class Passing:
    """Which rows go after which time, and by which periodic task."""

    words: str
    task: str


CARTS, ITEMS, DAILY, JOBS = (
    "events.jobs.lapse_carts",
    "market.jobs.lapse_items",
    "accounts.jobs.clear_expired",
    "config.jobs.clear_finished",
)

#: Tables of which rows go.
PASSING = {
    "events_ticket": Passing("in carts: after 7 days, signed out 2; what was ordered stays", CARTS),
    "events_calendarentry": Passing("bookings in carts: after 7 days, signed out 2; all else stays", CARTS),
    "market_productitem": Passing("in carts: after 7 days, signed out 2; what was ordered stays", ITEMS),
    "django_session": Passing("when they end: 30 days after the last sign-in", DAILY),
    "foyer_cache": Passing("when they end", DAILY),
    "accounts_signincode": Passing("after a day", DAILY),
    "procrastinate_jobs": Passing("finished ones: after 7 days, failed ones 90", JOBS),
    "procrastinate_events": Passing("with their job", JOBS),
    "payments_reconcilerun": Passing("after 400 days; each merchant's last one stays", "payments.reconcile_jobs.clear"),
}


def tables() -> set[str]:
    """All that the database has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        return {str(name) for (name,) in cursor.fetchall()}


def without_rule() -> set[str]:
    """Tables that may grow for ever because nobody has thought about it."""
    return tables() - KEPT.keys() - PASSING.keys()


def largest(number: int) -> list[tuple[str, int]]:
    """The largest tables with their bytes, indexes and all that belongs to them included."""
    query = (
        "SELECT relname, pg_total_relation_size(oid) AS bytes FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY bytes DESC, relname LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [number])
        return [(str(name), int(size)) for name, size in cursor.fetchall()]
