"""No address that a form is sent to is a dead end: opened, it leads to the form's page; an answer leads back there."""

import random
from urllib.parse import urlsplit

import pytest

from tests.steps import HTMX
from tests.walks.pages import Page
from tests.walks.roads import addresses, routes
from tests.walks.test_csrf import buttons
from tests.walks.town import town

pytestmark = pytest.mark.django_db

#: What no person opens, and where Django's admin signs out.
NOT_OPENED = {"payments/sumup/webhook/", "admin/logout/"}


@pytest.mark.parametrize("who", ["signed out", "buyer", "superuser"])
@pytest.mark.promise("address-form-sent")
def test_an_address_that_takes_a_form_leads_to_its_page(who: str) -> None:
    client, opened = town().client(who), 0
    for route in sorted(set(routes())):
        if route in NOT_OPENED:
            continue
        for address in addresses(route)[:2]:
            answer = client.get(address)
            assert answer.status_code != 405, address
            if answer.status_code == 302 and "login" not in answer.headers["Location"]:
                opened += 1
                led = client.get(address, follow=True)
                refused = 403 if "/admin/login/" in str(led.redirect_chain) else 404
                assert led.status_code in (200, refused), (address, led.redirect_chain)
    assert opened > 5


def nexts(body: str) -> set[str]:
    """Where the page's links to the sign-in lead back to."""
    return {value for name, value in Page(body, "/").queries if name == "next"}


@pytest.mark.promise("address-form-sent")
def test_signing_in_after_a_change_in_place_leads_to_the_page_that_was_changed() -> None:
    """Every form that somebody signed out finds; the browser tells on which page it stands."""
    client, met = town().client("signed out"), 0
    for form, button, page in buttons(client, 2, random.Random(1), staff_only=False).values():
        headers = {**HTMX, "HX-Current-URL": f"http://testserver{page}"}
        answer = client.post(form.action, form.pressed(button), headers=headers)
        if answer.status_code in (200, 422) and not form.action.startswith("/accounts/"):
            for address in nexts(answer.content.decode()):
                met += 1
                path = urlsplit(address).path
                assert client.get(path, follow=True).status_code == 200, (form.action, address)
                assert path == urlsplit(page).path
    assert met > 2


def test_the_cart_leads_back_to_itself_from_a_change_that_was_refused() -> None:
    """Without htmx: the page's part of the cart, or the whole."""
    built = town()
    client, product = built.client("signed out"), built.products[0]
    for sent, back in (({}, "/cart/"), ({"page": product.page.slug}, f"/cart/{product.page.slug}/")):
        answer = client.post(f"/cart/pieces/{product.pk}/", {"quantity": "x", **sent})
        assert answer.status_code == 422
        assert nexts(answer.content.decode()) == {back}


def test_another_site_is_never_the_page() -> None:
    built = town()
    answer = built.client("signed out").post(
        f"/cart/pieces/{built.products[0].pk}/",
        {"quantity": "x"},
        headers={**HTMX, "HX-Current-URL": "https://evil.example/cart/"},
    )
    assert nexts(answer.content.decode()) == {"/cart/"}
