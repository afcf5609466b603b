"""Keys at rest: read by any key that we have, written by the newest of FIELD_KEYS, never handed out unread."""

import copy
import logging
import pickle
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from encrypted_fields.fields import EncryptedCharField
from pytest_django import Settings

import ledger.rotating
from events.models import Merchant
from events.payees import Unpayable, unpayable
from ledger import sealed
from ledger.sealed import PREFIX, Unreadable, sealed_fields, unseal
from tests.ledger.psql import rows, run
from tests.races.threads import at_once

pytestmark = pytest.mark.django_db

KEY = "sup_sk_an_api_key"
SECRET, OTHER_SECRET = "a" * 32, "b" * 32


@pytest.fixture(autouse=True)
def keys(settings: Settings) -> Iterator[None]:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = SECRET, []
    settings.FIELD_KEYS = ["field key one"]
    sealed._say_once.cache_clear()
    yield
    sealed._say_once.cache_clear()


def by_the_old_library(value: str, settings: Settings) -> str:
    """`value` as django-fernet-encrypted-fields stores it, by SECRET_KEY and FIELD_KEYS as they are now."""
    settings.SALT_KEY = settings.FIELD_KEYS
    token = EncryptedCharField().get_prep_value(value)
    assert isinstance(token, str)
    return token


def stored(code: str = "M1") -> str:
    ((value,),) = rows("SELECT api_key FROM events_merchant WHERE code = %s", code)
    assert isinstance(value, str)
    return value


def planted(value: str, code: str = "M1") -> Merchant:
    run(
        "INSERT INTO events_merchant (code, name, api_key, currency, is_site, is_sandbox)"
        " VALUES (%s, 'Club', %s, 'EUR', false, false)",
        code,
        value,
    )
    return Merchant.objects.get(code=code)


