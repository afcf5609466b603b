"""Production's own settings, asked from outside: each header, cookie, limit and trust, so that a lost one is red."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlencode

import psycopg
import pytest
from django.test import Client
from pytest_django import DjangoDbBlocker

from accounts.models import User
from events.models import Merchant
from events.tickets.links import link_token as ticket_token
from orders.links import link_token
from tests.accounts.steps import PASSWORD
from tests.config.production import HOST, TOKEN, Answer, Headers, Production, environment, production, told_by_settings
from tests.emptying import empty_database
from tests.factories import EventFactory, ProductFactory, UserFactory
from tests.faults.web import address_of_test_database
from tests.simulator import ROOT
from tests.steps import fill, order_cart

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"
CSP = (
    "base-uri 'none'; connect-src 'self'; default-src 'none'; font-src 'self'; form-action 'self'"
    " https://checkout.sumup.com; frame-ancestors 'none'; img-src 'self' data:; manifest-src 'self'; object-src 'none';"
    " script-src 'self'; style-src 'self'"
)
NEVER = "max-age=0, no-cache, no-store, must-revalidate, private"


@dataclass(frozen=True)
class World:
    """The process, the cookies of who is signed in, and addresses of things that are there."""

    web: Production
    cookies: dict[str, str]
    places: dict[str, str]


def cookie_of(user: User) -> str:
    client = Client()
    client.force_login(user)
    return f"sessionid={client.cookies['sessionid'].value}"


@pytest.fixture(scope="module")
def world(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    data = tmp_path_factory.mktemp("production")
    (data / "media" / "pages").mkdir(parents=True)
    (data / "media" / "pages" / "a.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    with django_db_blocker.unblock():
        try:
            buyer = UserFactory.create()
            # Signing in writes the hash anew, in production's rounds: other sessions of the same user would end.
            UserFactory.create(email="guest@example.org", password=PASSWORD)
            boss = UserFactory.create(is_staff=True, is_superuser=True)
            Merchant.objects.create(
                code="MTEST", name="Test", api_key="sup_sk_x", currency="EUR", is_site=True, is_sandbox=True
            )
            free = EventFactory.create(title="Free", ticket_price=0)
            dear = EventFactory.create(title="Dear", calendar=free.calendar)
            product = ProductFactory.create(page=free.calendar.page, slug="mug")
            fill(buyer, free)
            order = order_cart(buyer)
            ticket = order.tickets.get()
            places = {
                "event": dear.get_absolute_url(),
                "product": product.get_absolute_url(),
                "order": f"/orders/{order.code}/",
                "order pdf": f"/orders/{order.code}.pdf",
                "order link": f"/orders/link/{link_token(order)}/",
                "order link pdf": f"/orders/link/{link_token(order)}.pdf",
                "ticket": f"/tickets/{ticket.code}/",
                "ticket link": f"/tickets/link/{ticket_token(ticket)}/",
                "page": free.calendar.page.get_absolute_url(),
                "door": f"/door/{dear.pk}/",
            }
            with production(data) as web:
                yield World(web, {"buyer": cookie_of(buyer), "boss": cookie_of(boss)}, places)
        finally:
            empty_database()


# --- Headers

#: On each answer, whoever makes it.
ALWAYS = {
    "strict-transport-security": "max-age=2592000",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "content-security-policy": CSP,
    "x-frame-options": "DENY",
}
NO_FRAME_OPTIONS: dict[str, str | None] = {"x-frame-options": None}  # made outside that middleware; the CSP says it
SECRET_LINK: dict[str, str | None] = {"referrer-policy": "no-referrer"}
DENIED = ("camera", "microphone", "geolocation", "payment", "usb", "serial", "hid", "display-capture")


@dataclass(frozen=True)
class Kind:
    """A kind of answer: its address (or the name of one in `World.places`), who asks, and what it carries."""

    name: str
    path: str
    status: int = 200
    who: str = ""
    method: str = "GET"
    cache: str | None = None
    other: dict[str, str | None] = field(default_factory=dict)


KINDS = [
    Kind("what is on", "/"),
    Kind("what is on, signed in", "/", who="buyer", cache="private"),
    Kind("a page", "page"),
    Kind("a page, signed in", "page", who="buyer", cache="private"),
    Kind("an event", "event"),
    Kind("an event, signed in", "event", who="buyer", cache="private"),
    Kind("a product, signed in", "product", who="buyer", cache="private"),
    Kind("a feed, the same for all", "/feeds/events.ics", who="buyer", cache="public, max-age=300"),
    Kind("a head", "/", method="HEAD"),
    Kind("a wrong method", "/", status=403, method="DELETE"),
    Kind("the cart", "/cart/", cache=NEVER),
    Kind("the cart, signed in", "/cart/", who="buyer", cache=NEVER),
    Kind("my orders", "/orders/", who="buyer", cache="private, no-store"),
    Kind("an order", "order", who="buyer", cache="private, no-store"),
    Kind("an order, signed out", "order", cache="private, no-store"),
    Kind("another's order", "order", status=404, who="boss", cache="private"),
    Kind("an order on paper", "order pdf", who="buyer", cache="private, no-store"),
    Kind("an order by its link", "order link", cache="private, no-store", other=SECRET_LINK),
    Kind("its paper by its link", "order link pdf", cache="private, no-store"),
    Kind("a ticket", "ticket", who="buyer", cache="private, no-store"),
    Kind("a ticket by its link", "ticket link", cache="private, no-store", other=SECRET_LINK),
    Kind("my tickets, signed out", "/tickets/", status=302, cache="private, no-store"),
    Kind("the door", "door", who="boss", cache="private, no-store"),
    Kind("sign-in", LOGIN, cache=NEVER),
    Kind("a password", "/accounts/password/", who="buyer", cache=NEVER),
    Kind("the admin", "/admin/", who="boss", cache=NEVER),
    Kind("a list of the admin", "/admin/accounts/user/", who="boss", cache=NEVER),
    Kind("the admin, signed out", "/admin/", status=302, cache=NEVER),
    Kind("the admin, not for buyers", "/admin/", status=302, who="buyer", cache=NEVER),
    Kind("a stylesheet", "/static/foyer.css", cache="max-age=60, public", other=NO_FRAME_OPTIONS),
    Kind("a picture of ours", "/static/favicon.svg", who="buyer", cache="max-age=60, public", other=NO_FRAME_OPTIONS),
    Kind("a script", "/static/foyer.js", cache="max-age=60, public", other=NO_FRAME_OPTIONS),
    Kind(
        "an upload", "/media/pages/a.svg", other={"content-security-policy": "default-src 'none'; sandbox"}
    ),
    Kind("no upload", "/media/pages/b.svg", status=404),
    Kind("not found", "/nothing/", status=404),
    Kind("not found, signed in", "/nothing/", status=404, who="buyer", cache="private"),
    Kind("without its token", LOGIN, status=403, method="POST"),
    Kind("alive", "/healthz", cache=NEVER),
    Kind("ready", "/readyz", cache=NEVER),
    Kind("a webhook of nothing", "/payments/sumup/webhook/", status=400, method="POST"),
    Kind("the demo's mail", "/mail/", status=404),
]  # fmt: skip


def check(answer: Answer, kind: Kind) -> list[str]:
    """What `answer` carries otherwise than it should."""
    expected: dict[str, str | None] = {**ALWAYS, "cache-control": kind.cache, **kind.other}
    found: list[str] = [] if answer.status == kind.status else [f"status {answer.status}"]
    carried = dict(answer.headers)
    if policy := carried.get("content-security-policy"):
        carried["content-security-policy"] = "; ".join(sorted(policy.split("; ")))
    for name, value in expected.items():
        if carried.get(name) != value:
            found.append(f"{name}: {carried.get(name)!r} instead of {value!r}")
    denied = answer.headers.get("permissions-policy", "").split(", ")
    found += [f"{feature} is not denied" for feature in DENIED if f"{feature}=()" not in denied]
    if not answer.headers.get("x-request-id"):
        found.append("no request id")
    return [f"{kind.name}: {words}" for words in found]


@pytest.mark.promise("each-header-cookie")
def test_each_kind_of_answer_carries_its_headers(world: World) -> None:
    wrong: list[str] = []
    for kind in KINDS:
        path = world.places.get(kind.path, kind.path)
        answer = world.web.ask(path, kind.method, cookie=world.cookies.get(kind.who, ""))
        wrong += check(answer, kind)
        if kind.status >= 400:
            assert "Traceback" not in answer.body
    assert not wrong, "\n".join(wrong)


def committed(statement: LiteralString) -> None:
    """Done for the web process to see: a test's own connection keeps what it does to itself."""
    with psycopg.connect(address_of_test_database(), autocommit=True) as outside:
        outside.execute(statement)


