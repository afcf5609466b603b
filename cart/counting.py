"""How much lies in a cart: the limit of rows, and the count of them that each page shows."""

from django.db import connection

from accounts.visitors import Visitor

#: Rows that one cart may hold.
CART_ROWS = 100

#: Pending rows of all kinds, in plain SQL, for each page asks. Tickets are put in a cart by who is signed in.
OF_USER = """
    SELECT (SELECT count(*) FROM events_ticket WHERE state = 'pending' AND user_id = %(owner)s)
        + (SELECT count(*) FROM events_calendarentry
            WHERE state = 'pending' AND kind = 'booking' AND user_id = %(owner)s)
        + (SELECT count(*) FROM market_productitem WHERE state = 'pending' AND user_id = %(owner)s)
"""
OF_KEY = """
    SELECT (SELECT count(*) FROM events_calendarentry
            WHERE state = 'pending' AND kind = 'booking' AND user_id IS NULL AND cart_key = %(owner)s)
        + (SELECT count(*) FROM market_productitem
            WHERE state = 'pending' AND user_id IS NULL AND cart_key = %(owner)s)
"""


def rows_in_cart(visitor: Visitor) -> int:
    """How many pending rows of all kinds the cart of `visitor` holds: one query."""
    question, owner = (OF_USER, visitor.user.pk) if visitor.user is not None else (OF_KEY, visitor.cart_key)
    if not owner:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(question, {"owner": owner})
        (number,) = cursor.fetchone()
    return int(number)
