"""A room on its calendar's page: rules, opening hours, closed days and peak prices, checked in words."""

import itertools
from collections.abc import Iterable
from datetime import time
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet, ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from events.admin.entry_forms import check_price
from events.models import BookingRules, Calendar, ClosedDays, OpeningHours, PeakPrice
from events.scoping import RUN, ScopedInline

A_DAY = 24 * 60
A_WEEK = 7 * A_DAY
#: The least and the most of each length in minutes; the database says the same.
LIMITS = {
    "slot_minutes": (5, A_DAY),
    "min_minutes": (5, A_DAY),
    "max_minutes": (5, A_DAY),
    "step_minutes": (5, A_DAY),
    "setup_minutes": (0, 720),
    "cleanup_minutes": (0, 720),
    "ahead_days": (1, 730),
}


class PricedForm(ModelForm[Any]):
    """A price in the currency of the calendar's page; `calendar` is set on a subclass."""

    calendar: Calendar | None = None

    def clean_price(self) -> Decimal | None:
        price: Decimal | None = self.cleaned_data["price"]
        check_price(price, self.calendar.page.currency if self.calendar else "")
        return price


class RulesForm(PricedForm):
    class Meta:
        model = BookingRules
        fields = (
            "slot_minutes", "min_minutes", "max_minutes", "step_minutes", "price", "price_per", "setup_minutes",
            "cleanup_minutes", "notice_minutes", "ahead_days",
        )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        for name, (least, most) in LIMITS.items():
            value = data.get(name)
            if value is not None and not least <= value <= most:
                words = gettext("From %(least)d to %(most)d.") % {"least": least, "most": most}
                self.add_error(name, words)
        shortest, longest = data.get("min_minutes"), data.get("max_minutes")
        if shortest is not None and longest is not None and longest < shortest:
            self.add_error("max_minutes", gettext("Not below the least."))
        return data


class PeakForm(PricedForm):
    class Meta:
        model = PeakPrice
        fields = ("weekday", "starts", "ends", "price")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        starts, ends = data.get("starts"), data.get("ends")
        if starts is not None and ends is not None and ends != time() and ends <= starts:
            self.add_error("ends", gettext("It ends after it starts, by midnight (00:00) at the latest."))
        return data


class ClosedForm(ModelForm[ClosedDays]):
    class Meta:
        model = ClosedDays
        fields = ("first_day", "last_day", "reason")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        first, last = data.get("first_day"), data.get("last_day")
        if first is not None and last is not None and last < first:
            self.add_error("last_day", gettext("Not before the first day."))
        return data


def kept(formset: Any) -> Iterable[dict[str, Any]]:
    """What the forms of `formset` say that are filled in right and not to be deleted."""
    for form in formset.forms:
        data = getattr(form, "cleaned_data", None)
        if data and not data.get("DELETE") and not form.errors:
            yield data


class RulesFormSet(BaseInlineFormSet[BookingRules, Calendar, ModelForm[BookingRules]]):
    def clean(self) -> None:
        super().clean()
        wrong = any(form.errors for form in self.forms)  # then those say what is missing
        if self.instance.is_bookable and not wrong and not list(kept(self)):
            raise ValidationError(
                gettext("Visitors can book time in it only with rules: fill them in, or untick that it can be booked.")
            )


class HoursFormSet(BaseInlineFormSet[OpeningHours, Calendar, ModelForm[OpeningHours]]):
    def clean(self) -> None:
        """Hours that overlap would offer the same time twice; those that run past midnight reach into the next day."""
        super().clean()
        spans = sorted(
            (int(data["weekday"]) * A_DAY + minutes(data["opens"]), open_for(data["opens"], data["closes"]))
            for data in kept(self)
        )
        for (start, length), (following, _length) in zip(spans, spans[1:] + _again(spans[:1]), strict=True):
            if start + length > following:
                day = OpeningHours(weekday=following % A_WEEK // A_DAY).get_weekday_display()
                raise ValidationError(gettext("Opening hours overlap on %(day)s.") % {"day": day})


def _again(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """These hours a week later: the last of a week must not reach into the first of the next."""
    return [(start + A_WEEK, length) for start, length in spans]


def minutes(clock: time) -> int:
    return clock.hour * 60 + clock.minute


def open_for(opens: time, closes: time) -> int:
    """Minutes by the clock, closing at or before the opening being on the next day."""
    return (minutes(closes) - minutes(opens)) % A_DAY or A_DAY


class PeakFormSet(BaseInlineFormSet[PeakPrice, Calendar, ModelForm[PeakPrice]]):
    def clean(self) -> None:
        super().clean()
        spans: dict[object, list[tuple[int, int]]] = {}
        for data in kept(self):
            start = minutes(data["starts"])
            spans.setdefault(data["weekday"], []).append((start, minutes(data["ends"]) or A_DAY))
        for of_day in spans.values():
            ordered = sorted(of_day)
            if any(end > following for (_start, end), (following, _end) in itertools.pairwise(ordered)):
                raise ValidationError(gettext("Two peak prices of one day overlap."))


class RoomInline(ScopedInline[Any, Calendar]):
    """What the calendar's organiser runs; prices are in the currency of its page."""

    edits = RUN

    def get_formset(self, request: HttpRequest, obj: Calendar | None = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        formset.form = type("PlacedForm", (formset.form,), {"calendar": obj})
        return formset


class RulesInline(RoomInline):
    model = BookingRules
    form = RulesForm
    formset = RulesFormSet
    template = "admin/edit_inline/stacked.html"
    fields = (
        ("price", "price_per"),
        "slot_minutes",
        ("min_minutes", "max_minutes", "step_minutes"),
        ("setup_minutes", "cleanup_minutes"),
        ("notice_minutes", "ahead_days"),
    )
    verbose_name_plural = _("how time in it is booked")

    def get_extra(self, request: HttpRequest, obj: Calendar | None = None, **kwargs: Any) -> int:  # noqa: ARG002
        return 0 if obj is not None and hasattr(obj, "rules") else 1


class HoursInline(RoomInline):
    model = OpeningHours
    formset = HoursFormSet
    fields = ("weekday", "opens", "closes")
    verbose_name_plural = _("when it can be booked, on the page's clock")


class ClosedInline(RoomInline):
    model = ClosedDays
    form = ClosedForm
    fields = ("first_day", "last_day", "reason")


class PeakInline(RoomInline):
    model = PeakPrice
    form = PeakForm
    formset = PeakFormSet
    fields = ("weekday", "starts", "ends", "price")


ROOM_INLINES = [RulesInline, HoursInline, ClosedInline, PeakInline]