def test_an_error_of_ours_carries_them_too_and_tells_nothing(world: World) -> None:
    committed("ALTER TABLE market_product RENAME TO market_away")
    try:
        answer = world.web.ask(world.places["product"], cookie=world.cookies["buyer"])
    finally:
        committed("ALTER TABLE market_away RENAME TO market_product")
    assert check(answer, Kind("an error", "", status=500, cache="private")) == []
    assert not re.search("Traceback|market_product|ProgrammingError|settings", answer.body)


def test_a_stylesheet_with_its_contents_name_is_kept_for_ever(world: World) -> None:
    (name,) = re.findall(r'href="(/static/foyer\.[0-9a-f]{12}\.css)"', world.web.ask("/").body)
    kind = Kind("a named stylesheet", name, cache="max-age=315360000, public, immutable", other=NO_FRAME_OPTIONS)
    assert check(world.web.ask(name), kind) == []


# --- Cookies


def attributes(cookie: str) -> tuple[str, set[str]]:
    name, *rest = (part.strip() for part in cookie.split(";"))
    return name.partition("=")[0], {part for part in rest if not part.lower().startswith("expires=")}


def signed_in(web: Production) -> tuple[Answer, Answer]:
    """The sign-in page, and the answer to its form with the right password."""
    page = web.ask(LOGIN)
    return page, posted(web, page, {"login": "guest@example.org", "password": PASSWORD})


