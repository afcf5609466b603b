"""Reading what a visitor posted; nothing here writes."""

import re

from django import forms
from django.core.validators import RegexValidator
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

FIELD = re.compile(r"^quantity-([0-9]{1,18})$")
NUMBER = re.compile(r"^[0-9]{1,3}$")


class BadQuantity(ValueError):
    """What was sent is no number of things to buy; the text tells the buyer."""


def whole_number(value: str) -> int:
    """0 to 999 from plain digits; BadQuantity for everything else (signs, points, exponents, other scripts)."""
    if not NUMBER.match(value.strip()):
        raise BadQuantity(_("“%(value)s” is not a number from 0 to 999.") % {"value": value[:20]})
    return int(value)


def read_quantities(data: QueryDict) -> dict[int, int]:
    """Offer key -> number of tickets, from fields `quantity-<key>`; an empty field is 0. Raises BadQuantity."""
    wanted: dict[int, int] = {}
    for name in data:
        match = FIELD.match(name)
        if match is None:
            continue
        values = data.getlist(name)
        if len(values) != 1:
            raise BadQuantity(_("One number for each kind of ticket, please."))
        wanted[int(match[1])] = whole_number(values[0]) if values[0].strip() else 0
    return wanted


#: Letters, marks, digits, punctuation and plain spaces: no control signs, line breaks or turns of direction.
one_line = RegexValidator(
    r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]",
    gettext_lazy("Please write a name in one line."),
    inverse_match=True,
)


class HolderForm(forms.Form):
    """The name on a ticket; empty takes it off."""

    holder = forms.CharField(
        label=gettext_lazy("Name on the ticket"), max_length=120, required=False, validators=[one_line]
    )


class SendForm(forms.Form):
    """Whom a ticket goes to."""

    email = forms.EmailField(label=gettext_lazy("E-mail address"))
    name = forms.CharField(
        label=gettext_lazy("Name (if you like)"), max_length=120, required=False, validators=[one_line]
    )
