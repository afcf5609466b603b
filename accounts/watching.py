"""Who of the staff signs in and out, and from where, in the log; and the end of a session that nobody used.

A buyer is not watched: their sign-ins are not written down, and their session lasts its 30 days, unwritten.
"""

import ipaddress
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core.exceptions import PermissionDenied
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from accounts.models import User
from ledger import clock

log = logging.getLogger(__name__)

#: A session of the staff ends when it was not used for so long …
IDLE = timedelta(hours=12)
#: … and its last use is written down at most so often.
NOTED = timedelta(minutes=10)
SEEN = "seen_at"


class StaffSessionMiddleware:
    """Ends a session of the staff that was idle; what was asked for then meets somebody signed out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Without the cookie there is no session: nothing is asked of the database for a webhook or a robot.
        if request.session.session_key and isinstance(request.user, User) and request.user.is_staff:
            self._look(request, request.user, clock.now())
        return self.get_response(request)

    def _look(self, request: HttpRequest, user: User, now: datetime) -> None:
        seen = _seen_at(request)
        if seen is not None and now - seen > IDLE:
            log.info("staff session ended, unused for 12 hours: user %s, from %s", user.pk, network_of(request))
            request.session.flush()
            request.user = AnonymousUser()
            messages.info(request, _("You were signed out, as nothing was done here for 12 hours."))
        elif seen is None or not timedelta(0) <= now - seen < NOTED:
            request.session[SEEN] = now.isoformat()


def _seen_at(request: HttpRequest) -> datetime | None:
    seen = request.session.get(SEEN)
    return datetime.fromisoformat(seen) if isinstance(seen, str) else None


@receiver(user_logged_in)
def on_signed_in(request: HttpRequest, user: User, **_more: object) -> None:
    if user.is_staff:
        request.session[SEEN] = clock.now().isoformat()
        records = get_authentication_records(request, user)
        how = records[-1]["method"] if records else "another way"
        log.info("staff signed in: user %s, by %s, from %s", user.pk, how, network_of(request))


@receiver(user_logged_out)
def on_signed_out(request: HttpRequest, user: User | None, **_more: object) -> None:
    if user is not None and user.is_staff:
        log.info("staff signed out: user %s, from %s", user.pk, network_of(request))


def sign_in_failed(request: HttpRequest, email: str, *, by: str) -> None:
    """Write down a try to sign in as `email`: the number of a known member of the staff, of others nothing."""
    known = User.objects.filter(email=email.strip().lower(), is_staff=True).values_list("pk", flat=True).first()
    log.warning("sign-in failed: user %s, by %s, from %s", known or "unknown", by, network_of(request))


def network_of(request: HttpRequest) -> str:
    """The network that a request comes from, as the rate limits see its address: no household's own."""
    try:
        address = ipaddress.ip_address(get_adapter().get_client_ip(request))
    except PermissionDenied:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))
