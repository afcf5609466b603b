"""The simulator's ledger: rows in memory, each change one line of JSON at the end of a file."""

import json
import threading
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from dev.simulator.rows import Checkout, Refund, Row, Transaction, Webhook

KINDS: dict[str, type[Row]] = {
    "checkout": Checkout,
    "transaction": Transaction,
    "refund": Refund,
    "webhook": Webhook,
}
NAMES = {kind: name for name, kind in KINDS.items()}


class Ledger:
    """Every row by id. Hold `lock` around reading and changing; call `write` after each change."""

    def __init__(self, path: Path | None) -> None:
        self.lock = threading.RLock()
        self.path = path
        self._file: IO[bytes] | None = None
        self._shift = timedelta(0)
        self._forget()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            self._replay(path)
            self._file = path.open("ab")

    def _forget(self) -> None:
        self.checkouts: dict[str, Checkout] = {}
        self.transactions: dict[str, Transaction] = {}
        self.refunds: dict[str, Refund] = {}
        self.webhooks: dict[str, Webhook] = {}
        self._refunds_of: dict[str, list[str]] = {}
        self.references: dict[tuple[str, str], str] = {}

    def now(self) -> datetime:
        """The simulator's clock, which may be shifted."""
        return datetime.now(UTC) + self._shift

    def shift(self, seconds: float) -> None:
        """Moves the clock on by so many seconds, or back; the shift is forgotten at a restart."""
        self._shift += timedelta(seconds=seconds)

    def write(self, row: Row) -> None:
        """Remembers a new or changed row, in memory and at the end of the file."""
        self._keep(row)
        if self._file is not None:
            line = json.dumps([NAMES[type(row)], asdict(row)], separators=(",", ":"))
            self._file.write(line.encode() + b"\n")
            self._file.flush()

    def refunds_of(self, transaction_id: str) -> list[Refund]:
        """Refunds and chargebacks of a transaction, oldest first."""
        return [self.refunds[refund_id] for refund_id in self._refunds_of.get(transaction_id, [])]

    def reset(self) -> None:
        """Empties the ledger and its file, and sets the clock right."""
        with self.lock:
            self._forget()
            self._shift = timedelta(0)
            if self._file is not None:
                self._file.truncate(0)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _keep(self, row: Row) -> None:
        if isinstance(row, Checkout):
            self.checkouts[row.id] = row
            self.references[row.merchant_code, row.reference] = row.id
        elif isinstance(row, Transaction):
            self.transactions[row.id] = row
        elif isinstance(row, Refund):
            if row.id not in self.refunds:
                self._refunds_of.setdefault(row.transaction_id, []).append(row.id)
            self.refunds[row.id] = row
        else:
            self.webhooks[row.id] = row

    def _replay(self, path: Path) -> None:
        """Reads the file again; a last line that a crash cut short is cut off, any other bad line stops the start."""
        good = 0
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    if not line.endswith(b"\n"):
                        break
                    name, facts = json.loads(line)
                    self._keep(KINDS[name](**facts))
                except (ValueError, KeyError, TypeError) as error:
                    raise SystemExit(f"{path}, line {number}: not a line of this ledger ({error}).") from error
                good += len(line)
        if good != path.stat().st_size:
            with path.open("r+b") as file:
                file.truncate(good)
