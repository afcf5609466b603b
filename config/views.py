"""The machine's own addresses, and the pages of errors."""

import sys
from dataclasses import dataclass
from http import HTTPStatus

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.static import serve

from accounts.models import User
from config.doctor import missing_static
from events.developing import NAME
from ledger import clock
from ledger.locking import Contention
from payments.watch.health import troubles


@never_cache
@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """Alive: the process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Able to serve and in order; 503 when not. Whoever may know is told what is wrong, all others only that it is.

    The static files, the database and its migrations, how old the last comparison with SumUp is, how long money and
    mail wait, and whether SumUp refuses a merchant.
    """
    problems = [] if _static_is_there() else ["static files are missing: manage.py collectstatic, and a restart"]
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            problems.append("migrations are missing")
        else:
            problems += [trouble.words for trouble in troubles(at=clock.now())]
    except (DatabaseError, ImproperlyConfigured):
        problems.append("the database does not answer")
    told: dict[str, object] = {"ready": not problems}
    if _may_know(request):
        told["problems"] = problems
    return JsonResponse(told, status=HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK)


@dataclass
class _Seen:
    """What this process need not look for again."""

    static: bool = False


_seen = _Seen()


def _static_is_there() -> bool:
    """Without `collectstatic` each page is an error."""
    _seen.static = _seen.static or not missing_static()
    return _seen.static


def _may_know(request: HttpRequest) -> bool:
    """Who shows STATUS_TOKEN, or a superuser; never an address: behind a proxy all have the same."""
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    if settings.STATUS_TOKEN and scheme.lower() == "bearer" and constant_time_compare(token, settings.STATUS_TOKEN):
        return True
    try:
        return isinstance(request.user, User) and request.user.is_superuser
    except DatabaseError:
        return False


def server_error(_request: HttpRequest) -> HttpResponse:
    """500, or 503 when it was the database that was away, used up, or too busy: that passes by itself."""
    if isinstance(sys.exc_info()[1], (OperationalError, InterfaceError, Contention)):
        return HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": "5"})
    return HttpResponse(render_to_string("500.html"), status=500)


def not_found(_request: HttpRequest, row: str) -> HttpResponse:
    """An address that is closed on purpose."""
    raise Http404(row)


@require_safe
def media(request: HttpRequest, path: str) -> HttpResponseBase:
    """A file below MEDIA_ROOT. A picture's name is of its content: whoever has it need never ask again.

    A name that no file system takes (too long, for one) is the name of no file.
    """
    try:
        response = serve(request, path, document_root=str(settings.MEDIA_ROOT))
    except OSError as error:
        raise Http404 from error
    if NAME.fullmatch(path):
        response["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
