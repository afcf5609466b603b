"""One database is migrated in a run; the test database of each of xdist's workers is a copy of it.

Migrations take a worker many seconds, a copy a tenth of one.
"""

import fcntl
import os
from pathlib import Path

from django.conf import settings
from django.db import connection


def template() -> str:
    return f"test_{settings.DATABASES['default']['NAME']}_template"


def mark() -> Path:
    """In the run's own folder (dev.testing): what a run before has left on a server is never taken for whole."""
    return Path(os.environ["DATA_DIR"]).parent / "template"


def copy_template() -> None:
    """Let this worker's test database be made as a copy; whoever comes first makes what is copied."""
    with mark().open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        name = template()
        if not mark().stat().st_size:
            _make(name)
            file.write("whole")
    connection.settings_dict["TEST"]["TEMPLATE"] = name


def _make(name: str) -> None:
    outside, test = settings.DATABASES["default"]["NAME"], connection.settings_dict["TEST"]
    own, test["NAME"] = test["NAME"], name
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    connection.close()  # what somebody is connected to cannot be copied
    test["NAME"] = own
    connection.settings_dict["NAME"] = settings.DATABASES["default"]["NAME"] = outside


def drop_template() -> None:
    """Drop it, should there have been a worker that made it or began to."""
    if mark().exists():
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {connection.ops.quote_name(template())}")
