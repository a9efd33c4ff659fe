"""Memory that is freed stays with the process, so that blocks that come and go cost no faults."""

from __future__ import annotations

import subprocess
import sys

import pytest

MOVING = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
from craton.app.allocation import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def move():
    for _ in range(300):
        blocks = [bytearray(1024 * 1024) for _ in range(3)]
        del blocks
with ThreadPoolExecutor(1) as thread:
    thread.submit(move).result()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_blocks_that_come_and_go_cost_few_faults() -> None:
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", MOVING, how], capture_output=True, check=True, text=True).stdout)
        for how in ("kept", "given back")
    )
    assert kept < given_back / 5
