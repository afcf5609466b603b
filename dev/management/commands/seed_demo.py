"""`manage.py seed_demo`: a demo that looks like a real venue's month; only while DEBUG, against the simulator."""

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from dev.demo.accounts import DEMO_ACCOUNTS, DEMO_PASSWORD
from dev.demo.seeding import is_a_shop, seed
from ledger import clock
from payments.sumup import SumUpProblem


class Command(BaseCommand):
    help = "Fills an empty demo with pages, events and paid orders; what is there stays as it is."

    def handle(self, *args: object, **options: object) -> None:  # noqa: ARG002  (Django's signature)
        if not settings.DEBUG or "api.sumup.com" in settings.SUMUP_API_URL:
            raise CommandError("seed_demo is for a demo: DEBUG on and SUMUP_API_URL set to the simulator.")
        if is_a_shop():
            raise CommandError("This database is somebody's shop, not a demo: nothing was put there.")
        try:
            seed(at=clock.now())
        except SumUpProblem as problem:
            raise CommandError(f"The simulator does not answer as it should: {problem}") from problem
        for email, role in DEMO_ACCOUNTS.items():
            self.stdout.write(f"{email}  password {DEMO_PASSWORD}  ({role})")
