"""What must not grow: a page's cost and queries with the database, the memory of reconcile with what is open."""

import resource
import time
from collections.abc import Callable

from django.db import connection

from benchmarks.buyer import FIELD, Buyer
from benchmarks.world import SIMULATOR, WEB, World

HOST = f"127.0.0.1:{WEB}"
#: A page of the list full, so that size is compared and not the number of rows shown.
FEW = 30
#: How often each page is asked for: CPU is counted in hundredths of a second.
ASKED = 60


def pages(world: World, buyer: Buyer, order_path: str, entry_path: str, *, entries: int, tickets: int) -> None:
    """CPU of each page with few entries and with many, and the queries of an order in both."""
    from benchmarks.filling import fill
    from events.models import CalendarEntry
    from orders.models import Order

    entry = CalendarEntry.objects.get(pk=int(entry_path.split("/")[2].partition("-")[0]))
    order = Order.objects.get(code=order_path.split("/")[2])
    addresses = ["/", "/p/bench/", "/p/bench/stage/", entry_path, "/cart/", "/orders/", order_path, "/tickets/"]
    few = [cost(world, buyer, address) for address in addresses]
    asked_few = queries(entry)
    began = time.perf_counter()
    fill(entry, order, entries=entries, tickets=tickets)
    seconds = time.perf_counter() - began
    print(f"\nCPU of a page in web server and database, ms ({tickets} tickets, made in {seconds:.0f} s)")
    print(f"  {'':24} {FEW:>8} {entries:>8} entries")
    for address, before in zip(addresses, few, strict=True):
        after = cost(world, buyer, address)
        name = {entry_path: "an event", order_path: "an order"}.get(address, address)
        print(f"  {name:24} {before * 1000:8.1f} {after * 1000:8.1f}   ratio {after / before:.2f}  (aim: 1.2 at most)")
    print("\nQueries a request, 1 ticket and 10, before and after")
    for (name, small), (_name, large) in zip(asked_few.items(), queries(entry).items(), strict=True):
        print(f"  {name:24} {small} {large}")


def cost(world: World, buyer: Buyer, address: str) -> float:
    """CPU-seconds of one answer."""
    buyer.connection.close()  # the server may have left it meanwhile
    for _warm in range(8):
        buyer.expect(200, "GET", address)
    before = world.web_and_database()
    for _turn in range(ASKED):
        buyer.expect(200, "GET", address)
    return (world.web_and_database() - before) / ASKED


def queries(entry: object) -> dict[str, list[int]]:
    """Statements of each request of an order, in a process with the same database and the same simulator.

    Without those that only begin or end a transaction.
    """
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from accounts.models import User
    from benchmarks.buyer import SumUp
    from events.models import CalendarEntry
    from orders.models import Order
    from payments.models import Checkout

    assert isinstance(entry, CalendarEntry)
    found: dict[str, list[int]] = {}

    def count(name: str, ask: Callable[[], object]) -> None:
        with CaptureQueriesContext(connection) as captured:
            ask()
        no_question = ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")
        number = sum(not str(query["sql"]).startswith(no_question) for query in captured.captured_queries)
        found.setdefault(name, []).append(number)

    for quantity in ("1", "10"):
        user = User.objects.create(email=f"queries{User.objects.count()}@example.org")
        client = Client(headers={"host": HOST})
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        buy = f"/e/{entry.pk}/buy/"
        count("event page", lambda client=client: client.get(entry.get_absolute_url()))  # type: ignore[misc]
        count("buy", lambda client=client, buy=buy, q=quantity: client.post(buy, {"quantity-0": q}))  # type: ignore[misc]
        count("cart", lambda client=client: client.get("/cart/"))  # type: ignore[misc]
        form = dict(FIELD.findall(client.get("/cart/").content.decode()))
        count("checkout", lambda client=client, form=form: client.post("/checkout/", form))  # type: ignore[misc]
        checkout = Checkout.objects.get(order__user=user)
        SumUp(f"127.0.0.1:{SIMULATOR}", HOST).pay(checkout.hosted_url)
        hint = {"id": checkout.sumup_id}
        count(
            "webhook",
            lambda client=client, hint=hint: client.post("/payments/sumup/webhook/", hint, "application/json"),  # type: ignore[misc]
        )
        path = Order.objects.get(user=user, state="paid").get_absolute_url()
        count("order page", lambda client=client, path=path: client.get(path))  # type: ignore[misc]
    return found


def reconciling(order_path: str, *, checkouts: int) -> None:
    """Reconcile of so many open checkouts: its memory after a tenth of them and in the end, and its pace."""
    from benchmarks.buyer import SumUp
    from benchmarks.filling import opened
    from orders.models import Order
    from payments.reconcile.pace import Pace
    from payments.reconcile.round import Round
    from payments.reconcile.running import reconcile

    order = Order.objects.get(code=order_path.split("/")[2])
    sumup = SumUp(f"127.0.0.1:{SIMULATOR}", HOST)
    opened(order, [sumup.create(f"open-{number}", str(order.total)) for number in range(checkouts)])
    memory: list[int] = []

    def progress(_step: str, done: int, of: int | None) -> None:
        if not memory and of and done * 10 >= of:
            memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    pace, began, used = Pace(200), time.perf_counter(), time.process_time()
    row = reconcile(Round(pace=pace, progress=progress), who="bench")
    seconds, used = time.perf_counter() - began, time.process_time() - used
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory[0]) / 1024
    print(f"\nReconcile of {checkouts} open checkouts: {row.counts.get('asked about', 0)} asked about, {row.outcome}")
    print(
        f"  {pace.asked / seconds:.0f} questions a second (at most 200), {used / checkouts * 1000:.1f} ms of CPU each"
    )
    print(f"  {grown:.1f} MiB more memory in the end than after a tenth of them")
