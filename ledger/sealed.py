"""A text column that is encrypted at rest by FIELD_KEYS alone, and what becomes of a value that no key opens.

A stored value is `fk1:` and a Fernet token by the newest of FIELD_KEYS. The form before it, a token without a prefix by
SECRET_KEY and one of FIELD_KEYS together (django-fernet-encrypted-fields), is read with SECRET_KEY and each of
SECRET_KEY_FALLBACKS, and is never written. Decision 24 says why, docs/keys.md how keys are changed.
"""

import base64
import enum
import functools
import logging
from collections.abc import Iterator
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression

log = logging.getLogger(__name__)

PREFIX = "fk1:"
#: How every Fernet token begins (its version, and a time before the year 2106).
FERNET = "gAAAAA"
#: The new form's salt: a key is spread over 256 bits, it needs no second secret.
SALT = "foyer field key 1"


class Unreadable(str):
    """A stored value that no key opens: empty to everybody who asks for it, and written back as it is."""

    stored: str

    def __new__(cls, stored: str) -> "Unreadable":
        value = super().__new__(cls, "")
        value.stored = stored
        return value

    def __getnewargs__(self) -> tuple[str]:
        return (self.stored,)


class Form(enum.Enum):
    """How a stored value is written."""

    NEWEST = enum.auto()
    OLDER = enum.auto()  # by an older key, or in the form before


def seal(value: str) -> str:
    """`value` as it is stored from now on: by the newest of FIELD_KEYS."""
    return PREFIX + _fernet(settings.FIELD_KEYS[0], SALT).encrypt(value.encode()).decode()


def unseal(stored: str) -> str:
    """What `stored` holds, in either form, by any key that we have; `Unreadable` when none opens it."""
    is_new = stored.startswith(PREFIX)
    token = stored.removeprefix(PREFIX)
    keys = [_fernet(key, SALT) for key in settings.FIELD_KEYS] if is_new else _of_old_form()
    try:
        value = MultiFernet(keys).decrypt(token.encode()).decode()
    except (InvalidToken, UnicodeError):
        return Unreadable(stored)
    if value.startswith(FERNET):  # the old library sealed what it could not read once more when its row was saved
        value = unseal(value)
    return Unreadable(stored) if isinstance(value, Unreadable) else value


def form_of(stored: str) -> Form:
    """Whether `stored`, which can be read, is by the newest key and in the form of today."""
    try:
        _fernet(settings.FIELD_KEYS[0], SALT).decrypt(stored.removeprefix(PREFIX).encode())
    except (InvalidToken, UnicodeError):
        return Form.OLDER
    return Form.NEWEST if stored.startswith(PREFIX) else Form.OLDER


def _of_old_form() -> list[Fernet]:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [_fernet(secret, salt) for secret in secrets for salt in settings.FIELD_KEYS]


@functools.cache  # 20 ms each, and the few keys stay the same as long as the process lives
def _fernet(secret: str, salt: str) -> Fernet:
    stretched = PBKDF2HMAC(algorithm=SHA256(), length=32, salt=salt.encode(), iterations=100_000)
    return Fernet(base64.urlsafe_b64encode(stretched.derive(secret.encode())))


class SealedField(models.TextField[Any, Any]):
    """A text, sealed at rest. What cannot be read comes as `Unreadable`, which is empty, and is kept by a save."""

    def from_db_value(
        self,
        value: str | None,
        expression: Expression,  # noqa: ARG002  (Django's signature)
        connection: BaseDatabaseWrapper,  # noqa: ARG002
    ) -> str | None:
        if value is None:
            return None
        opened = unseal(value)
        if isinstance(opened, Unreadable):
            _say_once(f"{self.model._meta.label}.{self.name}", value)
        return opened

    def get_prep_value(self, value: object) -> str | None:
        if isinstance(value, Unreadable):
            return value.stored
        text = super().get_prep_value(value)
        return seal(text) if text else None


@functools.cache
def _say_once(name: str, stored: str) -> None:  # noqa: ARG001  (each value once a process, not at each read)
    log.error("a stored %s cannot be read: no key of FIELD_KEYS and SECRET_KEY fits; see docs/keys.md", name)


def sealed_fields() -> Iterator[tuple[type[models.Model], SealedField]]:
    """Each sealed column of the installation, with the model that has it."""
    from django.apps import apps

    for model in apps.get_models(include_auto_created=True):
        if not model._meta.proxy:
            yield from ((model, field) for field in model._meta.local_fields if isinstance(field, SealedField))