def rotated(*arguments: str) -> tuple[int, str]:
    """Exit code and words of `manage.py rotate_keys`."""
    out = StringIO()
    try:
        call_command("rotate_keys", *arguments, stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


@pytest.mark.promise("stored-api-key")
def test_a_key_is_written_by_field_keys_alone(settings: Settings) -> None:
    Merchant.objects.create(code="M1", name="Club", api_key=KEY, currency="EUR")
    assert stored().startswith(PREFIX)
    assert KEY not in stored()
    settings.SECRET_KEY = OTHER_SECRET
    assert Merchant.objects.get().secret() == KEY


@pytest.mark.parametrize("empty", ["", None])
def test_no_key_is_stored_as_none(empty: str | None) -> None:
    merchant = Merchant.objects.create(code="M1", name="Club", api_key=empty, currency="EUR")
    assert rows("SELECT api_key FROM events_merchant") == [(None,)]
    assert not merchant.has_lost_key


def test_the_old_form_is_read_with_each_secret_and_each_field_key(settings: Settings) -> None:
    planted(by_the_old_library(KEY, settings))
    assert Merchant.objects.get().secret() == KEY
    settings.FIELD_KEYS = ["field key two", "field key one"]
    assert Merchant.objects.get().secret() == KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = OTHER_SECRET, ["c" * 32, SECRET]
    assert Merchant.objects.get().secret() == KEY


def lost(settings: Settings, form: str) -> str:
    """A value that nobody can read with the keys of this test, in a `form` that it may have."""
    settings.SECRET_KEY, settings.FIELD_KEYS = OTHER_SECRET, ["another field key"]
    text = {
        "of today": sealed.seal(KEY),
        "of before": by_the_old_library(KEY, settings),
        "never sealed": KEY,
        "cut": sealed.seal(KEY)[:40],
        "no token": PREFIX + "ключ",
        "nothing": PREFIX,
    }[form]
    settings.SECRET_KEY, settings.FIELD_KEYS = SECRET, ["field key one"]
    return text


FORMS = ["of today", "of before", "never sealed", "cut", "no token", "nothing"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.promise("key-cannot-read")
def test_what_cannot_be_read_is_no_key_and_stays_as_it_is(
    settings: Settings, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = lost(settings, form)
    with caplog.at_level(logging.ERROR):
        merchant = planted(text)
        again = Merchant.objects.get()
    assert (merchant.secret(), unpayable(merchant, merchant.currency), merchant.has_lost_key) == (
        "",
        Unpayable.LOST_KEY,
        True,
    )
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1, said
    assert "events.Merchant.api_key cannot be read" in said[0]
    assert text not in said[0]

    again.name = "Another name"
    again.save()
    pickle.loads(pickle.dumps(copy.deepcopy(again))).save()  # noqa: S301  (our own)
    assert stored() == text

    again.api_key = KEY
    again.save()
    assert Merchant.objects.get().secret() == KEY


def test_a_value_that_was_sealed_twice_is_read_to_its_end(settings: Settings) -> None:
    """The old library saved a ciphertext that it could not read as if it were a key: sealed once more."""
    once = by_the_old_library(KEY, settings)
    settings.SECRET_KEY = OTHER_SECRET
    twice = by_the_old_library(once, settings)
    assert isinstance(unseal(twice), Unreadable)
    settings.SECRET_KEY_FALLBACKS = [SECRET]
    assert unseal(twice) == KEY


@pytest.mark.promise("rotate-keys-rewrites")
def test_rotating_rewrites_all_and_names_what_it_cannot_read(settings: Settings) -> None:
    lost_text = lost(settings, "of before")
    planted(lost_text, "LOST")
    planted(by_the_old_library(KEY, settings), "OLD")
    Merchant.objects.create(code="EARLIER", name="Club", api_key=KEY, currency="EUR")
    Merchant.objects.create(code="NONE", name="Club", currency="EUR")
    settings.FIELD_KEYS = ["field key two", "field key one"]
    Merchant.objects.create(code="NEW", name="Club", api_key=KEY, currency="EUR")
    before = {code: stored(code) for code in ("LOST", "OLD", "EARLIER", "NEW")}

    code, words = rotated("--dry-run")
    assert code == 1
    assert "2 would be rewritten, 1 by the newest key already, 1 cannot be read" in words
    assert {name: stored(name) for name in before} == before

    code, words = rotated()
    assert code == 1
    assert "events.Merchant.api_key of Club (LOST)" in words
    assert "2 rewritten, 1 by the newest key already, 1 cannot be read" in words
    assert (stored("LOST"), stored("NEW")) == (lost_text, before["NEW"])
    settings.SECRET_KEY, settings.FIELD_KEYS = OTHER_SECRET, ["field key two"]
    read = {row.code: row.secret() for row in Merchant.objects.all()}
    assert read == {"LOST": "", "OLD": KEY, "EARLIER": KEY, "NEW": KEY, "NONE": ""}

    Merchant.objects.filter(code="LOST").delete()
    assert rotated() == (0, "0 rewritten, 3 by the newest key already, 0 cannot be read\n")


def test_every_sealed_column_is_walked() -> None:
    """Whoever adds a column of secrets finds it here, and in what `rotate_keys` rewrites."""
    assert [(model._meta.label, field.name) for model, field in sealed_fields()] == [("events.Merchant", "api_key")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("rotate-keys-rewrites")
def test_rotating_does_not_write_over_a_key_that_is_saved_meanwhile(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rival saves between the row's lock and the write: it waits, and its key is the one that stays."""
    planted(by_the_old_library("sup_sk_old", settings))
    rivals: list[object] = []
    read = ledger.rotating.stored_value

    def meanwhile(*arguments: object) -> str | None:
        value = read(*arguments)  # type: ignore[arg-type]  # handed on as they came
        rivals.append(at_once([impatient]))
        return value

    def impatient() -> None:
        with transaction.atomic():
            run("SET LOCAL lock_timeout = '50ms'")
            Merchant.objects.update(api_key=KEY)

    monkeypatch.setattr(ledger.rotating, "stored_value", meanwhile)
    rotated()
    assert "lock timeout" in str(rivals)
    monkeypatch.undo()
    Merchant.objects.update(api_key=KEY)
    assert rotated()[0] == 0
    assert Merchant.objects.get().secret() == KEY


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("stored-api-key")
def test_a_database_of_before_is_updated(settings: Settings) -> None:
    """A key stored by the old library is read after the update, rewritten, and needs SECRET_KEY no more."""
    before = ("events", "0009_entries_in_order")
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    MigrationExecutor(connection).migrate([before])
    try:
        old_model = MigrationExecutor(connection).loader.project_state([before]).apps.get_model("events", "Merchant")
        settings.SALT_KEY = settings.FIELD_KEYS
        old_model.objects.create(code="M1", name="Club", api_key=KEY, currency="EUR")
        assert not stored().startswith(PREFIX)
    finally:
        MigrationExecutor(connection).migrate(newest)
    assert Merchant.objects.get().secret() == KEY
    assert rotated() == (0, "1 rewritten, 0 by the newest key already, 0 cannot be read\n")
    settings.SECRET_KEY = OTHER_SECRET
    assert Merchant.objects.get().secret() == KEY
