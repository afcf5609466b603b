"""The door: green once, amber after that, red with its reason; for those who stand there, and for nobody else."""

from datetime import datetime, timedelta
from functools import partial

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from events.door.desk import Answer, Desk, Light
from events.door.letting_in import door_of, opens_at, what
from events.door.reading import read_codes
from events.models import CalendarEntry, Role, Ticket
from ledger.models import History
from orders.models import Order
from tests.desk import House, answered, house, member, signed_in_as
from tests.factories import TicketTypeFactory
from tests.ledger.lives import SOLD_WAYS, a_ticket
from tests.ledger.locks import locks
from tests.ledger.psql import run
from tests.races.threads import at_once, in_a_thread
from tests.steps import HTMX

pytestmark = pytest.mark.django_db


@pytest.fixture
def home() -> House:
    return house("Alpha", sold=3)


@pytest.fixture
def doorkeeper(home: House) -> Client:
    return signed_in_as(member((home.page, Role.DOOR)))


def at_hand(home: House) -> CalendarEntry:
    return CalendarEntry.objects.with_page().get(pk=home.entry.pk)


def states_of(of: Order | CalendarEntry) -> list[str]:
    return list(of.tickets.order_by("pk").values_list("state", flat=True))


def address_of(home: House) -> str:
    return f"/door/{home.entry.pk}/"


