"""Rows for tests, dull on purpose: whatever a test is about, it says itself."""

from datetime import timedelta
from decimal import Decimal

import factory
from django.utils import timezone

from accounts.models import User
from events.models import Calendar, CalendarEntry, Page, TicketType
from events.transitions import publish


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
