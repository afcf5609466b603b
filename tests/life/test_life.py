"""The life of orders in any order of events, on real PostgreSQL and against SumUp's simulator over HTTP.

Whatever buyers, SumUp, the clock and the organiser do next, seats, rooms, stock, money and history agree after each
step. What can be done stands in buyers.py, cashier.py and house.py; what must hold in world.py.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.life.cashier import Cashier
from tests.life.house import Organisers
from tests.simulator import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)

SLICE, STEPS = 4, 40
SOAK_STEPS = int(os.environ.get("SOAK_STEPS", "20000"))


class Life(Cashier, Organisers):
    """All of it at once."""


def lived(sumup: SimulatorProcess, examples: int, *, shrinks: bool = True) -> None:
    Life.sumup = sumup
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            phases=[Phase.generate, Phase.shrink] if shrinks else [Phase.generate],
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.promise("tickets-time-rooms")
def test_a_slice_of_life(sumup: SimulatorProcess) -> None:
    lived(sumup, SLICE)


@pytest.mark.soak
def test_a_long_life(sumup: SimulatorProcess) -> None:
    lived(sumup, SOAK_STEPS // STEPS, shrinks=False)
