from django.apps import AppConfig
from django.db.backends.signals import connection_created


class LedgerConfig(AppConfig):
    name = "ledger"

    def ready(self) -> None:
        """Each process follows the database's clock from its first connection on."""
        from ledger import clock

        connection_created.connect(clock.opened)
