from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PaymentsConfig(AppConfig):
    name = "payments"
    verbose_name = _("Payments")

    def ready(self) -> None:
        """Who may send money back is told when somebody else has called an event off."""
        from events.organising.calling_off import called_off_for_others
        from payments.refunds.reminders import on_called_off

        called_off_for_others.connect(on_called_off)
