"""Preferences and rewards under kill -9: a run that goes on ends as one that nobody disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")

METHODS = ("preference", "reward")
ROOT = Path(__file__).parents[3]


def attempts(base: Path, folder: Path, *moments: str) -> list[tuple[int, bool]]:
    """How each ended, and whether there was a result: see `killing`."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-m", "tests.training.tuning.killing", str(base), str(folder), *moments]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=280)
    lines = [line.split() for line in done.stdout.splitlines()]
    return [(int(code), result == "True") for code, result in lines]


@pytest.mark.slow
def test_killed_they_go_on_to_the_same_adapter(tiny: Path, tmp_path: Path) -> None:
    """With dropout and answers drawn at random, so that what is drawn has to go on, too; byte for byte. The last
    attempt comes to a run whose last update was made, as when publishing was broken off: it makes no other."""
    moments = [
        f"{place}/{method}:{moment}"
        for method in METHODS
        for place, moment in [("whole", "end"), ("killed", "4u"), ("killed", "end"), ("killed", "end")]
    ]
    killed, ended = (-signal.SIGKILL, False), (0, True)
    assert attempts(tiny, tmp_path, *moments) == [ended, killed, ended, ended] * 2
    for method in METHODS:
        whole, gone_on = ((tmp_path / place / method / "result").read_bytes() for place in ("whole", "killed"))
        assert whole == gone_on
