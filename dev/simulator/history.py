"""The list of transactions: filters, and pages that follow each other by a bare query string."""

from datetime import datetime
from urllib.parse import urlencode

from dev.simulator.checks import ENTRY_MODES, PAYMENT_TYPES, STATUSES, TYPES, moment_from
from dev.simulator.ledger import Ledger
from dev.simulator.reply import invalid
from dev.simulator.rows import Merchant
from dev.simulator.views import Json, Listed, history_items

LIMIT = 10
ORDERS = frozenset({"ascending", "descending"})
#: Lists in the query, and the words that SumUp's document has for each.
WORDS = {
    "statuses[]": STATUSES,
    "types[]": TYPES,
    "payment_types[]": PAYMENT_TYPES,
    "entry_modes[]": ENTRY_MODES,
}

Query = dict[str, list[str]]


def history(merchant: Merchant, query: Query, ledger: Ledger) -> Json:
    """SumUp: GET /v2.1/merchants/{code}/transactions/history."""
    limit, order = query.get("limit", [str(LIMIT)])[0], query.get("order", ["ascending"])[0]
    if not (limit.isascii() and limit.isdigit() and int(limit)):
        raise invalid([("limit", "INVALID")])
    if order not in ORDERS:
        raise invalid([("order", "INVALID")])
    found = _found(query, history_items(merchant, ledger))
    if order == "descending":
        found.reverse()
    shown = found[: int(limit)]
    links = []
    if len(found) > len(shown):
        cursor = "oldest_ref" if order == "ascending" else "newest_ref"
        kept = {name: values for name, values in query.items() if name not in {cursor, "limit", "order"}}
        following = {"limit": limit, cursor: shown[-1]["id"], "order": order, "skip_tx_result": "true"}
        links.append({"rel": "next", "href": urlencode(following | kept, doseq=True)})
    return {"items": shown, "links": links}


def _found(query: Query, listed: list[Listed]) -> list[Json]:
    """What the filters let through, oldest first; a reference supersedes the time of its name."""
    _check_words(query)
    oldest, newest, changed = (_moment(query, name) for name in ("oldest_time", "newest_time", "changes_since"))
    after, before = (_place(query, name, listed) for name in ("oldest_ref", "newest_ref"))
    found = []
    for place, row in enumerate(listed):
        is_in = (
            (place > after if after is not None else oldest is None or row.created >= oldest)
            and (place < before if before is not None else newest is None or row.created < newest)
            and (changed is None or row.changed >= changed)
        )
        if is_in and _is_wanted(query, row.item):
            found.append(row.item)
    return found


def _is_wanted(query: Query, item: Json) -> bool:
    words: dict[str, set[object]] = {
        "statuses[]": {item["status"], item["type"]} - {"PAYMENT", "REFUND"},
        "types[]": {item["type"]},
        "payment_types[]": {item["payment_type"]},
        "entry_modes[]": {str(item["entry_mode"]).upper()},
        "users[]": {item["user"]},
        "transaction_code": {item["transaction_code"]},
    }
    return all(not told.isdisjoint(query[name]) for name, told in words.items() if name in query)


def _check_words(query: Query) -> None:
    for name, words in WORDS.items():
        if not words.issuperset(query.get(name, [])):
            raise invalid([(name, "INVALID")])
    if not all("@" in user for user in query.get("users[]", [])):
        raise invalid([("users[]", "INVALID")])


def _moment(query: Query, name: str) -> datetime | None:
    if name not in query:
        return None
    moment = moment_from(query[name][0])
    if moment is None:
        raise invalid([(name, "INVALID")])
    return moment


def _place(query: Query, name: str, listed: list[Listed]) -> int | None:
    """Where in the whole list the item is to which a reference points, whatever the filters say of it."""
    if name not in query:
        return None
    for place, row in enumerate(listed):
        if row.item["id"] == query[name][0]:
            return place
    raise invalid([(name, "INVALID")])
