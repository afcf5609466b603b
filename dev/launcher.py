"""`python -m dev.launcher run`: the whole demo from one command, everything it writes under DATA_DIR.

`python -m dev.launcher manage COMMAND…` runs a management command in the surroundings of the demo that runs;
`… backup` and `… restore` also while it does not run, and on DATABASE_URL's database when that is set.
"""

import contextlib
import fcntl
import importlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
from django.core.exceptions import ImproperlyConfigured

from config import environment as env
from config.programs import OLDEST_MAJOR, last_line
from dev.children import STOP_SECONDS, Child, port_trouble, say, wait_for_port
from dev.postgres import Cluster, DatabaseUnavailable

PROJECT = Path(__file__).resolve().parent.parent
MANAGE = [sys.executable, str(PROJECT / "manage.py")]
READY_SECONDS = 60.0
DEMO_MERCHANT = "MDEMO001"
SECRETS = ("SECRET_KEY", "FIELD_KEYS")


class StartFailure(Exception):
    """The demo cannot run; the text is for the person who started it."""


class AlreadyRuns(StartFailure):
    """Another demo has the data folder."""


class Demo:
    """Everything that `run` starts, in order; leaving the `with` block stops it in the opposite order."""

    def __init__(self, port: int, simulator_port: int, data: Path) -> None:
        self.port = port
        self.simulator_port = simulator_port
        self.data = data
        self.logs = data / "logs"
        self.children: list[Child] = []
        self.cluster: Cluster | None = None
        self.simulated = not given("SUMUP_API_URL")
        self.own = self._settings()
        self.environment = {**os.environ, **self.own, "PYTHONUNBUFFERED": "1"}

    def _settings(self) -> dict[str, str]:
        """The demo's value of each setting that the caller's environment leaves open."""
        demo = {
            **stored_secrets(self.data / "secrets.json"),
            "DEBUG": "1",
            "SITE_URL": f"http://localhost:{self.port}",
            "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
            "SUMUP_API_URL": f"http://localhost:{self.simulator_port}",
            "EMAIL_URL": f"file://{quote(str(self.data / 'mail'))}",
            "DATA_DIR": str(self.data),
        }
        if not given("SUMUP_MERCHANT_CODE") and not given("SUMUP_API_KEY"):
            demo |= {"SUMUP_MERCHANT_CODE": DEMO_MERCHANT, "SUMUP_API_KEY": f"sup_sk_demo_{DEMO_MERCHANT}"}
        if not given("DATABASE_URL"):
            self.cluster = Cluster(self.data / "postgres", log=self.logs / "postgres.log")
            demo["DATABASE_URL"] = self.cluster.url
        return {name: value for name, value in demo.items() if not given(name)}

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Everything started and answering. Raises StartFailure or DatabaseUnavailable with nothing left running."""
        try:
            self._start_database()
            self._manage("migrate", "--no-input", "--verbosity", "0")
            self._start_simulator()
            accounts = self._manage("seed_demo")
            self._start(
                "worker", [*MANAGE, "procrastinate", "worker", "--concurrency=4", "--shutdown-graceful-timeout=5"]
            )
            self._start_web()
            self._greet(accounts)
            yield
        finally:
            # A second Ctrl-C must not leave half of it running.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            # Without its database the worker would try for long to end well.
            seconds = STOP_SECONDS if not self.cluster or self.cluster.running() else 1.0
            for child in reversed(self.children):
                child.stop(seconds)
            if self.cluster:
                self.cluster.stop()

    def watch(self) -> str:
        """Wait until one of them ends, which none of them should; the answer says which."""
        pause = threading.Event()
        while True:
            for child in self.children:
                if not child.running():
                    return child.epitaph()
            if self.cluster and not self.cluster.running():
                return f"PostgreSQL has ended (its messages are in {self.cluster.log})."
            pause.wait(0.25)

    def _start_database(self) -> None:
        if self.cluster:
            self.cluster.start()
            self.own["DATABASE_URL"] = self.environment["DATABASE_URL"] = self.cluster.url
        url = self.environment.get("DATABASE_URL") or env.text("DATABASE_URL")
        try:
            with psycopg.connect(url, connect_timeout=5) as connection:
                version = connection.info.server_version // 10000
        except psycopg.Error as error:
            raise DatabaseUnavailable(f"The database of DATABASE_URL: {last_line(str(error))}") from error
        if version < OLDEST_MAJOR:
            raise DatabaseUnavailable(f"The database is PostgreSQL {version}; Foyer needs {OLDEST_MAJOR} or newer.")
        write_private(self.data / "environment.json", json.dumps(self.own, indent=2))

    def _start(self, name: str, command: list[str], **more: str) -> Child:
        child = Child(name, command, environment=self.environment | more, log=self.logs / f"{name}.log")
        self.children.append(child)
        return child

    def _manage(self, *arguments: str) -> list[str]:
        """Run a management command to its end; its last lines."""
        name = arguments[0]
        child = self._start(name, [*MANAGE, *arguments], LOG_LEVEL="WARNING")  # what it prints is for people
        if child.wait() != 0:
            raise StartFailure(child.epitaph())
        self.children.remove(child)
        return list(child.last_words)

    def _start_simulator(self) -> None:
        """The stand-in for SumUp, unless SUMUP_API_URL names another one."""
        if not self.simulated:
            return
        arguments = ["--port", str(self.simulator_port), "--ledger", str(self.data / "simulator.json")]
        # The pages' CSP lets a form lead to this origin and no other: localhost is not 127.0.0.1.
        arguments += ["--public-url", self.environment["SUMUP_API_URL"]]
        self._await(self._start("simulator", [*MANAGE, "sumup_simulator", *arguments]), self.simulator_port)

    def _start_web(self) -> None:
        command = [sys.executable, "-m", "gunicorn", "config.wsgi", "--chdir", str(PROJECT)]
        command += ["--bind", f"127.0.0.1:{self.port}", "--worker-class", "gthread", "--workers", "2", "--threads", "4"]
        command += ["--graceful-timeout", "5", "--no-control-socket"]
        self._await(self._start("web", command), self.port)

    def _await(self, child: Child, port: int) -> None:
        if wait_for_port(port, alive=child.running, seconds=READY_SECONDS):
            return
        if not child.running():
            raise StartFailure(child.epitaph())
        raise StartFailure(f"{child.name} does not answer on port {port} (its log is {child.log}).")

    def _greet(self, accounts: list[str]) -> None:
        site = self.environment.get("SITE_URL", f"http://localhost:{self.port}")
        lines = ["", f"Foyer runs:      {site}/", f"  the organiser: {site}/admin/", f"  mail it sent:  {site}/mail/"]
        if self.simulated:
            lines.append(f"  SumUp, played: http://localhost:{self.simulator_port}/")
        lines += [*(f"  {line}" for line in accounts), "Logs are in " + str(self.logs) + ". Ctrl-C stops it all.", ""]
        say("\n".join(lines))


def given(name: str) -> bool:
    """Whether the caller's environment sets `name`, itself or by a file."""
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))


