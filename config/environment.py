"""Reading settings from the environment: each a typed value or one clear line.

A secret may also stand in a file, named by ``<NAME>_FILE`` (container secrets).
"""

import os
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}
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
    site's own `host`, and of no place in the world where that has no public name."""
    value = text(name, default)
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not an address ({error}).") from error
    scheme = parts.scheme
    if scheme not in MAIL_SCHEMES or (scheme.startswith("smtp") and not parts.hostname):
        raise ImproperlyConfigured(
            f"{name} must be like smtp+tls://user:password@host:587, console: or file:///folder."
        )
    own = f"Foyer <tickets@{host if is_public(host) else 'foyer.example'}>"
    sender = parse_qs(parts.query).get("from", [own])[0]
    settings: dict[str, object] = {"DEFAULT_FROM_EMAIL": sender, "SERVER_EMAIL": sender}
    if scheme.startswith("smtp"):
        settings |= {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": parts.hostname,
            "EMAIL_PORT": port or {"smtp": 25, "smtp+tls": 587, "smtps": 465}[scheme],
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
