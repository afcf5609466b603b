"""What no view could read is refused in one place: a page for whoever sent it, and nothing done."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import cycle

import pytest
from django.core.wsgi import get_wsgi_application
from django.test import Client

from accounts.models import User
from config.readable import of_known_charset
from events.models import PageMember, Role
from market.models import ProductItem
from tests.desk import sent
from tests.factories import EventFactory, PageFactory, ProductFactory, UserFactory
from tests.walks.roads import addresses, routes
from tests.walks.town import town

UNKNOWN = ["hex", "idna", "utf-7", "utf-16", "unicode_escape", "rot13", "punycode", "a\0b"]


@pytest.fixture
def boss(client: Client) -> User:
    user = UserFactory.create(is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address",
    [
        "/door/%00/", "/?q=%00", "/p/a%00b/", "/admin/events/ticket/?state__exact=a%00b", "/?a%00b=1", "/static/a%00b",
        "/media/a%00b", "/admin/procrastinate/procrastinatejob/?status__exact=nonsense",
        "/admin/events/page/1/change/?_to_field=", "/admin/accounts/user/1/change/?_to_field=",
        "/admin/autocomplete/?app_label=events&model_name=ticket&field_name=entry&term=%00",
    ],
)  # fmt: skip
def test_address_that_names_nothing_possible_is_400_with_a_page(client: Client, boss: User, address: str) -> None:
    answer = client.get(address.replace("/1/", f"/{boss.pk}/" if "user" in address else f"/{PageFactory.create().pk}/"))

    assert answer.status_code == 400
    assert "That request made no sense to us" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.promise("nul-400-charset")
def test_form_with_a_nul_is_400_and_does_nothing(client: Client) -> None:
    product = ProductFactory.create()

    answer = client.post(product.get_absolute_url() + "buy/", {"quantity": "1", "x": "a\0b"})

    assert answer.status_code == 400
    assert "That request made no sense to us" in answer.content.decode()
    assert not ProductItem.objects.exists()


@pytest.mark.django_db
@pytest.mark.promise("nul-400-charset")
def test_charset_that_no_browser_writes_is_400_at_every_address() -> None:
    """Over the server's own way in: Django reads the query in it before any middleware, and its client does so too."""
    town()
    application = of_known_charset(get_wsgi_application())
    said: list[str] = []

    def start(status: str, *_rest: object) -> Callable[[bytes], object]:
        said.append(status)
        return BytesIO().write

    for route, charset in zip(sorted(set(routes())), cycle(UNKNOWN), strict=False):
        environ = {"PATH_INFO": addresses(route)[0], "QUERY_STRING": "a=b", "REQUEST_METHOD": "GET"}
        body = b"".join(application({**environ, "CONTENT_TYPE": f"text/plain; charset={charset}"}, start))
        assert said.pop() == "400 Bad Request", (route, charset)
        assert b"That request made no sense to us" in body


def test_gunicorns_way_in_knows_the_charsets() -> None:
    """In a process of its own: loading config.wsgi prepares that process for serving."""
    code = (
        "from config.wsgi import application\n"
        "environ = {'CONTENT_TYPE': 'a/b; charset=hex', 'QUERY_STRING': 'a=b', 'REQUEST_METHOD': 'GET'}\n"
        "print(b''.join(application(environ, lambda status, headers: print(status))).decode())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120).stdout

    assert said.startswith("400 Bad Request\n")
    assert "That request made no sense to us" in said


@pytest.mark.django_db
@pytest.mark.parametrize("charset", ["UTF-8", "utf8", "us-ascii", "ISO-8859-1", "windows-1252", "no-such-charset"])
def test_charset_that_a_browser_may_write_is_read(client: Client, charset: str) -> None:
    assert client.generic("GET", "/?q=jazz", "", f"text/plain; charset={charset}").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["sessionid", "csrftoken", "messages", "anything"])
@pytest.mark.promise("nul-400-charset")
def test_cookie_with_a_nul_is_as_none(client: Client, name: str) -> None:
    """Refused, it would shut its browser out for as long as it lasts."""
    answer = client.get("/cart/", HTTP_COOKIE=f'{name}="a\\000b"')

    assert answer.status_code == 200
    assert "Your cart is empty" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000, "é" * 200, ".", "entries/" + "a" * 256 + ".webp"])
def test_media_of_an_impossible_name_is_not_found(client: Client, name: str) -> None:
    answer = client.get(f"/media/{name}")

    assert answer.status_code == 404
    assert "This address leads nowhere" in answer.content.decode()


@pytest.mark.django_db
def test_wrong_method_gets_a_page(client: Client) -> None:
    event = EventFactory.create()

    answer = client.put(f"/e/{event.pk}/buy/")

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert "Go back and use the button once more" in answer.content.decode()


@pytest.mark.django_db
def test_plus_on_a_product_without_a_cart_says_that_the_cart_is_gone(client: Client) -> None:
    product = ProductFactory.create()

    answer = client.post(f"/cart/pieces/{product.pk}/", {"quantity": "2"})

    assert answer.status_code == 422
    assert "This cart is no longer there" in answer.content.decode()
    assert not ProductItem.objects.exists()


@pytest.mark.django_db
def test_same_member_twice_from_a_stale_tab_is_an_error_of_the_form(client: Client, boss: User) -> None:
    page = PageFactory.create()
    address = f"/admin/events/page/{page.pk}/change/"
    stale = sent(client, address) | {"members-TOTAL_FORMS": "1", "members-0-id": "", "members-0-page": str(page.pk)}
    stale |= {"members-0-email": boss.email, "members-0-role": Role.DOOR}
    first = client.post(address, stale)
    assert first.status_code == 302, first.content.decode()

    answer = client.post(address, stale)

    assert answer.status_code == 200
    assert "errornote" in answer.content.decode()
    assert PageMember.objects.count() == 1


@pytest.fixture
def quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("input-makes-error")
def test_no_form_needs_a_transaction_that_is_not_there(quiet: None) -> None:
    """The tests' own transaction hides a lock that is taken outside of any."""
    client = town().client("superuser")
    wrong = []
    for route in sorted(set(routes())):
        address = addresses(route)[0]
        if "logout" not in route and (status := client.post(address).status_code) >= 500 and address != "/readyz":
            wrong.append((status, address))
    assert not wrong
