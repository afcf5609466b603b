"""When a room can be booked, for how long and at what price; all of it about one bookable calendar."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from events.models.pages import Calendar
from ledger.arrows import history_trigger


class PricePer(models.TextChoices):
    SLOT = "slot", _("booking")
    HOUR = "hour", _("hour")


class BookingRules(models.Model):
    """How time in a room is booked: in slots of one length, or freely between a least and a most, and at what price.

    Lengths are real minutes, also across a change of the clocks. Set-up and clean-up lie outside what the visitor
    books and may lie outside the opening hours; the room is blocked for them too.
    """

    calendar = models.OneToOneField(Calendar, on_delete=models.CASCADE, related_name="rules", verbose_name=_("room"))
    slot_minutes = models.PositiveSmallIntegerField(
        _("slot, in minutes"), null=True, blank=True, help_text=_("Empty: visitors choose how long.")
    )
    min_minutes = models.PositiveSmallIntegerField(_("at least, in minutes"), default=60)
    max_minutes = models.PositiveSmallIntegerField(_("at most, in minutes"), default=240)
    step_minutes = models.PositiveSmallIntegerField(_("in steps of, in minutes"), default=30)
    price = models.DecimalField(_("price"), max_digits=10, decimal_places=2)
    price_per = models.CharField(_("per"), max_length=4, choices=PricePer.choices, default=PricePer.HOUR)
    setup_minutes = models.PositiveSmallIntegerField(_("set-up, in minutes"), default=0)
    cleanup_minutes = models.PositiveSmallIntegerField(_("clean-up, in minutes"), default=0)
    notice_minutes = models.PositiveIntegerField(_("booked so long before at least, in minutes"), default=60)
    ahead_days = models.PositiveSmallIntegerField(_("booked so many days ahead at most"), default=90)

    class Meta:
        verbose_name = _("booking rules")
        verbose_name_plural = _("booking rules")
        constraints = [
            models.CheckConstraint(
                condition=Q(slot_minutes=None) | Q(slot_minutes__range=(5, 1440)), name="rules_slot_in_a_day"
            ),
            models.CheckConstraint(
                condition=Q(min_minutes__gte=5, max_minutes__gte=F("min_minutes"), max_minutes__lte=1440),
                name="rules_lengths",
            ),
            models.CheckConstraint(condition=Q(step_minutes__range=(5, 1440)), name="rules_step"),
            models.CheckConstraint(condition=Q(price__gte=0), name="rules_price_not_negative"),
            models.CheckConstraint(condition=Q(price_per__in=PricePer.values), name="rules_price_per_known"),
            models.CheckConstraint(
                condition=Q(setup_minutes__lte=720, cleanup_minutes__lte=720), name="rules_setup_and_cleanup"
            ),
            models.CheckConstraint(condition=Q(ahead_days__range=(1, 730)), name="rules_ahead"),
        ]
        triggers = [history_trigger("bookingrules", ["price"])]

    def __str__(self) -> str:
        return str(self.calendar)


class OpeningHours(models.Model):
    """Hours of one weekday in which a room can be booked; closing at or before the opening means the next day."""

    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="opening_hours")
    weekday = models.PositiveSmallIntegerField(
        _("weekday"),
        choices=[
            (0, _("Monday")), (1, _("Tuesday")), (2, _("Wednesday")), (3, _("Thursday")), (4, _("Friday")),
            (5, _("Saturday")), (6, _("Sunday")),
        ],
    )  # fmt: skip
    opens = models.TimeField(_("opens"))
    closes = models.TimeField(_("closes"), help_text=_("00:00 is midnight; earlier than opening: on the next day."))

    class Meta:
        verbose_name = _("opening hours")
        verbose_name_plural = _("opening hours")
        ordering = ["weekday", "opens"]
        constraints = [
            models.CheckConstraint(condition=Q(weekday__lte=6), name="opening_weekday_known"),
            models.UniqueConstraint(fields=["calendar", "weekday", "opens"], name="opening_once"),
        ]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.opens:%H:%M}-{self.closes:%H:%M}"


class ClosedDays(models.Model):
    """Days on which a room does not open, whatever its opening hours say."""

    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="closed_days")
    first_day = models.DateField(_("first day"))
    last_day = models.DateField(_("last day"))
    reason = models.CharField(_("why"), max_length=120, blank=True)

    class Meta:
        verbose_name = _("closed days")
        verbose_name_plural = _("closed days")
        ordering = ["first_day"]
        constraints = [
            models.CheckConstraint(condition=Q(last_day__gte=F("first_day")), name="closed_days_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.first_day} - {self.last_day}"


class PeakPrice(models.Model):
    """Another price for time that lies in these hours of a weekday (None: of every day), by the room's clock.

    Per hour, each minute costs what its own time says; per slot, the slot's start decides.
    """

    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="peak_prices")
    weekday = models.PositiveSmallIntegerField(
        _("weekday"),
        null=True,
        blank=True,
        choices=OpeningHours._meta.get_field("weekday").choices,
        help_text=_("Empty: every day."),
    )
    starts = models.TimeField(_("from"))
    ends = models.TimeField(_("to"), help_text=_("00:00 is midnight."))
    price = models.DecimalField(_("price"), max_digits=10, decimal_places=2)

    class Meta:
        verbose_name = _("peak price")
        verbose_name_plural = _("peak prices")
        ordering = ["weekday", "starts"]
        constraints = [
            models.CheckConstraint(condition=Q(price__gte=0), name="peak_price_not_negative"),
            models.CheckConstraint(condition=Q(weekday=None) | Q(weekday__lte=6), name="peak_weekday_known"),
        ]
        triggers = [history_trigger("peakprice", ["price"])]

    def __str__(self) -> str:
        return f"{self.starts:%H:%M}-{self.ends:%H:%M}"
