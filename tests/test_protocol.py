"""The protocol of states and locks: nobody else assigns a state, and locks are taken in one order everywhere."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction

from dev.shape import ROOMS
from events.models import CalendarEntry, Ticket, TicketType
from ledger.locking import ORDER
from orders.models import Order
from tests.factories import EventFactory, TicketTypeFactory
from tests.ledger.lives import a_checkout, a_ticket
from tests.ledger.watching import watched
from tests.payments.lived_in import live_in
from tests.simulator import SimulatorProcess

ROOT = Path(__file__).resolve().parent.parent
#: The one statement that moves a state.
HOME = "ledger/moves.py"
BORN = {"draft", "pending", "awaiting_payment", "new", "requested"}
GUARDED = {"CalendarEntry", "Ticket", "TicketType", "Order", "Checkout", "Refund", "ProductItem"}


# --- Nobody else assigns a state


def sources() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            # The simulator is SumUp: a process of its own, with states of its own and no database.
            if "/migrations/" not in name and not name.startswith("dev/simulator/"):
                yield name, path.read_text()


def assignments(source: str) -> Iterator[tuple[int, str]]:
    """(line, what) of each place in `source` where a state of a row is set by other means than a move."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Assign(targets=targets) if any(_is_state(target) for target in targets):
                yield node.lineno, "assigns .state"
            case ast.AugAssign(target=target) | ast.AnnAssign(target=target) if _is_state(target):
                yield node.lineno, "assigns .state"
            case ast.Call():
                yield from ((node.lineno, what) for what in _calls(node))
            case ast.Constant(value=str(text)) if re.search(r"\bUPDATE\b.*\bSET\b.*\bstate\b", text, re.DOTALL):
                yield node.lineno, "sets a state by SQL"


def _is_state(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr="state"):
            return True
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return any(_is_state(part) for part in parts)
    return False


def _calls(call: ast.Call) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    names_state = any(isinstance(argument, ast.Constant) and argument.value == "state" for argument in call.args)
    if name == "update" and "state" in keywords:
        yield "updates a state"
    if name == "update" and None in keywords and isinstance(call.func, ast.Attribute):
        yield "updates columns that nobody can read here"
    if name == "setattr" and names_state:
        yield "assigns .state"
    if name == "bulk_update" and "state" in ast.unparse(call):
        yield "updates a state"
    if name == "save" and "'state'" in ast.unparse(call):
        yield "saves a state"
    if (name in GUARDED or name.endswith("create")) and "state" in keywords and not _is_born(keywords["state"]):
        yield "makes a row in a later state"


def _is_born(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=str(word)) | ast.Attribute(attr=word):
            return word.lower() in BORN
    return False


@pytest.mark.promise("only-guarded-move")
def test_nobody_but_a_move_assigns_a_state() -> None:
    found = [f"{name}:{line} {what}" for name, text in sources() for line, what in assignments(text) if name != HOME]
    assert found == []


def test_nobody_but_the_arrows_moves() -> None:
    """Each room's transitions.py has a function for each arrow; whoever moves a row calls that."""
    movers = {name for name, text in sources() if re.search(r"^from ledger\.moves import", text, re.MULTILINE)}
    assert movers == {"events/transitions.py", "orders/transitions.py", "payments/transitions.py"}


def test_a_move_does_assign_a_state() -> None:
    assert [what for _line, what in assignments((ROOT / HOME).read_text())] != []


@pytest.mark.parametrize(
    "source",
    [
        "ticket.state = 'confirmed'",
        "a, ticket.state = 1, 'confirmed'",
        "ticket.state += 'x'",
        "Ticket.objects.filter(pk=1).update(state='confirmed')",
        "rows.update(**changes)",
        "setattr(ticket, 'state', 'confirmed')",
        "Ticket.objects.bulk_update(rows, ['state'])",
        "ticket.save(update_fields=['state'])",
        "Ticket(state='confirmed')",
        "Ticket.objects.create(state=TicketState.CONFIRMED)",
        "Ticket.objects.create(state=state)",
        "cursor.execute('UPDATE events_ticket SET price = 1, state = %s')",
    ],
)
def test_walk_finds_each_way_to_assign_a_state(source: str) -> None:
    assert list(assignments(source))


