"""The simulator's hosted page in a real browser: without JavaScript, on a telephone, and read by axe."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.chromium import PATIENCE
from tests.simulator import SimulatorProcess

pytestmark = pytest.mark.browser


def test_page_works_without_javascript_and_returns_by_a_click(simulator: SimulatorProcess, browser: Browser) -> None:
    made = simulator.create(redirect_url=f"{simulator.url}/?back=1")
    with browser.new_context(java_script_enabled=False, viewport={"width": 320, "height": 600}) as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(made["hosted_checkout_url"])
        page.get_by_role("button", name="Decline").click()
        expect(page.get_by_role("alert")).to_contain_text("Payment failed")
        page.get_by_role("link", name="Leave").click()
        page.get_by_role("link", name="Back to the payment").click()
        page.get_by_role("button", name="Try again and pay").click()
        expect(page.locator("h1")).to_have_text("Payment successful")
        page.get_by_role("link", name="Back to merchant website").click()
        page.wait_for_url(f"{simulator.url}/?back=1")
    assert len(simulator.ledger()["captures"]) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", ["open", "declined", "paid", "expired", "left", "unknown"])
def test_page_has_no_barrier_that_axe_finds(
    simulator: SimulatorProcess, browser: Browser, state: str, scheme: str
) -> None:
    made = simulator.create(description="K7PM-2Q " + "a" * 80, redirect_url="http://127.0.0.1:9/orders/K7PM")
    address = made["hosted_checkout_url"]
    match state:
        case "declined":
            simulator.decline(made["id"])
        case "paid":
            simulator.pay(made["id"])
        case "expired":
            simulator.ask("DELETE", f"/v0.1/checkouts/{made['id']}")
        case "left":
            address += "/left"
        case "unknown":
            address = f"{simulator.url}/pay/unknown"
    with browser.new_context(
        bypass_csp=True,  # axe is a script, and the page allows none
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": 320, "height": 600},
    ) as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(address)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
