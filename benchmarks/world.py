"""What is measured: PostgreSQL, simulator, web server and job worker, each a process, in a folder of their own."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.buyer import KEY, MERCHANT
from dev.children import Child, wait_for_port
from dev.postgres import Cluster

PROJECT = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")
WEB, SIMULATOR = 8310, 8311


@dataclass(frozen=True)
class World:
    """The running processes; `cpu` tells what a group of them has used since its start."""

    web: Child
    worker: Child
    simulator: Child
    cluster: Cluster

    def cpu(self, *roots: int) -> float:
        """CPU seconds, user and system, of process trees, children that ended included."""
        return sum(_ticks(pid) for root in roots for pid in _tree(root)) / TICK

    def web_and_database(self) -> float:
        return self.cpu(self.web.process.pid, self.cluster.pid or 0)

    def worst_worker_mib(self) -> float:
        """Resident memory of the largest web worker, MiB."""
        sizes = []
        for pid in _tree(self.web.process.pid):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            sizes += [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")]
        return max(sizes)


def environment(folder: Path, database_url: str) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "DATABASE_URL": database_url,
        "SECRET_KEY": "for-measuring-only-0123456789-0123456789",
        "FIELD_KEYS": "for-measuring-only",
        "DEBUG": "1",
        "SITE_URL": f"http://127.0.0.1:{WEB}",
        "SUMUP_API_URL": f"http://127.0.0.1:{SIMULATOR}",
        "SUMUP_MERCHANT_CODE": MERCHANT,
        "SUMUP_API_KEY": KEY,
        "EMAIL_URL": "memory:",
        "DATA_DIR": str(folder),
        "LOG_LEVEL": "WARNING",
    }


@contextlib.contextmanager
def running(*, threads: int, workers: int) -> Iterator[World]:
    """All of it, answering; this process is given the same environment, with Django set up."""
    with tempfile.TemporaryDirectory(prefix="foyer-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with contextlib.ExitStack() as stack:
            cluster = stack.enter_context(Cluster(folder / "postgres"))
            os.environ.update(environment(folder, cluster.url))
            import django
            from django.core.management import call_command

            django.setup()
            call_command("migrate", verbosity=0)
            (folder / "static").mkdir()

            def start(title: str, *command: str, port: int | None = None) -> Child:
                child = Child(title, [sys.executable, *command], environment=os.environ, log=folder / f"{title}.log")
                stack.callback(child.stop)
                if port and not wait_for_port(port, alive=child.running, seconds=30):
                    raise SystemExit(child.epitaph())
                return child

            ledger = str(folder / "simulator.jsonl")
            simulator = start(
                "simulator", "-m", "dev.simulator", "--port", str(SIMULATOR), "--ledger", ledger, port=SIMULATOR
            )
            options = [
                "--bind",
                f"127.0.0.1:{WEB}",
                "--worker-class",
                "gthread",
                "--no-control-socket",
                "--keep-alive",
                "30",
            ]
            options += ["--workers", str(workers), "--threads", str(threads), "--chdir", str(PROJECT)]
            web = start("web", "-m", "gunicorn", "config.wsgi", *options, port=WEB)
            worker = start("worker", str(PROJECT / "manage.py"), "procrastinate", "worker")
            yield World(web, worker, simulator, cluster)


def _tree(root: int) -> list[int]:
    """`root` and all its descendants that are alive."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += children.get(pid, [])
    return found


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(int(value) for value in fields[11:15])
