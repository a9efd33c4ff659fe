"""A base learns from records, stops, goes on after a kill as if nothing had been, and comes back from its files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("transformers")

import torch
from msgspec import structs

from craton.core.errors import Damaged, InvalidRequest, Unsupported
from craton.core.job import JobCancelled
from craton.training.specification.reading import read_tuning
from craton.training.specification.tuning import (
    Architecture,
    ContinuedPretraining,
    FineTuning,
    Lora,
    Pretraining,
    Records,
    TextFit,
    Tuned,
)
from craton.training.tuning import loop, memory, training
from craton.training.tuning.attention import Segments
from craton.training.tuning.base import load, look_at
from craton.training.tuning.batches import LanguageLoss
from craton.training.tuning.conversations import read_conversation
from craton.training.tuning.corpus import gather
from craton.training.tuning.loop import Loop
from craton.training.tuning.lora import adapted
from craton.training.tuning.results import write_adapter
from craton.training.tuning.sampling import Sampler
from craton.training.tuning.stepping import Alone
from craton.training.tuning.training import train
from craton.training.tuning.trial import Answer, Request, try_out
from tests.training.memory import MemoryRun
from tests.training.tuning.conftest import given, pairs

DATA = Records("s3://train/records.jsonl", share=0.2)
FIT = TextFit(steps=24, batch=4, length=128, learning_rate=2e-2, packing=False)


def memory_run(folder: Path, tiny: Path) -> MemoryRun:
    folder.mkdir(exist_ok=True)
    return MemoryRun(folder, repositories={"model:tiny@main": tiny})


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the fresh process, which takes seconds: for tests of what comes before it."""
    monkeypatch.setattr(training, "try_out", lambda request, expected, *, rough: Answer(expected, 1.0))


@pytest.fixture(scope="module")
def tuned(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, MemoryRun]:
    run = memory_run(tmp_path_factory.mktemp("run"), tiny)
    return train(FineTuning(data=DATA, base="tiny", train=FIT), given(pairs(40)), run), run


def test_an_adapter_lowers_the_loss_of_what_was_held_out(tuned: tuple[Any, MemoryRun]) -> None:
    trained, run = tuned
    assert trained.metrics["validation_loss"] < trained.metrics["validation_loss_before"] - 0.2
    assert trained.metrics["perplexity"] < trained.metrics["perplexity_before"]
    assert [step for step, _ in run.curves["training_loss"]] == list(range(1, 25))
    assert run.curves["validation_loss"][-1] == (24, pytest.approx(trained.metrics["validation_loss"], rel=1e-4))
    assert any("loaded again in a fresh process: the same loss" in line for line in run.lines)


def test_an_adapter_is_a_peft_repository_over_its_base_without_pickle(tuned: tuple[Any, MemoryRun], tiny: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    folder = tuned[0].folder
    assert sorted(path.name for path in folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("tiny", "main")
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), folder)
    assert sum(value.numel() for name, value in model.named_parameters() if "lora_" in name) > 0


