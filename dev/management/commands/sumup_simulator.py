"""`manage.py sumup_simulator`: the simulated SumUp, as a process of its own."""

from argparse import Namespace

from django.core.management.base import BaseCommand, CommandParser

from dev.simulator.__main__ import add_arguments, serve


class Command(BaseCommand):
    help = "Runs a stand-in for SumUp: no real money, a hosted page, webhooks, and faults on demand."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *_arguments: object, **options: object) -> None:
        serve(Namespace(**options))
