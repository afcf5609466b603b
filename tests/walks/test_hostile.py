"""Whatever is sent, to whatever address, by whomever: an answer that a person can read, and never a 500."""

import logging
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from django.db import transaction
from django.test import Client

from tests.walks.pages import Page
from tests.walks.roads import addresses, filled, parameters, routes
from tests.walks.town import VISITORS, Town, town

pytestmark = pytest.mark.django_db

SEED = 20261127
#: The walk is cut into so many tests, which the machine's cores share.
PARTS = 4
FORM = "application/x-www-form-urlencoded"

#: As they stand in an address or a form's body, percent-encoded: bytes that are no text are sent as they are.
VALUES = [
    *map(quote, ["", "0", "-1", "9" * 30, "-" + "9" * 30, "1.5", "1e400", "NaN", "Infinity", "0x1f", "٣", "½", "²"]),
    *map(quote, ["a" * 300, "a" * 10_000, "[[[[[[[[", "{}", "null", "true", "__proto__", "../../../etc/passwd"]),
    *map(quote, ["'; DROP TABLE x; --", "%s%(a)s{0}", "<script>", "\r\nSet-Cookie: a=b", "é\u202e", "\ufeff"]),
    *map(quote, ["0000-00-00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "2026-02-30", "24:00"]),
    *map(quote, ["00000000-0000-0000-0000-000000000000", "a@b", "a" * 64 + "@example.org", "\t", "a\x01b", ",", "pk"]),
    "%ED%A0%80", "%FF%FE", "%C3%28", "%F8%88%80%80%80",
]  # fmt: skip
NUL = "a%00b"
#: What views read of an address besides what the page's own links name.
ASKED = [
    "q", "view", "date", "page", "past", "start", "name", "seen", "next", "e", "o", "p", "all", "term", "state", "when",
    "decided", "kind", "first", "last", "app_label", "model_name", "field_name", "_to_field", "_popup", "_facets",
    "_changelist_filters", "entry", "order__id__exact", "state__exact",
]  # fmt: skip
#: What views read of a form besides the fields of the forms that they show.
SENT = [
    "quantity", "quantity-0", "quantity-1", "time", "start", "page", "token", "digest", "code", "undo", "holder",
    "email", "login", "password", "next", "action", "_selected_action", "index", "select_across", "reason", "amount",
    "_save", "_to_field", "_popup",
]  # fmt: skip
COOKIES = ["", "a" * 4000, '"a\\000b"', "é", '"\\377\\376"', "..:..:..", "eyJhIjoxfQ:1:x", '[["a"', "{}", "%00"]
#: A charset that is none of text does not come this far: tests/config/test_readable.py.
KINDS = [
    "text/plain; charset=none", "text/plain; charset=latin-1", f"{FORM}; charset=ascii", "multipart/form-data",
    "multipart/form-data; boundary=", "multipart/form-data; boundary=x", "application/json", "", "a", "/",
    "application/json; charset=utf-8", 'text/html; charset="', f"{FORM}; charset=cp1252", "application/octet-stream",
]  # fmt: skip
BODIES = [
    b"", b"\x00", b"a=%00", b"\xff\xfe", b"{", b"[" * 5_000, b'{"id": {}}', b'{"id": "a\\u0000b"}',
    b'{"id": "\\ud800"}', b"&".join([b"a=b"] * 2_001), b"--x\r\n\r\n",
    b'--x\r\nContent-Disposition: form-data; name="a\x00"\r\n\r\nb\r\n--x--',
    b'--x\r\nContent-Disposition: form-data; name="picture"; filename="\x00.png"\r\n\r\n\x00\r\n--x--\r\n',
]  # fmt: skip
#: What no person reads: SumUp's and the scripts' own addresses, and files.
MACHINES = ("/payments/sumup/webhook/", "/admin/autocomplete/", "/healthz", "/readyz")
#: So many of the attacks come from somebody else, too.
OTHERS = 0.15
LONG = re.compile(r"(.)\1{20,}", re.DOTALL)
METHODS = ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"]


@dataclass(frozen=True)
class Attack:
    """One request. `cookies` go beside the browser's own, and instead of one of the same name."""

    method: str
    address: str
    body: bytes = b""
    kind: str = FORM
    cookies: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return LONG.sub(r"\1…", f"{self.method} {self.address} {self.kind} {self.body!r} {self.cookies}")[:400]

    def by(self, client: Client) -> Any:
        """The answer; what it changed is undone, in the database and in the browser."""
        own = {name: morsel.coded_value for name, morsel in client.cookies.items()}
        header = "; ".join(f"{name}={value}" for name, value in {**own, **dict(self.cookies)}.items())
        with transaction.atomic():
            answer = client.generic(self.method, self.address, self.body, self.kind, HTTP_COOKIE=header)
            transaction.set_rollback(True)
        client.cookies.clear()
        client.cookies.load(own)
        return answer


class Stop:
    """A route, one of its addresses, and the names that the page there reads."""

    def __init__(self, route: str, client: Client, chance: random.Random) -> None:
        self.route, self.chance = route, chance
        self.address = chance.choice(addresses(route))
        answer = Attack("GET", self.address).by(client)
        page = Page(answer.content.decode(errors="replace") if not answer.streaming else "", self.address)
        self.asked = [*ASKED, *(name for name, _value in page.queries)]
        self.forms = [form.pressed(chance.choice(form.buttons)) for form in page.forms if form.buttons]

    def attacks(self) -> Iterator[Attack]:
        for value in (NUL, *self.chance.sample(["a" * 300, "9" * 30, self.chance.choice(VALUES)], 2)):
            yield Attack("GET", self._elsewhere(value))
        yield Attack("GET", f"{self.address}?{self.chance.choice(self.asked)}={NUL}")
        yield from (Attack("GET", f"{self.address}?{self._query()}") for _each in range(2))
        yield Attack("GET", self.address, cookies=self._cookies())
        yield Attack("GET", self.address, kind=self.chance.choice(KINDS))
        yield Attack(self.chance.choice(METHODS), self.address)
        yield Attack("POST", self.address)
        yield Attack("POST", self.address, f"{self.chance.choice(SENT)}={NUL}".encode())
        yield from (Attack("POST", self.address, self._form()) for _each in range(2))
        yield Attack("POST", self.address, self._form(), cookies=self._cookies())
        yield Attack("POST", self.address, self.chance.choice(BODIES), self.chance.choice(KINDS))

    def _elsewhere(self, value: str) -> str:
        """The address with `value` instead of one of its parameters, or behind it."""
        given = parameters(self.route, self.address)
        if not given:
            return self.address + value
        return filled(self.route, {**given, self.chance.choice(sorted(given)): value})

    def _query(self) -> str:
        names = self.chance.sample(self.asked, self.chance.randint(1, 3))
        return "&".join(f"{name}={self.chance.choice(VALUES)}" for name in names)

    def _form(self) -> bytes:
        """A form of the page with one to three of its fields spoilt; without one, names that views read."""
        data = dict(self.chance.choice(self.forms)) if self.forms else {}
        names = sorted(data) or SENT
        spoilt = self.chance.sample(names, min(len(names), self.chance.randint(1, 3)))
        pairs = [f"{quote(name)}={quote(value)}" for name in data if name not in spoilt for value in data[name]]
        return "&".join([*pairs, *(f"{quote(name)}={self.chance.choice(VALUES)}" for name in spoilt)]).encode()

    def _cookies(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, self.chance.choice(COOKIES)) for name in ("sessionid", "csrftoken", "messages", "other"))


def complaint(attack: Attack, answer: Any) -> str:
    """What is wrong with an answer; "" when a person (or SumUp) can do something with it."""
    if answer.status_code >= 500 and not (attack.address.startswith("/readyz") and answer.status_code == 503):
        return f"{answer.status_code}"
    if answer.status_code < 400 or attack.method not in ("GET", "POST") or attack.address.startswith(MACHINES):
        return ""
    if b"<h1" not in answer.content:
        return f"{answer.status_code} without a page: {answer.content[:80]!r}"
    return ""


def usual(route: str) -> str:
    """Who opens most of what stands there."""
    return "superuser" if route.startswith(("admin/", "door/")) else "buyer"


@pytest.fixture
def built() -> Iterator[Town]:
    logging.disable()  # a line of the log for each of the requests, most of them errors
    yield town()
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.promise("input-makes-error")
def test_no_input_makes_an_error_of_ours(part: int, built: Town) -> None:
    chance = random.Random(f"{SEED} {part}")
    clients = {name: built.client(name) for name in VISITORS}
    found = []
    for route in sorted(set(routes()))[part::PARTS]:
        stop = Stop(route, clients[usual(route)], chance)
        for attack in stop.attacks():
            for who in {usual(route)} | ({chance.choice(VISITORS)} if chance.random() < OTHERS else set()):
                problem = complaint(attack, attack.by(clients[who]))
                found += [f"{problem}: {who}: {attack}"] if problem else []
    assert not found, "\n".join(found)