@pytest.mark.usefixtures("untried")
def test_continued_pretraining_trains_all_weights_and_leaves_one_gguf(tiny: Path, tmp_path: Path) -> None:
    texts = [{"text": f"Number {number} is followed by {number + 1}. " * 4} for number in range(30)]
    run = memory_run(tmp_path / "run", tiny)
    spec = ContinuedPretraining(data=DATA, base="tiny", tune="full", train=FIT)
    trained = train(spec, given(texts), run)
    assert trained.metrics["validation_loss"] < trained.metrics["validation_loss_before"] - 0.3
    assert trained.folder is not None
    names = {path.name for path in trained.folder.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "model-f16.gguf"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    assert "_path" not in json.loads((trained.folder / "config.json").read_text())
    again = look_at(trained.folder, "again")  # the result is a base itself
    assert again.family == "llama"


@pytest.mark.slow
def test_a_model_from_nothing_has_a_tokenizer_of_its_texts(tiny: Path, tmp_path: Path) -> None:
    texts = [{"input": f"The cat number {number} sat on the mat. " * 4} for number in range(40)]
    shape = Architecture(layers=1, width=32, heads=2, context=64, vocabulary=300)
    fit = TextFit(steps=15, batch=4, length=64, learning_rate=5e-3)
    trained = train(
        Pretraining(data=DATA, model=shape, train=fit), given(texts, ""), memory_run(tmp_path / "run", tiny)
    )
    assert trained.metrics["perplexity"] < trained.metrics["perplexity_before"] / 2
    assert trained.folder is not None
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(trained.folder)
    assert len(tokenizer) <= 300
    assert tokenizer.decode(tokenizer("Tëxt 🐈").input_ids) == "Tëxt 🐈"  # bytes: nothing is unknown


@pytest.mark.usefixtures("untried")
def test_patience_stops_and_keeps_the_best_weights(tiny: Path, tmp_path: Path) -> None:
    """Numbers that follow from nothing: what is learned of some makes others less likely."""
    run = memory_run(tmp_path / "run", tiny)
    fit = TextFit(steps=60, batch=4, length=128, learning_rate=0.03, packing=False, patience=1, schedule="constant")
    lines = [{"prompt": f"{number}", "completion": f"{number * 7919 % 1000:03d}"} for number in range(30)]
    trained = train(FineTuning(data=DATA, base="tiny", tune="full", train=fit), given(lines), run)
    values = [value for _, value in run.curves["validation_loss"]]
    assert trained.metrics["validation_loss"] == pytest.approx(min(values), rel=1e-3)
    assert run.curves["training_loss"][-1][0] < 60


def test_a_diverging_loss_ends_the_run_and_names_the_key(tiny: Path, tmp_path: Path) -> None:
    fit = TextFit(steps=60, batch=4, length=128, learning_rate=1.0, packing=False, clip=1e4, schedule="constant")
    spec = FineTuning(data=DATA, base="tiny", tune="full", train=fit)
    with pytest.raises(InvalidRequest, match=r"it diverges\. Try a tenth of 1") as refused:
        train(spec, given(pairs(20)), memory_run(tmp_path / "run", tiny))
    assert refused.value.field == "train.learning_rate"


@pytest.mark.slow
def test_an_adapter_that_changes_nothing_is_refused(tiny: Path, tmp_path: Path) -> None:
    """One that never learned: its B is 0."""
    write_adapter(adapted(load(look_at(tiny, "tiny"))[0], Lora()), tmp_path, "tiny@main")
    request = Request(str(tmp_path), str(tiny), [([5, 6, 7], [0, 1, 1])], 1)
    with pytest.raises(Damaged, match="its loss is") as refused:
        try_out(request, 0.0, rough=False)
    measured = float(str(refused.value).split("its loss is ")[1].split(",")[0])
    with pytest.raises(Damaged, match="changes no logits"):
        try_out(request, measured, rough=False)


def test_what_does_not_fit_is_refused_with_the_numbers(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1 << 20)
    with pytest.raises(InvalidRequest, match=r"need about 0\.7 GB of memory and 0\.0 GB are free"):
        train(FineTuning(data=DATA, base="tiny", train=FIT), given(pairs(4)), memory_run(tmp_path / "run", tiny))


def test_a_run_can_be_cancelled(tiny: Path, tmp_path: Path) -> None:
    run = memory_run(tmp_path / "run", tiny)

    def stop() -> None:
        if len(run.curves["training_loss"]) == 3:
            raise JobCancelled

    run.stop = stop
    with pytest.raises(JobCancelled):
        train(FineTuning(data=DATA, base="tiny", train=FIT), given(pairs(40)), run)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("model.json", "predicts from columns"),
        ("adapter_config.json", "is an adapter"),
        ("modules.json", "embeds texts"),
        ("pytorch_model.bin", "pickled weights"),
        ("README.md", "holds no weights"),
    ],
)
def test_what_cannot_be_tuned_says_why(file: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("{}")
    with pytest.raises((InvalidRequest, Unsupported), match=reason):
        look_at(tmp_path, "acme/thing")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"train": {"learning_rate": 2.0}}, "train.learning_rate"),
        ({"train": {"epochs": 0}}, "train.epochs"),
        ({"lora": {"rank": 0}}, "lora.rank"),
        ({"data": {"ref": "s3://a-bucket/b", "share": 0.95}}, "data.share"),
    ],
)
def test_hyperparameters_out_of_range_are_refused_with_the_range(change: dict[str, Any], place: str) -> None:
    document = {"method": "fine-tuning", "data": {"ref": "s3://a-bucket/b"}} | change
    with pytest.raises(InvalidRequest, match=r"out of range: .* to ") as refused:
        read_tuning(document)
    assert refused.value.field == place


def test_parts_that_the_base_lacks_are_named_with_those_it_has(tiny: Path, tmp_path: Path) -> None:
    spec = FineTuning(data=DATA, base="tiny", train=FIT, lora=Lora(modules=("c_attn",)))
    with pytest.raises(InvalidRequest, match="no c_attn; there are down_proj, gate_proj"):
        train(spec, given(pairs(8)), memory_run(tmp_path / "run", tiny))


CHILD = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from craton.training.tuning import loop
loop.SECONDS = loop.TIMES = 0.0
from tests.training.tuning.test_tuning import killed_run
from craton.training.tuning import training
from craton.training.tuning.trial import Answer
training.try_out = lambda request, expected, *, rough: Answer(expected, 1.0)  # it is tried by other tests
killed_run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
"""


def killed_run(folder: Path, tiny: Path, moment: int) -> None:
    """Dies by kill -9 after so many updates, 0 for never; the adapter's bytes are its result."""
    run = memory_run(folder, tiny)

    def stop() -> None:
        if moment and len(run.curves["learning_rate"]) >= moment:  # its points are not told again
            os.kill(os.getpid(), signal.SIGKILL)

    run.stop = stop
    spec: Tuned = FineTuning(data=DATA, base="tiny", train=FIT, lora=Lora(dropout=0.1))
    trained = train(spec, given(pairs(40)), run)
    assert trained.folder is not None
    (folder / "result").write_bytes((trained.folder / "adapter_model.safetensors").read_bytes())
    (folder / "lines").write_text("\n".join(run.lines))


