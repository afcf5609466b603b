"""An event with sold tickets that is called off or moved: its tickets, the money, the mails."""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from io import BytesIO

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

import events.organising.calling_off
import orders.fulfilling
import orders.placing
from events.models import CalendarEntry, Role, Ticket
from events.organising.calling_off import Effect, call_off
from events.tickets.handing_on import send_on
from events.transitions import mark_checked_in
from ledger.arrows import IllegalTransition
from ledger.models import History
from ledger.money import Money
from orders.models import Order
from orders.placing import CartChanged, ShortLines
from payments.books.checking import read_books
from payments.checkouts.ending import release
from payments.checkouts.settling import settle
from tests.desk import House, answered, change, house, member, question_at, sent, signed_in_as
from tests.factories import EventFactory, UserFactory
from tests.pictures import drawn, encoded
from tests.races.threads import at_once, in_a_thread
from tests.simulator import SimulatorProcess
from tests.steps import fill, held, later, opened, order_cart, ordered, paid_at_sumup, states_of, sumup_id

pytestmark = pytest.mark.django_db


@pytest.fixture
def home() -> House:
    return house("Alpha", sold=3)


def states(home: House) -> list[str]:
    return states_of(home.order)


def jobs(name: str) -> int:
    return ProcrastinateJob.objects.filter(task_name=f"events.jobs.{name}").count()


def test_the_preview_says_what_it_would_do_and_does_nothing(organiser: Client, home: House) -> None:
    page = " ".join(organiser.get(change(home.entry, "move/call-off/")).content.decode().split())

    assert "3 valid tickets, worth € 36.00, open no door any more (orders: 1)." in page
    assert states(home) == ["confirmed"] * 3


@pytest.mark.parametrize(("money", "state"), [("back", "refund_due"), ("kept", "cancelled")])
def test_with_and_without_money_back(organiser: Client, home: House, money: str, state: str) -> None:
    mark_checked_in([home.ticket.pk], at=timezone.now())
    address = change(home.entry, "move/call-off/")

    for _click in range(2):
        organiser.post(address, {"money": money, "reason": "The singer is ill."})

    home.entry.refresh_from_db()
    assert (home.entry.state, home.entry.held, states(home)) == ("cancelled", 0, [state] * 3)
    assert jobs("tell_called_off") == 1
    row = History.objects.get(subject="calendarentry", subject_id=home.entry.pk, new="cancelled")
    assert row.reason == "The singer is ill."
    assert Order.objects.get(pk=home.order.pk).total == 36


@pytest.mark.parametrize(
    "data", [{}, {"money": "back"}, {"money": "x", "reason": "y"}, {"money": "back", "reason": " "}]
)
def test_without_a_reason_nothing_is_called_off(organiser: Client, home: House, data: dict[str, str]) -> None:
    assert organiser.post(change(home.entry, "move/call-off/"), data).status_code == 422
    assert states(home) == ["confirmed"] * 3


def test_others_call_nothing_off(home: House) -> None:
    data = {"money": "kept", "reason": "Mine."}
    for user, status in [(member((house("Beta").page, Role.OWNER)), 404), (member((home.page, Role.BOX_OFFICE)), 403)]:
        assert signed_in_as(user).post(change(home.entry, "move/call-off/"), data).status_code == status
    assert states(home) == ["confirmed"] * 3


def test_free_tickets_are_cancelled_for_nothing_is_owed(merchant: object) -> None:
    entry = EventFactory.create(ticket_price=0)
    order = ordered(entry, 2)

    effect = call_off(entry.pk, money_back=True, who="user:1", why="Rain.")

    assert (effect, states_of(order)) == (Effect(2, 1, Money(Decimal(0), "EUR"), 0), ["cancelled"] * 2)


def test_buyer_and_receiver_are_told_each_for_themselves(home: House) -> None:
    send_on(home.ticket, to="jo@example.org", holder="", who="user:1", at=timezone.now())
    call_off(home.entry.pk, money_back=True, who="user:1", why="Rain.")
    mail.outbox.clear()
    events.organising.mails.tell_called_off(entry_id=home.entry.pk, order_id=home.order.pk)

    told = {sent.to[0]: str(sent.body) for sent in mail.outbox}
    assert set(told) == {"alpha-buyer@example.org", "jo@example.org"}
    assert "We owe you € 36.00" in told["alpha-buyer@example.org"]
    assert "€" not in told["jo@example.org"]
    assert len({sent.extra_headers["Message-ID"] for sent in mail.outbox}) == 2


