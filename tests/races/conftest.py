"""Races need commits that the others see."""

import pytest


@pytest.fixture(autouse=True)
def commits(transactional_db: None) -> None:
    """Every test here commits, and is cleaned up after."""
