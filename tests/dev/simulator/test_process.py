"""The simulator as a process: its ledger on disk, its options."""

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.simulator import PATIENCE, ROOT, SimulatorProcess, started


def test_ledger_survives_a_kill_and_a_line_cut_short() -> None:
    for process in started():
        made = process.create()
        process.pay(made["id"])
        before = process.ledger()
        process.stop(hard=True)
        with process.ledger_file.open("ab") as file:
            file.write(b'["checkout",{"id":"half')

        process.start()

        after = process.ledger()
        for name in ("checkouts", "attempts", "captures"):
            assert after[name] == before[name] != []
        process.create(checkout_reference="R-2")
        process.stop(hard=True)
        process.start()
        assert [row["reference"] for row in process.ledger()["checkouts"]] == ["R-1", "R-2"]


def test_ledger_with_a_bad_line_inside_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "sumup.jsonl").write_text('nonsense\n["checkout",{}]\n')
    with pytest.raises(RuntimeError, match="line 1"):
        SimulatorProcess(tmp_path)


def test_management_command_runs_the_same_simulator(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "manage.py",
        "sumup_simulator",
        "--port",
        "0",
        "--merchant",
        "MX,sup_sk_x,CHF,Jazz, and more",
    ]
    process = subprocess.Popen([*command, "--ledger", str(tmp_path / "l")], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        headers = {"Authorization": "Bearer sup_sk_x"}
        answer = requests.get(f"{url}/v1/merchants/MX", headers=headers, timeout=PATIENCE).json()
        assert (answer["default_currency"], answer["business_profile"]["name"]) == ("CHF", "Jazz, and more")
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("options", [["--speed", "0"], ["--merchant", "M,K,EUR"], ["--port", "70000"]])
def test_bad_option_stops_the_start(tmp_path: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "dev.simulator", *options]
    ended = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
