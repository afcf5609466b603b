"""The machine's own addresses, and the pages of errors."""

import sys
from http import HTTPStatus

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import InterfaceError, OperationalError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.static import serve

from ledger import clock
from ledger.locking import Contention
from payments.health import troubles


@never_cache
@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """Alive: the process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(_request: HttpRequest) -> JsonResponse:
    """Able to serve and in order; 503 names what is wrong.

    The database and its migrations, how old the last comparison with SumUp is, how long money and mail wait, and
    whether SumUp refuses a merchant.
    """
    problems = []
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            problems.append("migrations are missing")
        else:
            problems += [trouble.words for trouble in troubles(at=clock.now())]
    except (DatabaseError, ImproperlyConfigured):
        problems.append("the database does not answer")
    status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
    return JsonResponse({"ready": not problems, "problems": problems}, status=status)


def server_error(_request: HttpRequest) -> HttpResponse:
    """500, or 503 when it was the database that was away, used up, or too busy: that passes by itself."""
    if isinstance(sys.exc_info()[1], (OperationalError, InterfaceError, Contention)):
        return HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": "5"})
    return HttpResponse(render_to_string("500.html"), status=500)


def not_found(_request: HttpRequest, row: str) -> HttpResponse:
    """An address that is closed on purpose."""
    raise Http404(row)


@require_safe
def media(request: HttpRequest, path: str) -> HttpResponse | FileResponse:
    """A picture. A name that no file system takes (too long, for one) is the name of no file."""
    try:
        return serve(request, path, document_root=str(settings.MEDIA_ROOT))
    except OSError as error:
        raise Http404 from error
