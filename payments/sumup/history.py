"""SumUp's list of transactions: page after page by the `next` links that it gives, one page in memory at a time."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import parse_qsl

from payments.sumup.answers import amount_of, id_of, text_of
from payments.sumup.problems import Unreadable

PAYMENT, REFUND, CHARGE_BACK = "PAYMENT", "REFUND", "CHARGE_BACK"
#: A server whose pages never end must not keep us for ever.
MOST_PAGES = 20_000
LINK_MOST = 2000
#: A bare query string: no scheme, host, path or fragment fits in it.
QUERY = re.compile(r"\??[\w\[\]%.-]+=[^\s/?#\\]*(&[\w\[\]%.-]+=[^\s/?#\\]*)*", re.ASCII)

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """A payment, a refund or a chargeback as SumUp lists it; `type` and `status` are SumUp's words, whatever they are.

    `id` is the item's own; a refund has the `transaction_id` and `transaction_code` of its payment. `refunded` of a
    payment is what has gone back so far, None when SumUp does not say.
    """

    id: str
    transaction_id: str
    transaction_code: str
    type: str
    status: str
    payment_type: str
    amount: Decimal | None
    currency: str
    refunded: Decimal | None
    summary: str
    timestamp: str
    raw: Mapping[str, object] = field(repr=False, compare=False)


def walk(ask: Callable[[Query], object], first: Query) -> Iterator[HistoryItem]:
    """Every item of every page that follows `first`; `ask` answers the parsed JSON of one page.

    Raises what `ask` raises, and Unreadable for an answer that is no page or a link that leads elsewhere. What came
    before is no less true for that.
    """
    query, last = first, ""
    for _page in range(MOST_PAGES):
        body = ask(query)
        yield from items_from(body)
        link = next_link(body)
        if not link:
            return
        if link == last:
            raise Unreadable("SumUp's next page is the one before.")
        query, last = parse_qsl(link.removeprefix("?"), keep_blank_values=True), link
    raise Unreadable("SumUp's pages do not end.")


def items_from(body: object) -> Iterator[HistoryItem]:
    """The items of one page that name a transaction; others cannot be matched to anything."""
    items = body.get("items") if isinstance(body, dict) else None
    if not isinstance(items, list):
        raise Unreadable("SumUp's answer is not a list of transactions.")
    for item in items:
        if isinstance(item, dict) and (id_of(item, "transaction_id") or id_of(item, "transaction_code")):
            yield HistoryItem(
                id=id_of(item, "id"),
                transaction_id=id_of(item, "transaction_id"),
                transaction_code=id_of(item, "transaction_code"),
                type=text_of(item, "type"),
                status=text_of(item, "status"),
                payment_type=text_of(item, "payment_type"),
                amount=amount_of(item, "amount"),
                currency=text_of(item, "currency"),
                refunded=amount_of(item, "refunded_amount"),
                summary=text_of(item, "product_summary"),
                timestamp=text_of(item, "timestamp"),
                raw=item,
            )


def next_link(body: object) -> str:
    """The query string of the next page, "" on the last one; raises Unreadable for anything but a bare query."""
    links = body.get("links") if isinstance(body, dict) else None
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("rel") == "next":
            href = link.get("href")
            if not isinstance(href, str) or len(href) > LINK_MOST or not QUERY.fullmatch(href):
                raise Unreadable("SumUp's next page is no query string.")
            return href
    return ""
