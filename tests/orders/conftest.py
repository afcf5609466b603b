"""Fixtures of the order tests."""

import pytest

from accounts.models import User
from tests.factories import UserFactory


@pytest.fixture
def buyer(db: None) -> User:
    """Somebody who is not signed in."""
    return UserFactory.create()
