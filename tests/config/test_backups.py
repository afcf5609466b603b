"""`manage.py backup` and `restore`: whole, or nothing and one line that says why."""

import gzip
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dj_database_url
import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from config import backups
from config.backups import BackupFailure, backup, restore
from config.programs import OLDEST_MAJOR, with_programs
from dev import launcher
from dev.launcher import write_private
from dev.postgres import THROW_AWAY, Cluster
from tests.simulator import ROOT


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("backups") / "postgres", settings=THROW_AWAY) as cluster:
        yield cluster


@pytest.fixture
def url(server: Cluster) -> str:
    """A database with a table, a row, a trigger that refuses deletion, and an extension."""
    with psycopg.connect(server.url) as connection:
        connection.execute(
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE EXTENSION btree_gist;"
            "CREATE TABLE kept (id int PRIMARY KEY, words text); INSERT INTO kept VALUES (1, 'yesterday');"
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'never'; END $$;"
            "CREATE TRIGGER kept_stays BEFORE DELETE ON kept FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    return server.url


def words(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [str(row[0]) for row in connection.execute("SELECT words FROM kept ORDER BY id")]


def test_a_restore_brings_back_what_was_and_takes_away_what_came_since(url: str, tmp_path: Path) -> None:
    file = tmp_path / "backups" / "one.sql.gz"
    backup(url, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO kept VALUES (2, 'today'); CREATE TABLE newer (id int)")

    restore(url, file)

    assert words(url) == ["yesterday"]
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT to_regclass('newer')").fetchone() == (None,)
        with pytest.raises(psycopg.errors.RaiseException, match="never"):
            connection.execute("DELETE FROM kept")
    assert [path.name for path in file.parent.iterdir()] == ["one.sql.gz"]


@pytest.mark.promise("backup-cut-short")
def test_a_restore_that_fails_changes_nothing(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "one.sql.gz"
    backup(url, file)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE kept SET words = 'today'")
    monkeypatch.setattr(backups, "EMPTY", backups.EMPTY + "SELECT 1/0;")
    with pytest.raises(BackupFailure, match="division by zero"):
        restore(url, file)
    assert words(url) == ["today"]


@pytest.mark.parametrize("spoilt", ["cut in the middle", "a byte too short", "no backup"])
@pytest.mark.promise("backup-cut-short")
def test_a_spoilt_file_changes_nothing(url: str, tmp_path: Path, spoilt: str) -> None:
    file = tmp_path / "one.sql.gz"
    backup(url, file)
    content = file.read_bytes()
    left = {"cut in the middle": content[: len(content) // 2], "a byte too short": content[:-1]}
    file.write_bytes(left.get(spoilt, b"hello"))
    with pytest.raises(BackupFailure, match="damaged, or no backup"):
        restore(url, file)
    assert words(url) == ["yesterday"]


@pytest.mark.promise("restore-waits-leaving")
def test_somebody_who_works_on_it_is_not_thrown_out(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "LEAVING_SECONDS", 0.2)
    file = tmp_path / "one.sql.gz"
    backup(url, file)
    with psycopg.connect(url, application_name="the-worker") as connection:
        connection.execute("UPDATE kept SET words = 'today'")
        connection.commit()
        with pytest.raises(BackupFailure, match="stop the web server and the worker first") as refused:
            restore(url, file)
    assert "1 connections of foyer, the-worker" in str(refused.value)
    assert words(url) == ["today"]


@pytest.mark.promise("restore-waits-leaving")
def test_somebody_who_is_leaving_is_waited_for(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL counts a connection for a moment after its owner has closed it."""
    file, look, seen = tmp_path / "one.sql.gz", backups._others, list[str]()
    backup(url, file)
    with psycopg.connect(url) as leaving:

        def goes_once_it_was_seen(url: str) -> str:
            seen.append(look(url))
            leaving.close()
            return seen[-1]

        monkeypatch.setattr(backups, "_others", goes_once_it_was_seen)
        restore(url, file)
    assert seen[0] != "" == seen[-1]


def test_a_backup_replaces_no_other_and_leaves_no_half_one(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "one.sql.gz"
    write_private(file, "the only one")
    with pytest.raises(BackupFailure, match="there already"):
        backup(url, file)
    assert file.read_text() == "the only one"
    monkeypatch.setitem(backups.VARIABLES, "user", "PGNONSENSE")
    with pytest.raises(BackupFailure, match="pg_dump"):
        backup(url, tmp_path / "two.sql.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["one.sql.gz"]


def managed(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`manage.py` as an operator runs it, on the database that `environment` names."""
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_commands_save_and_bring_back_the_database_of_the_settings(url: str, tmp_path: Path) -> None:
    deployed = {"DATABASE_URL": url, "DATA_DIR": str(tmp_path), "DATABASE_POOL": "2"}
    saved = managed("backup", **deployed)
    assert (saved.returncode, saved.stderr) == (0, "")
    (file,) = (tmp_path / "backups").glob("*.sql.gz")
    assert str(file) in saved.stdout
    assert (tmp_path / "backups" / "last").read_text() == f"{file}\n", "for the doctor"
    with psycopg.connect(url) as server:
        server.execute("UPDATE kept SET words = 'today'")

    restored = managed("restore", str(file), **deployed)

    assert (restored.returncode, restored.stderr) == (0, "")
    assert "manage.py migrate" in restored.stdout
    assert words(url) == ["yesterday"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["restore", "nowhere.dump"], "nowhere.dump is not there"),
        (["restore", "/"], "/ is not there"),
        (["backup", "/proc/nowhere/one.sql.gz"], "/proc/nowhere: "),
        (["backup", "/"], "/ is there already"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    url: str, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    for command in ("backup", "restore"):
        monkeypatch.setattr(f"config.management.commands.{command}.address", lambda: url)
    with pytest.raises(CommandError) as refused:
        call_command(*arguments)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "given",
    ["postgresql://u:p%23%2F%3F%40@%2Frun%2Fpg/a%20b", "postgresql://u@db.example.org:6432/x?sslmode=verify-full"],
)
def test_the_address_is_django_s(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """A password with anything in it, a socket's folder, a demanded encryption: as the shop itself connects."""
    monkeypatch.setitem(
        connections["default"].__dict__, "settings_dict", {"OPTIONS": {}, **dj_database_url.parse(given)}
    )
    assert conninfo_to_dict(backups.address()) == conninfo_to_dict(given)


@pytest.mark.parametrize(("major", "known"), [(15, False), (16, False), (17, True), (18, True)])
@pytest.mark.promise("backup-made-newer")
def test_setting_of_a_newer_pg_dump_is_kept_from_an_older_server(major: int, known: bool) -> None:
    """The programs may be newer than the server; its own dump must come back into it."""
    settings, later = [b"SET lock_timeout = 0;\n", b"SET client_min_messages = warning;\n"], backups.NEW_SETTING
    end = b"SELECT pg_catalog.set_config('search_path', '', false);\n"
    script = [settings[0], backups.NEW_SETTING, settings[1], end, later]

    kept = list(backups.head(iter(script), major))

    assert kept == [settings[0], *[backups.NEW_SETTING] * known, settings[1], end]


def test_dump_of_this_machine_s_programs_begins_as_a_restore_expects(url: str, tmp_path: Path) -> None:
    file = tmp_path / "one.sql.gz"
    backup(url, file)
    with gzip.open(file) as packed:
        settings = [line for line in backups.head(packed, OLDEST_MAJOR) if line.startswith(b"SET")]
        rest = packed.read()
    assert settings != []
    assert not [line for line in settings if b"transaction_timeout" in line]
    assert b"CREATE TABLE public.kept" in rest


def test_without_programs_it_says_what_to_install(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "with_programs", lambda *_names: [])
    with pytest.raises(BackupFailure, match="apt-get install postgresql-client-"):
        backup(url, tmp_path / "one.sql.gz")


def test_the_demo_s_database_is_saved_and_brought_back_while_it_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert launcher.main(["backup"]) == 1
    assert "There is no database" in capfd.readouterr().err
    with Cluster(tmp_path / "postgres", settings=THROW_AWAY) as cluster, psycopg.connect(cluster.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS id, 'yesterday' AS words")
    write_private(tmp_path / "environment.json", json.dumps({"DATABASE_URL": cluster.url}))

    assert launcher.main(["backup"]) == 0
    (file,) = (tmp_path / "backups").glob("*.sql.gz")
    with Cluster(tmp_path / "postgres") as cluster, psycopg.connect(cluster.url) as connection:
        connection.execute("DROP TABLE kept")
    assert launcher.main(["restore", str(file)]) == 0

    with Cluster(tmp_path / "postgres") as cluster:
        assert words(cluster.url) == ["yesterday"]


def test_the_demo_is_saved_while_it_runs_and_not_restored(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    (tmp_path / "postgres").mkdir()
    write_private(tmp_path / "environment.json", json.dumps({"DATABASE_URL": url}))
    file = tmp_path / "one.sql.gz"
    with launcher.only_one(tmp_path):
        assert launcher.main(["backup", str(file)]) == 0
        capfd.readouterr()
        assert launcher.main(["restore", str(file)]) == 1
    assert capfd.readouterr().err == f"foyer: Foyer already runs on {tmp_path}. Stop it first.\n"
    assert file.exists()


def test_the_server_s_own_programs_are_in_the_wheel() -> None:
    found = with_programs("pg_dump", "psql")
    assert found
    said = subprocess.run([found[0].program("pg_dump"), "--version"], capture_output=True, check=True).stdout
    assert str(found[0].major) in said.decode()
