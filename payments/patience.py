"""How jobs go on where one could not ask SumUp: tried again after a growing while; a sweep goes over what fails."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from procrastinate import RetryStrategy
from procrastinate.jobs import Job
from procrastinate.retry import RetryDecision

from ledger import clock

log = logging.getLogger(__name__)


def sweep_over(rows: "QuerySet[Any]", work: Callable[[int], object], *, most: int) -> None:
    """`work` on the keys of the first `most` rows; one that fails must not keep the sweep from the others."""
    for pk in list(rows.values_list("pk", flat=True)[:most]):
        try:
            work(pk)
        except Exception:
            log.exception("sweep: %s %s", rows.model._meta.model_name, pk)


class NotAnswered(Exception):
    """SumUp could not be asked: the job is tried again, not before `retry_after` seconds where that is known."""

    def __init__(self, retry_after: float | None = None) -> None:
        super().__init__("SumUp could not be asked.")
        self.retry_after = retry_after


class Patience(RetryStrategy):
    """RetryStrategy, with the pause that SumUp asked for (Retry-After) as the least."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        decision = super().get_retry_decision(exception=exception, job=job)
        asked = exception.retry_after if isinstance(exception, NotAnswered) else None
        if decision is not None and decision.retry_at is not None and asked:
            decision.retry_at = max(decision.retry_at, clock.now() + timedelta(seconds=asked))
        return decision
