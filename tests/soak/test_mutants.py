"""Some of the mutants of `make mutants`, others for each seed: no survivor without a written reason.

`SOAK_MUTANTS` (40) says how many, `SOAK_SEED` which.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.soak
@pytest.mark.promise("slice-mutants-others")
def test_some_mutants_are_noticed() -> None:
    arguments = ["--slice", os.environ.get("SOAK_MUTANTS", "40"), "--seed", os.environ.get("SOAK_SEED", "1")]
    command = [sys.executable, "-m", "dev.testing", sys.executable, "-m", "tests.mutation", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
