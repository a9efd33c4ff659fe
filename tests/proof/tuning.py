"""Tuning that is killed: kill -9 again and again, and the adapter is the one of a run that nobody disturbed."""

from __future__ import annotations

import random
import signal
from pathlib import Path

from tests.proof.report import Proof

KILLS = 20
TRL = {"preference": "preferences (DPO)", "reward": "rewards (GRPO)"}

ABOUT = (
    "An adapter over a small model made from a config, trained with dropout; by fine-tuning, by preferences and by "
    "rewards. Each attempt is a process that dies by kill -9: some updates after it went on, or, where the loop is "
    "TRL's, also at any moment of loading, learning, judging and publishing; the last one of a run ends. "
    "Its adapter must be the one of a run that nobody disturbed, byte for byte, and no attempt that was killed leaves "
    "a result."
)


def prove(folder: Path, kills: int = KILLS) -> Proof:
    from tests.training.tuning.conftest import make_tiny

    proof = Proof("tuning", "Tuning under kill -9", ABOUT)
    tiny = folder / "tiny"
    make_tiny(tiny, folder / "tokenizer")
    _fine_tuning(proof, folder, tiny, kills)
    for method, name in TRL.items():
        _trl(proof, folder / method, tiny, method, name, kills)
    return proof


def _fine_tuning(proof: Proof, folder: Path, tiny: Path, kills: int) -> None:
    from tests.training.tuning.test_tuning import child

    undisturbed, disturbed = folder / "undisturbed", folder / "disturbed"
    assert child(undisturbed, tiny, 0) == 0
    killed = half = 0
    runs, same = 1, True
    draw = random.Random(0)
    while killed < kills:
        code = child(disturbed, tiny, draw.randint(1, 2))
        if code == 0:  # it came to its end: begin again
            same &= _result(disturbed) == _result(undisturbed)
            runs += 1
            (disturbed / "result").unlink()
            (disturbed / "checkpoint.safetensors").unlink()
            continue
        assert code == -signal.SIGKILL
        killed += 1
        half += (disturbed / "result").exists()
    assert child(disturbed, tiny, 0) == 0
    same &= _result(disturbed) == _result(undisturbed)
    _tell(proof, "fine-tuning", killed, runs, half, same=same)


def _trl(proof: Proof, folder: Path, tiny: Path, method: str, name: str, kills: int) -> None:
    from tests.training.tuning.test_kills import attempts

    folder.mkdir()
    draw = random.Random(0)
    assert attempts(tiny, folder, f"undisturbed/{method}:end") == [(0, True)]
    killed = half = runs = 0
    same = True
    while killed < kills:
        run = f"run-{runs}/{method}"
        moments = [f"{run}:{_moment(draw)}" for _ in range(min(5, kills - killed))]
        ended = False  # some seconds were enough: the result is whole, whatever kills what comes after it
        for code, result in attempts(tiny, folder, *moments, f"{run}:end")[:-1]:
            ended |= code == 0
            killed += code == -signal.SIGKILL
            half += code == -signal.SIGKILL and result and not ended
        same &= _result(folder / run) == _result(folder / "undisturbed" / method)
        runs += 1
    _tell(proof, name, killed, runs, half, same=same)


def _moment(draw: random.Random) -> str:
    """After some updates, or, once in three times, after some seconds, whatever it does then."""
    return f"{draw.uniform(0.5, 8):.2f}s" if draw.random() < 1 / 3 else f"{draw.randint(2, 3)}u"


def _result(folder: Path) -> bytes:
    return (folder / "result").read_bytes()


def _tell(proof: Proof, name: str, killed: int, runs: int, half: int, *, same: bool) -> None:
    proof.note(f"{name}: kill -9", f"{killed} times, in {runs} runs")
    proof.bound(f"{name}: half results seen", str(half), "none", not half)
    said = "the same, byte for byte" if same else "another one"
    proof.bound(f"{name}: the adapter", said, "the same", same)
