"""CalendarEntry, an event or a booking, and the ticket types that an event sells."""

from decimal import Decimal

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.visitors import Visitor
from events.local_times import span
from events.models.pages import Calendar
from events.pictures import Pictured
from events.searching import Folded, words_of
from events.states import ENTRY_ARROWS, HELD, EntryKind, EntryState
from ledger.arrows import arrow_triggers, counter_guards, frozen_trigger, history_trigger, revision_trigger
from ledger.copies import copies_of
from ledger.locking import LockableQuerySet
from ledger.money import CURRENCY_CHOICES, Money

EVENT = Q(kind=EntryKind.EVENT)
BOOKING = Q(kind=EntryKind.BOOKING)
#: Each change of one of them is history.
MOMENTS = ["starts_at", "ends_at", "sale_starts_at", "sale_ends_at"]


class TstzRange(models.Func):
    function = "tstzrange"
    output_field = DateTimeRangeField()


#: What an event itself is found by.
WORDS = Folded("title", "summary", "place")


class EntryQuerySet(LockableQuerySet["CalendarEntry"]):
    def events(self) -> "EntryQuerySet":
        return self.filter(kind=EntryKind.EVENT)

    def bookings(self) -> "EntryQuerySet":
        return self.filter(kind=EntryKind.BOOKING)

    def in_cart_of(self, visitor: Visitor) -> "EntryQuerySet":
        """Bookings that `visitor` has in the cart and has not ordered."""
        return self.bookings().filter(visitor.own(), state=EntryState.PENDING)

    def own_bookings(self, visitor: Visitor) -> "EntryQuerySet":
        """Bookings that `visitor` has in the cart, and those that hold their time."""
        return self.bookings().filter(visitor.own(), state__in=sorted({EntryState.PENDING, *HELD}))

    def originals_by_copy(self) -> dict[int, int]:
        """All rows that were put back in a cart for one of these rows or for such a copy: pk -> the original's pk."""
        return copies_of(self)

    def public(self) -> "EntryQuerySet":
        """Events that anybody may see: confirmed or cancelled, published, on a published page."""
        return self.events().filter(
            state__in=[EntryState.CONFIRMED, EntryState.CANCELLED], is_published=True, calendar__page__is_published=True
        )

    def with_page(self) -> "EntryQuerySet":
        return self.select_related("calendar__page")

    def matching(self, text: str) -> "EntryQuerySet":
        """Events in which each word of `text` occurs: in their own, their calendar's or their page's names and places.

        The two ways to a word are asked for one by one, that each may take its index.
        """
        words = words_of(text)
        matches = self if words else self.none()
        for word in words:
            own = CalendarEntry.objects.events().alias(words=WORDS).filter(words__contains=word)
            named = CalendarEntry.objects.filter(calendar__in=Calendar.objects.named(word))
            matches = matches.filter(pk__in=own.order_by().values("pk").union(named.order_by().values("pk"), all=True))
        return matches


