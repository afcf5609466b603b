from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class EventsConfig(AppConfig):
    name = "events"
    verbose_name = _("What is on")

    def ready(self) -> None:
        """The limit of a cart counts tickets and bookings, whoever fills it."""
        from events import booking, buying  # noqa: F401
