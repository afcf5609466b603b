"""The forms by which a person says what goes back: parsed and checked for shape, never written."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from events.admin.reasons import ReasonForm
from payments.refunds.asking import RefundRefused, Wish, check_event, spread
from payments.refunds.rows import SoldRow
from payments.states import RefundKind

WHOLE, GOODWILL, KEEP, GIVE, SURPLUS, PART = "whole", "goodwill", "keep", "give", "surplus", "part"
SUMUP, ELSEWHERE = "sumup", "elsewhere"
LOSS = "loss"


class RefundForm(ReasonForm):
    """What to do with the money of one payment that gave goods; `rows` are those that the user may decide about."""

    ways: ClassVar[list[tuple[str, Promise]]] = [
        (WHOLE, _("Pay the chosen ones back whole: they are no longer valid")),
        (GOODWILL, _("Pay an amount back, out of goodwill: everything stays as it is")),
        (KEEP, _("Keep the money of the chosen ones that are owed: donated, exchanged or agreed")),
        (GIVE, _("Give the chosen ones that are owed after all, instead of the money")),
    ]
    how = forms.ChoiceField(label=_("What to do"), choices=ways, widget=forms.RadioSelect, initial=WHOLE)
    rows = forms.MultipleChoiceField(
        label=_("Which"),
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_("For an amount: none is all."),
    )
    amount = forms.DecimalField(label=_("Amount, for goodwill"), required=False, max_digits=10, decimal_places=2)
    way = forms.ChoiceField(
        label=_("How"),
        choices=[
            (SUMUP, _("through SumUp, to the card that it was paid with")),
            (ELSEWHERE, _("it was paid back already in another way, in cash or by transfer: only write it down")),
        ],
        widget=forms.RadioSelect,
        initial=SUMUP,
    )
    field_order = ("how", "rows", "amount", "way", "reason")

    def __init__(self, *arguments: Any, rows: Sequence[SoldRow], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.sold = {row.key: row for row in rows}
        field = self.fields["rows"]
        if isinstance(field, forms.MultipleChoiceField):
            field.choices = [(row.key, _label(row)) for row in rows]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        how, amount = cleaned.get("how"), cleaned.get("amount")
        if how in (WHOLE, KEEP, GIVE) and not cleaned.get("rows") and "rows" not in self.errors:
            self.add_error("rows", _("Choose at least one."))
        if how in (GOODWILL, PART) and amount is None and "amount" not in self.errors:
            self.add_error("amount", _("Say how much."))
        if amount is not None and amount <= 0:
            self.add_error("amount", _("An amount is above 0."))
        return cleaned

    def wishes(self) -> list[Wish]:
        """What the valid form asks for; raises RefundRefused when the amount is more than what is left."""
        cleaned = self.cleaned_data
        chosen = [self.sold[key] for key in cleaned["rows"]]
        if cleaned["how"] == GOODWILL:
            return spread(chosen or self.sold.values(), cleaned["amount"])
        for row in chosen:
            check_event(row)
        return [Wish(RefundKind.ROW, row.key) for row in chosen]


class SurplusForm(RefundForm):
    """What to do with a payment that gave no goods."""

    ways: ClassVar[list[tuple[str, Promise]]] = [
        (SURPLUS, _("Pay all of it back")),
        (PART, _("Pay an amount of it back")),
    ]
    how = forms.ChoiceField(label=_("What to do"), choices=ways, widget=forms.RadioSelect, initial=SURPLUS)

    def __init__(self, *arguments: Any, rows: Sequence[SoldRow], **named: Any) -> None:
        super().__init__(*arguments, rows=rows, **named)
        del self.fields["rows"]
        self.fields["amount"].label = _("Amount, for a part")

    def wishes(self) -> list[Wish]:
        cleaned = self.cleaned_data
        return [Wish(RefundKind.SURPLUS, amount=cleaned["amount"] if cleaned["how"] == PART else None)]


class ExplainForm(ReasonForm):
    """What a refund or chargeback from outside was for."""

    rows = forms.MultipleChoiceField(
        label=_("What was paid back whole, and is no longer valid"),
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    rest = forms.ChoiceField(
        label=_("The rest of it"),
        choices=[
            (GOODWILL, _("out of goodwill, for what stays valid")),
            (LOSS, _("for nothing of the order: it is lost")),
        ],
        widget=forms.RadioSelect,
        initial=GOODWILL,
    )
    field_order = ("rows", "rest", "reason")

    def __init__(self, *arguments: Any, rows: Sequence[SoldRow], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.sold = {row.key: row for row in rows}
        field = self.fields["rows"]
        if isinstance(field, forms.MultipleChoiceField):
            field.choices = [(row.key, _label(row)) for row in rows]

    def wishes(self, amount: Decimal) -> list[Wish]:
        """What the valid form says of `amount`; raises RefundRefused where the rest fits nowhere."""
        chosen = [self.sold[key] for key in self.cleaned_data["rows"]]
        rest = amount - sum((row.rest for row in chosen), Decimal(0))
        found = [Wish(RefundKind.ROW, row.key) for row in chosen]
        if rest < 0:
            raise RefundRefused(_("What you chose comes to more than what went back."))
        if rest and self.cleaned_data["rest"] == LOSS:
            return [*found, Wish(RefundKind.SURPLUS, amount=rest)]
        return [*found, *spread([row for row in self.sold.values() if row not in chosen], rest)] if rest else found


def _label(row: SoldRow) -> str:
    return f"{row.name}: {row.rest_money.or_free()}, {row.word}"
