"""Fixtures of the payment tests."""

from tests.simulator import simulator

__all__ = ["simulator"]
