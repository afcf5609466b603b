from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MarketConfig(AppConfig):
    name = "market"
    verbose_name = _("Shop")

    def ready(self) -> None:
        """The limit of a cart counts products too, whoever fills it."""
        from market import buying  # noqa: F401
