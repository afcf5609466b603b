"""The job worker, run until its queue is empty."""

from concurrent.futures import ThreadPoolExecutor

from procrastinate.contrib.django import app
from procrastinate.contrib.django.django_connector import DjangoConnector


def run_jobs(*queues: str) -> None:
    """Run every job that is due (of `queues`, when some are named), as the worker would, over its own connection.

    In a thread: the worker brings an event loop, and the tests' thread may have the browser's running.
    """
    with ThreadPoolExecutor(1) as thread:
        thread.submit(_run, queues).result()


def _run(queues: tuple[str, ...]) -> None:
    connector = app.connector
    assert isinstance(connector, DjangoConnector)
    with app.replace_connector(connector.get_worker_connector()) as worker:
        worker.run_worker(queues=list(queues) or None, wait=False, install_signal_handlers=False, listen_notify=False)
