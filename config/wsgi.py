"""The WSGI entry for gunicorn."""

import gc
import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

from config.readable import of_known_charset

GIVE_UP = 4  # gunicorn's own code for "does not load": it stops instead of trying again for ever

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
try:
    application = of_known_charset(get_wsgi_application())
except ImproperlyConfigured as error:
    sys.stderr.write(f"foyer: {error}\n")
    sys.exit(GIVE_UP)
# What start-up has made lives as long as the process: looking through it for garbage costs a fifth of each request.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 20)
