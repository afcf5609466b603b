"""`make run`'s launcher: what stops it says so in one line, and nothing is left running.

The commands that it runs are played by a stand-in for manage.py, the web server is the real one.
"""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from dev import launcher
from dev.children import Child, port_trouble, wait_for_port

PROJECT = Path(__file__).resolve().parents[2]
DEADLINE = 180.0
START = "import sys; from dev import launcher; launcher.MANAGE = [sys.executable, {!r}]; "
START += "sys.exit(launcher.main(['run']))"
STAND_IN = """
import http.server, os, signal, sys, time
from pathlib import Path
command, book = sys.argv[1], Path(os.environ["DATA_DIR"], "book")
def note(words):
    with book.open("a") as file:
        file.write(words + "\\n")
def leave(*_):
    note("stop " + command)
    os._exit(0)
signal.signal(signal.SIGTERM, leave)
note("start " + command)
if os.environ.get("FAILS") == command:
    sys.exit("the reason of " + command)
if os.environ.get("SLOW") == command:
    time.sleep(600)
if command == "seed_demo":
    print("buyer@example.org / foyer-demo")
if command == "sumup_simulator":
    port = int(sys.argv[sys.argv.index("--port") + 1])
    http.server.HTTPServer(("127.0.0.1", port), http.server.SimpleHTTPRequestHandler).serve_forever()
if command == "procrastinate":
    print("WARNING seen by all", flush=True)
    time.sleep(600)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


def eventually(condition: Callable[[], bool], patience: float = DEADLINE) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


class Launch:
    """One run of the launcher in a folder of its own, with what it says."""

    def __init__(self, folder: Path, *, deaf: bool = False, **settings: str) -> None:
        """`deaf`: as a shell without job control starts what a script puts in the background with `&`."""
        self.data = folder / "data"
        self.port, self.simulator_port = free_port(), free_port()
        stand_in = folder / "stand_in.py"
        stand_in.write_text(STAND_IN, encoding="utf-8")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DATA_DIR": str(self.data),
            "PORT": str(self.port),
            "SIMULATOR_PORT": str(self.simulator_port),
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
            **settings,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", START.format(str(stand_in))],
            cwd=PROJECT,
            env=self.environment,
            # A shell starts what it puts in the background deaf to Ctrl-C, this suite included.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_IGN if deaf else signal.SIG_DFL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""
        self.complained = ""
        self._readers = [threading.Thread(target=self._read_said), threading.Thread(target=self._read_complained)]
        for reader in self._readers:
            reader.start()

    def _read_said(self) -> None:
        for line in self.process.stdout or ():
            self.said += line

    def _read_complained(self) -> None:
        for line in self.process.stderr or ():
            self.complained += line

    def ready(self) -> None:
        eventually(lambda: "Ctrl-C" in self.said or self.process.poll() is not None)
        assert self.process.poll() is None, self.complained

    def wait(self) -> int:
        """Its exit code, once it has ended and all that it said is here."""
        code = self.process.wait(DEADLINE)
        for reader in self._readers:
            reader.join(DEADLINE)
        assert "Traceback" not in self.complained
        return code

    def end(self) -> int:
        """Wait for its end, and see that nothing of it is left."""
        code = self.wait()
        assert processes_with(str(self.data)) == {}
        return code

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(DEADLINE)
        for reader in self._readers:
            reader.join()  # its stream must not be closed under its hands
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def book(self) -> list[str]:
        return (self.data / "book").read_text(encoding="utf-8").splitlines()

    def refusal(self) -> str:
        """The one line with which it gave up."""
        assert self.end() == 1
        assert self.complained.startswith("foyer: ")
        assert self.complained.count("\n") == 1, self.complained
        return self.complained


def processes_with(words: str) -> dict[int, str]:
    """Processes of this machine whose command line or environment contains `words`."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:  # another user's, or one that has just ended
            continue
        if os.fsencode(words) in told:
            found[int(process.name)] = told[:200].decode(errors="replace")
    return found


def ignores(pid: int, number: signal.Signals) -> bool:
    """Whether a process ignores a signal, as the kernel tells it."""
    told = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    mask = re.search(r"^SigIgn:\s*([0-9a-f]+)$", told, re.MULTILINE)
    assert mask, told
    return bool(int(mask[1], 16) >> (number - 1) & 1)


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launch]]:
    launches: list[Launch] = []

    def start(*, deaf: bool = False, **settings: str) -> Launch:
        launches.append(Launch(tmp_path, deaf=deaf, **settings))
        return launches[-1]

    yield start
    for one in launches:
        one.kill()