class CalendarEntry(Pictured):
    """One thing in a calendar, of one kind: an event that may sell tickets, or a booking of time in a room."""

    calendar = models.ForeignKey(Calendar, on_delete=models.PROTECT, related_name="entries", verbose_name=_("calendar"))
    kind = models.CharField(_("kind"), max_length=10, choices=EntryKind.choices, default=EntryKind.EVENT)
    state = models.CharField(_("state"), max_length=12, choices=EntryState.choices, default=EntryState.DRAFT)
    title = models.CharField(_("title"), max_length=160)
    summary = models.CharField(_("one line"), max_length=240, blank=True)
    text = models.TextField(_("text"), blank=True)
    place = models.CharField(_("place"), max_length=200, blank=True)
    starts_at = models.DateTimeField(_("starts"))
    ends_at = models.DateTimeField(_("ends"))
    is_published = models.BooleanField(_("published"), default=True)
    created_at = models.DateTimeField(_("made"), auto_now_add=True)
    # How often what people have in their calendars changed, and when it last did.
    revision = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    revised_at = models.DateTimeField(null=True, editable=False)

    # Time in a room: `blocks` is starts_at - set-up to ends_at + clean-up, stored by us (the sum is not immutable).
    room = models.ForeignKey(
        Calendar, on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("room")
    )
    blocks = DateTimeRangeField(_("blocked time"), null=True, blank=True, editable=False)

    # What an event sells.
    ticket_price = models.DecimalField(
        _("ticket price"),
        max_digits=10,
        decimal_places=2,
        null=True,
        blank=True,
        help_text=_("Used when the event has no ticket types. Empty: no tickets. 0: free tickets."),
    )
    capacity = models.PositiveIntegerField(_("capacity"), null=True, blank=True, help_text=_("Empty: no limit."))
    held = models.PositiveIntegerField(_("held"), default=0, editable=False)
    sale_starts_at = models.DateTimeField(_("sale starts"), null=True, blank=True)
    sale_ends_at = models.DateTimeField(_("sale ends"), null=True, blank=True)
    max_per_order = models.PositiveSmallIntegerField(_("tickets an order at most"), default=10)

    # What a visitor books.
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="bookings")
    cart_key = models.CharField(max_length=64, null=True, blank=True, editable=False)
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, null=True, blank=True, related_name="bookings")
    price = models.DecimalField(_("price"), max_digits=10, decimal_places=2, null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCY_CHOICES)
    replaces = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    # The confirmed booking that an event came of, once: the booking keeps the room, the event sells the tickets.
    booking = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="event", verbose_name=_("came of booking")
    )

    objects = EntryQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["starts_at", "id"]
        indexes = [
            models.Index(fields=["calendar", "starts_at"], name="entry_of_calendar"),
            models.Index(fields=["ends_at"], condition=EVENT & Q(state="confirmed"), name="entry_coming"),
            models.Index(fields=["starts_at", "id"], condition=EVENT & Q(state="confirmed"), name="entry_in_order"),
            GinIndex(OpClass(WORDS, name="gin_trgm_ops"), condition=EVENT, name="entry_told"),
            models.Index(fields=["user"], condition=BOOKING & Q(state="pending"), name="entry_pending_of_user"),
            models.Index(fields=["cart_key"], condition=BOOKING & Q(state="pending"), name="entry_pending_of_key"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=EntryKind.values), name="entry_kind_known"),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="entry_ends_after_start"),
            models.CheckConstraint(condition=Q(held__lte=F("capacity")) | Q(capacity=None), name="entry_not_oversold"),
            models.CheckConstraint(condition=~Q(state="draft") | Q(held=0), name="entry_draft_holds_nothing"),
            models.CheckConstraint(condition=Q(ticket_price__gte=0), name="entry_ticket_price_not_negative"),
            models.CheckConstraint(condition=Q(max_per_order__gte=1), name="entry_max_per_order_positive"),
            models.CheckConstraint(
                condition=BOOKING | Q(user=None, cart_key=None, order=None, price=None), name="entry_event_has_no_order"
            ),
            models.CheckConstraint(
                condition=EVENT
                | Q(state="pending", order=None, user__isnull=False, cart_key=None)
                | Q(state="pending", order=None, user=None, cart_key__isnull=False)
                | (~Q(state="pending") & Q(order__isnull=False, user__isnull=False, cart_key=None)),
                name="entry_booking_reserved_has_order",
            ),
            models.CheckConstraint(
                condition=EVENT | Q(price__gte=0, room__isnull=False), name="entry_booking_has_price_and_room"
            ),
            models.CheckConstraint(
                condition=Q(room=None, blocks=None) | Q(room__isnull=False, blocks__isnull=False),
                name="entry_room_is_blocked",
            ),
            models.CheckConstraint(
                condition=Q(booking=None) | (EVENT & Q(room=None)), name="entry_of_a_booking_takes_no_room"
            ),
            # An empty range overlaps nothing, and one that was not moved with its entry overlaps the wrong things.
            models.CheckConstraint(
                condition=Q(blocks=None) | Q(blocks__contains=TstzRange("starts_at", "ends_at")),
                name="entry_blocks_its_time",
            ),
            ExclusionConstraint(
                name="entry_room_held_once",
                expressions=[("room", RangeOperators.EQUAL), ("blocks", RangeOperators.OVERLAPS)],
                condition=Q(room__isnull=False, state__in=sorted(HELD)),
            ),
        ]
        triggers = [
            *arrow_triggers("entry", ENTRY_ARROWS, state="{row}.kind || '.' || {row}.state"),
            *counter_guards("entry"),
            frozen_trigger(
                "entry_booking_frozen",
                ["order_id", "price", "currency", "user_id"],
                when="OLD.kind = 'booking' AND OLD.state <> 'pending'",
            ),
            revision_trigger(
                "entry_revised",
                ["starts_at", "ends_at", "place", "title", "summary"],
                also="OLD.state <> NEW.state AND OLD.state NOT IN ('draft', 'pending', 'reserved')",
            ),
            history_trigger("calendarentry", ["state", "ticket_price", "price", "capacity", *MOMENTS]),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("entry", args=[self.pk, self.slug])

    @property
    def slug(self) -> str:
        return slugify(self.title) or "event"

    @cached_property
    def has_types(self) -> bool:
        """Whether it sells by ticket types: then its own `ticket_price` is no offer."""
        return self.ticket_types.all().exists()

    @property
    def free_places(self) -> int | None:
        """Places that are not held; None: no limit."""
        return None if self.capacity is None else max(self.capacity - self.held, 0)

    @property
    def cost(self) -> Money:
        """What a booking costs: its frozen price once ordered; before, what its visitor saw when choosing it."""
        return Money(self.price if self.price is not None else Decimal(0), self.currency)

    @property
    def when(self) -> str:
        """From when to when, on its page's clock; reads calendar.page."""
        return span(self.starts_at, self.ends_at, self.calendar.page.zone())

    @property
    def when_in_full(self) -> str:
        """`when` with the names of day and month written out, and that of the clock; reads calendar.page."""
        return span(self.starts_at, self.ends_at, self.calendar.page.zone(), in_full=True)

    @property
    def where(self) -> str:
        return self.place or self.calendar.page.place

    @property
    def what(self) -> str:
        """As a bill names a booking; reads calendar.page."""
        return f"{self.title}, {self.when}"

    @property
    def is_valid(self) -> bool:
        """A booking that is paid for (or free), and neither cancelled nor given back."""
        return self.kind == EntryKind.BOOKING and self.state in (EntryState.CONFIRMED, EntryState.CHECKED_IN)

    @property
    def access_note(self) -> str:
        """What to know who has booked it, while it is valid; reads calendar."""
        return self.calendar.access_note if self.is_valid else ""

    @property
    def is_owed(self) -> bool:
        return self.state == EntryState.REFUND_DUE


class Booking(CalendarEntry):
    """An entry of the kind booking, for the list of its own that organisers read."""

    class Meta:
        proxy = True
        verbose_name = _("booking")
        verbose_name_plural = _("bookings")


class TicketTypeQuerySet(LockableQuerySet["TicketType"]):
    pass


class TicketType(models.Model):
    """A kind of ticket of an event: its price and, if it has them, a capacity and a sale window of its own."""

    entry = models.ForeignKey(
        CalendarEntry, on_delete=models.PROTECT, related_name="ticket_types", verbose_name=_("event")
    )
    name = models.CharField(_("name"), max_length=80)
    text = models.CharField(_("for whom"), max_length=200, blank=True)
    price = models.DecimalField(_("price"), max_digits=10, decimal_places=2)
    capacity = models.PositiveIntegerField(_("capacity"), null=True, blank=True, help_text=_("Empty: the event's."))
    held = models.PositiveIntegerField(_("held"), default=0, editable=False)
    sale_starts_at = models.DateTimeField(_("sale starts"), null=True, blank=True)
    sale_ends_at = models.DateTimeField(_("sale ends"), null=True, blank=True)
    min_per_order = models.PositiveSmallIntegerField(_("an order at least"), default=1)
    max_per_order = models.PositiveSmallIntegerField(_("an order at most"), default=10)
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    objects = TicketTypeQuerySet.as_manager()

    class Meta:
        verbose_name = _("ticket type")
        verbose_name_plural = _("ticket types")
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["id", "entry"], name="ticket_type_of_entry"),
            models.CheckConstraint(
                condition=Q(held__lte=F("capacity")) | Q(capacity=None), name="ticket_type_not_oversold"
            ),
            models.CheckConstraint(condition=Q(price__gte=0), name="ticket_type_price_not_negative"),
            models.CheckConstraint(
                condition=Q(min_per_order__gte=1, max_per_order__gte=F("min_per_order")), name="ticket_type_limits"
            ),
        ]
        triggers = [
            *counter_guards("tickettype"),
            frozen_trigger("tickettype_entry_frozen", ["entry_id"]),
            history_trigger("tickettype", ["price", "capacity", "sale_starts_at", "sale_ends_at"]),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def free_places(self) -> int | None:
        """Places of this type that are not held; None: only the event's capacity limits it."""
        return None if self.capacity is None else max(self.capacity - self.held, 0)
