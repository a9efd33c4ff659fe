"""Several processes tune one model, of which each holds a part: to the same numbers as one, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("transformers")

import torch
from msgspec import structs

from craton.core.errors import InvalidRequest
from craton.training.protocol import Helped, Team
from craton.training.specification.tuning import FineTuning, Records, TextFit, Tuned
from craton.training.team.helping import Helping
from craton.training.team.leading import Leading
from craton.training.tuning import loop, training
from craton.training.tuning.batches import Row
from craton.training.tuning.memory import Shared, check_weights
from craton.training.tuning.together.helping import help_tuning
from craton.training.tuning.together.leading import share_out
from craton.training.tuning.training import train
from craton.training.tuning.trial import Answer
from tests.training.memory import MemoryRun
from tests.training.tuning.conftest import given, pairs

ROOT = Path(__file__).parents[3]
HERE = "127.0.0.1"
HELPER = """
import sys
from tests.training.tuning import test_together
test_together.help_with(sys.argv[1], sys.argv[2], int(sys.argv[3]))
"""
FIT = TextFit(steps=6, batch=4, accumulate=2, length=64, learning_rate=2e-2, packing=True, processes=2)


class TeamRun(MemoryRun):
    """Gathers helpers that are children of this process. deaths: after how many updates the helpers of the first,
    second ... team kill themselves; 0 for never."""

    deaths: Iterator[int]

    def team(self, size: int, *, here: bool) -> Team:
        return Leading(size, child(next(self.deaths, 0)), HERE, self.check, self.log)


class HelpingRun(MemoryRun):
    member: Team

    def team(self, size: int, *, here: bool) -> Team:
        return self.member


def child(death: int) -> Callable[[int, str, str], Callable[[], None]]:
    def start(number: int, leader: str, token: str) -> Callable[[], None]:
        variables = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen([sys.executable, "-c", HELPER, leader, token, str(death)], env=variables)

        def stop() -> None:
            process.kill()
            process.wait()

        return stop

    return start


def help_with(leader: str, token: str, death: int) -> None:
    """What a helper does; after so many updates it dies."""
    run = HelpingRun(Path())
    run.member = Helping(leader, token, lambda: os._exit(0))
    if death:
        kill_after(death)
    with suppress(Helped):
        help_tuning(run)
    os._exit(0)


def kill_after(updates: int) -> None:
    from craton.training.tuning.together.member import Member

    learn, left = Member.learn, iter(range(updates))

    def learning(self: Member, told: Any) -> float:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return learn(self, told)

    Member.learn = learning  # type: ignore[method-assign]


def run_in(folder: Path, tiny: Path, *deaths: int) -> TeamRun:
    folder.mkdir(exist_ok=True)
    run = TeamRun(folder, repositories={"model:tiny@main": tiny})
    run.deaths = iter(deaths)
    return run


def spec(fit: TextFit = FIT, **changed: Any) -> Tuned:
    return FineTuning(data=Records("s3://train/records.jsonl", share=0.2), base="tiny", train=fit, **changed)


def alone(asked: Tuned) -> Tuned:
    return structs.replace(asked, train=structs.replace(asked.train, processes=1))


def nothing(request: Any, expected: float, *, rough: bool) -> Answer:
    """The fresh process, which takes seconds, is for other tests."""
    return Answer(expected, 1.0)


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "try_out", nothing)


@pytest.fixture(scope="module")
def undisturbed(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, TeamRun]:
    """An adapter of two processes."""
    run = run_in(tmp_path_factory.mktemp("undisturbed"), tiny)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "try_out", nothing)
        return train(spec(), given(pairs(40)), run), run


def check_the_same(found: tuple[Any, TeamRun], expected: tuple[Any, TeamRun]) -> None:
    assert found[1].curves["training_loss"] == [
        (step, pytest.approx(value, abs=1e-4)) for step, value in expected[1].curves["training_loss"]
    ]
    for name in ("validation_loss_before", "validation_loss"):
        assert found[0].metrics[name] == pytest.approx(expected[0].metrics[name], abs=1e-4)
    assert found[0].metrics["validation_loss"] < found[0].metrics["validation_loss_before"] - 0.1


@pytest.mark.usefixtures("untried")
def test_two_processes_learn_the_adapter_that_one_learns(
    undisturbed: tuple[Any, TeamRun], tiny: Path, tmp_path: Path
) -> None:
    run = run_in(tmp_path, tiny)
    check_the_same(undisturbed, (train(alone(spec()), given(pairs(40)), run), run))
    assert "2 processes share each step and the model's weights" in undisturbed[1].lines


@pytest.mark.slow
@pytest.mark.usefixtures("untried")
def test_two_processes_learn_the_weights_that_one_learns(tiny: Path, tmp_path: Path) -> None:
    """All of them, and with values that are computed again on the way back, which one process keeps."""
    asked, runs = spec(tune="full"), [run_in(tmp_path / name, tiny) for name in ("two", "one")]
    again = structs.replace(asked, train=structs.replace(FIT, checkpointing=True))
    two, one = ((train(one, given(pairs(40)), run), run) for one, run in zip((again, alone(asked)), runs, strict=True))
    check_the_same(two, one)


LEADER = """
import sys
from pathlib import Path
from tests.training.tuning import test_together
test_together.killed_leader(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
"""


def killed_leader(folder: Path, tiny: Path, moment: int) -> None:
    """Dies by kill -9 after so many updates."""
    torch.set_num_threads(1)
    loop.SECONDS = loop.TIMES = 0.0
    run = run_in(folder, tiny)

    def stop() -> None:
        if len(run.curves["learning_rate"]) >= moment:
            os.kill(os.getpid(), signal.SIGKILL)

    run.stop = stop
    train(spec(), given(pairs(40)), run)


@pytest.mark.slow
def test_whoever_is_killed_the_result_is_the_same(
    undisturbed: tuple[Any, TeamRun], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the leader, in the validation that comes before its second checkpoint; then, in its next attempt and two
    updates later, a helper, whose place another one takes. Byte for byte."""
    variables = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-c", LEADER, str(tmp_path), str(tiny), "2"]
    assert subprocess.run(command, env=variables, timeout=120, check=False).returncode == -signal.SIGKILL
    for name in ("SECONDS", "TIMES"):
        monkeypatch.setattr(loop, name, 0.0)
    monkeypatch.setattr(training, "try_out", nothing)
    run = run_in(tmp_path, tiny, 2)
    found = train(spec(), given(pairs(40)), run)
    went_on = [line for line in run.lines if line.startswith("goes on")]
    assert went_on == ["goes on after update 1", "goes on after update 3"]
    assert run.warnings == ["A process was lost, and its part of the model: the run goes on from its last checkpoint."]
    assert adapter(found) == adapter(undisturbed[0])


def adapter(trained: Any) -> bytes:
    return bytes((trained.folder / "adapter_model.safetensors").read_bytes())


@pytest.mark.usefixtures("untried")
def test_without_helpers_it_goes_on_alone(tiny: Path, tmp_path: Path) -> None:
    run = MemoryRun(tmp_path, repositories={"model:tiny@main": tiny})
    train(spec(structs.replace(FIT, steps=1)), given(pairs(10)), run)
    assert run.warnings == ["No other process came: the run goes on alone."]


def test_steps_are_shared_out_by_their_tokens() -> None:
    def row(tokens: int) -> Row:
        return Row(b"\0" * 4 * tokens, b"\1" * tokens, [tokens])

    shares = share_out([row(tokens) for tokens in (3, 9, 4, 2)], 2)
    assert [share.row.lengths for share in shares] == [[9], [4, 3, 2]]
    idle = share_out([row(3), row(5)], 3)[2]
    assert (idle.row.lengths, idle.counts) == ([3], False)


@pytest.mark.parametrize(
    ("shared", "needed"), [(Shared(), 24.7), (Shared(2, 2), 31.0), (Shared(4, 1), 13.5)], ids=["one", "two", "apart"]
)
def test_memory_is_estimated_of_all_processes_on_this_machine(
    shared: Shared, needed: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1.5 thousand million weights that all learn: 5.59 GB once, 7.26 while they are read, 16.76 for learning; 0.68 a
    process for libraries."""
    monkeypatch.setattr("craton.training.tuning.memory.available", lambda: 1 << 30)
    with pytest.raises(InvalidRequest, match=f"need about {needed:.1f} GB"):
        check_weights(1_500_000_000, 1_500_000_000, MemoryRun(tmp_path), shared)
    check_weights(1_000_000, 1_000_000, MemoryRun(tmp_path), Shared())


def test_memory_of_gpus_is_estimated_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in four parts, of 5.59 and 16.76 GB."""
    monkeypatch.setattr("craton.training.tuning.memory._on_gpu", lambda: 5 << 30)
    monkeypatch.setattr("craton.training.tuning.memory.available", lambda: 64 << 30)
    with pytest.raises(InvalidRequest, match=r"need about 5\.6 GB of memory on each GPU and 5\.0 GB are free"):
        check_weights(1_500_000_000, 1_500_000_000, MemoryRun(tmp_path), Shared(4, 4, gpu=True))


TWO_GPUS = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are no two GPUs here")


@TWO_GPUS
def test_two_gpus_learn_what_one_learns(tiny: Path, tmp_path: Path) -> None:
    """Over NCCL, in bfloat16: the curves agree within its noise, and the result is what a CPU loads again."""
    one, two = run_in(tmp_path / "one", tiny), run_in(tmp_path / "two", tiny)
    train(alone(spec(tune="full")), given(pairs(40)), one)
    train(spec(tune="full"), given(pairs(40)), two)
    noisy = [pytest.approx(value, abs=0.05) for _, value in one.curves["training_loss"]]
    assert [value for _, value in two.curves["training_loss"]] == noisy