def test_run_serves_stops_in_order_and_starts_again(launch: Callable[..., Launch]) -> None:
    first = launch()
    first.ready()
    assert f"http://localhost:{first.port}/" in first.said
    assert f"http://localhost:{first.simulator_port}/" in first.said
    assert "buyer@example.org / foyer-demo" in first.said
    eventually(lambda: "[worker] WARNING seen by all" in first.said)
    assert port_trouble(first.port) == "it is in use"
    secrets = (first.data / "secrets.json").read_text(encoding="utf-8")
    first.process.send_signal(signal.SIGINT)
    assert first.end() == 0
    assert first.complained == ""
    begun = ["start migrate", "start sumup_simulator", "start seed_demo", "start procrastinate"]
    assert first.book() == [*begun, "stop procrastinate", "stop sumup_simulator"]

    second = launch()
    second.ready()
    assert (second.data / "secrets.json").read_text(encoding="utf-8") == secrets
    second.process.terminate()
    assert second.end() == 0


@pytest.mark.promise("ctrl-c-stops")
def test_run_in_the_background_of_a_script_stops_by_ctrl_c(launch: Callable[..., Launch]) -> None:
    """`make run &` in a script: SIGINT is ignored by inheritance, in the launcher and in all that it starts."""
    started = launch(deaf=True)
    started.ready()
    children = {pid for pid in processes_with(str(started.data)) if pid != started.process.pid}
    deaf = {pid for pid in children if ignores(pid, signal.SIGINT)}
    assert children
    assert deaf == set()
    started.process.send_signal(signal.SIGINT)
    assert started.end() == 0
    assert started.book()[-2:] == ["stop procrastinate", "stop sumup_simulator"]


@pytest.mark.promise("ctrl-c-stops")
def test_run_in_the_background_of_a_script_stops_by_ctrl_c_while_it_starts(launch: Callable[..., Launch]) -> None:
    started = launch(deaf=True, SLOW="seed_demo")
    eventually(lambda: (started.data / "book").exists() and "start seed_demo" in started.book())
    started.process.send_signal(signal.SIGINT)
    assert started.end() == 0
    assert started.book()[-1] == "stop sumup_simulator"


def test_run_ends_with_its_child(launch: Callable[..., Launch]) -> None:
    started = launch()
    started.ready()
    [simulator] = processes_with(f"sumup_simulator\0--port\0{started.simulator_port}\0")
    os.kill(simulator, signal.SIGKILL)
    assert started.end() == 1
    assert started.complained.startswith("foyer: simulator was killed by SIGKILL")


def test_run_ends_with_its_database(launch: Callable[..., Launch]) -> None:
    started = launch()
    started.ready()
    pid_file = started.data / "postgres" / "data" / "postmaster.pid"
    os.kill(int(pid_file.read_text(encoding="utf-8").splitlines()[0]), signal.SIGKILL)
    assert "PostgreSQL has ended" in started.refusal()


def test_failing_step_is_named_with_its_last_words(launch: Callable[..., Launch]) -> None:
    started = launch(FAILS="seed_demo")
    assert started.end() == 1
    assert started.complained.startswith("foyer: seed_demo ended with exit code 1")
    assert "the reason of seed_demo" in started.complained
    assert started.book()[-1] == "stop sumup_simulator"


def test_second_run_on_the_same_folder_is_refused(launch: Callable[..., Launch]) -> None:
    first = launch()
    first.ready()
    second = launch()
    assert second.wait() == 1
    assert second.complained == f"foyer: Foyer already runs on {first.data}.\n"
    assert first.process.poll() is None


@pytest.mark.parametrize("name", ["PORT", "SIMULATOR_PORT"])
def test_port_in_use_is_refused(launch: Callable[..., Launch], name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        refusal = launch(**{name: str(taken)}).refusal()
    assert re.search(rf"Port {taken}: .*make run {name}=", refusal)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("SIMULATOR_PORT", "70000"),
        ("HOLD_MINUTES", "3"),
        ("SECRET_KEY", "short"),
        ("DATABASE_URL", "mysql://localhost/foyer"),
        ("EMAIL_URL", "pigeon://loft"),
    ],
)
def test_bad_setting_is_refused_before_anything_starts(launch: Callable[..., Launch], name: str, value: str) -> None:
    started = launch(**{name: value})
    assert name in started.refusal()
    assert not (started.data / "postgres").exists()


