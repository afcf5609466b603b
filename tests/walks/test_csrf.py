"""Every button on every page works with its form's token, and with nothing else: the check is on, as in production."""

import random
from dataclasses import replace
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import resolve

from events.models import Role
from tests.walks.pages import Form, Page
from tests.walks.roads import addresses, routes
from tests.walks.town import VISITORS, town

pytestmark = pytest.mark.django_db

REFUSED = "Please send that once more"
TOKEN = "csrfmiddlewaretoken"
#: Of each route so many addresses are looked at: rows in different states have different buttons.
LOOKED_AT = {"buyer": 9, "superuser": 3}  # of a buyer all: which order waits for its payment is anyone's guess
#: So many buttons there are, and not fewer: that the walk meets them is what it is worth.
LEAST = {
    "signed out": 5, "buyer": 14, "owner": 30, "organiser": 22, "box_office": 5, "door": 4, "finance": 5,
    "superuser": 55,
}  # fmt: skip

Pressed = dict[tuple[str, str, tuple[str, ...]], tuple[Form, tuple[str, str], str]]


def buttons(client: Client, number: int, chance: random.Random, *, staff_only: bool) -> Pressed:
    """The buttons that a visitor can find: once each by where its form goes, what the form asks and what it is called.

    With each the form and the page.
    """
    found: Pressed = {}
    for route in sorted(set(routes())):
        if staff_only and not route.startswith(("admin/", "door/")):
            continue
        choice = addresses(route)
        for address in chance.sample(choice, min(number, len(choice))):
            answer = client.get(address)
            if answer.streaming or "text/html" not in answer.get("Content-Type", ""):
                continue
            for form in Page(answer.content.decode(), address).forms:
                names = tuple(sorted({name for name, _value in form.fields}))
                goes_to = resolve(form.action.partition("?")[0]).route
                for button in form.buttons:
                    found.setdefault((goes_to, str(button), names), (form, button, address))
    return found


def press(client: Client, form: Form, button: tuple[str, str]) -> Any:
    """The answer; what it did is undone."""
    own = client.cookies.output(header="", sep=";")
    with transaction.atomic():
        answer = client.post(form.action, form.pressed(button))
        transaction.set_rollback(True)
    client.cookies.clear()
    client.cookies.load(own)
    return answer


@pytest.mark.parametrize("who", VISITORS)
@pytest.mark.promise("every-button-every")
def test_every_button_sends_its_token_and_is_refused_without(who: str) -> None:
    client, wrong = town().client(who, csrf=True), []
    found = buttons(client, LOOKED_AT.get(who, 1), random.Random(who), staff_only=who in Role.values)
    for (route, _name, _fields), (form, button, address) in found.items():
        if REFUSED in press(client, form, button).content.decode(errors="replace"):
            wrong.append(f"{address}: {button} is refused at {route}")
        bare = replace(form, fields=[(name, value) for name, value in form.fields if name != TOKEN])
        answer = press(client, bare, button)
        if answer.status_code != 403 or REFUSED not in answer.content.decode():
            wrong.append(f"{address}: {button} goes without a token at {route}")
    assert not wrong
    assert len(found) >= LEAST[who], sorted(found)
