"""`python -m dev.simulator`: starts the simulator, and says on its first line where it answers."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from dev.simulator.api import Api
from dev.simulator.faults import Faults
from dev.simulator.ledger import Ledger
from dev.simulator.rows import Merchant
from dev.simulator.server import Simulator
from dev.simulator.till import Till
from dev.simulator.webhooks import Webhooks

DEMO_MERCHANTS = [
    "MDEMO001,sup_sk_demo_MDEMO001,EUR,Demo Merchant One",
    "MDEMO002,sup_sk_demo_MDEMO002,EUR,Demo Merchant Two",
]


def merchant_from(text: str) -> Merchant:
    """CODE,KEY,CURRENCY,NAME; the name may hold commas."""
    parts = [part.strip() for part in text.split(",", 3)]
    if len(parts) != 4 or not all(parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not CODE,KEY,CURRENCY,NAME")
    return Merchant(*parts)


def speed_from(text: str) -> float:
    speed = float(text)
    if not 0 < speed <= 1_000_000:
        raise argparse.ArgumentTypeError("the speed is above 0")
    return speed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options, for this module and for the management command alike."""
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001, help="0 takes a free one")
    parser.add_argument("--public-url", default="", help="how browsers reach the hosted page, if not by host and port")
    parser.add_argument("--ledger", type=Path, help="the file that remembers; nothing is kept without it")
    parser.add_argument("--speed", type=speed_from, default=60, help="webhook retries run so many times faster")
    parser.add_argument("--magic-amounts", action="store_true", help="11, 42.01, 42.76 and 42.91 are declined")
    parser.add_argument(
        "--merchant",
        type=merchant_from,
        action="append",
        metavar="CODE,KEY,CURRENCY,NAME",
        help=f"may be repeated; default: {' and '.join(DEMO_MERCHANTS)}",
    )


def build(options: argparse.Namespace) -> Simulator:
    """A simulator that is bound to its port and furnished, not yet serving."""
    merchants = {row.code: row for row in options.merchant or map(merchant_from, DEMO_MERCHANTS)}
    server = Simulator((options.host, options.port))
    ledger = Ledger(options.ledger)
    webhooks = Webhooks(ledger, options.speed)
    faults = Faults()
    till = Till(ledger, webhooks.notify, magic_amounts=options.magic_amounts)
    public_url = options.public_url.rstrip("/") or f"http://{options.host}:{server.server_port}"
    server.furnish(till, merchants, faults, Api(till, merchants, faults, webhooks, public_url))
    return server


def serve(options: argparse.Namespace) -> None:
    """Runs until it is told to stop."""
    try:
        server = build(options)
    except (OSError, OverflowError) as error:
        raise SystemExit(f"The simulator cannot start on {options.host}:{options.port}: {error}") from error
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    sys.stdout.write(f"SumUp simulator on http://{options.host}:{server.server_port}\n")
    sys.stdout.flush()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.stdout.write("\n")
    finally:
        server.server_close()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.simulator", description=__doc__)
    add_arguments(parser)
    serve(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