def test_holders_are_told_of_a_new_time(organiser: Client, home: House) -> None:
    address = change(home.entry)
    data = sent(organiser, address)
    data |= {"starts_at": "2027-06-01T20:00", "ends_at": "2027-06-01T22:00", "place": "The barn"}

    answer = answered(organiser, address, data, tell="send")

    assert "1 buyer is told by mail." in answer.content.decode()
    job = ProcrastinateJob.objects.get(task_name="events.jobs.tell_moved")
    mail.outbox.clear()
    events.organising.mails.tell_moved(**job.args)
    (told,) = mail.outbox
    assert "It is now: Tuesday 1 June 2027, 20:00–22:00 CEST, The barn" in str(told.body)
    assert [name for name, _content, _kind in told.attachments] == ["event.ics"]
    assert states(home) == ["confirmed"] * 3


def test_other_changes_tell_nobody(organiser: Client, home: House) -> None:
    address = change(home.entry)
    organiser.post(address, sent(organiser, address, title="Alpha night, renamed", capacity=20))

    assert jobs("tell_moved") == 0


MOVED = {"starts_at": "2027-06-01T20:00", "ends_at": "2027-06-01T22:00", "place": "The barn"}


def test_a_move_is_asked_about_with_whom_it_hits(organiser: Client, home: House) -> None:
    question = question_at(organiser, change(home.entry), sent(organiser, change(home.entry), **MOVED))

    said = " ".join(question.words)
    assert "Sold: 3 valid tickets (orders: 1); being paid: 0." in said
    assert "It will be: Tue 1 Jun 2027, 20:00 – Tue 1 Jun 2027, 22:00, The barn." in said
    assert CalendarEntry.objects.get(pk=home.entry.pk).place == ""
    assert jobs("tell_moved") == 0


@pytest.mark.promise("event-tickets-neither")
def test_moved_there_and_back_without_a_mail_nobody_is_told(organiser: Client, home: House) -> None:
    data = sent(organiser, change(home.entry))
    for values in (data | MOVED, data):
        answered(organiser, change(home.entry), values, tell="silent")
    entry = CalendarEntry.objects.get(pk=home.entry.pk)
    assert entry.starts_at == home.entry.starts_at.replace(second=0, microsecond=0)
    assert (entry.place, jobs("tell_moved")) == ("", 0)


@pytest.mark.parametrize("choices", [{}, {"tell": "perhaps"}])
def test_without_the_choice_it_does_not_move(organiser: Client, home: House, choices: dict[str, str]) -> None:
    data = sent(organiser, change(home.entry), **MOVED)
    assert answered(organiser, change(home.entry), data, **choices).status_code == 422
    assert CalendarEntry.objects.get(pk=home.entry.pk).place == ""


def test_an_event_without_tickets_moves_at_once(organiser: Client, home: House) -> None:
    entry = EventFactory.create(calendar=home.entry.calendar)
    assert organiser.post(change(entry), sent(organiser, change(entry), **MOVED)).status_code == 302


def test_a_later_end_alone_is_told_as_one(organiser: Client, home: House) -> None:
    data = sent(organiser, change(home.entry), ends_at="2027-06-01T23:00")
    answered(organiser, change(home.entry), data, tell="send")
    mail.outbox.clear()
    events.organising.mails.tell_moved(**ProcrastinateJob.objects.get(task_name="events.jobs.tell_moved").args)
    old, new = re.findall(r"It (?:was|is now): (.+)", str(mail.outbox[0].body))
    later = "Tuesday 1 June 2027, 23:00 CEST"
    assert (later in old, later in new) == (False, True)


@pytest.mark.promise("event-tickets-neither")
def test_an_event_with_tickets_is_not_hidden_quietly(organiser: Client, home: House) -> None:
    data = {name: value for name, value in sent(organiser, change(home.entry)).items() if name != "is_published"}
    question = question_at(organiser, change(home.entry), data)
    assert "Hidden, it is seen by no visitor" in " ".join(question.words)
    assert "call it off instead" in " ".join(question.words)
    assert CalendarEntry.objects.get(pk=home.entry.pk).is_published
    answered(organiser, change(home.entry), data)
    assert not CalendarEntry.objects.get(pk=home.entry.pk).is_published
    assert (states(home), jobs("tell_moved")) == (["confirmed"] * 3, 0)
    empty = EventFactory.create(calendar=home.entry.calendar)
    data = {name: value for name, value in sent(organiser, change(empty)).items() if name != "is_published"}
    assert organiser.post(change(empty), data).status_code == 302


