"""The WSGI entry for gunicorn."""

import gc
import os
import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

from config.readable import of_known_charset

GIVE_UP = 4  # gunicorn's own code for "does not load": it stops instead of trying again for ever

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def limit_statements() -> None:
    """Let PostgreSQL end what takes too long: it keeps a thread and a connection from all other visitors.

    That is the page of config.views.server_error (503), and is not tried again. A lock is waited for a little less
    long, so that a lost race is told from a slow statement. To be called before the first connection.
    """
    options = settings.DATABASES["default"]["OPTIONS"]
    most = settings.STATEMENT_SECONDS * 1000
    # In milliseconds; of a setting that is named twice the later one counts.
    options["options"] += f" -c statement_timeout={most} -c lock_timeout={most * 9 // 10}"


try:
    limit_statements()
    application = of_known_charset(get_wsgi_application())
except ImproperlyConfigured as error:
    sys.stderr.write(f"foyer: {error}\n")
    sys.exit(GIVE_UP)
# What start-up has made lives as long as the process: looking through it for garbage costs a fifth of each request.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 20)
