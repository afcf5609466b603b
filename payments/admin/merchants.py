"""Merchants in the admin: an account is checked at SumUp before it is saved, and its key is never shown."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.forms.models import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django_stubs_ext import StrOrPromise

from events.models import Merchant
from events.scoping import SuperuserAdmin, team_of
from payments.merchants import Check, check_account

#: Where a request keeps what SumUp said before its transaction began.
CHECK = "_foyer_merchant_check"


class MerchantForm(ModelForm[Merchant]):
    """The key can be written and never read: it is no model field here, so no page can hold it.

    `check` is what SumUp said of the account that the form names; without one the form's own rules alone are applied.
    """

    check: Check | None = None
    new_api_key = forms.CharField(
        label=_("Secret API key"),
        required=False,
        max_length=512,
        strip=True,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}, render_value=False),
    )

    class Meta:
        model = Merchant
        fields = ("code", "name", "currency", "is_site")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_api_key"].help_text = self._about_the_key()

    def _about_the_key(self) -> StrOrPromise:
        if self.instance.has_lost_key:
            return _(
                "The stored key cannot be read with the keys of this installation: nobody can pay to this account."
                " Enter the key again; until then what is stored stays as it is."
            )
        if self.instance.pk and self.instance.secret():
            return _("A key is stored. It is never shown; leave this empty to keep it.")
        return _("From SumUp's dashboard; stored encrypted and never shown again.")

    def clean_is_site(self) -> bool:
        chosen = bool(self.cleaned_data["is_site"])
        others = Merchant.objects.filter(is_site=True).exclude(pk=self.instance.pk)
        if chosen and (other := others.first()):
            raise ValidationError(
                gettext("%(other)s is the site's merchant; untick it there first.") % {"other": other}
            )
        return chosen

    def account(self) -> Merchant:
        """The account as the valid form would have it."""
        return Merchant(
            code=self.cleaned_data.get("code", self.instance.code),
            currency=self.cleaned_data.get("currency", self.instance.currency),
            api_key=self.cleaned_data["new_api_key"] or self.instance.api_key,
        )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if self.check is None or self.check.is_good or self.errors:
            return data
        if self.check.is_no_answer:
            if self._is_another_account() or "is_site" in self.changed_data:
                raise ValidationError(
                    gettext("SumUp cannot be asked about this account now. Nothing was saved; try again in a minute.")
                )
        elif self._is_another_account() or data.get("is_site"):
            self.add_error(self.check.field if self.check.field in self.fields else None, self.check.words)
        return data

    def _is_another_account(self) -> bool:
        """New, or with another key: SumUp has never been asked about it."""
        return self.instance.pk is None or bool(self.cleaned_data.get("new_api_key"))


@admin.register(Merchant)
class MerchantAdmin(SuperuserAdmin[Merchant]):
    form = MerchantForm
    empty = _("There is no merchant yet: without one nobody can pay, and only what is free can be had.")
    fields = ("name", "code", "currency", "new_api_key", "is_site", "is_sandbox")
    list_display = ("name", "code", "currency", "is_site", "is_sandbox", "has_key")
    search_fields = ("name__finds", "code")
    ordering = ("name",)

    @admin.display(description=_("has a key"), boolean=True)
    def has_key(self, row: Merchant) -> bool:
        return bool(row.secret())

    @method_decorator(sensitive_post_parameters("new_api_key"))
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """As Django's, SumUp asked first: Django's own begins with a transaction, in which nobody is waited for."""
        if request.method == "POST" and team_of(request).is_superuser:
            setattr(request, CHECK, self._asked(request, object_id))
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _asked(self, request: HttpRequest, object_id: str | None) -> Check | None:
        """What SumUp says of the account in the form; None when the form is refused without that, or has no row."""
        row = admin.ModelAdmin.get_object(self, request, unquote(object_id)) if object_id else None
        if object_id and row is None:
            return None
        form = self.get_form(request, row, change=row is not None)(request.POST, instance=row or Merchant())
        return check_account(form.account()) if isinstance(form, MerchantForm) and form.is_valid() else Check.NOT_ASKED

    def get_form(self, request: HttpRequest, obj: Merchant | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type("CheckedMerchantForm", (form,), {"check": getattr(request, CHECK, None)})

    def get_readonly_fields(self, request: HttpRequest, obj: Merchant | None = None) -> tuple[str, ...]:  # noqa: ARG002
        """Orders and checkouts name the account and were counted in its currency; SumUp says what is a sandbox."""
        return ("code", "currency", "is_sandbox") if obj else ("is_sandbox",)

    def save_model(self, request: HttpRequest, obj: Merchant, form: Any, change: bool) -> None:
        check, key = getattr(request, CHECK, None), form.cleaned_data.get("new_api_key")
        answer = check.answer if isinstance(check, Check) else None
        if key:
            obj.api_key = key
        if answer is not None:
            obj.is_sandbox = bool(answer.sandbox)
        super().save_model(request, obj, form, change)
        if change and (key or answer is not None):
            obj.save(update_fields=["api_key", "is_sandbox"] if key else ["is_sandbox"])
        if isinstance(check, Check):
            self._tell(request, obj, check)

    def _tell(self, request: HttpRequest, obj: Merchant, check: Check) -> None:
        if check.is_good:
            kind = gettext("a sandbox: no real money") if obj.is_sandbox else gettext("live")
            words = gettext("SumUp knows this account: %(code)s, %(currency)s, %(kind)s.")
            messages.success(request, words % {"code": obj.code, "currency": obj.currency, "kind": kind})
        elif check.is_no_answer:
            words = gettext("SumUp did not answer: saved, but the account was not checked. Save it again later.")
            messages.warning(request, words)
        else:
            words = gettext("Saved, but nobody can pay to this account: %(why)s")
            messages.warning(request, words % {"why": check.words})
