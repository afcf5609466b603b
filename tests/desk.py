"""Two pages with everything on them, and the people who run them, for the tests of the admin."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.forms import CheckboxInput
from django.test import Client
from django.utils import timezone

from accounts.models import User
from events.admin.asking import PREFIX, SURE, Question
from events.models import CalendarEntry, Merchant, Page, PageMember, Role, Ticket, TicketType
from events.states import LineKind
from events.transitions import mark_reserved
from orders.fulfilling import fulfil
from orders.models import Order, OrderLine
from payments.models import Case, Checkout
from payments.states import CaseKind
from tests.factories import CalendarFactory, EventFactory, PageFactory, TicketTypeFactory, UserFactory


@dataclass
class House:
    """A page called `name`, whose every row has the name in it."""

    page: Page
    entry: CalendarEntry
    ticket_type: TicketType
    order: Order
    checkout: Checkout
    case: Case

    @property
    def ticket(self) -> Ticket:
        return Ticket.objects.filter(order=self.order).order_by("pk")[0]


def house(name: str, *, sold: int = 2, zone: str = "Europe/Berlin") -> House:
    """A page with an event of 12.00, one type, `sold` paid tickets in one order, its checkout and an open case."""
    merchant = Merchant.objects.create(code=f"M{name}".upper(), name=f"{name} merchant", currency="EUR", api_key="k")
    page = PageFactory.create(name=f"{name} house", slug=f"{name}-house".lower(), time_zone=zone, merchant=merchant)
    calendar = CalendarFactory.create(page=page, name=f"{name} stage", slug=f"{name}-stage".lower())
    entry = EventFactory.create(calendar=calendar, title=f"{name} night", capacity=10)
    ticket_type = TicketTypeFactory.create(entry=entry, name=f"{name} seat")
    buyer = UserFactory.create(email=f"{name.lower()}-buyer@example.org")
    order = ordered({ticket_type: sold}, buyer, merchant)
    checkout = Checkout.objects.create(
        order=order, merchant=merchant, reference=f"{name}-reference", amount=order.total, currency="EUR",
        created_at=timezone.now(), valid_until=timezone.now() + timedelta(minutes=28),
    )  # fmt: skip
    with transaction.atomic():
        fulfil(order, at=timezone.now())
    case = Case.objects.create(
        kind=CaseKind.GOODS, order=order, checkout=checkout, merchant=merchant, amount=order.total, currency="EUR",
        words=f"{name} words", opened_at=timezone.now(),
    )  # fmt: skip
    return House(page, entry, ticket_type, order, checkout, case)


def ordered(types: dict[TicketType, int], buyer: User, merchant: Merchant) -> Order:
    """An order awaiting payment for so many tickets of each type."""
    now = timezone.now()
    order = Order.objects.create(
        user=buyer, merchant=merchant, total=sum((kind.price * n for kind, n in types.items()), Decimal(0)),
        currency="EUR", placed_at=now, hold_until=now + timedelta(minutes=30),
    )  # fmt: skip
    for kind, number in types.items():
        OrderLine.objects.create(
            order=order, page=kind.entry.calendar.page, kind=LineKind.TICKET, entry=kind.entry, ticket_type=kind,
            name=f"{kind.entry.title}: {kind.name}", unit_price=kind.price, currency="EUR", quantity=number,
        )  # fmt: skip
        tickets = [
            Ticket.objects.create(entry=kind.entry, ticket_type=kind, user=buyer, price=kind.price, currency="EUR")
            for _each in range(number)
        ]
        with transaction.atomic():
            mark_reserved({ticket.pk: kind.price for ticket in tickets}, order_id=order.pk)
    return order


def member(*roles: tuple[Page, Role]) -> User:
    """Staff with roles on pages."""
    user = UserFactory.create(is_staff=True)
    for page, role in roles:
        PageMember.objects.create(page=page, user=user, role=role)
    return user


def signed_in_as(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def change(row: Any, what: str = "change/") -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/{what}"


def sent(client: Client, address: str, **changes: object) -> dict[str, str]:
    """What a browser would send: every field of the form at `address` as shown, with `changes`."""
    context = client.get(address).context
    data: dict[str, str] = {}
    forms = [context["adminform"].form]
    for formset in context["inline_admin_formsets"]:
        forms += [formset.formset.management_form, *formset.formset.forms]
    for form in forms:
        for bound in form:
            value = bound.field.widget.format_value(bound.value()) if bound.value() is not None else None
            if value is not None and not bound.field.disabled:
                data[bound.html_name] = str(value[0] if isinstance(value, list) else value)
            if isinstance(bound.field.widget, CheckboxInput) and bound.value() is True:
                data[bound.html_name] = "on"
    return {**data, **{name: str(value) for name, value in changes.items()}}


def question_at(client: Client, address: str, data: Mapping[str, object]) -> Question:
    """What is asked before what is sent there is done."""
    asked = client.post(address, data)
    question: Question = asked.context["question"]
    return question


def answered(client: Client, address: str, data: Mapping[str, object], **choices: str) -> Any:
    """The answer, all redirects followed, to who says yes to what is asked there, and chooses."""
    question = question_at(client, address, data)
    said = {SURE: question.digest, **{f"{PREFIX}-{name}": value for name, value in choices.items()}}
    return client.post(address, {**data, **said}, follow=True)
