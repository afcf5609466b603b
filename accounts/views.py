"""Sign-in: the address, the code, the password."""

import logging
from http import HTTPStatus

from allauth.account.decorators import secure_admin_login
from allauth.account.utils import get_next_redirect_url
from allauth.account.views import ConfirmLoginCodeView, LoginView
from allauth.core import ratelimit
from allauth.core.exceptions import RateLimited
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.core.exceptions import PermissionDenied
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts.codes import CodeProcess, signed_in_by_code
from accounts.forms import EnterCodeForm, SignInForm
from accounts.requests import signed_in
from accounts.watching import sign_in_failed
from ledger import clock

log = logging.getLogger(__name__)


class SignInView(LoginView):  # type: ignore[misc]  # allauth ships no types
    """The page that asks who you are; the answer is the same for a known and an unknown address."""

    form_class = SignInForm

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            response: HttpResponse = super().dispatch(request, *args, **kwargs)
        except RateLimited:
            return too_many(request)
        return response

    def _redirect_to_pending_stage(self, request: HttpRequest, stage: object) -> None:  # noqa: ARG002  (allauth's signature)
        """Show the form although a code is on its way: the address may have been mistyped."""
        return

    def form_valid(self, form: SignInForm) -> HttpResponse:
        try:
            response: HttpResponse = super().form_valid(form)
        except OSError as error:  # what smtplib raises, too
            log.error("sign-in mail not sent: %s", type(error).__name__)
            form.add_error(None, _("We cannot send mail at the moment. Please try again in a few minutes."))
            return self.shown_again(form, HTTPStatus.SERVICE_UNAVAILABLE)
        return response

    def form_invalid(self, form: SignInForm) -> HttpResponse:
        return self.shown_again(form, HTTPStatus.UNPROCESSABLE_ENTITY)

    def shown_again(self, form: SignInForm, status: HTTPStatus) -> HttpResponse:
        response: HttpResponse = self.render_to_response(self.get_context_data(form=form), status=status)
        return response

    def get_context_data(self, **kwargs: object) -> dict[str, object]:
        context: dict[str, object] = super().get_context_data(**kwargs)
        return context | {"next": self.get_next_url()}


class EnterCodeView(ConfirmLoginCodeView):  # type: ignore[misc]  # allauth ships no types
    """The page that asks for the code."""

    form_class = EnterCodeForm

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.user.is_anonymous and CodeProcess.pending(request) is None:
            return self.ask_again()
        try:
            response: HttpResponse = super().dispatch(request, *args, **kwargs)
        except RateLimited:
            self.failed("a code, too many tries")
            return too_many(request)
        return response

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if self._action == "verify":
            email = self._process.state["email"]
            ratelimit.consume(request, action="login_code_attempt", key=email, raise_exception=True)
            # Before the code is looked at, so that a hundred at once are five tries.
            if not self.code.row.try_once():
                self.failed("a code, tried or used before")
                return self.ask_again()
        response: HttpResponse = super().post(request, *args, **kwargs)
        return response

    def _resend_form_valid(self, form: Form) -> HttpResponse:  # noqa: ARG002  (allauth's signature)
        email = self._process.state["email"]
        ratelimit.consume(self.request, action="request_login_code", key=email, raise_exception=True)
        try:
            self.code.resend()
        except OSError as error:
            log.error("sign-in mail not sent: %s", type(error).__name__)
            messages.error(self.request, _("We cannot send mail at the moment. Please try again in a few minutes."))
        else:
            messages.success(self.request, _("We sent a new code. The earlier one no longer works."))
        return redirect(with_next("account_confirm_login_code", self.get_next_url()))

    def _verify_form_valid(self, form: Form) -> HttpResponse:  # noqa: ARG002  (allauth's signature)
        if not self.code.row.use(at=clock.now()):
            self.failed("a code, tried or used before")
            return self.ask_again()
        return self.code.finish(self.get_next_url())

    def form_invalid(self, form: Form) -> HttpResponse:
        self.failed("a code")
        if not self.code.row.open().exists():
            return self.ask_again(_("Too many wrong codes. Ask for a new one."))
        context = self.get_context_data(form=form)
        response: HttpResponse = self.render_to_response(context, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        return response

    @property
    def code(self) -> CodeProcess:
        return CodeProcess(stage=self.stage)

    def failed(self, how: str) -> None:
        sign_in_failed(self.request, self.code.state["email"], by=how)

    def ask_again(self, why: str = "") -> HttpResponse:
        """Back to the address. The session is not written: a rival's sign-in may have ended it."""
        messages.error(self.request, why or _("That code has expired or was used. Ask for a new one."))
        return redirect(with_next("account_login", self.get_next_url()))

    def get_context_data(self, **kwargs: object) -> dict[str, object]:
        context: dict[str, object] = super().get_context_data(**kwargs)
        return context | {"next": self.get_next_url()}


def with_next(name: str, next_url: str | None) -> str:
    """The address of `name` that goes on to `next_url` (already found safe) afterwards."""
    return reverse(name) + (f"?{urlencode({'next': next_url})}" if next_url else "")


def too_many(request: HttpRequest) -> HttpResponse:
    response: HttpResponse = ratelimit.respond_429(request)
    return response


@require_safe
def to_sign_in(request: HttpRequest) -> HttpResponse:
    """Signing up is signing in with an address that we do not know yet."""
    return redirect(with_next("account_login", get_next_redirect_url(request)))


@sensitive_post_parameters()
@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Choose a password. The old one is asked for unless there is none, or the mailbox was just proven:
    that is how a forgotten password is replaced."""
    user = signed_in(request)
    if not ratelimit.consume(request, action="change_password"):
        return too_many(request)
    asks_old = user.has_usable_password() and not signed_in_by_code(request)
    form = (PasswordChangeForm if asks_old else SetPasswordForm)(
        user, request.POST if request.method == "POST" else None
    )
    for field in form.fields.values():
        field.widget.attrs.pop("autofocus", None)  # Django's; the page begins with words to be read
    if form.is_valid():
        form.save()
        update_session_auth_hash(request, user)  # other sessions of the user end, this one stays
        messages.success(request, _("Your password is set. You can go on signing in with a code as well."))
        return redirect("account_change_password")
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return render(request, "accounts/password.html", {"form": form, "asks_old": asks_old}, status=status)


@never_cache
def admin_login(request: HttpRequest) -> HttpResponse:
    """The admin's sign-in is the site's: one form, one set of limits; who is no staff is told so."""
    try:
        response: HttpResponse = secure_admin_login(lambda _request: redirect("admin:index"))(request)
    except PermissionDenied:
        return render(request, "accounts/not_staff.html", status=HTTPStatus.FORBIDDEN)
    return response
