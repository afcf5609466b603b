"""SumUp's calls to return_url: one per change of status, repeated on anything but 2xx, never signed."""

import heapq
import http.client
import json
import threading
import time
import uuid
from urllib.parse import urlsplit

from dev.simulator.ledger import Ledger
from dev.simulator.rows import Checkout, Webhook

RETRIES = (60, 300, 1200, 7200)  # seconds after a failed delivery, divided by the speed
SENDERS = 4
TIMEOUT = 10
HELD_BACK = 2.0


class Webhooks:
    """Deliveries by a few threads. `mode` is on, never, twice, late:<seconds>, early or out_of_order."""

    def __init__(self, ledger: Ledger, speed: float) -> None:
        self.ledger = ledger
        self.speed = speed
        self.mode = "on"
        self._due: list[tuple[float, int, str]] = []
        self._count = 0
        self._changed = threading.Condition()
        for number in range(SENDERS):
            threading.Thread(target=self._work, name=f"webhooks-{number}", daemon=True).start()
        for row in list(ledger.webhooks.values()):
            if self._unfinished(row):
                self._schedule(row.id, self._pause(row))

    def notify(self, checkout: Checkout) -> None:
        """Sends word of a changed checkout, in the way that the mode says."""
        if self.mode == "never" or not checkout.return_url:
            return
        first = self._note(checkout)
        if self.mode.startswith("late:"):
            self._schedule(first, float(self.mode.partition(":")[2] or 1))
        elif self.mode == "out_of_order":
            self._release_held(after=first)
        else:
            self._schedule(first, 0)
            if self.mode == "twice":
                self._schedule(self._note(checkout), 0)

    def announce(self, checkout: Checkout) -> None:
        """In the mode `early`: calls before the answer to create is out, and waits for it."""
        if self.mode == "early" and checkout.return_url:
            self._deliver(self._note(checkout))

    def clear(self) -> None:
        with self._changed:
            self._due.clear()
            self.mode = "on"

    def _note(self, checkout: Checkout) -> str:
        with self.ledger.lock:
            created = self.ledger.now().isoformat(timespec="milliseconds")
            row = Webhook(str(uuid.uuid4()), checkout.id, checkout.return_url, checkout.status, created)
            self.ledger.write(row)
        return row.id

    def _schedule(self, webhook_id: str, seconds: float) -> None:
        with self._changed:
            self._count += 1
            heapq.heappush(self._due, (time.monotonic() + seconds, self._count, webhook_id))
            self._changed.notify()

    def _release_held(self, *, after: str) -> None:
        """The newest goes out at once; older ones still held back follow it; a lone one waits a while."""
        with self._changed:
            older = [webhook_id for _moment, _count, webhook_id in self._due]
            self._due.clear()
        self._schedule(after, 0 if older else HELD_BACK)
        for webhook_id in older:
            self._schedule(webhook_id, 0.3)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                webhook_id = heapq.heappop(self._due)[2]
            self._deliver(webhook_id)

    def _deliver(self, webhook_id: str) -> None:
        row = self.ledger.webhooks.get(webhook_id)
        if row is None:
            return
        started = time.monotonic()
        status, words = _post(row.url, {"event_type": "CHECKOUT_STATUS_CHANGED", "id": row.checkout_id})
        with self.ledger.lock:
            if webhook_id not in self.ledger.webhooks:
                return  # reset meanwhile
            row.attempts.append(
                {
                    "at": self.ledger.now().isoformat(timespec="milliseconds"),
                    "status": status,
                    "words": words,
                    "seconds": round(time.monotonic() - started, 4),
                }
            )
            self.ledger.write(row)
        if self._unfinished(row):
            self._schedule(row.id, self._pause(row))

    @staticmethod
    def _unfinished(row: Webhook) -> bool:
        accepted = bool(row.attempts) and 200 <= int(row.attempts[-1]["status"]) < 300
        return not accepted and len(row.attempts) <= len(RETRIES)

    def _pause(self, row: Webhook) -> float:
        return RETRIES[len(row.attempts) - 1] / self.speed if row.attempts else 0


def _post(url: str, body: dict[str, str]) -> tuple[int, str]:
    """The status of the answer, or 0 and what went wrong."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            return connection.getresponse().status, ""
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        return 0, f"{type(error).__name__}: {error}"[:200]
