"""Locks by primary key, and a bounded retry of what lost a lock race; real connections, real deadlocks."""

import threading
from collections.abc import Callable, Iterator

import pytest
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import IntegrityError, OperationalError
from django.test.utils import CaptureQueriesContext

from events.models import CalendarEntry, Page
from ledger.locking import LOST_RACES, Contention, retried, sqlstate
from tests.factories import EventFactory, PageFactory
from tests.races.threads import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rival() -> Iterator[BaseDatabaseWrapper]:
    """A second connection to the same database."""
    other = connection.copy()
    yield other
    other.close()


def lock_in(other: BaseDatabaseWrapper, page: Page) -> None:
    """The rival takes the page's row, and keeps it until its connection ends."""
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT 1 FROM events_page WHERE id = %s FOR NO KEY UPDATE", [page.pk])


def impatient(page: Page, tries: list[int]) -> Page:
    tries.append(1)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '30ms'")
    return Page.objects.filter(pk=page.pk).locked().get()


def test_work_that_wins_runs_once_in_a_transaction_of_its_own() -> None:
    tries: list[bool] = []

    def work() -> str:
        tries.append(connection.in_atomic_block)
        return "done"

    assert retried(work) == "done"
    assert tries == [True]


@pytest.mark.promise("deadlock-lock-had")
def test_lock_that_is_never_had_is_contention_after_the_last_try(rival: BaseDatabaseWrapper) -> None:
    page, tries = PageFactory.create(), list[int]()
    lock_in(rival, page)
    with pytest.raises(Contention) as error:
        retried(lambda: impatient(page, tries), tries=3)
    assert len(tries) == 3
    assert isinstance(error.value.__cause__, OperationalError)
    assert sqlstate(error.value.__cause__) == "55P03"


def test_lock_that_comes_free_is_had_by_the_next_try(rival: BaseDatabaseWrapper) -> None:
    page, tries = PageFactory.create(), list[int]()
    lock_in(rival, page)

    def work() -> Page:
        if tries:
            rival.rollback()
        return impatient(page, tries)

    assert retried(work) == page
    assert len(tries) == 2


def test_nothing_of_a_lost_try_stays(rival: BaseDatabaseWrapper) -> None:
    page, other, tries = PageFactory.create(), PageFactory.create(text=""), list[int]()
    lock_in(rival, page)

    def work() -> None:
        other.text += "x"
        Page.objects.filter(pk=other.pk).update(text=other.text)
        if tries:
            rival.rollback()
        impatient(page, tries)
        assert Page.objects.get(pk=other.pk).text == "xx"

    retried(work)
    lock_in(rival, page)
    with pytest.raises(Contention):
        retried(lambda: (Page.objects.filter(pk=other.pk).update(text="lost"), impatient(page, tries)), tries=2)
    assert Page.objects.get(pk=other.pk).text == "xx"


def test_inside_a_transaction_the_error_goes_to_its_owner(rival: BaseDatabaseWrapper) -> None:
    page, tries = PageFactory.create(), list[int]()
    lock_in(rival, page)
    with pytest.raises(OperationalError), transaction.atomic():
        retried(lambda: impatient(page, tries))
    assert len(tries) == 1


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("INSERT INTO events_page (id) VALUES (1)", IntegrityError),
        ("SET LOCAL statement_timeout = 1; SELECT pg_sleep(5)", OperationalError),
    ],
)
def test_error_that_is_no_lost_race_is_not_tried_again(statement: str, error: type[Exception]) -> None:
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        with connection.cursor() as cursor:
            cursor.execute(statement)

    with pytest.raises(error):
        retried(work)
    assert len(tries) == 1


@pytest.mark.promise("deadlock-lock-had")
def test_two_that_lock_against_each_other_both_get_through() -> None:
    """A real deadlock: PostgreSQL ends one of the two, and its second try succeeds."""
    one, two = PageFactory.create(), PageFactory.create()
    barrier, lost, done = threading.Barrier(2, timeout=PATIENCE), list[str](), list[str]()

    def actor(name: str, first: Page, second: Page) -> Callable[[], None]:
        tries: list[int] = []

        def work() -> None:
            tries.append(1)
            Page.objects.filter(pk=first.pk).locked().get()
            if len(tries) == 1:
                barrier.wait()
            try:
                Page.objects.filter(pk=second.pk).locked().get()
            except OperationalError as error:
                lost.append(str(sqlstate(error)))
                raise
            Page.objects.filter(pk=second.pk).update(text=name)

        def run() -> None:
            try:
                retried(work)
                done.append(name)
            finally:
                connection.close()

        return run

    threads = [threading.Thread(target=actor("a", one, two)), threading.Thread(target=actor("b", two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Whoever lost may come back before the other has woken up, and lose once more.
    assert set(lost) == {"40P01"}
    assert sorted(done) == ["a", "b"]
    assert (Page.objects.get(pk=one.pk).text, Page.objects.get(pk=two.pk).text) == ("b", "a")


def test_lost_races_are_known_by_their_sqlstate_only() -> None:
    assert {"40P01", "40001", "55P03"} == LOST_RACES
    assert sqlstate(OperationalError("the connection is gone")) is None


def test_locked_takes_its_own_rows_by_primary_key_and_lets_children_in() -> None:
    entry = EventFactory.create()
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        list(CalendarEntry.objects.select_related("calendar__page").filter(pk=entry.pk).order_by("title").locked())
    [sql] = [query["sql"] for query in captured.captured_queries if query["sql"].startswith("SELECT")]
    assert sql.endswith('ORDER BY "events_calendarentry"."id" ASC FOR NO KEY UPDATE OF "events_calendarentry"')


def test_locked_outside_a_transaction_is_refused() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        list(Page.objects.all().locked())
