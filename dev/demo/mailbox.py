"""The demo's outbox: reads what Django's file backend wrote. Nothing here is reachable unless DEBUG."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import wraps
from http import HTTPStatus
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

BETWEEN = b"\n" + b"-" * 79 + b"\n"  # django.core.mail.backends.filebased writes this after each mail
# A mail's HTML runs nothing, loads nothing and has no origin.
HTML_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"

View = Callable[..., HttpResponse]


@dataclass(frozen=True)
class Mail:
    """One mail of the outbox; `key` is its name in addresses."""

    key: str
    message: EmailMessage
    sent: datetime

    @property
    def subject(self) -> str:
        return str(self.message["Subject"] or "")

    @property
    def to(self) -> str:
        return str(self.message["To"] or "")

    @property
    def text(self) -> str:
        return self._body("plain")

    @property
    def html(self) -> str:
        return self._body("html")

    @property
    def attachments(self) -> list[EmailMessage]:
        return [part for part in self.message.iter_attachments() if isinstance(part, EmailMessage)]

    def _body(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        return str(part.get_content()) if part else ""


def outbox() -> list[Mail]:
    """Every mail in the folder of EMAIL_URL, newest first; empty when mail is not kept in files."""
    folder = getattr(settings, "EMAIL_FILE_PATH", None)
    if not folder or not Path(folder).is_dir():
        return []
    mails = []
    for file in sorted(Path(folder).glob("*.log")):
        written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        for index, raw in enumerate(file.read_bytes().split(BETWEEN)[:-1]):
            mails.append(Mail(f"{file.stem}-{index}", parsed(raw), written))
    return sorted(mails, key=lambda mail: mail.sent, reverse=True)


def parsed(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    if not isinstance(message, EmailMessage):  # the default policy makes nothing else
        raise TypeError(type(message))
    return message


def find(key: str) -> Mail:
    """The mail named `key`; the key is compared, never made into a path."""
    for mail in outbox():
        if mail.key == key:
            return mail
    raise Http404


def demo_only(view: View) -> View:
    @require_safe
    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if not settings.DEBUG:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


@demo_only
def mail_list(request: HttpRequest) -> HttpResponse:
    kept = bool(getattr(settings, "EMAIL_FILE_PATH", None))
    return render(request, "dev/mail_list.html", {"mails": outbox(), "kept": kept})


@demo_only
def mail(request: HttpRequest, key: str) -> HttpResponse:
    return render(request, "dev/mail.html", {"mail": find(key)})


@demo_only
def mail_html(_request: HttpRequest, key: str) -> HttpResponse:
    html = find(key).html
    if not html:
        raise Http404
    return HttpResponse(html, headers={"Content-Security-Policy": HTML_POLICY})


@demo_only
def mail_attachment(_request: HttpRequest, key: str, number: int) -> HttpResponse:
    attachments = find(key).attachments
    if number >= len(attachments):
        raise Http404
    part = attachments[number]
    content = part.get_payload(decode=True)
    response = HttpResponse(content, content_type=part.get_content_type(), status=HTTPStatus.OK)
    response["Content-Disposition"] = content_disposition_header(True, part.get_filename() or f"part-{number}")
    return response
