"""What the shop serves on in spite of, and a person should know: the words of `/readyz` and of whoever watches it."""

from datetime import datetime, timedelta

from django.db.models import Q
from procrastinate.contrib.django.models import ProcrastinateJob

from payments.models import Case
from payments.states import CaseKind

#: Money that waits for a decision so long is told.
UNDECIDED = timedelta(days=1)
#: So late a job says that no worker runs, or not enough.
LATE = timedelta(minutes=10)


def attention(*, at: datetime) -> list[str]:
    """One line for each thing that is not in order, in words that anybody may read; empty when all is well."""
    told = []
    waiting = Case.objects.open()
    if number := waiting.filter(kind=CaseKind.REFUSED).count():
        told.append(f"SumUp refuses the key or the rights of {number} merchant(s): see Money to decide")
    oldest = waiting.exclude(kind=CaseKind.REFUSED).order_by("opened_at").first()
    if oldest is not None and at - oldest.opened_at >= UNDECIDED:
        told.append(f"money waits for a decision since {oldest.opened_at:%Y-%m-%d}: see Money to decide")
    due = at - LATE
    unscheduled = Q(scheduled_at=None, procrastinateevent__type="deferred", procrastinateevent__at__lt=due)
    late = ProcrastinateJob.objects.filter(Q(scheduled_at__lt=due) | unscheduled, status="todo")
    if number := late.distinct().count():
        told.append(f"{number} job(s), mail or questions to SumUp, wait for a worker for more than ten minutes")
    if number := ProcrastinateJob.objects.filter(status="failed").count():
        told.append(f"{number} job(s) failed: see the jobs in the admin")
    return told
