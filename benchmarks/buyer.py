"""A buyer's browser, as lean as can be: it shares the machine with what is measured."""

import http.client
import json
import re
import time
from urllib.parse import urlencode, urlsplit

FIELD = re.compile(r'name="(token|digest)" value="([^"]*)"')
TIME = re.compile(r'name="time" value="([^"]*)"')
MERCHANT, KEY = "MDEMO001", "sup_sk_demo_MDEMO001"
HOSTED = {"hosted_checkout": {"enabled": True}}


class Unexpected(Exception):
    """An answer that no buyer should get."""


class Buyer:
    """One signed-in buyer with a connection of their own; `timings` are the seconds of each request."""

    def __init__(self, host: str, session: str, csrf: str) -> None:
        self.connection = http.client.HTTPConnection(host, timeout=300)
        self.cookies = f"sessionid={session}; csrftoken={csrf}"
        self.csrf = csrf
        self.timings: list[float] = []

    def ask(
        self, method: str, path: str, data: dict[str, str] | None = None, *, htmx: bool = False
    ) -> tuple[int, str, str]:
        headers = {"Cookie": self.cookies, "Accept": "text/html"}
        body = None
        if data is not None:
            body = urlencode(data | {"csrfmiddlewaretoken": self.csrf})
            headers |= {"Content-Type": "application/x-www-form-urlencoded"}
        if htmx:
            headers["HX-Request"] = "true"
        started = time.perf_counter()
        self.connection.request(method, path, body, headers)
        with self.connection.getresponse() as answer:  # the last one on a connection holds its socket
            text = answer.read().decode()
        self.timings.append(time.perf_counter() - started)
        return answer.status, text, answer.headers.get("Location", "")

    def expect(
        self, status: int, method: str, path: str, data: dict[str, str] | None = None, *, htmx: bool = False
    ) -> str:
        got, text, location = self.ask(method, path, data, htmx=htmx)
        if got != status:
            raise Unexpected(f"{method} {path}: {got} {location} {text[:300]}")
        return location if status == 303 else text

    def fill_cart(self, entry_path: str, entry: int, tickets: int) -> str:
        """Event page, buy, cart; the cart's page."""
        self.expect(200, "GET", entry_path)
        self.expect(200, "POST", f"/e/{entry}/buy/", {"quantity-0": str(tickets)}, htmx=True)
        return self.expect(200, "GET", "/cart/")

    def fill_mixed_cart(self, entry_path: str, entry: int, tickets: int, room_path: str, product_path: str) -> str:
        """Tickets, the first free time of a room, a product: each from its page; the cart's page."""
        self.expect(200, "GET", entry_path)
        self.expect(200, "POST", f"/e/{entry}/buy/", {"quantity-0": str(tickets)}, htmx=True)
        times = TIME.findall(self.expect(200, "GET", room_path))
        if not times:
            raise Unexpected("the room shows no free time")
        self.expect(200, "POST", f"{room_path}book/", {"time": times[0]}, htmx=True)
        self.expect(200, "GET", product_path)
        self.expect(200, "POST", f"{product_path}buy/", {"quantity": "1"}, htmx=True)
        return self.expect(200, "GET", "/cart/")

    def check_out(self, cart: str) -> str | None:
        """The hosted page's address; None when the seats were gone (a 422 that names the line)."""
        fields = dict(FIELD.findall(cart))
        if "token" not in fields:
            return None  # the cart itself says that nothing of it can be had any more
        status, text, location = self.ask("POST", "/checkout/", fields)
        if status == 303:
            return location
        if status == 422 and 'class="alert' in text:
            return None
        raise Unexpected(f"POST /checkout/: {status} {text[:300]}")


class SumUp:
    """The simulator's controls, and its webhook sent by us, so that a run is the same each time."""

    def __init__(self, simulator: str, web: str) -> None:
        self.simulator = http.client.HTTPConnection(simulator, timeout=60)
        self.web = http.client.HTTPConnection(web, timeout=60)

    def mute(self) -> None:
        """No webhooks of the simulator's own."""
        self._control("faults", {"webhook": "never"})

    def _control(self, path: str, body: dict[str, str]) -> None:
        self.simulator.request("POST", f"/simulator/{path}", json.dumps(body), {"Content-Type": "application/json"})
        with self.simulator.getresponse() as answer:
            answer.read()
        if answer.status != 200:
            raise Unexpected(f"simulator: {answer.status}")

    def create(self, reference: str, amount: str) -> tuple[str, str]:
        """An open checkout of the demo merchant: its reference and its id."""
        body = {"checkout_reference": reference, "amount": float(amount), "currency": "EUR", "merchant_code": MERCHANT}
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
        self.simulator.request("POST", "/v0.1/checkouts", json.dumps(body | HOSTED), headers)
        with self.simulator.getresponse() as answer:
            told = json.loads(answer.read())
        if answer.status != 201:
            raise Unexpected(f"simulator: {answer.status} {told}")
        return reference, told["id"]

    def pay(self, hosted_page: str) -> str:
        checkout = urlsplit(hosted_page).path.rpartition("/")[2]
        self._control(f"pay/{checkout}", {})
        return checkout

    def notify(self, checkout: str) -> float:
        """The webhook; the seconds that it took."""
        body = json.dumps({"event_type": "CHECKOUT_STATUS_CHANGED", "id": checkout})
        started = time.perf_counter()
        self.web.request("POST", "/payments/sumup/webhook/", body, {"Content-Type": "application/json"})
        with self.web.getresponse() as answer:
            answer.read()
        took = time.perf_counter() - started
        if answer.status == 503:  # the sweep asks about the same checkout at this moment: SumUp sends it again
            time.sleep(2.5)  # in SumUp's place, once the pause between two questions is over
            return took + self.notify(checkout)
        if answer.status != 204:
            raise Unexpected(f"webhook: {answer.status}")
        return took