def test_same_port_twice_is_refused(launch: Callable[..., Launch]) -> None:
    assert "both 9999" in launch(PORT="9999", SIMULATOR_PORT="9999").refusal()


def test_database_out_of_reach_is_refused_without_its_password(launch: Callable[..., Launch]) -> None:
    refusal = launch(DATABASE_URL="postgresql://me:hush@127.0.0.1:9/foyer").refusal()
    assert "DATABASE_URL" in refusal
    assert "hush" not in refusal


def test_data_folder_that_is_a_file_is_refused(launch: Callable[..., Launch], tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert str(tmp_path / "data") in launch().refusal()


def test_damaged_secrets_are_refused_not_replaced(launch: Callable[..., Launch], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "secrets.json").write_text("{", encoding="utf-8")
    assert "damaged" in launch().refusal()
    assert (tmp_path / "data" / "secrets.json").read_text(encoding="utf-8") == "{"


def test_secrets_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    made = launcher.stored_secrets(path)
    assert min(len(value) for value in made.values()) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert launcher.stored_secrets(path) == made == json.loads(path.read_text(encoding="utf-8"))


def test_given_settings_win_over_the_demos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_URL", "https://demo.example.org")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.delenv("SECRET_KEY")
    monkeypatch.delenv("SUMUP_API_URL")
    demo = launcher.Demo(9001, 9002, tmp_path)
    assert "SECRET_KEY" not in demo.own
    assert demo.environment["SITE_URL"] == "https://demo.example.org"
    assert demo.environment["SUMUP_API_URL"] == "http://localhost:9002"
    assert (demo.own["SUMUP_MERCHANT_CODE"], demo.own["SUMUP_API_KEY"]) == ("MDEMO001", "sup_sk_demo_MDEMO001")
    monkeypatch.setenv("SUMUP_API_URL", "https://api.sumup.com")
    monkeypatch.setenv("SUMUP_MERCHANT_CODE", "MC0X0ABC")
    own = launcher.Demo(9001, 9002, tmp_path)
    assert not own.simulated
    assert "SUMUP_API_KEY" not in own.own


def test_child_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    program = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    child = Child("stubborn", [sys.executable, "-c", program], environment=os.environ, log=tmp_path / "log")
    eventually(lambda: "ready" in child.last_words)
    child.stop(0.2)
    assert not child.running()
    assert "SIGKILL" in child.epitaph()
    assert (tmp_path / "log").read_text(encoding="utf-8") == "ready\n"


def test_child_says_warnings_and_keeps_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = "print('INFO all is well'); print('ERROR it is not'); print('x.py:1: DeprecationWarning: old')"
    child = Child("chatty", [sys.executable, "-c", program], environment=os.environ, log=tmp_path / "log")
    assert child.wait() == 0
    assert capsys.readouterr().out == "[chatty] ERROR it is not\n[chatty] x.py:1: DeprecationWarning: old\n"
    assert "INFO all is well" in (tmp_path / "log").read_text(encoding="utf-8")


def test_port_of_a_dead_process_is_not_waited_for() -> None:
    begun = time.monotonic()
    assert not wait_for_port(free_port(), alive=lambda: False, seconds=DEADLINE)
    assert time.monotonic() - begun < DEADLINE / 2


def test_port_that_is_bound_but_silent_is_trouble() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        assert port_trouble(silent.getsockname()[1]) == "address already in use"
    assert port_trouble(free_port()) is None


def test_manage_runs_in_the_surroundings_of_the_demo(tmp_path: Path) -> None:
    told = {"DATABASE_URL": "postgresql:///nowhere", "HOLD_MINUTES": "3"}
    (tmp_path / "environment.json").write_text(json.dumps(told), encoding="utf-8")
    command = [sys.executable, "-m", "dev.launcher", "manage", "check"]
    environment = {**os.environ, "DATA_DIR": str(tmp_path)}
    ended = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "foyer: HOLD_MINUTES='3' is not a whole number from 8 to 1440.\n"


def test_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert launcher.main(["fly"]) == 1
    assert "usage" in capsys.readouterr().err


def test_manage_needs_a_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert launcher.main(["manage", "check"]) == 1
    assert "`make run` writes it" in capsys.readouterr().err