def test_a_picture_chosen_with_a_move_is_asked_for_once_more(organiser: Client, home: House) -> None:
    data = sent(organiser, change(home.entry), picture_alt="A stage", **MOVED)
    page = organiser.post(change(home.entry), {**data, "picture": BytesIO(encoded(drawn()))}).content.decode()
    assert 'type="file" name="picture"' in page
    assert "choose the file once more" in page


# Against the rest of the house


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("event-called-off")
def test_a_payment_under_way_is_owed_when_it_arrives(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=5)
    order = ordered(entry, 2)
    checkout = paid_at_sumup(sumup, order)

    assert call_off(entry.pk, money_back=False, who="user:1", why="Rain.").unpaid == 2
    assert states_of(order) == ["reserved"] * 2
    settle(checkout.pk, who="webhook", at=timezone.now())

    assert (states_of(order), held(entry), read_books()) == (["refund_due"] * 2, 0, [])


@pytest.mark.django_db(transaction=True)
def test_an_unpaid_order_of_it_lapses(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=5)
    order = ordered(entry, 2)
    opened(order)
    call_off(entry.pk, money_back=True, who="user:1", why="Rain.")

    release(order.pk, who="sweep", at=order.hold_until)

    assert (states_of(order), read_books()) == (["cancelled"] * 2, [])


@pytest.mark.django_db(transaction=True)
def test_called_off_between_reading_and_locking_the_cart_nothing_is_claimed(
    sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, user = EventFactory.create(capacity=5), UserFactory.create()
    fill(user, entry, 2)
    build = orders.placing._locked_cart
    rivals = [partial(call_off, entry.pk, money_back=True, who="user:1", why="Rain.")]

    def rival_first(*args: object) -> object:
        if rivals:
            in_a_thread(rivals.pop())
        return build(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(orders.placing, "_locked_cart", rival_first)

    with pytest.raises((ShortLines, CartChanged)):
        order_cart(user)
    assert not Order.objects.exists()
    assert Ticket.objects.get(user=user, pk=Ticket.objects.filter(user=user).earliest("pk").pk).state == "pending"


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("event-called-off")
def test_called_off_against_claims_and_late_money_leaves_no_valid_ticket(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=6)
    late = ordered(entry, 2)
    checkout = opened(late)
    release(late.pk, who="sweep", at=late.hold_until)
    sumup.pay(sumup_id(checkout), force=True)
    buyers = [UserFactory.create() for _ in range(3)]
    for buyer in buyers:
        fill(buyer, entry, 1)

    works: list[Callable[[], object]] = [
        partial(settle, checkout.pk, who="webhook", at=later(minutes=40)),
        partial(call_off, entry.pk, money_back=True, who="user:1", why="Rain."),
        *(partial(order_cart, buyer) for buyer in buyers),
    ]

    answers = at_once(works)

    assert not [answer for answer in answers if isinstance(answer, IllegalTransition)]
    assert set(states_of(late)) == {"refund_due"}
    assert not Ticket.objects.filter(state__in=["confirmed", "checked_in"]).exists()
    assert CalendarEntry.objects.get(pk=entry.pk).state == "cancelled"
    assert read_books() == []


@pytest.mark.django_db(transaction=True)
def test_capacity_lowered_against_claims_never_oversells(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=6)
    home_member = signed_in_as(member((entry.calendar.page, Role.OWNER)))
    buyers = [UserFactory.create() for _ in range(6)]
    for buyer in buyers:
        fill(buyer, entry, 1)
    data = sent(home_member, change(entry), capacity=2)

    works: list[Callable[[], object]] = [
        partial(home_member.post, change(entry), data),
        *(partial(order_cart, buyer) for buyer in buyers),
    ]

    at_once(works)

    entry.refresh_from_db()
    assert entry.capacity is not None
    assert entry.held <= entry.capacity
    assert entry.capacity == 6 or entry.held == 2
    assert read_books() == []
