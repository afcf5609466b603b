"""A Round: one run of reconcile as it goes, what it may do, what it found, and what it tells."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db import models

from ledger.clock import now
from payments.reconcile.pace import Pace
from payments.sumup import KeyRefused, SumUpProblem

log = logging.getLogger(__name__)

WHO = "reconcile"
CHUNK = 200


@dataclass
class Round:
    """`counts` are what was found and done, by name; `told` gets a line for each thing that a person may want to know.

    `progress` is called with the name of a step, how much of it is done, and of how much (None: unknown).
    """

    is_dry: bool = False
    pace: Pace = field(default_factory=lambda: Pace(10))
    told: Callable[[str], None] = lambda _line: None
    progress: Callable[[str, int, int | None], None] = lambda _step, _done, _of: None
    clock: Callable[[], datetime] = now
    counts: Counter[str] = field(default_factory=Counter)
    #: Why something could not be asked: it is asked again by the next run, which begins where this one began.
    unanswered: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def count(self, name: str, line: str = "") -> None:
        """One more of `name`, with a line about it, in the words of what a dry run would do."""
        self.counts[name] += 1
        if line:
            self.told(line)

    def safely(self, what: str, work: Callable[[], object]) -> None:
        """One row that goes wrong must not keep the run from the others; it is loud, and the run is not in order."""
        try:
            work()
        except Exception as error:
            log.exception("reconcile: %s", what)
            self.counts["went wrong"] += 1
            self.unanswered.append(f"{what}: {type(error).__name__}")

    def heard(self, problem: SumUpProblem, merchant_pk: int) -> None:
        """No answer: a key that is refused is for a person, anything else is SumUp out of reach.

        Its merchant is left alone for as long as SumUp asks for.
        """
        self.pace.hold(merchant_pk, problem.retry_after)
        self.counts["no answer"] += 1
        (self.refused if isinstance(problem, KeyRefused) else self.unanswered).append(str(problem)[:200])


def chunks(rows: "models.QuerySet[models.Model]", size: int = CHUNK) -> Iterator[list[int]]:
    """The keys of `rows` as they are now, a list at a time, by key: in constant memory, and what is new is left out."""
    newest = rows.model._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 0
    last = 0
    while keys := list(rows.filter(pk__gt=last, pk__lte=newest).order_by("pk").values_list("pk", flat=True)[:size]):
        yield keys
        last = keys[-1]
