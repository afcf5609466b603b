"""What only demo, tests and developers run is no part of production: no process of it holds a module of `dev`."""

from pathlib import Path

import pytest

from tests.config.production import HOST, told_by_settings

#: Loads what a web process, the worker and each command load, and asks for pages.
PROGRAM = f"""
import io, sys
from django.conf import settings
from django.core.management import call_command, get_commands, load_command_class
from django.test import Client, override_settings
from procrastinate.contrib.django import app
import config.wsgi

commands = [name for name, room in get_commands().items() if load_command_class(room, name)]
call_command("check", deploy=True, stdout=io.StringIO(), stderr=io.StringIO())
app.perform_import_paths()
visitor = Client(headers={{"host": "{HOST}", "x-forwarded-proto": "https"}})
plain = {{"staticfiles": {{"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}}}  # none are collected
with override_settings(STORAGES=settings.STORAGES | plain):
    pages = {{path: visitor.get(path).status_code for path in ("/healthz", "/accounts/login/", "/mail/")}}
print(json.dumps({{
    "pages": pages,
    "commands": commands,
    "tasks": list(app.tasks),
    "dev": [name for name in sys.modules if name.partition(".")[0] == "dev"],
}}))
"""


@pytest.mark.django_db
@pytest.mark.promise("process-production-holds")
def test_no_process_of_production_holds_a_module_of_dev(tmp_path: Path) -> None:
    told = told_by_settings(tmp_path, PROGRAM)
    assert isinstance(told, dict)
    assert told["pages"] == {"/healthz": 200, "/accounts/login/": 200, "/mail/": 404}
    assert {"backup", "doctor", "migrate", "reconcile_payments", "procrastinate"} <= set(told["commands"])
    assert {"seed_demo", "sumup_simulator"}.isdisjoint(told["commands"])
    assert {"config.jobs.clear_finished", "orders.jobs.send_confirmation"} <= set(told["tasks"])
    assert told["dev"] == []
