"""The reason that a person gives for what cannot be undone."""

from django import forms
from django.utils.translation import gettext_lazy as _


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 28}),  # as wide as the narrowest phone
        help_text=_("It stays on record."),
    )
