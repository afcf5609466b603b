"""The moment that is compared with stored ones."""

from datetime import datetime

from django.utils import timezone


def now() -> datetime:
    """The moment, aware, in UTC."""
    return timezone.now()