def write_private(path: Path, content: str) -> None:
    """Write a file that is whole or not there, and for its owner's eyes only."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    new.replace(path)


def stored_secrets(path: Path) -> dict[str, str]:
    """The demo's secrets: made once, kept, or stored cards' keys and sessions would be lost at each start."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        kept = {name: secrets.token_urlsafe(48) for name in SECRETS}
        write_private(path, json.dumps(kept))
    except ValueError as error:
        raise StartFailure(f"{path} is damaged: mend it, or delete {path.parent} to begin anew.") from error
    if not isinstance(kept, dict) or not all(isinstance(kept.get(name), str) for name in SECRETS):
        raise StartFailure(f"{path} is damaged: mend it, or delete {path.parent} to begin anew.")
    return {name: kept[name] for name in SECRETS}


def check_settings(environment: dict[str, str]) -> None:
    """Load the settings as the children will. Raises ImproperlyConfigured."""
    os.environ.update(environment)
    importlib.import_module("config.settings")


@contextlib.contextmanager
def only_one(data: Path) -> Iterator[None]:
    """At most one demo per data folder."""
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRuns(f"Foyer already runs on {data}.") from error
        yield


def run() -> int:
    """Run the demo until it is interrupted (0) or one of its processes ends (1)."""
    port = env.number("PORT", 8000, least=1, most=65535)
    simulator_port = env.number("SIMULATOR_PORT", 8001, least=1, most=65535)
    if port == simulator_port:
        raise StartFailure(f"PORT and SIMULATOR_PORT are both {port}.")
    data = data_folder()
    for folder in (data, data / "logs", data / "static", data / "media", data / "mail"):
        folder.mkdir(parents=True, exist_ok=True)
    with only_one(data):
        for name, number in (("PORT", port), ("SIMULATOR_PORT", simulator_port)):
            if trouble := port_trouble(number):
                raise StartFailure(f"Port {number}: {trouble}. Choose another one: make run {name}={number + 10}")
        demo = Demo(port, simulator_port, data)
        check_settings(demo.environment)
        # SIGINT too: what a script starts with & inherits that it is ignored, and Python leaves it so.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        try:
            with demo.running():
                ended = demo.watch()
        except KeyboardInterrupt:
            say("Foyer has stopped.")
            return 0
        raise StartFailure(ended)