def told(client: Client, home: House, code: str, **headers: str) -> str:
    answer = client.post(address_of(home), {"code": code}, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("shape", ["{}", " {} ", "/tickets/{}/", "https://foyer.example.org/tickets/{}/", "{}\n"])
def test_a_code_is_read_in_any_shape(shape: str) -> None:
    code = "ABCD234567ABCD234567ABCD23"

    assert read_codes(shape.format(code))[0] == code
    assert read_codes(shape.format(code.lower()))[0] == code
    assert read_codes(shape.format("ABCD 2345 67AB CD23 4567 ABCD 23"))[0] == code


@pytest.mark.parametrize("typed", ["", "ABC", "9" * 26, "A" * 25, "\x00", "A" * 2000 + ".", "../../admin"])
def test_anything_else_is_no_code(typed: str) -> None:
    assert read_codes(typed) == []


def test_green_once_then_amber_with_the_time_and_a_count(doorkeeper: Client, home: House) -> None:
    first = told(doorkeeper, home, home.ticket.code)
    assert "door-answer green" in first
    assert "1 of 3 are in" in first

    again = told(doorkeeper, home, home.ticket.code)
    assert "door-answer amber" in again
    assert "Already in" in again
    assert "Since" in again
    assert Ticket.objects.get(pk=home.ticket.pk).state == "checked_in"
    (row,) = History.objects.filter(subject="ticket", subject_id=home.ticket.pk, new="checked_in")
    assert (row.actor[:5], row.reason) == ("user:", "at the door")


def test_htmx_gets_the_desk_alone(doorkeeper: Client, home: House) -> None:
    body = told(doorkeeper, home, home.ticket.code, **HTMX)

    assert body.strip().startswith("<section")
    assert "door-answer green" in body


def test_the_last_one_is_taken_back_once(doorkeeper: Client, home: House) -> None:
    told(doorkeeper, home, home.ticket.code)

    for words in ("Taken back", "Nothing to take back"):
        assert words in doorkeeper.post(address_of(home), {"undo": str(home.ticket.pk)}).content.decode()

    ticket = Ticket.objects.get(pk=home.ticket.pk)
    assert (ticket.state, ticket.checked_in_at) == ("confirmed", None)
    assert "door-answer green" in told(doorkeeper, home, home.ticket.code)


@pytest.mark.parametrize("taken", ["-1", "x", "1" * 30, "0"])
def test_a_bad_undo_changes_nothing(doorkeeper: Client, home: House, taken: str) -> None:
    assert "door-answer red" in doorkeeper.post(address_of(home), {"undo": taken}).content.decode()


@pytest.mark.parametrize(
    ("state", "headline"),
    [
        ("reserved", "Not paid"),
        ("cancelled", "Cancelled"),
        ("refund_due", "Not valid"),
        ("refunded", "Refunded"),
        ("pending", "Not a ticket"),
    ],
)
def test_what_opens_no_door_is_red_with_the_reason(doorkeeper: Client, home: House, state: str, headline: str) -> None:
    code = home.ticket.code
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run("SET LOCAL session_replication_role = replica")  # only the state matters here, not the way to it
    order = "order_id = NULL, " if state == "pending" else ""
    run(f"UPDATE events_ticket SET {order} state = %s WHERE id = %s", state, home.ticket.pk)

    body = told(doorkeeper, home, code)

    assert "door-answer red" in body
    assert headline in body


def test_wrong_event_is_red_and_names_it_only_within_the_page(doorkeeper: Client, home: House) -> None:
    other = house("Beta")

    body = told(doorkeeper, home, other.ticket.code)
    assert "Wrong event" in body
    assert "Beta" not in body
    assert Ticket.objects.get(pk=other.ticket.pk).state == "confirmed"
    own = signed_in_as(member((home.page, Role.DOOR), (other.page, Role.DOOR)))
    CalendarEntry.objects.filter(pk=other.entry.pk).update(calendar=home.entry.calendar)
    assert "Beta night" in told(own, home, other.ticket.code)


def test_a_cancelled_event_lets_nobody_in(doorkeeper: Client, home: House) -> None:
    CalendarEntry.objects.filter(pk=home.entry.pk).update(state="cancelled")

    assert "Event cancelled" in told(doorkeeper, home, home.ticket.code)


def test_the_door_opens_on_the_day_before_on_the_page_s_clock(doorkeeper: Client, home: House) -> None:
    begins = datetime(2027, 3, 28, 20, 0, tzinfo=home.page.zone())
    CalendarEntry.objects.filter(pk=home.entry.pk).update(starts_at=begins, ends_at=begins + timedelta(hours=2))
    entry = CalendarEntry.objects.with_page().get(pk=home.entry.pk)
    opens = datetime(2027, 3, 27, 0, 0, tzinfo=home.page.zone())

    early = door_of(entry).let_in(home.ticket.code, who="user:1", at=opens - timedelta(seconds=1))
    assert (early.light, early.headline) == (Light.RED, "Too early")
    assert door_of(entry).let_in(home.ticket.code, who="user:1", at=opens).light is Light.GREEN


@pytest.mark.parametrize("role", [Role.OWNER, Role.ORGANISER, Role.BOX_OFFICE, Role.DOOR])
def test_these_roles_stand_at_the_door(home: House, role: Role) -> None:
    client = signed_in_as(member((home.page, role)))

    assert "Alpha night" in client.get("/door/").content.decode()
    assert client.get(address_of(home)).status_code == 200


def test_nobody_else_does(home: House) -> None:
    other = house("Beta")
    buyer = home.order.user
    for user, status in [
        (member((home.page, Role.FINANCE)), 403),
        (buyer, 403),
        (member((other.page, Role.DOOR)), 404),
    ]:
        client = signed_in_as(user)
        assert client.get(address_of(home)).status_code == status
        assert client.post(address_of(home), {"code": home.ticket.code}).status_code == status
    assert "Alpha" not in signed_in_as(member((other.page, Role.DOOR))).get("/door/").content.decode()
    for address in ("/door/", address_of(home)):
        assert Client().get(address)["Location"] == f"/accounts/login/?next={address}"
    assert Ticket.objects.filter(state="checked_in").count() == 0


def test_people_without_their_ticket_are_found_by_name_address_and_order(doorkeeper: Client, home: House) -> None:
    Ticket.objects.filter(pk=home.ticket.pk).update(holder="Łucja <b>")

    for term in ("łucja", "alpha-buyer@", home.order.short_code.lower()):
        assert f'value="{home.ticket.code}"' in doorkeeper.get(address_of(home), {"name": term}).content.decode()
    assert "<b>" not in doorkeeper.get(address_of(home), {"name": "<b>"}).content.decode().split("search-title")[1]
    assert "Nobody found" in doorkeeper.get(address_of(home), {"name": "nobody"}).content.decode()


def test_the_door_asks_as_often_for_one_ticket_as_for_many(
    home: House, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for each in (home, house("Gamma", sold=9)):
        client = signed_in_as(member((each.page, Role.DOOR)))
        with django_assert_num_queries(7):
            client.get(address_of(each), {"name": "buyer"})


@pytest.mark.django_db
@pytest.mark.parametrize(("role", "shown"), [(Role.DOOR, True), (Role.ORGANISER, True), (Role.FINANCE, False)])
@pytest.mark.promise("lets-people-shown")
def test_way_to_the_door_is_shown_to_who_stands_there(home: House, role: Role, shown: bool) -> None:
    client = signed_in_as(member((home.page, role)))
    for address in ("/", "/admin/"):
        assert ('href="/door/"' in client.get(address).content.decode()) is shown


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("two-doors-read")
def test_two_doors_at_once_let_one_in() -> None:
    home = house("Alpha", sold=1)
    entry = CalendarEntry.objects.with_page().get(pk=home.entry.pk)
    works = [partial(door_of(entry).let_in, home.ticket.code, who="user:1", at=timezone.now()) for _ in range(8)]

    lights = [getattr(answer, "light", answer) for answer in at_once(works)]

    assert sorted(str(light) for light in lights) == ["Light.AMBER"] * 7 + ["Light.GREEN"]


@pytest.mark.django_db(transaction=True)
def test_the_rival_who_is_quicker_by_a_hair_makes_it_amber(monkeypatch: pytest.MonkeyPatch) -> None:
    home = house("Alpha", sold=1)
    entry = CalendarEntry.objects.with_page().get(pk=home.entry.pk)
    let_in = Desk._let_in
    rivals = [partial(door_of(entry).let_in, home.ticket.code, who="user:2", at=timezone.now())]

    def rival_first(desk: Desk[Ticket], ticket: Ticket, *, who: str, at: datetime) -> bool:
        if rivals:
            in_a_thread(rivals.pop())
        return let_in(desk, ticket, who=who, at=at)

    monkeypatch.setattr(Desk, "_let_in", rival_first)

    assert door_of(entry).let_in(home.ticket.code, who="user:1", at=timezone.now()).light is Light.AMBER


@pytest.mark.parametrize("role", [Role.BOX_OFFICE, Role.DOOR])
def test_the_admin_checks_in_and_takes_back(home: House, role: Role) -> None:
    client = signed_in_as(member((home.page, role)))
    other = house("Beta")
    pks = [str(pk) for pk in Ticket.objects.order_by("pk").values_list("pk", flat=True)]

    for action, said in [("let_in", "3/3: checked in"), ("let_in", "0/3"), ("take_back", "3/3: no longer"), ("x", "")]:
        data = {"action": action, "_selected_action": pks}
        if action == "take_back":
            answer = answered(client, "/admin/events/ticket/", data)
        else:
            answer = client.post("/admin/events/ticket/", data, follow=True)
        assert said in answer.content.decode()

    assert set(Ticket.objects.values_list("state", flat=True)) == {"confirmed"}
    assert not History.objects.filter(subject="ticket", subject_id=other.ticket.pk, new="checked_in").exists()


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("/tickets/ABCD234567ABCD234567ABCD23/", "ABCD234567ABCD234567ABCD23"),
        ("a/b/c/ABCD234567ABCD234567ABCD23", "ABCD234567ABCD234567ABCD23"),
        ("abcd-2345·67ab–cd23 4567 abcd 23", "ABCD234567ABCD234567ABCD23"),
        ("ABCD234567ABCD23/4567ABCD23", ""),
        ("ABCD234567ABCD234567ABCD23/more", ""),
        ("A" * 25, ""),
    ],
)
def test_a_code_is_what_stands_at_the_end(typed: str, read: str) -> None:
    assert read_codes(typed)[:1] == ([read] if read else [])


