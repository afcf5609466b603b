"""The list of transactions: filters, and pages that follow each other by a bare query string."""

from datetime import UTC, datetime
from urllib.parse import urlencode

from payments.simulator.ledger import Ledger
from payments.simulator.reply import invalid
from payments.simulator.rows import Merchant
from payments.simulator.views import Json, history_items

LIMIT = 10
FILTERS = {
    "statuses[]": "status",
    "types[]": "type",
    "payment_types[]": "payment_type",
    "transaction_code": "transaction_code",
}


def history(merchant: Merchant, query: dict[str, list[str]], ledger: Ledger) -> Json:
    """SumUp: GET /v2.1/merchants/{code}/transactions/history."""
    limit = query.get("limit", [str(LIMIT)])[0]
    order = query.get("order", ["ascending"])[0]
    if not limit.isdigit() or not int(limit) or order not in {"ascending", "descending"}:
        raise invalid([("limit" if order in {"ascending", "descending"} else "order", "INVALID")])
    oldest, newest, changed = (_moment(query, name) for name in ("oldest_time", "newest_time", "changes_since"))
    items = [
        item
        for created, modified, item in history_items(merchant, ledger)
        if (oldest is None or datetime.fromisoformat(created) >= oldest)
        and (newest is None or datetime.fromisoformat(created) < newest)
        and (changed is None or datetime.fromisoformat(modified) >= changed)
        and all(item[field] in query[name] for name, field in FILTERS.items() if name in query)
    ]
    if order == "descending":
        items.reverse()
    cursor = "oldest_ref" if order == "ascending" else "newest_ref"
    after = query.get(cursor, [""])[0]
    if after:
        places = [place for place, item in enumerate(items) if item["id"] == after]
        items = items[places[0] + 1 :] if places else []
    shown = items[: int(limit)]
    links = []
    if len(items) > len(shown):
        kept = {name: values for name, values in query.items() if name not in {cursor, "limit", "order"}}
        following = {"limit": limit, cursor: shown[-1]["id"], "order": order, "skip_tx_result": "true"}
        links.append({"rel": "next", "href": urlencode(following | kept, doseq=True)})
    return {"items": shown, "links": links}


def _moment(query: dict[str, list[str]], name: str) -> datetime | None:
    if name not in query:
        return None
    try:
        moment = datetime.fromisoformat(query[name][0])
    except ValueError:
        raise invalid([(name, "INVALID")]) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
