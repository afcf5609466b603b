"""Rows for tests, dull on purpose: whatever a test is about, it says itself."""

from datetime import time, timedelta
from decimal import Decimal
from typing import Any

import factory
from django.utils import timezone

from accounts.models import User
from events.models import BookingRules, Calendar, CalendarEntry, OpeningHours, Page, TicketType
from events.transitions import publish
from market.models import Product


class UserFactory(factory.django.DjangoModelFactory[User]):
    """A buyer who signs in by code; give `password`, `is_staff` and the like where the test needs them."""

    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"user{n}@example.org")

    @classmethod
    def _create(cls, model_class: type[User], *_args: object, **kwargs: object) -> User:
        email, password = str(kwargs.pop("email")), kwargs.pop("password", None)
        return model_class.objects.create_user(email, password if password is None else str(password), **kwargs)


class PageFactory(factory.django.DjangoModelFactory[Page]):
    class Meta:
        model = Page

    name = factory.Sequence(lambda n: f"House {n}")
    slug = factory.Sequence(lambda n: f"house-{n}")


class CalendarFactory(factory.django.DjangoModelFactory[Calendar]):
    class Meta:
        model = Calendar

    page = factory.SubFactory(PageFactory)
    name = factory.Sequence(lambda n: f"Stage {n}")
    slug = factory.Sequence(lambda n: f"stage-{n}")


class EventFactory(factory.django.DjangoModelFactory[CalendarEntry]):
    """A confirmed event tomorrow, two hours long, that sells tickets at 12.00, no limit; `draft=True`: a draft."""

    class Meta:
        model = CalendarEntry

    calendar = factory.SubFactory(CalendarFactory)
    title = factory.Sequence(lambda n: f"Event {n}")
    starts_at = factory.LazyFunction(lambda: timezone.now() + timedelta(days=1))
    ends_at = factory.LazyAttribute(lambda event: event.starts_at + timedelta(hours=2))
    ticket_price = Decimal("12.00")
    currency = factory.SelfAttribute("calendar.page.currency")

    @classmethod
    def _create(cls, model_class: type[CalendarEntry], *args: object, **kwargs: object) -> CalendarEntry:
        draft = kwargs.pop("draft", False)
        entry = model_class.objects.create(*args, **kwargs)
        if not draft:
            publish(entry)
            entry.refresh_from_db()
        return entry


class TicketTypeFactory(factory.django.DjangoModelFactory[TicketType]):
    class Meta:
        model = TicketType

    entry = factory.SubFactory(EventFactory)
    name = factory.Sequence(lambda n: f"Type {n}")
    price = Decimal("12.00")


class ProductFactory(factory.django.DjangoModelFactory[Product]):
    """A product at 5.00, no limit of stock."""

    class Meta:
        model = Product

    page = factory.SubFactory(PageFactory)
    name = factory.Sequence(lambda n: f"Product {n}")
    slug = factory.Sequence(lambda n: f"product-{n}")
    price = Decimal("5.00")
    currency = factory.SelfAttribute("page.currency")


class RoomFactory(CalendarFactory):
    """A bookable room at 20.00 an hour, 60 to 240 minutes in steps of 30, open each day from 8 to 22.

    `rules__slot_minutes=60` and the like say otherwise.
    """

    is_bookable = True
    rules = factory.Dict({"price": Decimal("20.00")})

    @classmethod
    def _create(cls, model_class: type[Calendar], *args: object, **kwargs: Any) -> Calendar:
        rules: dict[str, Any] = kwargs.pop("rules")
        room = model_class.objects.create(*args, **kwargs)
        BookingRules.objects.create(calendar=room, **rules)
        for weekday in range(7):
            OpeningHours.objects.create(calendar=room, weekday=weekday, opens=time(8), closes=time(22))
        return room