def test_what_is_no_code_is_not_looked_for(home: House, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        assert door_of(home.entry).let_in("Alpha", who="user:1", at=timezone.now()).headline == "Not a ticket"


def test_the_ticket_and_its_event_are_locked_and_nothing_else(home: House) -> None:
    house("Beta")
    entry, ticket = at_hand(home), home.ticket
    with locks() as locked:
        door_of(entry).let_in(ticket.code, who="user:1", at=timezone.now())
        door_of(entry).take_back(ticket.pk, who="user:1")

    assert locked == [("events_calendarentry", (entry.pk,)), ("events_ticket", (ticket.pk,))] * 2


def test_only_the_ticket_that_is_named_is_let_in_and_taken_back(home: House) -> None:
    entry, other = at_hand(home), house("Beta")
    tickets = list(home.order.tickets.order_by("pk"))
    for ticket in tickets[:2]:
        assert door_of(entry).let_in(ticket.code, who="user:1", at=timezone.now()).pk == ticket.pk
    door_of(at_hand(other)).let_in(other.ticket.code, who="user:1", at=timezone.now())
    assert states_of(home.order) == ["checked_in", "checked_in", "confirmed"]

    assert not door_of(entry).take_back(tickets[2].pk, who="user:2")
    assert not door_of(entry).take_back(other.ticket.pk, who="user:2")
    assert door_of(entry).take_back(tickets[1].pk, who="user:2")

    assert states_of(home.order) == ["checked_in", "confirmed", "confirmed"]
    assert states_of(other.order) == ["checked_in", "confirmed"]
    row = History.objects.of(tickets[1]).filter(field="state").latest("pk")
    assert (row.old, row.new, row.actor, row.reason) == ("checked_in", "confirmed", "user:2", "undone at the door")
    assert door_of(entry).counts() == (1, 3)
    assert door_of(at_hand(other)).counts() == (1, 2)


@pytest.mark.parametrize("state", [state for state in SOLD_WAYS if state != "checked_in"])
def test_what_is_not_in_is_not_taken_back_nor_counted_as_in(state: str) -> None:
    ticket = a_ticket(state)

    assert not door_of(ticket.entry).take_back(ticket.pk, who="user:1")
    assert states_of(ticket.entry) == [state]
    assert door_of(ticket.entry).counts() == (0, 1 if state == "confirmed" else 0)


def test_a_ticket_that_was_cancelled_a_moment_ago_is_red(monkeypatch: pytest.MonkeyPatch, home: House) -> None:
    let_in = Desk._let_in

    def rival_first(desk: Desk[Ticket], ticket: Ticket, *, who: str, at: datetime) -> bool:
        run("UPDATE events_ticket SET state = 'refund_due' WHERE id = %s", ticket.pk)
        return let_in(desk, ticket, who=who, at=at)

    monkeypatch.setattr(Desk, "_let_in", rival_first)

    told = door_of(at_hand(home)).let_in(home.ticket.code, who="user:1", at=timezone.now())

    words = "The money for this ticket is owed to its buyer."
    assert told == Answer(Light.RED, "Not valid", words, home.ticket.pk, "Alpha seat")


def test_what_the_ticket_is_and_for_whom_is_said_as_far_as_known() -> None:
    seat = TicketTypeFactory.create(name="Balcony")
    for ticket_type, holder, said in [
        (seat, "Ada", "Balcony · Ada"), (seat, "", "Balcony"), (None, "Ada", "Ada"), (None, "", ""),
    ]:  # fmt: skip
        assert what(Ticket(ticket_type=ticket_type, holder=holder)) == said


def test_the_wrong_event_is_wrong_before_it_is_early_and_cancelled_after(home: House) -> None:
    other, entry, now = house("Beta"), at_hand(home), timezone.now()
    early = opens_at(entry) - timedelta(microseconds=1)

    def headline(code: str, at: datetime) -> str:
        return door_of(entry).let_in(code, who="user:1", at=at).headline

    assert headline(other.ticket.code, early) == "Wrong event"
    assert headline(home.ticket.code, early) == "Too early"
    for state in ("cancelled", "draft"):
        entry.state = state
        assert headline(home.ticket.code, early) == "Too early"
        assert door_of(entry).let_in(home.ticket.code, who="user:1", at=now) == Answer(
            Light.RED, "Event cancelled", "", home.ticket.pk, "Alpha seat"
        )
    assert states_of(home.order) == ["confirmed"] * 3
    entry.state = "confirmed"
    assert door_of(entry).let_in(home.ticket.code, who="user:1", at=opens_at(entry)) == Answer(
        Light.GREEN, "Come in", "", home.ticket.pk, "Alpha seat"
    )
    assert Ticket.objects.get(pk=home.ticket.pk).checked_in_at == opens_at(entry)
    assert door_of(entry).let_in(home.ticket.code, who="user:1", at=now).light is Light.AMBER