def child(folder: Path, tiny: Path, moment: int) -> int:
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}", "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-c", CHILD, str(folder), str(tiny), str(moment)]
    return subprocess.run(command, env=environment, timeout=120, check=False).returncode


@pytest.mark.slow
@pytest.mark.usefixtures("untried")
def test_killed_it_goes_on_to_the_same_adapter(tiny: Path, tmp_path: Path) -> None:
    """With dropout, so that what is drawn has to go on, too. The file must be the same, byte for byte."""
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    killed_run(undisturbed, tiny, 0)
    assert child(disturbed, tiny, 5) == -signal.SIGKILL
    assert not (disturbed / "result").exists()
    killed_run(disturbed, tiny, 0)
    assert (disturbed / "result").read_bytes() == (undisturbed / "result").read_bytes()
    assert "goes on after update" in (disturbed / "lines").read_text()


def test_values_that_are_computed_again_give_the_same_numbers(tiny: Path, tmp_path: Path) -> None:
    """train.checkpointing."""
    kept, again = (tuned_on("cpu", tiny, tmp_path / str(on), checkpointing=on) for on in (False, True))
    assert again == [pytest.approx(value, abs=1e-6) for value in kept]


def tuned_on(device: str, tiny: Path, folder: Path, steps: int = 3, **changed: Any) -> list[float]:
    """The losses of a few updates, by the loop itself."""
    fit = structs.replace(FIT, steps=steps, accumulate=2, **changed)
    run = memory_run(folder, tiny)
    model, tokenizer = load(look_at(tiny, "tiny"))
    segments = Segments()
    segments.attach(model)
    torch.manual_seed(0)
    model = adapted(model, Lora())
    if fit.checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    sampler = Sampler(tokenizer)
    samples = [sampler.conversation(read_conversation(pair)) for pair in pairs(40)]
    corpus = gather(samples, folder, "train", 128)
    stepping = Alone(model.to(device), LanguageLoss(model, segments), fit, 0)
    Loop(stepping, fit, 2e-2, 0, run, settings=device).run(corpus, None)
    return [value for _, value in run.curves["training_loss"]]


GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


@GPU
def test_on_a_gpu_it_learns_in_bfloat16(tiny: Path, tmp_path: Path) -> None:
    run = memory_run(tmp_path / "run", tiny)
    trained = train(FineTuning(data=DATA, base="tiny", train=FIT), given(pairs(40)), run)
    assert run.parameters["precision"] == "bfloat16"
    assert trained.metrics["validation_loss"] < trained.metrics["validation_loss_before"] - 0.5


@GPU
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_gpu_in_bfloat16_learns_what_a_cpu_learns(checkpointing: bool, tiny: Path, tmp_path: Path) -> None:
    """With accumulation, and with values computed again on the way back: the curves agree within bfloat16's noise."""
    there = tuned_on("cuda", tiny, tmp_path / "gpu", 12, precision="bfloat16", checkpointing=checkpointing)
    here = tuned_on("cpu", tiny, tmp_path / "cpu", 12, precision="float32")
    assert there == [pytest.approx(value, abs=0.05) for value in here]


@GPU
def test_stopped_on_a_gpu_it_goes_on_to_the_same_numbers(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout, whose random numbers are the GPU's own there."""
    whole, first, rest = (memory_run(tmp_path / name, tiny) for name in ("whole", "parted", "parted"))

    def stop() -> None:
        if len(first.curves["training_loss"]) == 5:
            raise JobCancelled

    spec: Tuned = FineTuning(data=DATA, base="tiny", train=FIT, lora=Lora(dropout=0.1))
    train(spec, given(pairs(40)), whole)
    first.stop = stop
    for name in ("SECONDS", "TIMES"):
        monkeypatch.setattr(loop, name, 0.0)
    with pytest.raises(JobCancelled):
        train(spec, given(pairs(40)), first)
    train(spec, given(pairs(40)), rest)
    assert rest.curves["training_loss"] == [
        (step, pytest.approx(value, abs=1e-3)) for step, value in whole.curves["training_loss"]
    ]


@GPU
def test_what_a_gpu_cannot_hold_is_refused_with_the_numbers(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1 << 10, 1 << 20))
    with pytest.raises(InvalidRequest, match=r"GB of memory on each GPU and 0\.0 GB are free"):
        train(FineTuning(data=DATA, base="tiny", train=FIT), given(pairs(4)), memory_run(tmp_path / "run", tiny))
