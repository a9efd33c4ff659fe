"""Tuning that is killed: kill -9 again and again, and the adapter is the one of a run that nobody disturbed."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from tests.proof.report import Proof

KILLS = 20
UPDATES = 24  # of the run

ABOUT = (
    "An adapter over a small model made from a config, trained with dropout. Each attempt is a process that dies by "
    "kill -9 some updates after it went on; the last one ends. Its adapter must be the one of a run that nobody "
    "disturbed, byte for byte, and no attempt that was killed may leave a result."
)


def prove(folder: Path, kills: int = KILLS) -> Proof:
    from tests.training.tuning.conftest import make_tiny
    from tests.training.tuning.test_tuning import child

    proof = Proof("tuning", "Tuning under kill -9", ABOUT)
    tiny, undisturbed, disturbed = folder / "tiny", folder / "undisturbed", folder / "disturbed"
    make_tiny(tiny, folder / "tokenizer")
    started = time.monotonic()
    assert child(undisturbed, tiny, 0) == 0
    killed = half = 0
    draw = random.Random(0)
    for _ in range(kills):
        code = child(disturbed, tiny, draw.randint(1, 2))
        if code == 0:  # it came to its end: begin again
            (disturbed / "result").unlink()
            (disturbed / "checkpoint.safetensors").unlink()
            continue
        killed += code == -signal.SIGKILL
        half += (disturbed / "result").exists()
    assert child(disturbed, tiny, 0) == 0
    same = (disturbed / "result").read_bytes() == (undisturbed / "result").read_bytes()
    proof.bound("half results seen", str(half), "none", not half)
    proof.bound("the adapter", "the same, byte for byte" if same else "another one", "the same", same)
    proof.note("killed", f"{killed} times of {kills}, in {time.monotonic() - started:.0f} s")
    return proof
