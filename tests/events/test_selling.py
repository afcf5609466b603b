"""What is on sale, the first reason why not, and what the buy form shows of it."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from events.models import Calendar, CalendarEntry, Page, TicketType
from events.selling import Obstacle, Offer, obstacle, offers_of
from events.states import EntryState
from ledger.money import Money
from tests.factories import EventFactory, TicketTypeFactory

MOMENT, HOUR = timedelta(microseconds=1), timedelta(hours=1)


@dataclass
class Case:
    """Of an event that is on for an hour more and costs 12.00; spans of time in the changes count from now."""

    reason: Obstacle | None
    entry: dict[str, Any] = field(default_factory=dict)
    type: dict[str, Any] | None = None
    page: bool = True
    has_types: bool = False


UNPUBLISHED, PAST, NOT_YET, CLOSED, NONE = (
    Obstacle.UNPUBLISHED,
    Obstacle.PAST,
    Obstacle.NOT_YET,
    Obstacle.CLOSED,
    Obstacle.NO_TICKETS,
)
CASES = [
    Case(None),
    Case(None, type={}),
    *(Case(UNPUBLISHED, {"state": state}) for state in sorted({*EntryState} - {"confirmed", "cancelled"})),
    Case(Obstacle.CANCELLED, {"state": "cancelled", "is_published": False, "ends_at": -HOUR}, page=False),
    Case(UNPUBLISHED, {"is_published": False, "ends_at": -HOUR}),
    Case(UNPUBLISHED, {"ends_at": -HOUR}, page=False),
    Case(None, {"ends_at": MOMENT}),
    Case(PAST, {"ends_at": timedelta(0), "ticket_price": None, "sale_starts_at": HOUR}),
    Case(NONE, {"ticket_price": None, "sale_starts_at": HOUR}),
    Case(Obstacle.KINDS, {"ticket_price": None, "sale_starts_at": HOUR}, has_types=True),
    Case(PAST, {"ends_at": timedelta(0)}, has_types=True),
    Case(None, {"ticket_price": None}, {}, has_types=True),
    Case(None, {"ticket_price": None}, {}),
    Case(None, {"ticket_price": Decimal(0)}),
    # The sale opens with its first moment and closes before its last; the event's window binds its types too.
    *(
        case
        for reason, change in [
            (None, {"sale_starts_at": timedelta(0)}),
            (NOT_YET, {"sale_starts_at": MOMENT}),
            (None, {"sale_ends_at": MOMENT}),
            (CLOSED, {"sale_ends_at": timedelta(0)}),
            (None, {"sale_starts_at": -HOUR, "sale_ends_at": HOUR}),
            (NOT_YET, {"sale_starts_at": HOUR, "sale_ends_at": HOUR}),
            (CLOSED, {"sale_starts_at": -HOUR, "sale_ends_at": -HOUR}),
        ]
        for case in (Case(reason, change), Case(reason, change, {}), Case(reason, {}, change))
    ),
    Case(NOT_YET, {"sale_starts_at": HOUR}, {"sale_ends_at": -HOUR}),
    Case(CLOSED, {"sale_ends_at": -HOUR}, {"sale_starts_at": HOUR}),
]


@pytest.mark.parametrize("case", CASES)
def test_the_first_reason_is_told(case: Case) -> None:
    now = timezone.now()

    def moments(changes: dict[str, Any]) -> dict[str, Any]:
        return {name: now + each if isinstance(each, timedelta) else each for name, each in changes.items()}

    entry = CalendarEntry(
        calendar=Calendar(page=Page(is_published=case.page)),
        **{"state": "confirmed", "ticket_price": Decimal(12), "starts_at": now - HOUR, "ends_at": now + HOUR}
        | moments(case.entry),
    )
    entry.has_types = case.has_types
    ticket_type = None if case.type is None else TicketType(entry=entry, **moments(case.type))

    assert obstacle(entry, ticket_type, at=now) is case.reason


@pytest.mark.django_db
def test_an_event_offers_its_types_in_their_order_else_its_own_price_else_nothing() -> None:
    now = timezone.now()
    plain = EventFactory.create(ticket_price=Decimal(9), max_per_order=4, capacity=7)
    entry = EventFactory.create(ticket_price=Decimal(9), max_per_order=4)
    late = TicketTypeFactory.create(
        entry=entry, name="Late", text="Who comes late", price=Decimal(5), position=2, capacity=3, min_per_order=2,
        max_per_order=6, sale_starts_at=now + HOUR,
    )  # fmt: skip
    early = TicketTypeFactory.create(entry=entry, name="Early", price=Decimal(0), position=1)

    own = Offer(0, "Ticket", "", Money(Decimal(9), "EUR"), 7, 1, 4, None, None)
    first = Offer(early.pk, "Early", "", Money(Decimal(0), "EUR"), None, 1, 10, None, None)
    second = Offer(
        late.pk, "Late", "Who comes late", Money(Decimal(5), "EUR"), 3, 2, 6, Obstacle.NOT_YET, now + HOUR
    )  # fmt: skip
    assert offers_of(plain, at=now) == [own]
    assert offers_of(plain, at=now, payable=False) == [replace(own, unpayable=True)]
    assert offers_of(entry, at=now) == [first, second]
    assert offers_of(entry, at=now, payable=False) == [first, replace(second, unpayable=True)]
    assert offers_of(EventFactory.create(ticket_price=Decimal(0)), at=now, payable=False)[0].buyable
    assert offers_of(EventFactory.create(ticket_price=None), at=now) == []


@pytest.mark.django_db
def test_the_event_and_the_type_limit_what_is_left_and_when_it_opens() -> None:
    now = timezone.now()
    entry = EventFactory.create()
    kind = TicketTypeFactory.create(entry=entry)
    for places, of_type, opens, type_opens in [
        (None, None, None, None), (5, None, 2, None), (None, 3, None, 1), (5, 3, 2, 1), (2, 3, 2, 3), (0, 3, 1, 1),
    ]:  # fmt: skip
        for row, limit, hours in ((entry, places, opens), (kind, of_type, type_opens)):
            row.capacity, row.sale_starts_at = limit, None if hours is None else now + hours * HOUR
            row.save()

        (offer,) = offers_of(entry, at=now)

        assert offer.free_places == min((limit for limit in (places, of_type) if limit is not None), default=None)
        starts = [start for start in (entry.sale_starts_at, kind.sale_starts_at) if start is not None]
        assert offer.opens_at == max(starts, default=None)


@pytest.mark.parametrize(
    ("left", "sold_out", "few_left"),
    [(None, False, False), (0, True, False), (1, False, True), (10, False, True), (11, False, False)],
)
def test_what_is_left_is_said_when_it_is_little(left: int | None, sold_out: bool, few_left: bool) -> None:
    offer = Offer(0, "Ticket", "", Money(Decimal(12), "EUR"), left, 1, 10, None, None)

    assert (offer.sold_out, offer.few_left, offer.buyable) == (sold_out, few_left, not sold_out)
    assert not replace(offer, obstacle=Obstacle.PAST).buyable
    assert not replace(offer, unpayable=True).buyable
