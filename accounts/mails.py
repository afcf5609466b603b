"""How every mail leaves: in whose name, where an answer goes, and marked as written by a machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import make_msgid, parseaddr, quote
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.text import Truncator
from django.utils.translation import gettext as _

#: Titles in a subject are cut to so many letters: what follows them is to be seen, too.
TITLE = 70
#: No holiday notice comes back (RFC 3834; Exchange reads its own).
BY_A_MACHINE = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}


@dataclass(frozen=True)
class Voice:
    """In whose name a mail speaks beside the site's, and the addresses that an answer to it reaches; or nobody's."""

    name: str = ""
    answers_to: tuple[str, ...] = ()


def letter(
    template: str, context: Mapping[str, object], *, subject: str, to: str, number: str = "", voice: Voice = Voice()
) -> EmailMultiAlternatives:
    """The mail made of `<template>.txt` and `.html`, which extend `_mail.txt` and `_mail.html`; not sent yet.

    `number` names it: sent twice under one number (the worker was killed in between) it is one mail to a mailbox.
    """
    host = settings.MAIL_HOST
    told = {
        **context,
        "subject": one_line(subject),
        "site_name": site_name(),
        "site_url": settings.SITE_URL,
        "voice": voice,
    }
    mail = EmailMultiAlternatives(
        subject=one_line(subject),
        body=render_to_string(f"{template}.txt", told).strip() + "\n",
        from_email=_sender(voice),
        to=[to],
        reply_to=[one_line(address) for address in voice.answers_to],
        headers={"Message-ID": f"<{number}@{host}>" if number else make_msgid(domain=host), **BY_A_MACHINE},
    )
    mail.attach_alternative(render_to_string(f"{template}.html", told), "text/html")
    return mail


def site_name() -> str:
    """What the site calls itself in mails: the name of its sender (EMAIL_URL, `?from=`)."""
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[0] or urlsplit(settings.SITE_URL).netloc


def _sender(voice: Voice) -> str:
    name = site_name()
    if voice.name:
        name = _("%(who)s via %(site)s") % {"who": voice.name, "site": name}
    return f'"{quote(one_line(name))}" <{parseaddr(settings.DEFAULT_FROM_EMAIL)[1]}>'


def one_line(words: str) -> str:
    """`words` as a header: a title with a line break in it must not become another one."""
    return " ".join(words.split())


def in_subject(*titles: str) -> str:
    """What a mail is about, short enough for its subject: the first of `titles`, and how many more there are."""
    different = list(dict.fromkeys(titles))
    first = Truncator(one_line(different[0])).chars(TITLE) if different else ""
    if len(different) <= 1:
        return first
    return _("%(first)s and %(n)d more") % {"first": first, "n": len(different) - 1}
