"""Jobs in the queue are found by their names, whatever became of the modules since they were put there."""

import ast
import inspect

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from tests.jobs import run_jobs
from tests.test_protocol import sources

#: Each job's name, and what it is put into the queue with. A name stays for ever, as does what an argument is called:
#: the worker of the version before and that of the next one run side by side, on one queue.
JOBS: dict[str, set[str]] = {
    "accounts.jobs.clear_expired": {"timestamp"},
    "config.jobs.clear_finished": {"timestamp"},
    "events.jobs.lapse_carts": {"timestamp"},
    "events.jobs.tell_about_booking": {"booking_id", "words"},
    "events.jobs.tell_called_off": {"entry_id", "order_id"},
    "events.jobs.tell_moved": {"entry_id", "order_id", "old_start", "old_place", "old_zone", "old_end"},
    "events.jobs.tell_new_holder": {"ticket_id"},
    "events.jobs.tell_other_time": {"booking_id", "old_start", "old_place", "old_zone"},
    "events.jobs.tidy_pictures": {"timestamp"},
    "market.jobs.lapse_items": {"timestamp"},
    "orders.jobs.remind_unpaid": {"timestamp"},
    "orders.jobs.send_confirmation": {"order_id"},
    "orders.jobs.tell_lapsed": {"order_id"},
    "orders.jobs.tell_unpaid": {"order_id"},
    "payments.jobs.ask_about": {"checkout_pk"},
    "payments.jobs.rescue": {"timestamp"},
    "payments.jobs.sweep": {"timestamp"},
    "payments.mails.tell_mismatch": {"checkout_id"},
    "payments.mails.tell_refund": {"refund_id"},
    "payments.mails.tell_surplus": {"checkout_id"},
    "payments.owed_jobs.remind": {"timestamp"},
    "payments.owed_jobs.tell_called_off": {"entry_id"},
    "payments.owed_jobs.tell_owed": {"user_id", "number"},
    "payments.reconcile_jobs.clear": {"timestamp"},
    "payments.reconcile_jobs.reconcile_hourly": {"timestamp"},
    "payments.refund_jobs.run_batch": {"batch_pk"},
    "payments.refund_jobs.send_owed": {"parts", "reason", "who"},
    "payments.refund_jobs.send_refund": {"refund_pk"},
    "payments.refund_jobs.sweep_refunds": {"timestamp"},
}

#: The last migration of the version in which payments had no rooms.
BEFORE = ("payments", "0011_owed_reminders")


@pytest.mark.promise("update-while-jobs")
def test_worker_knows_each_job_and_no_other() -> None:
    ours = {name for name in app.tasks if "procrastinate" not in name}
    assert ours == JOBS.keys()


@pytest.mark.parametrize("name", JOBS)
def test_job_takes_what_it_was_put_into_the_queue_with(name: str) -> None:
    inspect.signature(app.tasks[name].func).bind(**dict.fromkeys(JOBS[name]))


def test_each_job_s_name_is_written_out() -> None:
    """Else it would be that of its module, and a move would lose what waits in the queue."""
    unnamed = [
        f"{file} {node.name}"
        for file, text in sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for decorator in node.decorator_list
        if ast.unparse(decorator).startswith("app.task") and "name=" not in ast.unparse(decorator)
    ]
    assert unnamed == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("update-while-jobs")
def test_jobs_of_an_older_version_are_run_on_its_database() -> None:
    """Put there in plain SQL, by a process that has never seen this version; then its database is migrated."""
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    names = sorted(name for name, arguments in JOBS.items() if arguments == {"timestamp"})
    MigrationExecutor(connection).migrate([BEFORE])
    try:
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args, status)"
                " VALUES ('old', %s, '{\"timestamp\": 0}', 'todo')",
                [[name] for name in names],
            )
    finally:
        MigrationExecutor(connection).migrate(newest)

    run_jobs("old")

    run = ProcrastinateJob.objects.filter(queue_name="old").order_by("task_name").values_list("task_name", "status")
    assert list(run) == [(name, "succeeded") for name in names]
