"""The simulator for faults that choose a database of their own."""

from tests.simulator import simulator

__all__ = ["simulator"]
