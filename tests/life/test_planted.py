"""The machine of test_life can fail: each arrow, planted to move nothing in one table, turns it red."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.db import Error
from django.db.models import Model
from hypothesis.errors import Flaky

import events.transitions
import payments.transitions
from events.models import CalendarEntry, Ticket
from ledger.arrows import IllegalTransition
from market.models import ProductItem
from payments.refunds.asking import RefundRefused
from tests.life.test_life import lived
from tests.simulator import SimulatorProcess

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.soak]

OURS = ("accounts.", "cart.", "events.", "market.", "orders.", "payments.", "tests.life.")
#: What the machine meets of a fault: what it asserts, what the shop raises, what the database refuses.
RED = (AssertionError, IllegalTransition, RefundRefused, Error, Flaky)
SOLD = {"ticket": Ticket, "booking": CalendarEntry, "item": ProductItem}
OF_ALL_KINDS = [
    "mark_reserved", "mark_confirmed", "mark_confirmed_late", "mark_unfulfillable_late", "mark_released",
    "mark_owed", "mark_voided", "mark_refunded", "mark_owed_again", "mark_given_after_all",
]  # fmt: skip
#: Only tickets are of something that can be called off meanwhile; nobody stands at the door of a booking.
OF_SOME = [
    ("mark_unfulfillable", "ticket"), ("mark_checked_in", "ticket"), ("mark_checked_in", "item"),
    ("mark_back_out", "ticket"), ("mark_back_out", "item"),
]  # fmt: skip
OF_EVENTS = ["publish", "unpublish", "call_off_event"]
OF_PAYMENTS = [
    "mark_open", "mark_refused", "mark_expired", "mark_paid", "mark_mismatch", "mark_sending", "mark_succeeded",
    "mark_failed", "mark_unknown", "mark_withdrawn",
]  # fmt: skip


def planted(patch: pytest.MonkeyPatch, real: Callable[..., int], of: type[Model] | None) -> None:
    """Wherever `real` is at home it moves nothing, of the table `of` if that is given, and says so."""

    def idle(*arguments: Any, **named: Any) -> int:
        return 0 if of is None or named.get("of", Ticket) is of else real(*arguments, **named)

    homes = [module for name, module in sys.modules.items() if name.startswith(OURS)]
    for module in homes:
        if getattr(module, real.__name__, None) is real:
            patch.setattr(module, real.__name__, idle)


def turns_red(sumup: SimulatorProcess) -> None:
    with pytest.raises(RED):
        lived(sumup, 400, shrinks=False)


@pytest.mark.parametrize(("name", "kind"), [*((name, kind) for name in OF_ALL_KINDS for kind in SOLD), *OF_SOME])
@pytest.mark.promise("tickets-time-rooms")
def test_a_sold_thing_that_does_not_move_is_found(
    sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    planted(monkeypatch, getattr(events.transitions, name), SOLD[kind])
    turns_red(sumup)


@pytest.mark.parametrize("name", OF_EVENTS)
def test_an_event_that_does_not_move_is_found(
    sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    planted(monkeypatch, getattr(events.transitions, name), None)
    turns_red(sumup)


@pytest.mark.parametrize("name", OF_PAYMENTS)
@pytest.mark.promise("tickets-time-rooms")
def test_a_payment_or_refund_that_does_not_move_is_found(
    sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    planted(monkeypatch, getattr(payments.transitions, name), None)
    turns_red(sumup)
