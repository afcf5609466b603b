"""Pictures as a browser shows them: the width that fits, words for who cannot see them, and nothing that moves."""

from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from playwright.sync_api import Page, Route
from pytest_django import Settings

from events.models import Role
from events.pictures import Pictured
from tests.browser.conftest import Visit
from tests.browser.visitor import AT_A_DESK, ON_A_PHONE, Way
from tests.desk import change, member
from tests.factories import EventFactory, PageFactory, ProductFactory
from tests.pictures import drawn, encoded

WORDS = "Two halves"
LOADED = "() => [...document.images].every((image) => image.complete && image.naturalWidth > 0)"
PLACES = """() => [...document.querySelectorAll("img, h1, h3, main")].flatMap((seen) => {
  const box = seen.getBoundingClientRect();
  return [box.left, box.top, box.width, box.height];
})"""


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


def give(row: Pictured, width: int, height: int) -> None:
    row.picture_alt = WORDS
    row.picture.save("photo", ContentFile(encoded(drawn(width, height))), save=False)
    row.save(update_fields=["picture", "picture_alt"])


def steady(page: Page, address: str) -> None:
    """Nothing stands elsewhere once the pictures have come."""
    held: list[Route] = []
    holding = [True]

    def hold(route: Route) -> None:
        if holding:
            held.append(route)
        else:
            route.continue_()

    page.route("**/media/**", hold)
    page.goto(address, wait_until="domcontentloaded")
    page.wait_for_function("() => document.images.length > 0 && document.fonts.status === 'loaded'")
    before = page.evaluate(PLACES)
    holding.clear()
    for route in held:
        route.continue_()
    page.evaluate("() => [...document.images].forEach((image) => { image.loading = 'eager'; })")
    page.wait_for_function(LOADED)
    page.unroute("**/media/**")
    assert page.evaluate(PLACES) == pytest.approx(before, abs=1)  # a font that comes late is a tenth of a pixel taller


@pytest.mark.parametrize(
    ("way", "widths"), [(ON_A_PHONE, (480, 480, 480, 480)), (AT_A_DESK, (480, 1600, 960, 960))], ids=["phone", "desk"]
)
@pytest.mark.promise("pictures-come-width")
def test_pictures_come_in_the_width_that_fits_and_move_nothing(visit: Visit, way: Way, widths: tuple[int, ...]) -> None:
    page = PageFactory.create(name="House")
    entry, product = EventFactory.create(calendar__page=page), ProductFactory.create(page=page)
    for row, size in ((page, (2000, 1000)), (entry, (1700, 2600)), (product, (1601, 900))):
        give(row, *size)
    visitor = visit(way, axe=True)

    places = (
        ("/", "front"),
        (page.get_absolute_url(), "page"),
        (entry.get_absolute_url(), "event"),
        (product.get_absolute_url(), "product"),
    )
    for (address, name), width in zip(places, widths, strict=True):
        steady(visitor.page, f"{visitor.home}{address}")
        assert visitor.page.get_by_alt_text(WORDS).first.is_visible()
        shown = visitor.page.evaluate("() => document.images[0].currentSrc")
        assert f"-{width}x" in shown, name
        box = visitor.page.get_by_alt_text(WORDS).first.bounding_box()
        assert box is not None
        assert box["height"] < box["width"], "one taller than wide is cut to its place"
        visitor.stop(f"13-picture-{name}")


def test_the_form_asks_for_the_words(visit: Visit) -> None:
    page = PageFactory.create(name="House")
    visitor = visit(AT_A_DESK, member((page, Role.OWNER)))
    visitor.go(change(page))
    file = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": encoded(drawn(1000, 500))}
    visitor.page.locator("input[name=picture]").set_input_files(file)  # type: ignore[arg-type]
    visitor.page.get_by_role("button", name="Save", exact=True).click()
    visitor.sees("Say in a few words what the picture shows.")
    visitor.sees("Choose the picture again")
    visitor.page.locator("input[name=picture]").set_input_files(file)  # type: ignore[arg-type]
    visitor.page.locator("input[name=picture_alt]").fill(WORDS)
    visitor.page.get_by_role("button", name="Save", exact=True).click()
    visitor.sees("was changed successfully")
    page.refresh_from_db()
    assert page.picture_alt == WORDS
