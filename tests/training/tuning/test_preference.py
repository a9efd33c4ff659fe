"""Preferences are learned: the chosen answer becomes likelier than the rejected one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from craton.core.errors import InvalidRequest
from craton.training.protocol import Trained
from craton.training.specification.tuning import PreferenceTuning, Records, TextFit
from craton.training.tuning.learner import WHOLE, newest
from craton.training.tuning.preference import Pair, dpo_loss, figures, train
from tests.training.memory import MemoryRun
from tests.training.tuning.conftest import WORDS, given

DATA = Records("s3://train/pairs.jsonl", share=0.25)
FIT = TextFit(steps=16, batch=4, length=128, learning_rate=1e-2)


def preferences(count: int) -> list[dict[str, Any]]:
    return [
        {"prompt": f"What is {WORDS[n % 6]}? {n}", "chosen": "It is a colour.", "rejected": "What is it?"}
        for n in range(count)
    ]


def memory_run(folder: Path, tiny: Path) -> MemoryRun:
    folder.mkdir(exist_ok=True)
    return MemoryRun(folder, repositories={"model:tiny@main": tiny})


@pytest.fixture(scope="module")
def tuned(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, MemoryRun]:
    run = memory_run(tmp_path_factory.mktemp("preferences"), tiny)
    return train(PreferenceTuning(data=DATA, base="tiny", train=FIT), given(preferences(24)), run), run


def test_the_loss_by_hand() -> None:
    """Log-likelihoods (chosen, rejected): the base (-4, -3), tuned (-3, -5), beta 0.5. The margin is
    0.5 * ((-3 + 4) - (-5 + 3)) = 1.5, the loss log(1 + e^-1.5) = 0.2014; ln 2 before. Tokens: two of the chosen, three
    of the rejected, so the base finds the rejected one likelier (-2 against -1), then the chosen one (-1.5, -1.67)."""
    found = figures([(-4.0, -3.0)], [(-3.0, -5.0)], [Pair([1], [2, 3], [4, 5, 6])], 0.5)
    assert found["reward_margin"] == pytest.approx(1.5)
    assert found["validation_loss"] == pytest.approx(0.20141327798)
    assert found["validation_loss_before"] == pytest.approx(math.log(2))
    assert (found["preference_accuracy_before"], found["preference_accuracy"]) == (0.0, 1.0)
    assert dpo_loss(-800.0) == pytest.approx(800.0)


def test_what_was_preferred_becomes_likelier(tuned: tuple[Trained, MemoryRun]) -> None:
    trained, run = tuned
    assert trained.metrics["validation_loss"] < trained.metrics["validation_loss_before"] - 0.1
    assert trained.metrics["reward_margin"] > 0.2
    assert trained.metrics["reward_accuracy"] == 1.0
    assert trained.metrics["preference_accuracy"] >= trained.metrics["preference_accuracy_before"]
    assert [step for step, _ in run.curves["training_loss"]] == list(range(1, 17))
    assert run.curves["training_loss"][0][1] == pytest.approx(math.log(2), abs=1e-4)
    assert trained.folder is not None
    assert {path.name for path in trained.folder.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    assert not list(run.folder.rglob("training_args.bin"))


@pytest.mark.slow
def test_all_weights_learn_against_the_base_they_were(tiny: Path, tmp_path: Path) -> None:
    fit = TextFit(steps=6, batch=4, length=128, learning_rate=2e-3)
    run = memory_run(tmp_path / "run", tiny)
    trained = train(PreferenceTuning(data=DATA, base="tiny", tune="full", train=fit), given(preferences(24)), run)
    assert trained.metrics["validation_loss"] < math.log(2) - 0.05
    assert trained.folder is not None
    assert (trained.folder / "model.safetensors").is_file()
    assert [path.suffix for path in trained.folder.glob("*.gguf")] == [".gguf"]


def test_half_a_checkpoint_is_not_looked_at(tuned: tuple[Trained, MemoryRun]) -> None:
    folder = tuned[1].folder / "trainer"
    half = folder / "checkpoint-99"
    half.mkdir()
    last = newest(folder)
    assert last is not None
    assert (Path(last) / WHOLE).is_file()
    assert not half.exists()


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"prompt": "a", "chosen": "b"}, 'no "rejected"'),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "are the same"),
        ({"prompt": "a", "chosen": "", "rejected": "b"}, "chosen answer is no text, or an empty one"),
    ],
)
def test_a_record_that_is_no_pair_is_named(tiny: Path, tmp_path: Path, record: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=f"line 3: .*{said}.*2 of 3 records are good"):
        train(
            PreferenceTuning(data=DATA, base="tiny", train=FIT),
            given([*preferences(2), record]),
            memory_run(tmp_path / "run", tiny),
        )