@pytest.mark.parametrize(
    "source",
    [
        "rows.update(price=1)",
        "CalendarEntry(state=EntryState.PENDING)",
        "Order.objects.create(state='awaiting_payment')",
        "rows.filter(state='confirmed')",
        "state = ticket.state",
        "{'a': 1}.update(b=2)",
    ],
)
def test_walk_lets_be_what_assigns_none(source: str) -> None:
    assert not list(assignments(source))


# --- Nothing saves a whole row that has a state or a counter


def whole_saves(source: str) -> Iterator[int]:
    """Lines where a model's .save() writes every column of a row that may be there already."""
    for node in ast.walk(ast.parse(source)):
        match node:
            # A save with a positional argument is a file's.
            case ast.Call(func=ast.Attribute(value=on, attr="save"), args=[], keywords=keywords):
                said = {keyword.arg for keyword in keywords}
                if not said & {"update_fields", "force_insert"} and not re.search(r"super\(\)|form", ast.unparse(on)):
                    yield node.lineno


def test_nothing_saves_a_row_whole() -> None:
    rooms = ("cart/", "events/", "market/", "orders/", "payments/")
    found = [f"{name}:{line}" for name, text in sources() if name.startswith(rooms) for line in whole_saves(text)]
    assert found == []


def test_walk_finds_a_whole_save() -> None:
    assert list(whole_saves("ticket.save()")) == [1]
    for harmless in ("ticket.save(update_fields=['holder'])", "ticket.save(force_insert=True)", "picture.save(path)"):
        assert list(whole_saves(harmless)) == []


# --- No module of ours is named by a string

#: Where Django, or the queue's table, asks for names: what to load, which address leads where, which job a row is of.
NAMES = {"config/settings.py", "config/urls.py", "config/wsgi.py", "config/keeping.py"}
DOTTED = re.compile(rf"({'|'.join(ROOMS)})(\.\w+)+(:\w+)?")
BY_NAME = {"configure_task", "import_string", "import_module", "__import__"}


def named_by_string(source: str) -> Iterator[tuple[int, str]]:
    """(line, what) of each string that names a module of ours, and of each call that finds something by its name.

    A job says its name where it is made, and a key of a model above says which ("orders.Order").
    """
    allowed = set[int]()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr="task"), keywords=keywords):
                allowed |= {id(keyword.value) for keyword in keywords if keyword.arg == "name"}
            case ast.Call(func=ast.Attribute(value=ast.Name(id="models")), args=[model, *_rest]):
                allowed.add(id(model))
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in BY_NAME:
                yield node.lineno, name
            case ast.Constant(value=str(text)) if DOTTED.fullmatch(text) and id(node) not in allowed:
                yield node.lineno, text


def test_no_module_is_named_by_a_string() -> None:
    product = [(name, text) for name, text in sources() if name not in NAMES and not name.startswith("dev/")]
    assert [f"{name}:{line} {what}" for name, text in product for line, what in named_by_string(text)] == []


@pytest.mark.parametrize(
    "source",
    [
        'JOB = "payments.refund_jobs.send_refund"',
        'app.configure_task(JOB, queue="payments")',
        'import_string("x")',
        'importlib.import_module(f"{room}.jobs")',
        'app.task(queue="events.jobs")',
    ],
)
def test_walk_finds_each_way_to_name_a_module(source: str) -> None:
    assert list(named_by_string(source))


@pytest.mark.parametrize(
    "source",
    [
        '@app.task(name="payments.jobs.sweep", queue="payments")\ndef sweep(): ...',
        'models.ForeignKey("orders.Order", models.PROTECT)',
        'reverse("admin:payments_owed")',
        '"""As events.jobs does."""',
    ],
)
def test_walk_lets_be_what_names_no_module(source: str) -> None:
    assert not list(named_by_string(source))


# --- The worker knows each job, by the name that it has for ever: workers of two versions take from one queue

