"""Signing in by a code sent to an e-mail address, whether or not we know the address.

allauth sends a code to known addresses only. Here everybody gets one, and the user row of an
unknown address is made when its code has come back, not before.
"""

import time

from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login_by_code import LoginCodeVerificationProcess
from allauth.account.models import EmailAddress, Login
from allauth.account.stages import LoginByCodeStage, LoginStageController
from allauth.core.exceptions import RateLimited
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from accounts.adapter import Adapter
from accounts.models import SignInCode, SignInCodeQuerySet, User
from ledger import clock

RECENT = 15 * 60  # seconds
ROW = "row"  # where the session's state keeps which SignInCode counts for it


class CodeProcess(LoginCodeVerificationProcess):  # type: ignore[misc]  # allauth ships no types
    """One code on its way to one address, kept in the session of who asked for it.

    It never carries a user: what the session holds is the same for a known and an unknown address.
    """

    @classmethod
    def start(cls, request: HttpRequest, email: str) -> None:
        """Send a code to `email` and remember it; raises OSError if the mail server does not take the mail."""
        login = Login(email=email, state={"stages": {"current": LoginByCodeStage.key}})
        stage = LoginByCodeStage(LoginStageController(request, login), request, login)
        stage.state.update(cls.initial_state(user=None, email=email), initiated_by_user=True)
        process = cls(stage=stage)
        process.send()
        now = clock.now()
        SignInCode.objects.delete_old(at=now)
        process.state[ROW] = SignInCode.objects.create(made_at=now).pk
        process.persist()

    @classmethod
    def pending(cls, request: HttpRequest) -> "CodeProcess | None":
        """The code that this session waits for, unless it has expired, was used, or was tried too often."""
        stage = LoginStageController.enter(request, LoginByCodeStage.key)
        process = cls(stage=stage) if stage else None
        return process if process and process.is_valid() and process.row.open().exists() else None

    @property
    def row(self) -> SignInCodeQuerySet:
        """Its row; none for a session of before there were rows."""
        return SignInCode.objects.filter(pk=self.state.get(ROW))

    def resend(self) -> None:
        """Send a new code, which replaces the earlier one; raises RateLimited after three, OSError without mail."""
        if not self.row.send_once_more():
            raise RateLimited
        super().resend()

    def send_by_email(self, email: str, skip_enumeration_mails: bool = False) -> None:  # noqa: ARG002  (allauth's signature)
        known = User.objects.filter(email=email).exists()
        template = "account/email/login_code" if known else "account/email/signup_code"
        Adapter(self.request).send_mail(template, email, {"code": self.generate_code()})

    def finish(self, redirect_url: str | None) -> HttpResponse:
        self._user = owner_of(self.state["email"])
        response: HttpResponse = super().finish(redirect_url)
        return response


def owner_of(email: str) -> User:
    """The user whose mailbox `email` (lower case) has just been proven to be; created if there is none."""
    with transaction.atomic():
        user, _created = User.objects.get_or_create(email=email, defaults={"password": make_password(None)})
        # Who reads the mailbox now owns the address, whoever confirmed it once.
        EmailAddress.objects.filter(email=email).exclude(user=user).delete()
        EmailAddress.objects.update_or_create(user=user, email=email, defaults={"verified": True, "primary": True})
    return user


def signed_in_by_code(request: HttpRequest) -> bool:
    """Whether this session proved its mailbox within the last 15 minutes."""
    records = get_authentication_records(request, request.user)
    return bool(records) and records[-1]["method"] == "code" and time.time() - records[-1]["at"] < RECENT