def stored_environment() -> dict[str, str]:
    """The environment in which the demo runs, or ran last."""
    path = data_folder() / "environment.json"
    try:
        stored: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise StartFailure(f"{path} is not there: `make run` writes it.") from error
    return stored


def manage(arguments: list[str]) -> int:
    """Become `manage.py` with the environment of the demo."""
    stored = stored_environment()
    os.execve(sys.executable, [*MANAGE, *arguments], {**os.environ, **stored})  # noqa: S606  (our own program, no shell)


def save(arguments: list[str]) -> int:
    """`manage.py backup` or `restore` on DATABASE_URL's database, or on the demo's; the exit code.

    The demo's server is started when it does not run. While the demo runs nothing is restored.
    """
    data = data_folder()
    if given("DATABASE_URL"):
        kept = stored_environment() if (data / "environment.json").exists() else {}
        return _managed(arguments, {**kept, **os.environ})
    if not (data / "postgres").is_dir():
        raise StartFailure("There is no database: set DATABASE_URL, or begin with `make run`.")
    surroundings = {**os.environ, **stored_environment()}
    try:
        with only_one(data), Cluster(data / "postgres") as cluster:
            return _managed(arguments, surroundings | {"DATABASE_URL": cluster.url})
    except AlreadyRuns as error:
        if arguments[0] == "restore":
            raise StartFailure(f"{error} Stop it first.") from error
        return _managed(arguments, surroundings)


def _managed(arguments: list[str], environment: dict[str, str]) -> int:
    return subprocess.run([*MANAGE, *arguments], env=environment, check=False).returncode


def data_folder() -> Path:
    return Path(os.environ.get("DATA_DIR") or PROJECT / ".foyer").absolute()


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["run"]:
                return run()
            case ["manage", *rest]:
                return manage(rest)
            case ["backup" | "restore", *_]:
                return save(arguments)
            case _:
                raise StartFailure("usage: python -m dev.launcher run | manage COMMAND… | backup [FILE] | restore FILE")
    except (StartFailure, DatabaseUnavailable, ImproperlyConfigured) as error:
        trouble = str(error)
    except OSError as error:
        trouble = f"{error.filename or ''}: {error.strerror or error}".lstrip(": ")
    sys.stdout.flush()
    sys.stderr.write(f"foyer: {trouble}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
