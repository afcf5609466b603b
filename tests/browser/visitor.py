"""A person at a browser: what they can do on the shop's pages, and what must never happen to them."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from django.core import mail
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, expect

from tests.chromium import PATIENCE

NARROWEST, PHONE, DESK = 320, 390, 1280
HEIGHT = 844
#: Names a folder that gets a picture of every page passed, as a phone and a desk show it, light and dark.
SCREENSHOTS = os.environ.get("SCREENSHOTS", "")
#: What htmx marks while it asks, swaps and settles: until the last of it is gone a button may be without its script,
#: and the focus may still be moved to the answer.
BUSY = ".htmx-request, .htmx-swapping, .htmx-added, .htmx-settling"


@dataclass(frozen=True)
class Way:
    """How somebody comes: on what width of screen, with or without scripts."""

    name: str
    width: int = DESK
    scripts: bool = True

    def __str__(self) -> str:
        return self.name


AT_A_DESK = Way("desk")
ON_A_PHONE = Way("phone", PHONE)
WITHOUT_SCRIPTS = Way("phone-without-scripts", PHONE, scripts=False)
WAYS = [AT_A_DESK, ON_A_PHONE, WITHOUT_SCRIPTS]

#: What the dark colours and a phone's width can spoil of a page that axe has nothing against by day, at a desk.
RULES_OF_LOOKS = ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "meta-viewport"]


class Visitor:
    """One tab of a browser of its own. `complaints` collects what the browser reports: errors, blocked resources."""

    def __init__(self, context: BrowserContext, home: str, way: Way) -> None:
        self.context, self.home, self.way = context, home, way
        context.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self._tab = self.new_tab()
        self.axe: Axe | None = None
        self.axe_options: dict[str, object] = {"resultTypes": ["violations"]}
        self.leave_out: list[str] = []  # what axe need not look at, by selector

    @property
    def page(self) -> Page:
        """The page, ready: all of it is there, its scripts have run, and none of them is at work.

        After a click that leads on, Chromium has a document without a root until bytes come; after one that is answered
        in place, htmx has yet to wake what it put in. Whoever looks, types or clicks then would meet nothing, or a
        button without its script.
        """
        self._tab.wait_for_load_state()
        if self.way.scripts:
            expect(self._tab.locator(BUSY)).to_have_count(0)
        return self._tab

    def new_tab(self) -> Page:
        page = self.context.new_page()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        return page

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.location.get('url')}: {message.text}")

    def forgive(self, text: str) -> None:
        """Take out the complaints with `text` in them, of which there must be at least one."""
        kept = [complaint for complaint in self.complaints if text not in complaint]
        assert len(kept) < len(self.complaints), f"no complaint about {text!r} in {self.complaints}"
        self.complaints[:] = kept

    # Going about

    def go(self, path: str) -> None:
        self.page.goto(self.home + path)

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("button", name=name)

    def link(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("link", name=name)

    def sees(self, text: str | re.Pattern[str]) -> None:
        """The words stand somewhere on the page (waits for them)."""
        expect(self.page.locator("main")).to_contain_text(text)

    def does_not_see(self, text: str) -> None:
        expect(self.page.locator("main")).not_to_contain_text(text)

    def badge_is(self, number: int) -> None:
        """The header's badge counts `number` things; there is none for 0."""
        badge = self.page.locator("#cart-badge")
        if number:
            expect(badge).to_have_text(re.compile(rf"^{number}\b"))
            expect(badge).to_be_visible()
        else:
            expect(badge).to_be_hidden(timeout=PATIENCE)

    def quantity(self, label: str) -> Locator:
        return self.page.get_by_role("spinbutton", name=f"Quantity: {label}")

    def choose(self, label: str, number: int) -> None:
        """Set the number of a kind of ticket, with minus and plus where there are scripts."""
        field = self.quantity(label)
        if not self.way.scripts:
            field.fill(str(number))
            return
        while (now := int(field.input_value())) != number:
            step = "One more" if now < number else "One fewer"
            self.button(f"{step}: {label}").click()
            expect(field).to_have_value(str(now + (1 if now < number else -1)))

    # By keyboard

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, each on a page that is ready for it."""
        for key in keys:
            self.page.keyboard.press(key)

    def scan(self, field: Locator, code: str) -> None:
        """Type as a scanner does: it does not look where the focus is, so it must be in `field` by then."""
        expect(field).to_be_focused(timeout=PATIENCE)
        self.page.keyboard.type(code)
        self.press("Enter")

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """What is done and then seen in here happens without the page being loaded anew (if there are scripts)."""
        if self.way.scripts:
            self.page.evaluate("window.sameDocument = true")
        yield
        if self.way.scripts:
            assert self.page.evaluate("window.sameDocument") is True, "the page was loaded anew"

    def type_code(self) -> None:
        """Read the newest mail and type its code."""
        found = re.search(r"\d{4}-\d{4}", str(mail.outbox[-1].body))
        assert found, mail.outbox[-1].body
        self.page.get_by_label("Code", exact=False).first.fill(found[0])
        self.page.locator("main").get_by_role("button", name="Sign in").click()

    # Looking

    def stop(self, name: str) -> None:
        """Look round: nothing scrolls sideways, on the narrowest phone either, and axe (if it came along) is silent."""
        for width in dict.fromkeys((NARROWEST, PHONE, self.way.width)):
            self.page.set_viewport_size({"width": width, "height": HEIGHT})
            wide = self.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name}: {wide} px wide on a screen of {width}"
        if SCREENSHOTS:
            self._photograph(name)
        if self.axe is not None:
            found = self.axe.run(self.page, {"exclude": [[part] for part in self.leave_out]}, self.axe_options)
            assert not found.violations_count, f"{name}: {found.generate_report()}"

    def _photograph(self, name: str) -> None:
        folder = Path(SCREENSHOTS)
        folder.mkdir(parents=True, exist_ok=True)
        for width in (PHONE, DESK):
            self.page.set_viewport_size({"width": width, "height": HEIGHT})
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                path = folder / f"{name}-{self.way}-{width}-{scheme}.png"
                # Playwright hides the caret by a style attribute, which htmx would copy and the policy refuse.
                self.page.screenshot(path=path, full_page=True, animations="disabled", caret="initial")
        self.page.emulate_media(color_scheme=None)
        self.page.set_viewport_size({"width": self.way.width, "height": HEIGHT})
