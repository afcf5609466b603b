"""The shop's addresses, and two: what takes PostgreSQL long, and the limits that this process has."""

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

from config.urls import handler500, urlpatterns
from ledger.locking import retried

__all__ = ["handler500", "urlpatterns"]
LIMITS = "SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout')"


def limits(_request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute(LIMITS)
        return HttpResponse(str(cursor.fetchone()))


def slow(_request: HttpRequest) -> HttpResponse:
    def work() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(30)")

    retried(work)
    return HttpResponse("slept")


urlpatterns = [path("limits", limits), path("slow", slow), *urlpatterns]
