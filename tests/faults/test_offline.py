"""Nothing leaves the machine, and nothing is written outside CRATON_HOME."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("unshare", "ip", "mount")


def _can_unshare() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0 or not all(map(shutil.which, NEEDED)):
        return False
    return subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not _can_unshare(), reason="only root may make a network namespace (unshare -n)")
def test_no_packet_leaves_and_nothing_is_written_outside_the_home(starter_files: Path, tmp_path: Path) -> None:
    """The server, its workers, the command line and all three clients, with an empty HOME (see offline_scenario)."""
    command = ["unshare", "-n", "-m", sys.executable, "-m", "tests.faults.offline_scenario"]
    done = subprocess.run(
        [*command, str(starter_files), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["the canary fires"]
    assert report["packets"] == []
    assert report["a picture from the network"] == 400
    assert set(report["answers"]) <= {0, 200, True}
    assert report["written at home"] == []
    assert report["left in tmp"] == []
