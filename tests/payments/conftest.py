"""Fixtures of the payment tests."""

import pytest

from events.models import CalendarEntry
from tests.factories import EventFactory
from tests.simulator import simulator

__all__ = ["simulator"]


@pytest.fixture
def entry(db: None) -> CalendarEntry:
    return EventFactory.create(capacity=10)
