"""Filling a demo: people, pages, rooms, events and products; then a month of trade with them."""

from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from allauth.account.models import EmailAddress
from django.core.files import File
from django.db import transaction

from accounts.models import User
from dev.demo.accounts import DEMO_ACCOUNTS, DEMO_PASSWORD
from dev.demo.scenery import EVENTS, PAGES, PRODUCTS, ROOMS, SHOWN, ZONES, DemoEvent, DemoProduct, DemoRoom
from dev.demo.trading import end_is_marked, guest, mark_end, trade
from events.models import (
    BookingRules,
    Calendar,
    CalendarEntry,
    ClosedDays,
    Merchant,
    OpeningHours,
    Page,
    PageMember,
    PeakPrice,
    Role,
    TicketType,
)
from events.pictures import Pictured
from events.rooms.events import blocked_by
from events.transitions import call_off_event, publish
from ledger.signing import sign
from market.models import Product
from payments.merchants import client_for, ensure_site_merchant

#: One picture of each thing that is shown (dev.demo.posters draws them).
PICTURES = Path(__file__).parent / "pictures"
#: How many people bought before anybody comes.
GUESTS = 14


def is_a_shop() -> bool:
    """Whether somebody else has begun there: accounts whose password is told must not be put beside theirs."""
    if end_is_marked():
        return False
    begun = Page.objects.exists() or User.objects.filter(is_staff=True).exists()
    return begun and not Page.objects.filter(slug__in=PAGES).exists()


def seed(*, at: datetime) -> bool:
    """Make the demo unless it is there; answers whether it made anything. Safe to run again after it was stopped."""
    if end_is_marked():
        return False
    ensure_site_merchant()
    with transaction.atomic():
        sign(who="seed_demo", why="demo")
        people = _people()
        if not Page.objects.filter(slug__in=PAGES).exists():
            _pages(people)
            for room in ROOMS:
                _room(room, at)
            for event in EVENTS:
                _event(event, at)
            for position, product in enumerate(PRODUCTS):
                _product(product, position)
    trade(GUESTS, at=at)
    for event in EVENTS:
        if event.cancelled:
            with transaction.atomic():
                sign(who="seed_demo", why="rain")
                call_off_event(CalendarEntry.objects.get(title=event.title))
    mark_end(people["buyer@example.org"], at=at)
    return True


def _people() -> dict[str, User]:
    people = {}
    for email in DEMO_ACCOUNTS:
        user = User.objects.filter(email=email).first()
        if user is None:
            make = User.objects.create_superuser if email.startswith("admin") else User.objects.create_user
            user = make(email, DEMO_PASSWORD)
            user.is_staff = user.is_staff or email.startswith("organiser")
            user.save(update_fields=["is_staff"])
            EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
        people[email] = user
    for number in range(GUESTS):
        if not User.objects.filter(email=guest(number)).exists():
            User.objects.create_user(guest(number))
    return people


def _pages(people: dict[str, User]) -> None:
    for slug, (name, place_, text, merchant_code, calendars) in PAGES.items():
        page = Page.objects.create(
            slug=slug,
            name=name,
            place=place_,
            text=text,
            contact_email=f"hello@{slug}.example",
            time_zone=ZONES[slug],
            merchant=_merchant(merchant_code, name) if merchant_code else None,
        )
        for position, (calendar_slug, calendar_name) in enumerate(calendars.items()):
            Calendar.objects.create(page=page, slug=calendar_slug, name=calendar_name, position=position)
        if slug != "clay-and-steps":
            PageMember.objects.create(page=page, user=people["organiser@example.org"], role=Role.OWNER)


def _room(room: DemoRoom, at: datetime) -> None:
    calendar = Calendar.objects.get(page__slug=room.page, slug=room.calendar)
    calendar.text, calendar.is_bookable = room.text, True
    calendar.save(update_fields=["text", "is_bookable"])
    BookingRules.objects.create(calendar=calendar, **room.rules)
    opens, closes = time.fromisoformat(room.opens), time.fromisoformat(room.closes)
    for weekday in room.weekdays:
        OpeningHours.objects.create(calendar=calendar, weekday=weekday, opens=opens, closes=closes)
    for peak_day, starts, ends, price in room.peaks:
        PeakPrice.objects.create(
            calendar=calendar,
            weekday=peak_day,
            starts=time.fromisoformat(starts),
            ends=time.fromisoformat(ends),
            price=Decimal(price),
        )
    for number in room.closed_in_days:
        day = at.astimezone(calendar.page.zone()).date() + timedelta(days=number)
        ClosedDays.objects.create(calendar=calendar, first_day=day, last_day=day, reason="Piano tuner")


def _merchant(code: str, name: str) -> Merchant:
    """A page's own merchant, as the simulator knows it."""
    merchant = Merchant(code=code, name=name, api_key=f"sup_sk_demo_{code}", currency="EUR")
    answer = client_for(merchant, deadline=10).read_merchant()
    merchant.currency, merchant.is_sandbox = answer.currency, bool(answer.sandbox)
    merchant.save(force_insert=True)
    return merchant


def _event(event: DemoEvent, at: datetime) -> None:
    calendar = Calendar.objects.select_related("page").get(page__slug=event.page, slug=event.calendar)
    zone = ZoneInfo(calendar.page.time_zone)
    day = at.astimezone(zone).date() + timedelta(days=event.day)
    starts_at = datetime.combine(day, time.fromisoformat(event.time), zone)
    entry = CalendarEntry(
        calendar=calendar,
        title=event.title,
        summary=event.summary,
        text=event.text,
        place=event.place,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=event.minutes),
        ticket_price=event.ticket_price,
        capacity=event.capacity,
        currency=calendar.page.currency,
    )
    if event.room:
        entry.room = Calendar.objects.get(page__slug=event.page, slug=event.room)
        entry.blocks = blocked_by(entry.room, entry.starts_at, entry.ends_at)
    if event.sale_opens_in_days is not None:
        entry.sale_starts_at = at + timedelta(days=event.sale_opens_in_days)
    _show(entry, event.picture)
    entry.save(force_insert=True)
    for position, kind in enumerate(event.types):
        TicketType.objects.create(
            entry=entry,
            name=kind.name,
            text=kind.text,
            price=Decimal(kind.price),
            capacity=kind.capacity,
            min_per_order=kind.minimum,
            max_per_order=kind.maximum,
            position=position,
        )
    publish(entry)


def _product(product: DemoProduct, position: int) -> None:
    page = Page.objects.get(slug=product.page)
    made = Product(
        page=page,
        slug=product.slug,
        name=product.name,
        summary=product.summary,
        text=product.text,
        price=Decimal(product.price),
        currency=page.currency,
        stock=product.stock,
        position=position,
    )
    _show(made, product.slug)
    made.save(force_insert=True)


def _show(row: Pictured, name: str) -> None:
    """Give a new row a picture of the demo, by the way that all pictures take."""
    with (PICTURES / f"{name}.webp").open("rb") as file:
        row.picture.save(name, File(file), save=False)
    row.picture_alt = SHOWN[name]
