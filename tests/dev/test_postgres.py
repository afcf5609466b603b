"""The embedded server: it starts where it can, recovers from a kill, and says in one line why it cannot."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dj_database_url
import psycopg
import pytest

from config import programs
from config.programs import Binaries
from dev import postgres
from dev.postgres import THROW_AWAY, Cluster, DatabaseUnavailable, Runner

DEADLINE = 180.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cluster"


@pytest.fixture
def cluster(folder: Path) -> Cluster:
    return Cluster(folder, settings=THROW_AWAY)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def postmaster(cluster: Cluster) -> int:
    assert cluster.pid is not None
    return cluster.pid


def refusal(cluster: Cluster) -> str:
    with pytest.raises(DatabaseUnavailable) as refused:
        cluster.start()
    cluster.stop()
    assert not cluster.running()
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_cluster_keeps_its_data_from_start_to_start(cluster: Cluster) -> None:
    with cluster, psycopg.connect(cluster.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    assert not cluster.running()
    with cluster, psycopg.connect(cluster.url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_cluster_has_what_the_schema_needs(cluster: Cluster) -> None:
    with cluster, psycopg.connect(cluster.url) as connection:
        connection.execute("CREATE EXTENSION btree_gist")
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert connection.execute("SHOW max_connections").fetchone() == ("250",)


def test_url_is_read_by_django(cluster: Cluster) -> None:
    read = dj_database_url.parse(cluster.url)
    assert (read.get("HOST"), read.get("NAME")) == (str(cluster.directory), "foyer")


def test_server_ignores_postgres_variables_of_the_caller(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "9999")
    monkeypatch.setenv("PGDATA", "/nowhere")
    with cluster, psycopg.connect(cluster.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_cluster_recovers_from_a_killed_server(folder: Path) -> None:
    cluster = Cluster(folder)  # the demo's: what was committed stays
    cluster.start()
    with psycopg.connect(cluster.url) as connection:
        connection.execute("CREATE TABLE committed AS SELECT 1 AS row")
    os.kill(postmaster(cluster), signal.SIGKILL)  # alone: its children live on for a moment
    eventually(lambda: not cluster.running())
    cluster.stop()
    with cluster, psycopg.connect(cluster.url) as connection:
        assert connection.execute("SELECT row FROM committed").fetchone() == (1,)


def test_cluster_follows_a_killed_starter(folder: Path) -> None:
    program = "import sys; from pathlib import Path; from dev.postgres import Cluster; "
    program += "cluster = Cluster(Path(sys.argv[1])); cluster.start(); print(cluster.pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        server = int(starter.stdout.readline())
        starter.kill()
    with Cluster(folder) as cluster, psycopg.connect(cluster.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert postmaster(cluster) != server


def test_second_start_of_a_folder_is_refused(cluster: Cluster, folder: Path) -> None:
    with cluster:
        assert "in use" in refusal(Cluster(folder))
        assert cluster.running()


def test_stale_pid_of_a_living_stranger_is_forgotten(cluster: Cluster) -> None:
    with cluster:
        lines = (cluster.data / "postmaster.pid").read_text(encoding="utf-8").split("\n")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        stale = "\n".join([str(stranger.pid), *lines[1:]])
        pid_file = cluster.data / "postmaster.pid"
        pid_file.write_text(stale, encoding="utf-8")
        owner = cluster.data.stat()
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        try:
            with cluster:
                assert cluster.running()
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_interrupted_first_start_begins_anew(cluster: Cluster) -> None:
    unfinished = cluster.directory / "data.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n", encoding="ascii")
    with cluster, psycopg.connect(cluster.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not unfinished.exists()


def test_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / ("very-long-" * 10), settings=THROW_AWAY)
    with cluster, psycopg.connect(cluster.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        sockets = cluster.socket_folder
        assert sockets != cluster.directory
    assert not sockets.exists()


def test_folder_name_with_odd_signs_works(tmp_path: Path) -> None:
    with Cluster(tmp_path / 'A "b", c%d', settings=THROW_AWAY) as cluster, psycopg.connect(cluster.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_data_of_another_version_is_left_alone(cluster: Cluster) -> None:
    cluster.data.mkdir(parents=True)
    (cluster.data / "PG_VERSION").write_text("9\n", encoding="ascii")
    message = refusal(cluster)
    assert "made by PostgreSQL 9" in message
    assert "postgresql-9" in message


def test_data_of_an_installed_version_chooses_its_programs(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    real = postgres.installed()[-1]
    newer = Binaries(Path("/nowhere"), real.major + 1)
    monkeypatch.setattr(postgres, "installed", lambda: [real])
    with cluster:
        pass
    monkeypatch.setattr(postgres, "installed", lambda: [newer, real])
    with cluster:
        assert cluster.running()


def test_no_programs_is_said_with_the_way_out(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "installed", list)
    assert "apt-get install postgresql" in refusal(cluster)


def test_failing_server_is_quoted(folder: Path) -> None:
    message = refusal(Cluster(folder, settings={"max_connections": "none"}))
    assert "max_connections" in message


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refusal(Cluster(tmp_path / "file" / "cluster"))


def test_data_of_another_user_is_refused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.data.mkdir(parents=True)
    (cluster.data / "PG_VERSION").write_text(f"{postgres.installed()[0].major}\n", encoding="ascii")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 4711)
    assert "belongs to another user" in refusal(cluster)


def test_root_never_runs_the_server_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    choices = list(postgres.runners())
    assert choices
    assert all(runner.uid or runner.prefix for runner in choices)


def test_ordinary_user_runs_the_server_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert list(postgres.runners()) == [Runner()]


def test_runner_that_cannot_enter_the_folder_is_not_taken(tmp_path: Path) -> None:
    binaries = postgres.installed()[0]
    assert Runner().reaches(tmp_path, binaries)
    assert not Runner().reaches(tmp_path / "missing", binaries)


def test_server_older_than_needed_is_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for major, printed in (("14", "14.2"), ("16", "16.1"), ("17", "nothing known")):
        folder = tmp_path / "system" / major / "bin"
        folder.mkdir(parents=True)
        for name in ("initdb", "postgres"):
            (folder / name).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {printed}'\n", encoding="ascii")
            (folder / name).chmod(0o755)
    monkeypatch.setattr(programs, "SYSTEM_FOLDERS", tmp_path / "system")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    offered = [binaries for binaries in postgres.installed() if tmp_path in binaries.folder.parents]
    assert offered == [Binaries(tmp_path / "system" / "16" / "bin", 16)]
