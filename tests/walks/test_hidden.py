"""Whoever may not see something learns neither its name nor that it is there, whatever address and form they try."""

import re
import uuid
from difflib import unified_diff
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import transaction
from django.test import Client

from accounts.models import User
from accounts.visitors import SESSION_KEY
from events.models import CalendarEntry, Merchant, Page, Ticket, TicketType
from events.rooms.reading import written_moment
from market.models import Product
from tests.desk import ordered
from tests.factories import (
    CalendarFactory,
    EventFactory,
    PageFactory,
    ProductFactory,
    RoomFactory,
    TicketTypeFactory,
    UserFactory,
)
from tests.ledger.lives import SOLD_WAYS, an_item, lead
from tests.steps import HTMX, a_time, book, fill, order_cart, take
from tests.walks.roads import addresses, filled, parameters, routes

pytestmark = pytest.mark.django_db

#: In the name of all that is hidden; never in an address.
SECRET = "hush"
#: What anybody may see has addresses that begin so; all other rows are hidden.
OPEN = "open-"
#: An order's code alone shows its state and no more; the token of a link is a permission of its own.
KNOWN_BY_ITS_CODE = {"orders/<slug:code>/", "orders/<slug:code>/status/"}
FORM = "application/x-www-form-urlencoded"  # as a browser sends it: read sooner than what has parts
FORM_OF = re.compile(r">/\w+/$")  # such an address is of a form on the page above it
CHANGES_EACH_TIME = re.compile(r'(name="(csrfmiddlewaretoken|token)" value=)"[^"]*"|"X-CSRFToken": "[^"]*"')


def hidden_rows() -> None:
    """A page that is not published with all that it can have; of one that is, drafts, a product, others' orders."""
    seller = Merchant.objects.create(code="QUIET", name="Hush merchant", currency="EUR", api_key="k")
    other = UserFactory.create(email="hush@example.org")
    shut = PageFactory.create(name="Hush house", slug="quiet-house", merchant=seller, place="Hush street")
    page = PageFactory.create(name="House", slug=f"{OPEN}house")
    stage = CalendarFactory.create(page=page, name="Stage", slug=f"{OPEN}stage")
    _sell(shut, seller, other, room="Hush room")
    _sell(page, seller, other, room="Room")
    for changes in ({"draft": True}, {"is_published": False}):
        draft = EventFactory.create(calendar=stage, title="Hush draft", summary="silent", **changes)
        TicketTypeFactory.create(entry=draft, name="Hush kind")
    Product.objects.filter(page=page).update(is_published=False)
    Page.objects.filter(pk=shut.pk).update(is_published=False)


def _sell(home: Page, seller: Merchant, other: User, *, room: str) -> None:
    """What somebody else has in the cart, in an order that waits, and has paid for."""
    unpublished = PageFactory.create(name="Hush", slug=f"quiet-{home.pk}-page", is_published=False)
    secret = CalendarFactory.create(page=unpublished, name="Hush stage")
    event = EventFactory.create(calendar=secret, title="Hush night", summary="silent", place="Hush place")
    kind = TicketTypeFactory.create(entry=event, name="Hush seat", text="Hush")
    mug = ProductFactory.create(page=home, name="Hush mug", slug=f"quiet-mug-{home.pk}")
    hall = RoomFactory.create(page=home, name=room, slug=f"{OPEN}{home.slug}")
    take(other, mug)
    for state in ("pending", "confirmed"):
        booking = book(other, hall, hour=10 if state == "pending" else 14)
        CalendarEntry.objects.filter(pk=booking.pk).update(title="Hush booking", summary="silent")
        order = ordered({kind: 2}, other, seller)
        lead("events_calendarentry", booking.pk, SOLD_WAYS[state], order, other)
    an_item("confirmed", product=mug, order=order)
    Ticket.objects.filter(order=order).update(holder="Hush holder", sent_to="hush@example.net")


def forms() -> list[tuple[dict[str, str], dict[str, str]]]:
    """What the storefront's forms send, all at once (each view takes what it knows), and the request's headers."""
    start, _end = a_time(CalendarEntry.objects.bookings()[0].calendar)
    form = {f"quantity-{pk}": "1" for pk in (0, *TicketType.objects.values_list("pk", flat=True))}
    form |= {"token": str(uuid.uuid4()), "digest": "x", "time": f"{written_moment(start)}/60", "quantity": "0"}
    form |= {"code": Ticket.objects.exclude(order=None)[0].code, "holder": "Me", "email": "me@example.org"}
    return [(form, {}), (form, HTMX), ({**form, "quantity": "1"}, {}), ({**form, "page": "quiet-house"}, {})]


def told(answer: Any) -> str:
    """All that an answer says: headers, and the text of its body."""
    headers = "".join(
        f"{name}: {value}\n"
        for name, value in answer.items()
        if name not in ("X-Request-ID", "Expires", "Content-Length")
    )
    return headers + CHANGES_EACH_TIME.sub("", answer.content.decode(errors="replace"))


def without(text: str, address: str, route: str) -> str:
    """`text` without what its reader has asked for, which it may say again."""
    given = parameters(route, address)
    values = [value for value in given.values() if len(value) > 8 and not value.startswith(OPEN)]
    # To where the address of a form leads, whether that is there or not.
    pages = [address.rsplit("/", 2)[0] + "/", f"/e/{given.get('pk')}-event/"] if FORM_OF.search(route) else []
    for known in (address, *pages, *values):
        for written in (quote(known), quote(known, safe=""), known):
            text = text.replace(written, "…")
    return text