JOBS = [
    "accounts.jobs.clear_expired",
    "config.jobs.clear_finished",
    "events.jobs.lapse_carts",
    "events.jobs.tell_about_booking",
    "events.jobs.tell_called_off",
    "events.jobs.tell_moved",
    "events.jobs.tell_new_holder",
    "events.jobs.tell_other_time",
    "events.jobs.tidy_pictures",
    "market.jobs.lapse_items",
    "orders.jobs.remind_unpaid",
    "orders.jobs.send_confirmation",
    "orders.jobs.tell_lapsed",
    "orders.jobs.tell_unpaid",
    "payments.jobs.ask_about",
    "payments.jobs.rescue",
    "payments.jobs.sweep",
    "payments.mails.tell_mismatch",
    "payments.mails.tell_refund",
    "payments.mails.tell_surplus",
    "payments.owed_jobs.remind",
    "payments.owed_jobs.tell_called_off",
    "payments.owed_jobs.tell_owed",
    "payments.reconcile_jobs.clear",
    "payments.reconcile_jobs.reconcile_hourly",
    "payments.refund_jobs.run_batch",
    "payments.refund_jobs.send_owed",
    "payments.refund_jobs.send_refund",
    "payments.refund_jobs.sweep_refunds",
]
LIST_TASKS = """
import django
django.setup()
from procrastinate.contrib.django import app
print(*(name for name in app.tasks if "builtin" not in name))
"""


def test_the_worker_knows_each_job_by_its_name() -> None:
    """In a process of its own: here other tests have imported what the worker may not find."""
    command = [sys.executable, "-c", LIST_TASKS]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    output = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout  # noqa: S603
    assert sorted(output.split()) == JOBS


# --- One order of locks


def test_the_order_is_the_one_that_is_agreed() -> None:
    assert [table.split("_")[1] for table in ORDER[:5]] == ["user", "order", "checkout", "refund", "calendar"]
    assert ORDER[5:] == (
        *("events_calendarentry", "events_tickettype", "market_product"),  # what the sold counts against
        *("events_ticket", "market_productitem"),
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("locks-taken-one")
def test_use_cases_lock_in_order_and_before_they_change(sumup: SimulatorProcess) -> None:
    with watched() as watch:
        live_in(sumup, typed=True)
    assert watch.breaches == []
    assert {
        ("INSERT", "events_ticket"),  # buy
        ("DELETE", "events_ticket"),  # remove
        ("LOCK", "accounts_user"),
        ("INSERT", "orders_order"),  # place
        ("LOCK", "events_calendarentry"),
        ("LOCK", "events_tickettype"),
        ("LOCK", "events_calendar"),
        ("LOCK", "market_product"),
        ("INSERT", "market_productitem"),
        ("UPDATE", "market_productitem"),
        ("UPDATE", "events_ticket"),  # claim, fulfil, release
        ("INSERT", "payments_checkout"),  # open
        ("UPDATE", "payments_checkout"),  # settle
        ("INSERT", "payments_refund"),  # pay back
        ("UPDATE", "payments_refund"),  # sent, succeeded, unknown
        ("UPDATE", "orders_order"),  # fulfil, release
    } <= set(watch.seen)


@pytest.mark.django_db(transaction=True)
def test_watch_finds_a_change_before_its_lock() -> None:
    ticket = a_ticket("reserved", ticket_type=TicketTypeFactory.create())
    with watched() as watch, transaction.atomic():
        list(Ticket.objects.filter(pk=ticket.pk).locked())
        Ticket.objects.filter(pk=ticket.pk).update(state="confirmed")
    assert watch.breaches == [
        "UPDATE of events_ticket before the lock on events_calendarentry, events_tickettype, orders_order"
    ]


@pytest.mark.django_db(transaction=True)
def test_watch_finds_locks_against_the_order() -> None:
    a_ticket("reserved", ticket_type=TicketTypeFactory.create())
    with watched() as watch, transaction.atomic():
        list(TicketType.objects.all().locked())
        list(CalendarEntry.objects.select_related("calendar").locked())
        list(Order.objects.all().locked())
    assert watch.breaches == [
        "events_calendarentry is locked after events_tickettype",
        "orders_order is locked after events_tickettype, events_calendarentry",
    ]


@pytest.mark.django_db(transaction=True)
def test_watch_forgets_locks_with_their_transaction() -> None:
    EventFactory.create()
    with watched() as watch:
        with transaction.atomic():
            list(CalendarEntry.objects.all().locked())
        with transaction.atomic():
            list(Order.objects.all().locked())
    assert watch.breaches == []


@pytest.mark.django_db(transaction=True)
def test_watch_finds_a_state_that_moves_outside_a_transaction() -> None:
    checkout = a_checkout("open")
    with watched() as watch:
        type(checkout).objects.filter(pk=checkout.pk).update(sumup_status="PENDING")
        assert watch.breaches == []
        type(checkout).objects.filter(pk=checkout.pk).update(state="expired")
    assert watch.breaches == ["payments_checkout changes its state outside a transaction"]
