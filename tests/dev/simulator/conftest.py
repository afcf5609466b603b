"""Fixtures of the simulator's tests."""

from tests.simulator import simulator

__all__ = ["simulator"]
