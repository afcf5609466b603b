"""Every address that the resolver knows, with rows of the town in the places of its parameters."""

import re
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from django.contrib.admin import site
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.urls import URLPattern, URLResolver, get_resolver

from events.admin.arrows import ARROWS
from events.models import Booking, Calendar, CalendarEntry, Page, Ticket, TicketType
from events.tickets.links import link_token as ticket_token
from market.models import Product, ProductItem
from orders.links import link_token as order_token
from orders.models import Order
from payments.admin.decisions import DECISIONS
from payments.admin.refunds import ACTS
from payments.books.reports import KINDS
from payments.models import Checkout, Refund, RefundBatch, SumUpReport
from payments.refunds.rows import TABLES

Values = Callable[[], list[Any]]

#: Addresses that are regular expressions, as somebody would type them.
TYPED = {
    r"^media/(?P<path>.+)$": ["media/entries/none.webp"],
    r"admin/(?P<url>.*)$": ["admin/no/such/address"],
}
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


def routes(patterns: list[URLPattern | URLResolver] | None = None, prefix: str = "") -> Iterator[str]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
        else:
            yield path


def addresses(route: str) -> list[str]:
    """The addresses of `route`, one for each row of the town that its parameters may name."""
    if route in TYPED:
        return ["/" + path for path in TYPED[route]]
    if "(?P<app_label>" in route:
        return [f"/admin/{label}/" for label in sorted({model._meta.app_label for model in site._registry})]
    names = PARAMETER.findall(route)
    values = product(*(_values(route, name) for name in names))
    return [filled(route, dict(zip(names, map(str, given), strict=True))) for given in values]


def filled(route: str, given: dict[str, str]) -> str:
    return "/" + PARAMETER.sub(lambda match: given[match[1]], route)


def parameters(route: str, address: str) -> dict[str, str]:
    """What stands in the places of the parameters of `address`; none for a regular expression."""
    parts = PARAMETER.split(route)
    pattern = "".join(f"(?P<{part}>.+?)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    found = None if "(?P<" in route else re.fullmatch(pattern, address[1:])
    return found.groupdict() if found else {}


def _values(route: str, name: str) -> list[Any]:
    """What stands in the place of a parameter: the entry of ROWS whose beginning of a route is the longest."""
    fitting = [start for start, named in ROWS.items() if route.startswith(start) and name in named]
    if fitting:
        return ROWS[max(fitting, key=len)][name]()
    for model in site._registry:
        if route.startswith(f"admin/{model._meta.app_label}/{model._meta.model_name}/"):
            return _pks(model)()
    raise AssertionError(f"tests/walks/roads.py does not know what <{name}> of {route!r} is: put it in ROWS.")


def _pks(model: type[models.Model]) -> Values:
    return lambda: list(model._default_manager.order_by("pk").values_list("pk", flat=True)) or [1]


def _column(model: type[models.Model], column: str) -> Values:
    return lambda: sorted(set(model._default_manager.values_list(column, flat=True)))


def _names(table: Any) -> Values:
    return lambda: sorted(table)


def _sold() -> list[str]:
    return list(Ticket.objects.exclude(order=None).values_list("code", flat=True))


def _events() -> list[int]:
    return list(CalendarEntry.objects.events().values_list("pk", flat=True))


PAGES = {"slug": _column(Page, "slug"), "page_slug": _column(Page, "slug")}
ROWS: dict[str, dict[str, Values]] = {
    "mail/": {"key": lambda: ["1-0"], "number": lambda: [0]},
    "admin/r/": {
        "row": lambda: [f"{ContentType.objects.get_for_model(Ticket).pk}/1"],
        "content_type_id": lambda: [ContentType.objects.get_for_model(Ticket).pk],
        "object_id": lambda: [1],
    },
    "admin/events/calendarentry/": {"pk": _events, "arrow": _names(ARROWS)},
    "admin/events/booking/": {"pk": _pks(Booking), "object_id": _pks(Booking)},
    "admin/orders/order/<int:pk>/proof/": {"form": lambda: ["page", "json"]},
    "admin/orders/order/reports/event/": {"pk": _pks(CalendarEntry)},
    "admin/orders/order/reports/": {"kind": _names(KINDS)},
    "admin/payments/case/": {"name": _names(DECISIONS)},
    "admin/payments/refund/of/": {"pk": _pks(Checkout)},
    "admin/payments/refund/row/": {"kind": _names(TABLES), "pk": _pks(Ticket)},
    "admin/payments/refund/event/": {"pk": _pks(SumUpReport)},
    "admin/payments/refund/entry/": {"pk": _events},
    "admin/payments/refund/batch/": {"pk": _pks(RefundBatch), "name": lambda: ["stop", "resume"]},
    "admin/payments/refund/": {"pk": _pks(Refund), "name": _names(ACTS)},
    "cart/line/": {"pk": _events, "key": lambda: [0, *_pks(TicketType)()]},
    "cart/pieces/": {"pk": _pks(Product)},
    "cart/booking/": {"pk": _pks(Booking)},
    "cart/": PAGES,
    "checkout/": PAGES,
    "orders/": {"code": _column(Order, "code"), "token": lambda: [order_token(row) for row in Order.objects.all()]},
    "p/<slug:slug>/": PAGES,
    "p/<slug:page_slug>/": {**PAGES, "slug": _column(Calendar, "slug")},
    "p/<slug:page_slug>/shop/": {"slug": _column(Product, "slug")},
    "vouchers/": {"code": _column(ProductItem, "code")},
    "door/products/": PAGES,
    "door/": {"pk": _events},
    "e/": {"pk": _events, "slug": lambda: ["event"]},
    "tickets/": {"code": _sold, "token": lambda: [ticket_token(row) for row in Ticket.objects.exclude(order=None)]},
}