def posted(web: Production, page: Answer, data: dict[str, str], headers: Headers | None = None) -> Answer:
    """The form of `page`, sent as a browser of this site sends it."""
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.body)
    assert found
    body = urlencode({"csrfmiddlewaretoken": found[1], **data}).encode()
    own: Headers = {"Origin": f"https://{HOST}", "Referer": f"https://{HOST}{LOGIN}"}
    cookie = "; ".join(cookie.partition(";")[0] for cookie in page.cookies)
    return web.ask(LOGIN, "POST", body, cookie=cookie, headers={**own, **(headers or {})})


@pytest.mark.promise("each-header-cookie")
def test_each_cookie_is_for_this_site_over_https_and_for_no_script(world: World) -> None:
    page, answer = signed_in(world.web)
    assert (answer.status, answer.headers["location"]) == (302, "/")
    found = dict(map(attributes, page.cookies + answer.cookies))
    ours = {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"}
    assert found.pop("messages", ours) == ours
    assert found == {
        "csrftoken": ours | {"Max-Age=31449600"},
        "sessionid": ours | {"Max-Age=2592000"},  # 30 days; the staff's ends after 12 idle hours
    }


def test_a_stranger_who_only_looks_gets_no_cookie(world: World) -> None:
    for path in ("/", world.places["page"], "/healthz", "/readyz", "/static/foyer.css", "/nothing/"):
        assert world.web.ask(path).cookies == [], path


# --- Trust


@pytest.mark.promise("each-header-cookie")
def test_only_our_own_host_is_answered(world: World) -> None:
    for host in ("evil.example", f"{HOST}.evil.example", "127.0.0.1", "localhost", ""):
        answer = world.web.ask("/", headers={"Host": host})
        assert (answer.status, "evil" in answer.body) == (400, False), host
    assert world.web.ask("/", headers={"X-Forwarded-Host": "evil.example"}).status == 200
    assert world.web.ask("/", headers={"Host": "evil.example", "X-Forwarded-Host": HOST}).status == 400
    sent_on = world.web.ask("/orders", headers={"X-Forwarded-Host": "evil.example", "X-Forwarded-Port": "1"})
    assert (sent_on.status, "evil" in sent_on.headers["location"]) == (301, False)


@pytest.mark.parametrize(
    ("proto", "is_secure"), [("https", True), ("http", False), (None, False), ("HTTPS ", False), ("https,http", True)]
)
def test_https_is_what_the_proxy_says(world: World, proto: str | None, is_secure: bool) -> None:
    answer = world.web.ask("/", headers={"X-Forwarded-Proto": proto})
    if answer.status == 400:  # gunicorn refuses one that contradicts itself
        return
    assert ("strict-transport-security" in answer.headers) is is_secure


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 302),
        ({"Origin": None}, 302),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": f"http://{HOST}"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None, "Referer": "https://evil.example/"}, 403),
        ({"Origin": None, "Referer": None}, 403),
        ({"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}, 403),
    ],
)
def test_a_form_from_another_site_is_refused(world: World, headers: Headers, status: int) -> None:
    page = world.web.ask(LOGIN)
    data = {"login": "guest@example.org", "password": PASSWORD}
    assert posted(world.web, page, data, headers).status == status
    if status == 403:
        stranger = Answer(page.status, page.headers, [], page.body)  # the form's token, without its cookie
        assert posted(world.web, stranger, data).status == 403


