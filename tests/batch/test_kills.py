"""kill -9 of a batch's process or of its server, at any moment: every record is answered once, and hardly one is asked
twice."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.batch.conftest import AT_ONCE, Back
from tests.batch.workshop import Bench, record, said
from tests.faults.seen import descendants
from tests.servers import RunningServer, serving

RECORDS = 450
FILES = 3
KILLS = 3
AHEAD = 2  # records that are asked beside those that the engine works on


@pytest.mark.slow
def test_a_batch_under_kill_9_loses_and_doubles_nothing(home: Path, back: Back) -> None:
    chance = random.Random()
    before = back.asked()
    with ExitStack() as stack:
        server = stack.enter_context(serving(home))
        bench = Bench(server)
        for number in range(FILES):
            texts = [f"say {number} {place}" for place in range(RECORDS // FILES)]
            bench.put(f"in/{number}.jsonl", [record(place, text) for place, text in enumerate(texts)])
        job = bench.start(f"s3://{bench.bucket}/in", model="counted")
        seen = 0
        for kill in range(KILLS):
            seen = bench.further(job, seen)
            time.sleep(chance.uniform(0.0, 0.3))
            if kill == KILLS // 2:
                os.kill(server.pid, signal.SIGKILL)
                stack.close()
                server = stack.enter_context(serving(home))
                bench = bench.at(server)
            else:
                kill_job(server)
        assert bench.until(job)["status"] == "Completed"
        outputs = bench.outputs(job)
        assert list((server.home / "batches").iterdir()) == []
    total = RECORDS // FILES * FILES
    for number in range(FILES):
        lines = outputs[f"{number}.jsonl.out"]
        assert [line["recordId"] for line in lines] == [f"r{place}" for place in range(RECORDS // FILES)]
        assert [said(line) for line in lines] == [f"say {number} {place}" for place in range(len(lines))]
    assert outputs["manifest.json.out"][0]["successRecordCount"] == total
    time.sleep(0.3)  # the other server writes its rows in groups
    asked = back.asked() - before
    assert total <= asked <= total + KILLS * (AT_ONCE + AHEAD)


def kill_job(server: RunningServer) -> None:
    """If there is one just now."""
    for pid in descendants(server.pid):
        with suppress(OSError):
            if b"job\0run" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
