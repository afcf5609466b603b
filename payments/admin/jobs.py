"""The worker's jobs in the admin, as procrastinate shows them: for superusers, by the list's own filters."""

from collections.abc import Collection
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_noop
from procrastinate.contrib.django.admin import ProcrastinateJobAdmin
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.lists import OwnFilters
from events.admin.asking import Asked, Question, asked_first

admin.site.unregister(ProcrastinateJob)


def _of_jobs(states: Collection[str], words: str, button: str) -> Asked:
    """A question that counts the jobs that an action is for, by what they do."""

    def question(_desk: Any, _request: HttpRequest, rows: QuerySet[ProcrastinateJob]) -> Question:
        tasks = list(rows.filter(status__in=states).values_list("task_name", flat=True))
        said = [gettext(words) % {"n": len(tasks), "all": rows.count()}]
        said += [f"{name}: {tasks.count(name)}" for name in sorted(set(tasks))]
        return Question(gettext(button), tuple(said), gettext(button) if tasks else "")

    return question


retry = asked_first(
    _of_jobs(
        ("failed", "doing"),
        gettext_noop("Jobs that run once more, of those chosen: %(n)d of %(all)d. What they mail is mailed again."),
        gettext_noop("Run them again"),
    )
)(ProcrastinateJobAdmin.retry)
cancel = asked_first(
    _of_jobs(
        ("todo",),
        gettext_noop("Jobs that never run, of those chosen: %(n)d of %(all)d. What they were to mail is not mailed."),
        gettext_noop("Cancel them"),
    )
)(ProcrastinateJobAdmin.cancel)
abort = asked_first(
    _of_jobs(
        ("todo", "doing"),
        gettext_noop("Jobs that never run or are broken off, of those chosen: %(n)d of %(all)d."),
        gettext_noop("Break them off"),
    )
)(ProcrastinateJobAdmin.abort)


@admin.register(ProcrastinateJob)
class JobAdmin(OwnFilters, ProcrastinateJobAdmin):
    actions = [retry, cancel, abort]