def asked(client: Client, address: str, form: dict[str, str] | None, headers: dict[str, str]) -> str:
    """What is told in answer to a request, and by the cart afterwards; nothing stays changed."""
    own = client.cookies.output(header="", sep=";")
    with transaction.atomic():
        if form is None:
            answers = [client.get(f"{address}?q=silent&past=1&next={address}", headers=headers)]
        else:
            answers = [client.post(address, urlencode(form), FORM, headers=headers)]
            if "messages" in answers[0].cookies:
                answers.append(client.get("/cart/"))
        transaction.set_rollback(True)
    client.cookies.clear()
    client.cookies.load(own)
    return "\n\n".join(f"{answer.status_code}\n{told(answer)}" for answer in answers)


def difference(one: str, other: str) -> list[str]:
    lines = unified_diff(one.splitlines(), other.splitlines(), "hidden", "not there", n=0, lineterm="")
    return [line[:200] for line in lines][2:9]


def stand_in(route: str, address: str) -> str:
    """The same address of something that is not there."""
    given = parameters(route, address)
    if not given:  # a regular expression
        return address
    nothing = {name: "999999999" if f"<int:{name}>" in route else "no-such-thing" for name in given}
    return filled(route, {name: value if value.startswith(OPEN) else nothing[name] for name, value in given.items()})


@pytest.fixture(params=["signed out", "buyer"])
def reader(request: pytest.FixtureRequest) -> Client:
    hidden_rows()
    client = Client()
    if request.param == "buyer":
        client.force_login(UserFactory.create(email="reader@example.org"))
    else:
        session = client.session
        session[SESSION_KEY] = "of-a-reader"
        session.save()
    client.get("/cart/")
    return client


@pytest.mark.promise("address-names-draft")
def test_no_answer_names_what_its_reader_may_not_see(reader: Client) -> None:
    named, different = [], []
    there: dict[tuple[str, int], str] = {}  # what is told of things that are not there: the same for many addresses
    for route in sorted(set(routes())):
        tries: list[tuple[dict[str, str] | None, dict[str, str]]] = [(None, {}), *forms()]
        office = route.startswith("admin/")  # all of it is closed to both readers
        for address in [] if "token" in route else addresses(route)[: 1 if office else None]:
            nowhere = stand_in(route, address)
            for number, (form, headers) in enumerate(tries[:2] if office else tries):
                said = without(asked(reader, address, form, headers), address, route)
                if SECRET in said.lower():
                    named.append((address, form, said[:300]))
                if nowhere == address or route in KNOWN_BY_ITS_CODE:
                    continue
                if (nowhere, number) not in there:
                    there[nowhere, number] = without(asked(reader, nowhere, form, headers), nowhere, route)
                if said != there[nowhere, number]:
                    different += [address, *difference(said, there[nowhere, number])]
    assert not named
    assert not different, "\n".join(different)


@pytest.mark.promise("unpublished-while-cart")
def test_what_was_hidden_while_in_the_cart_is_named_and_can_be_taken_out(client: Client) -> None:
    user, page = UserFactory.create(), PageFactory.create(name="Was open", slug="was-open")
    event = EventFactory.create(calendar__page=page, title="Was on")
    kinds = [TicketTypeFactory.create(entry=event, name=name) for name in ("Mine", "Not mine")]
    product, room = ProductFactory.create(page=page, name="Was sold"), RoomFactory.create(page=page, name="Was free")
    fill(user, event, {kinds[0].pk: 1})
    take(user, product)
    booking = book(user, room)
    Page.objects.filter(pk=page.pk).update(is_published=False)
    client.force_login(user)

    assert client.get("/cart/was-open/").status_code == 200
    other = client.post(f"/cart/line/{event.pk}/{kinds[1].pk}/", {"quantity": "0"}, follow=True)
    assert (other.status_code, "Not mine" in other.content.decode()) == (404, False)
    for address, name in (
        (f"/cart/line/{event.pk}/{kinds[0].pk}/", "Was on – Mine"),
        (f"/cart/pieces/{product.pk}/", "Was sold"),
        (f"/cart/booking/{booking.pk}/", "Was free"),
    ):
        refused = client.post(address, {"quantity": "2", "start": "x", "page": "was-open"})
        assert refused.status_code == 422
        answer = client.post(address, {"quantity": "0", "page": "was-open"}, follow=True)
        assert (answer.status_code, f"Removed: {name}" in answer.content.decode()) == (200, True), address
        assert client.post(address, {"quantity": "0"}).status_code == 404
    assert answer.redirect_chain == [("/cart/", 302)]  # nothing of the page is left, so its part is hidden again
    assert client.get("/cart/was-open/").status_code == 404
    assert client.post("/checkout/was-open/").status_code == 404


def test_second_click_leads_to_its_order_though_the_page_was_hidden_meanwhile(client: Client) -> None:
    user, event = UserFactory.create(), EventFactory.create(calendar__page__slug="was-open", ticket_price=0)
    fill(user, event)
    token = uuid.uuid4()
    order = order_cart(user, page=event.calendar.page, token=token)
    Page.objects.update(is_published=False)
    client.force_login(user)

    answer = client.post("/checkout/was-open/", {"token": str(token), "digest": "x"})

    assert (answer.status_code, answer.headers["Location"]) == (302, order.get_absolute_url())
