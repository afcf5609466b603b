"""How jobs are tried again that could not ask SumUp: after a growing while, and not before SumUp said so."""

from datetime import timedelta

from procrastinate import RetryStrategy
from procrastinate.jobs import Job
from procrastinate.retry import RetryDecision

from ledger import clock


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
