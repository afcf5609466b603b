#!/usr/bin/env python
"""Django's command line."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        settings.DEBUG  # noqa: B018  (reading one loads them all)
    except ImproperlyConfigured as error:
        sys.exit(f"foyer: {error}")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
