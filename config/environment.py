"""Reading settings from the environment: each a typed value or one clear line.

A secret may also stand in a file, named by ``<NAME>_FILE`` (container secrets).
"""

import os
from email.utils import parseaddr
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from psycopg import pq

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}
ENCODE = "Percent-encode marks in user, password and options: # is %23, / is %2F, ? is %3F, @ is %40, % is %25."
MAIL_SCHEMES = {"smtp", "smtps", "smtp+tls", "console", "file", "memory"}


def text(name: str, default: str | None = None) -> str:
    """The value of `name`, or of the file named by `<name>_FILE`."""
    value = os.environ.get(name)
    path = os.environ.get(f"{name}_FILE")
    if value is not None and path:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; keep one.")
    if path:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{name}_FILE: cannot read {path} ({error}).") from error
    if value is not None:
        return value
    if default is None:
        raise ImproperlyConfigured(f"{name} is not set.")
    return default


def flag(name: str, *, default: bool) -> bool:
    value = text(name, "1" if default else "0").strip().lower()
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is neither on nor off (use 1 or 0).")


def number(name: str, default: int, *, least: int, most: int) -> int:
    value = text(name, str(default)).strip()
    if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number from {least} to {most}.")
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = text(name, default).strip()
    if value not in allowed:
        raise ImproperlyConfigured(f"{name}={value!r} is not one of {', '.join(allowed)}.")
    return value


def web_address(name: str, default: str | None = None) -> str:
    """An absolute http(s) address without a trailing slash, query or fragment."""
    value = text(name, default).strip().rstrip("/")
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  (reading it raises on a port that is no number)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}={value!r} is not an address ({error}).") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ImproperlyConfigured(f"{name}={value!r} is not an address such as https://tickets.example.org.")
    return value


def database(name: str) -> dict[str, Any]:
    """Django's settings of a database from `postgresql://user:password@host:port/name`, libpq's options behind `?`."""
    value = text(name).strip()
    parts = _parts(name, value)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(f"{name} must be a postgresql:// address: Foyer runs on PostgreSQL only.")
    _options(name, parts, {option.keyword.decode() for option in pq.Conninfo.get_defaults()})
    if not parts.path.strip("/") or "/" in parts.path[1:]:
        raise _unreadable(name)
    try:
        # A plus is a plus: its reader would make it a blank.
        return dict(dj_database_url.parse(value.replace("+", "%2B")))
    except (ValueError, dj_database_url.UnknownSchemeError):
        raise _unreadable(name) from None


def is_public(host: str) -> bool:
    """Whether `host` is a name in the world: not this machine's, not one of a network at home, no number."""
    try:
        ip_address(host)
    except ValueError:
        return "." in host.strip(".")
    return False


def mail(name: str, default: str, *, host: str = "") -> dict[str, object]:
    """Django's EMAIL_* settings from one address: `smtp+tls://user:password@host:587`,
    `smtps://…`, `smtp://…`, `console:`, `memory:`, `file:///folder`; `?from=` names the sender, who else is of the
    site's own `host`, and of no place in the world where that has no public name. MAIL_HOST is where our mails come
    from: the site's host, or the sender's where that one has no name in the world."""
    value = text(name, default).strip()
    parts = _parts(name, value)
    scheme = parts.scheme
    by_smtp = scheme.startswith("smtp")
    if scheme not in MAIL_SCHEMES or (by_smtp and not parts.hostname):
        raise ImproperlyConfigured(
            f"{name} must be like smtp+tls://user:password@host:587, console: or file:///folder. {ENCODE}"
        )
    if by_smtp and parts.path.strip("/"):
        raise _unreadable(name)
    public = host if is_public(host) else ""
    sender = _options(name, parts, {"from"}).get("from", f"Foyer <tickets@{public or 'foyer.example'}>")
    place = public or parseaddr(sender)[1].rpartition("@")[2]
    settings: dict[str, object] = {"DEFAULT_FROM_EMAIL": sender, "SERVER_EMAIL": sender, "MAIL_HOST": place}
    if by_smtp:
        settings |= {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": parts.hostname,
            "EMAIL_PORT": parts.port or {"smtp": 25, "smtp+tls": 587, "smtps": 465}[scheme],
            "EMAIL_HOST_USER": unquote(parts.username or ""),
            "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
            "EMAIL_USE_TLS": scheme == "smtp+tls",
            "EMAIL_USE_SSL": scheme == "smtps",
            "EMAIL_TIMEOUT": 20,
        }
    elif scheme == "file":
        settings |= {
            "EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend",
            "EMAIL_FILE_PATH": unquote(parts.path),
        }
    else:
        name_of = {"console": "console", "memory": "locmem"}[scheme]
        settings |= {"EMAIL_BACKEND": f"django.core.mail.backends.{name_of}.EmailBackend"}
    return settings


def _unreadable(name: str) -> ImproperlyConfigured:
    """What is wrong may be half a password: nothing of it is quoted, nor does an error stand behind this one."""
    return ImproperlyConfigured(f"{name} cannot be read. {ENCODE}")


def _parts(name: str, value: str) -> SplitResult:
    """The parts of an address that may hold a password."""
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  (reading it raises on a port that is no number)
    except ValueError:
        raise _unreadable(name) from None
    # A mark of the password has ended the host too early: its @ stands behind that.
    is_cut = parts.netloc and "@" not in parts.netloc and "@" in parts.path
    if "#" in value or is_cut or not value.isprintable():
        raise _unreadable(name)
    return parts


def _options(name: str, parts: SplitResult, known: set[str]) -> dict[str, str]:
    """What stands behind `?`: each of them known, at most once. A plus is a plus."""
    found: dict[str, str] = {}
    for pair in parts.query.split("&") if parts.query else []:
        key, equals, value = pair.partition("=")
        if not equals or key not in known or key in found:
            raise _unreadable(name)
        found[key] = unquote(value)
    return found
