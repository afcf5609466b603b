"""A real Chromium against the real server, the simulator as a process of its own that calls the server back."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache
from django.test import Client
from playwright.sync_api import Browser
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from tests.browser.visitor import AT_A_DESK, HEIGHT, RULES_OF_LOOKS, WAYS, Visitor, Way
from tests.simulator import SimulatorProcess

Visit = Callable[..., Visitor]
Scheme = Literal["light", "dark"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker("browser")


@pytest.fixture
def shop(live_server: LiveServer, sumup: SimulatorProcess, settings: Settings) -> Iterator[str]:
    """The address of the running shop, which the simulator calls back."""
    settings.SITE_URL = live_server.url
    policy = settings.CONTENT_SECURITY_POLICY
    directives = policy["DIRECTIVES"] | {"form-action": ["'self'", sumup.url]}
    settings.CONTENT_SECURITY_POLICY = policy | {"DIRECTIVES": directives}
    cache.clear()  # the counters of the rate limits
    sumup.faults(webhook="on")
    yield live_server.url
    sumup.faults(webhook="never")


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture
def visit(browser: Browser, shop: str) -> Iterator[Visit]:
    """Makes visitors, signed in as `user` if given. In the end none of them may have met an error of the browser's."""
    visitors: list[Visitor] = []

    def make(way: Way = AT_A_DESK, user: User | None = None, *, axe: bool = False, scheme: Scheme = "light") -> Visitor:
        context = browser.new_context(
            viewport={"width": way.width, "height": HEIGHT},
            java_script_enabled=way.scripts,
            bypass_csp=axe,  # the policy would not let axe in
            color_scheme=scheme,
            locale="en-GB",
        )
        visitor = Visitor(context, shop, way)
        visitor.axe = Axe() if axe else None
        if scheme == "dark":
            visitor.axe_options["runOnly"] = RULES_OF_LOOKS
        if user is not None:
            client = Client()
            client.force_login(user)
            context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": shop}])
        visitors.append(visitor)
        return visitor

    yield make
    for visitor in visitors:
        visitor.context.close()
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []
