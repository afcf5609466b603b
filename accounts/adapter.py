"""What Foyer changes in django-allauth."""

from ipaddress import IPv6Address, ip_address

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import RateLimited
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, ValidationError
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _

from accounts.mails import letter, site_name
from accounts.watching import sign_in_failed


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """allauth's adapter with Foyer's mails, stricter redirects and a page of its own for too many tries."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": _("That address and password do not fit. Leave the password empty to get a code."),
        "incorrect_code": _("That is not the code we sent. Look again, or ask for a new one."),
    }

    def is_safe_url(self, url: str) -> bool:
        """Whether `url` is a path on this site; no other host is safe, not even one of ours."""
        return url.startswith("/") and url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address by which tries are counted; of IPv6 its /64 counts, in which all of IPv4 would be one.

        Raises PermissionDenied when there is none.
        """
        try:
            told = super().get_client_ip(request)
        except ImproperlyConfigured:  # fewer addresses than we have proxies: whoever that is has not come by them
            told = request.META.get("REMOTE_ADDR", "")
        try:
            address = ip_address(told)
        except ValueError as error:
            raise PermissionDenied from error
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return str(mapped or address)

    def pre_authenticate(self, request: HttpRequest, **credentials: str) -> None:
        """Count a try with a password; raises RateLimited (a 429 page) where allauth has a form error."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError as error:
            sign_in_failed(request, credentials.get("email", ""), by="a password, too many tries")
            raise RateLimited from error

    def authentication_failed(self, request: HttpRequest, **credentials: str) -> None:
        sign_in_failed(request, credentials.get("email", ""), by="a password")

    def send_mail(self, template_prefix: str, email: str, context: dict[str, object]) -> None:
        """Send the mail made of `<prefix>_subject.txt`, `<prefix>_message.txt` and `.html` to `email`.

        The templates are not given the request: a Host header that somebody chose must not reach a mail.
        """
        told = {**context, "email": email, "site_name": site_name()}
        subject = render_to_string(f"{template_prefix}_subject.txt", told)
        letter(f"{template_prefix}_message", told, subject=subject, to=email).send()
