"""The door, by keyboard as a scanner types, and on a phone without scripts."""

from datetime import timedelta

from django.utils import timezone

from events.models import Role, Ticket
from tests.browser.conftest import Visit
from tests.browser.visitor import Way
from tests.desk import house, member


def test_a_scanner_types_and_the_door_answers(visit: Visit, way: Way) -> None:
    home = house("Alpha", sold=2)
    other = house("Beta")
    keeper = visit(way, member((home.page, Role.DOOR)))
    keeper.go("/door/")
    keeper.link("Alpha night").click()
    keeper.stop("9-door-ready")
    field = keeper.page.get_by_label("Code", exact=True)
    for code, answer in [
        (home.ticket.code, "Come in"),
        (home.ticket.code.lower(), "Already in"),
        (other.ticket.code, "Wrong event"),
        ("nothing", "Not a ticket"),
    ]:
        keeper.scan(field, code)
        keeper.sees(answer)
        keeper.stop(f"9-door-{answer.lower().replace(' ', '-')}")
    keeper.sees("1 of 2 are in")
    keeper.scan(field, Ticket.objects.filter(order=home.order).latest("pk").code)
    keeper.sees("2 of 2 are in")
    keeper.button("Take that back").click()
    keeper.sees("1 of 2 are in")


def test_axe_finds_nothing_at_the_door(visit: Visit) -> None:
    home = house("Alpha", sold=1)
    keeper = visit(user=member((home.page, Role.DOOR)), axe=True)
    keeper.go("/door/")
    keeper.stop("9-doors")
    keeper.go(f"/door/{home.entry.pk}/?name=alpha")
    keeper.stop("9-door-search")
    keeper.button("Let in alpha-buyer@example.org").click()
    keeper.sees("Come in")
    keeper.stop("9-door-green")
    assert home.ticket.checked_in_at is not None
    assert timezone.now() - home.ticket.checked_in_at < timedelta(minutes=5)