def test_a_visitor_is_who_the_nearest_proxy_says(world: World) -> None:
    """With one proxy the last of X-Forwarded-For counts; what the visitor wrote before it does not."""
    page = world.web.ask(LOGIN)

    def asked(number: int, seen: str) -> int:
        """For a code, which no mail server takes here: 503, and it counts."""
        return posted(world.web, page, {"login": f"nobody{number}@example.org"}, {"X-Forwarded-For": seen}).status

    assert [asked(n, f"203.0.113.{n}, 198.51.100.50") for n in range(21)] == [503] * 20 + [429]
    assert asked(21, "198.51.100.50, 198.51.100.51") == 503


def test_readiness_is_told_to_who_shows_the_token(world: World) -> None:
    assert '"problems"' not in world.web.ask("/readyz", headers={"X-Forwarded-For": "127.0.0.1"}).body
    assert '"problems"' not in world.web.ask("/readyz", headers={"Authorization": "Bearer wrong-token"}).body
    assert '"problems"' in world.web.ask("/readyz", headers={"Authorization": f"Bearer {TOKEN}"}).body
    assert '"problems"' in world.web.ask("/readyz", cookie=world.cookies["boss"]).body


# --- Limits

LIMITS = {
    "DEBUG": False,
    "ALLOWED_HOSTS": [HOST],
    "CSRF_TRUSTED_ORIGINS": [f"https://{HOST}"],
    "USE_X_FORWARDED_HOST": False,
    "USE_X_FORWARDED_PORT": False,
    "ALLAUTH_TRUSTED_PROXY_COUNT": 1,
    "SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"],
    "SESSION_COOKIE_AGE": 30 * 24 * 3600,
    "SESSION_SAVE_EVERY_REQUEST": False,
    "ACCOUNT_LOGIN_BY_CODE_MAX_ATTEMPTS": 5,
    "ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND": 3,
    "ACCOUNT_LOGIN_BY_CODE_TIMEOUT": 15 * 60,
    "ACCOUNT_PREVENT_ENUMERATION": True,
    "ACCOUNT_LOGOUT_ON_GET": False,
    "SUMUP_API_URL": "https://api.sumup.com",
    "SUMUP_HOSTED_ORIGINS": ["https://checkout.sumup.com"],
    "HOLD_MINUTES": 30,
    "WHITENOISE_USE_FINDERS": False,
    "PASSWORD_HASHERS": "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "AUTHENTICATION_BACKENDS": ["allauth.account.auth_backends.AuthenticationBackend"],
}
RATES = {
    "login": "30/m/ip",
    "request_login_code": "20/m/ip,3/m/key,20/h/key",
    "login_code_attempt": "20/m/ip,100/h/key",
    "login_failed": "10/m/ip,5/5m/key",
    "change_password": "5/m/user",
}
VALIDATORS = {
    "UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator",
}  # fmt: skip
ASKED = """
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connection
from events.models import Merchant
from events.payees import unpayable
cursor = connection.cursor()
def shown(name):
    cursor.execute('SHOW ' + name)
    return cursor.fetchone()[0]
told = {name: getattr(settings, name) for name in %r}
told['PASSWORD_HASHERS'] = settings.PASSWORD_HASHERS[0]
print(json.dumps({
    'limits': told,
    'rates': settings.ACCOUNT_RATE_LIMITS,
    'validators': [row['NAME'].rpartition('.')[2] for row in settings.AUTH_PASSWORD_VALIDATORS],
    'rounds': PBKDF2PasswordHasher.iterations,
    'database': {name: shown(name) for name in ('lock_timeout', 'idle_in_transaction_session_timeout')},
    'cache': [settings.CACHES['default']['BACKEND'], settings.CACHES['default']['OPTIONS']['MAX_ENTRIES']],
    'usable': [unpayable(Merchant(code='M', api_key='sup_sk_x', is_sandbox=x), '') is None for x in (False, True)],
}))
"""


