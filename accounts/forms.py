"""The forms that sign people in and up."""

from allauth.account.fields import EmailField
from allauth.account.forms import ConfirmLoginCodeForm, LoginForm
from allauth.core import ratelimit
from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from accounts.codes import CodeProcess
from accounts.models import User


class SignInForm(LoginForm):  # type: ignore[misc]  # allauth ships no types
    """An e-mail address and perhaps a password: without one, a code goes to the address."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"] = EmailField(
            label=_("E-mail address"), max_length=User._meta.get_field("email").max_length
        )
        self.fields["login"].widget.attrs["autofocus"] = True

    def _setup_password_field(self) -> None:
        self.fields["password"].required = False
        self.fields["password"].help_text = ""

    def _clean_without_password(self, email: str, phone: None) -> dict[str, object]:  # noqa: ARG002  (allauth's signature)
        # Whether we know the address is not asked here, so the answer cannot tell.
        ratelimit.consume(self.request, action="request_login_code", key=email, raise_exception=True)
        cleaned: dict[str, object] = self.cleaned_data
        return cleaned

    def _login_by_code(
        self, request: HttpRequest, redirect_url: str | None, credentials: dict[str, str]
    ) -> HttpResponse:
        CodeProcess.start(request, credentials["email"])
        query = f"?{urlencode({'next': redirect_url})}" if redirect_url else ""
        return redirect(reverse("account_confirm_login_code") + query)


class EnterCodeForm(ConfirmLoginCodeForm):  # type: ignore[misc]  # allauth ships no types
    """The code; dashes and blanks in it do not matter."""

    code = forms.CharField(
        label=_("Code"),
        max_length=32,
        widget=forms.TextInput(
            attrs={"class": "code-input", "inputmode": "numeric", "autocomplete": "one-time-code", "autofocus": True}
        ),
        error_messages={"required": _("Enter the code from the mail.")},
    )
