"""What goes, and what stays: the last owner, a kind of ticket, a published event; and no code is told on the way."""

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory

from events.models import CalendarEntry, Page, PageMember, Role, Ticket, TicketType
from events.transitions import delete_type
from ledger.arrows import IllegalTransition
from market.models import Product
from tests.desk import House, change, house, member, sent, signed_in_as
from tests.factories import EventFactory, ProductFactory, TicketTypeFactory, UserFactory
from tests.steps import fill, order_cart, take

pytestmark = pytest.mark.django_db


@pytest.fixture
def home() -> House:
    return house("Home")


# --- Owners


def row_of(client: Client, page: Page, who: PageMember) -> int:
    """The place of a member in the form."""
    rows = client.get(change(page)).context["inline_admin_formsets"][0].formset.forms
    return next(place for place, form in enumerate(rows) if form.instance.pk == who.pk)


def removed(place: int) -> dict[str, str]:
    return {f"members-{place}-DELETE": "on"}


def demoted(place: int) -> dict[str, str]:
    return {f"members-{place}-role": "door"}


@pytest.mark.parametrize("change_of", [removed, demoted])
@pytest.mark.promise("last-owner-page")
def test_the_last_owner_cannot_leave(home: House, change_of: Callable[[int], dict[str, str]]) -> None:
    user = member((home.page, Role.OWNER))
    client, row = signed_in_as(user), PageMember.objects.get(page=home.page, role=Role.OWNER)
    other = PageMember.objects.create(page=home.page, user=UserFactory.create(), role=Role.DOOR)
    data = sent(client, change(home.page), **change_of(row_of(client, home.page, row)))

    answer = client.post(change(home.page), data)

    assert "A page needs an owner" in answer.content.decode()
    assert set(PageMember.objects.filter(page=home.page)) == {row, other}
    assert PageMember.objects.get(pk=row.pk).role == Role.OWNER

    promoted = {f"members-{row_of(client, home.page, other)}-role": "owner"}
    client.post(change(home.page), {**data, **promoted})
    assert PageMember.objects.get(page=home.page, role=Role.OWNER) == other


def test_an_owner_of_two_leaves_and_a_superuser_removes_the_last(home: House) -> None:
    one, two = member((home.page, Role.OWNER)), member((home.page, Role.OWNER))
    for user, left in ((one, 1), (UserFactory.create(is_staff=True, is_superuser=True), 0)):
        client = signed_in_as(user)
        row = PageMember.objects.get(page=home.page, user=one if user == one else two)
        data = sent(client, change(home.page), **removed(row_of(client, home.page, row)))
        assert client.post(change(home.page), data).status_code == 302
        assert PageMember.objects.filter(page=home.page).count() == left


# --- Kinds of tickets


@pytest.mark.promise("kind-ticket-goes")
def test_an_unsold_kind_goes_with_what_carts_hold_of_it(organiser: Client, home: House) -> None:
    kind, buyer = TicketTypeFactory.create(entry=home.entry, name="Child"), UserFactory.create()
    fill(buyer, home.entry, {kind.pk: 2, home.ticket_type.pk: 1})
    place = list(home.entry.ticket_types.all()).index(kind)

    data = sent(organiser, change(home.entry), **{f"ticket_types-{place}-DELETE": "on"})
    assert organiser.post(change(home.entry), data).status_code == 302

    assert not TicketType.objects.filter(pk=kind.pk).exists()
    assert [row.ticket_type for row in Ticket.objects.pending_for(buyer)] == [home.ticket_type]


@pytest.mark.usefixtures("merchant")
@pytest.mark.promise("kind-ticket-goes")
def test_a_kind_that_was_ordered_stays_and_no_code_is_named(organiser: Client, home: House) -> None:
    fill(UserFactory.create(), home.entry, {home.ticket_type.pk: 1})
    data = sent(organiser, change(home.entry), **{"ticket_types-0-DELETE": "on"})

    answer = organiser.post(change(home.entry), data)

    text = answer.content.decode()
    assert f"“{home.ticket_type}” stays: tickets of it were ordered" in text
    assert not [code for code in Ticket.objects.values_list("code", flat=True) if code in text]
    with pytest.raises(IllegalTransition):
        delete_type(home.ticket_type)
    assert Ticket.objects.filter(ticket_type=home.ticket_type).count() == 3


# --- Back to draft


def test_back_to_draft_is_offered_where_it_works(organiser: Client, home: House) -> None:
    other = EventFactory.create(calendar=home.entry.calendar)
    for entry, offered in ((home.entry, False), (other, True)):
        assert ("/move/back-to-draft/" in organiser.get(change(entry)).content.decode()) is offered
    organiser.post(change(home.entry, "move/back-to-draft/"))
    assert CalendarEntry.objects.get(pk=home.entry.pk).state == "confirmed"


# --- What stands in the way is counted


@pytest.mark.usefixtures("merchant")
@pytest.mark.promise("kind-ticket-goes")
def test_no_page_that_asks_before_deleting_names_a_code(home: House) -> None:
    buyer, bag = home.order.user, ProductFactory.create(page=home.page)
    take(buyer, bag, 2)
    order = order_cart(buyer)
    codes = [*Ticket.objects.values_list("code", flat=True), *(item.code for item in order.items.all())]
    user = UserFactory.create(is_staff=True, is_superuser=True)
    client, request = signed_in_as(user), RequestFactory().get("/")
    request.user = user
    for row in (bag, home.page, home.entry.calendar):
        text = client.get(change(row, "delete/")).content.decode()
        assert not [code for code in codes if code in text], row
    *_others, stands = admin.site.get_model_admin(Product).get_deleted_objects([bag], request)
    assert [word for word in stands if word.startswith("2 ")], stands