@pytest.mark.promise("each-header-cookie")
def test_each_limit_and_trust_is_set(world: World) -> None:
    code = f"exec({ASKED % list(LIMITS)!r})"
    told = told_by_settings(world.web.data, code)
    assert isinstance(told, dict)
    assert told["limits"] == LIMITS
    assert told["rates"].items() >= RATES.items()
    assert set(told["validators"]) == VALIDATORS
    assert told["rounds"] >= 600_000
    assert told["database"] == {"lock_timeout": "10s", "idle_in_transaction_session_timeout": "30s"}
    assert told["cache"] == ["ledger.cache.ExactCache", 20_000]
    assert told["usable"] == [True, False]


def test_more_than_a_form_holds_is_refused(world: World) -> None:
    page = world.web.ask(LOGIN)
    cookie = "; ".join(cookie.partition(";")[0] for cookie in page.cookies)
    for body in (b"login=" + b"a" * (2 * 1024 * 1024 + 1), b"&".join(b"a=1" for _ in range(2001))):
        answer = world.web.ask(LOGIN, "POST", body, cookie=cookie, headers={"Origin": f"https://{HOST}"})
        assert answer.status in (400, 413), len(body)
        assert "Traceback" not in answer.body


def test_a_sandbox_takes_no_payment(world: World) -> None:
    words = "This organiser takes no payments at the moment"
    assert words in world.web.ask(world.places["event"]).body
    committed("UPDATE events_merchant SET is_sandbox = false")
    try:
        assert words not in world.web.ask(world.places["event"]).body
    finally:
        committed("UPDATE events_merchant SET is_sandbox = true")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"SUMUP_API_URL": "http://127.0.0.1:9"}, "a simulator is for DEBUG only"),
        ({"SUMUP_API_URL": "https://api.sumup.com.evil.example"}, "a simulator is for DEBUG only"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is shorter than 32"),
        ({"STATUS_TOKEN": "short"}, "STATUS_TOKEN is shorter than 16"),
        ({"FIELD_KEYS": ""}, "FIELD_KEYS is not set"),
        ({"SITE_URL": ""}, "SITE_URL"),
    ],
)
def test_the_web_process_does_not_start_with(more: dict[str, str], words: str, tmp_path: Path) -> None:
    surroundings = environment(tmp_path, **more)
    ended = subprocess.run(
        [sys.executable, "-c", "import config.wsgi"],
        cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr.count("\n")) == (4, 1), ended.stderr
    assert words in ended.stderr
